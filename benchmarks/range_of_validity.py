"""Are atoms that count as outside the range of the bundled potential those that it gets wrong?

    OMP_WAIT_POLICY=PASSIVE python benchmarks/range_of_validity.py ../shared/data/shimizu_li3po4

Dynamics of the 127-atom crystal with the bundled potential at several temperatures; its forces
beside those of the potential that it was distilled from, of atoms and of whole steps that count as
outside and of others.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.io.lammpsdata import read_lammps_data
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from ase_bec import NNPCalculator, load, read_released_nnp
from ase_bec.evaluation.evaluator import Evaluator

TEMPERATURES = (300, 800, 1200, 1600, 2000, 2500)


def run(start: Atoms, teacher: Evaluator, kelvin: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each atom is outside, and its force error in meV/Å, both (frames, atoms)."""
    atoms, rng = start.copy(), np.random.default_rng(kelvin)
    atoms.calc = NNPCalculator("li3po4-nnp")
    pupil = Evaluator(load("li3po4-nnp"), "forces")
    MaxwellBoltzmannDistribution(atoms, temperature_K=kelvin, rng=rng)
    dynamics = Langevin(
        atoms, 2 * units.fs, temperature_K=kelvin, friction=0.02 / units.fs, rng=rng
    )
    outside, errors = [], []

    def record() -> None:
        values = pupil.values(atoms)[0]
        wrong = values.forces - teacher.values(atoms)[0].forces
        outside.append(values.outside)
        errors.append(1e3 * np.sqrt((wrong**2).mean(axis=1)))

    dynamics.run(200)
    dynamics.attach(record, interval=25)
    dynamics.run(steps)
    return np.array(outside), np.array(errors)


def rms(values: np.ndarray) -> str:
    return f"{np.sqrt((values**2).mean()):.0f}" if values.size else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    types = {1: 3, 2: 15, 3: 8}
    path = options.data / "md/crystal/data.lammps"
    start = read_lammps_data(path, atom_style="atomic", Z_of_type=types)
    teacher = Evaluator(read_released_nnp(options.data / "models/lammps-force.nnp"), "forces")
    print("| K | all | atoms outside | their error | others | steps with one | error | others |")
    print("|---|---|---|---|---|---|---|---|")
    for kelvin in TEMPERATURES:
        outside, errors = run(start, teacher, kelvin, options.steps)
        atoms, steps = outside > 1, (outside > 1).any(axis=1)
        cells = [
            str(kelvin), rms(errors), f"{atoms.sum()} of {atoms.size}", rms(errors[atoms]),
            rms(errors[~atoms]), f"{steps.sum()} of {steps.size}", rms(errors[steps]),
            rms(errors[~steps]),
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
