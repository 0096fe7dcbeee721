"""What looking after fields costs: second fields, net charge, labels of frames.

python benchmarks/field_guards.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
from ase.calculators.emt import EMT
from ase.calculators.mixing import SumCalculator

from ase_bec import FieldCalculator, NNPCalculator
from ase_bec.calculators.applied_field import AppliedField
from ase_bec.calculators.labelled import LabelledAtoms
from ase_bec.calculators.net_charge import NetCharge
from ase_bec.workflows.structures.crystals import beta_lithium_phosphate, vacancy_hop


def seconds(what: Callable[[], object], repeats: int) -> float:
    """Shortest mean processor time of a call among several rounds."""
    best = np.inf
    for _ in range(7):
        start = time.process_time()
        for _ in range(repeats):
            what()
        best = min(best, (time.process_time() - start) / repeats)
    return float(best)


def main() -> None:
    warnings.simplefilter("ignore")
    atoms, _ = vacancy_hop(beta_lithium_phosphate((2, 2, 2)), "Li", 2)
    potential = NNPCalculator("li3po4-nnp")
    for name, base in {
        "EMT": EMT(),
        "NNPCalculator": potential,
        "sum of both": SumCalculator([EMT(), potential]),
    }.items():
        applied = AppliedField(base)
        first = seconds(lambda base=base: AppliedField(base).refuse(), 5)
        applied.refuse()
        later = seconds(applied.refuse, 1000)
        print(f"second field in {name}: {1e3 * first:.2f} ms once, {1e6 * later:.1f} µs a step")

    calc = FieldCalculator(potential, "li3po4-bec", (0, 0, 0.1))
    atoms.calc = calc

    def step() -> None:
        atoms.positions[0, 0] += 1e-4
        atoms.get_forces()

    step()
    whole = seconds(step, 5)
    tensors = calc.source.born_charges(atoms)
    net_charge = NetCharge()
    net_charge.require(atoms, lambda: tensors)
    known = seconds(lambda: net_charge.require(atoms, lambda: tensors), 1000)
    labelled = LabelledAtoms(np.array(calc.field))
    labels = {name: atoms.info[name] for name in ("energy_zero_field", "forces_zero_field")}

    def label() -> None:
        forces = labels["forces_zero_field"].copy()
        labelled.note({"electric_field": labelled.field, **labels, "forces_zero_field": forces})
        labelled.put(atoms, calc, valid=True)

    marked = seconds(label, 1000)
    print(f"net charge: {1e6 * known:.1f} µs a step after the first")
    print(f"labels: {1e6 * marked:.1f} µs a step")
    print(f"a step of {len(atoms)} atoms with the bundled models: {1e3 * whole:.1f} ms")


if __name__ == "__main__":
    main()
