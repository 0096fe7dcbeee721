"""CPU time of the bundled HfO2 with and without a field, from 96 atoms on.

    python benchmarks/charges_speed.py [largest number of repeats along each axis]

CPU seconds of this process, so that what else runs on the machine counts little.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

from ase_bec import FieldCalculator, NNPCalculator


def cell() -> Atoms:
    """96 atoms of m-HfO2, rattled."""
    atoms = crystal(
        ["Hf", "O", "O"],
        [(0.2759, 0.0404, 0.2083), (0.0741, 0.3323, 0.3466), (0.4483, 0.7581, 0.4792)],
        spacegroup=14,
        cellpar=[5.117, 5.1754, 5.2915, 90, 99.22, 90],
    )
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=0)
    return atoms


def seconds(atoms: Atoms, steps: int = 4) -> float:
    """CPU time of a step, the best of some."""
    found = []
    for k in range(steps):
        atoms.positions[:, 0] += 0.001 * np.cos(k)
        start = time.process_time()
        atoms.get_forces()
        found.append(time.process_time() - start)
    return min(found[1:])


def main(largest: int) -> None:
    """Print a table."""
    warnings.simplefilter("ignore")
    print("  atoms   no field (µs/atom)   in a field (µs/atom)")
    for repeat in range(1, largest + 1):
        atoms, times = cell() * (repeat, repeat, repeat), []
        base = NNPCalculator("hfo2")
        for calc in (base, FieldCalculator(base, charges="hfo2", field=(0, 0, 0.05))):
            atoms.calc = calc
            times.append(1e6 * seconds(atoms) / len(atoms))
        print(f"{len(atoms):7d} {times[0]:20.0f} {times[1]:22.0f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
