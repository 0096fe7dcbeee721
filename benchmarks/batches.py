"""Many small structures at once, and one by one.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/batches.py ../shared/data/li3po4_dfpt/li3po4_dfpt.xyz

Medians of CPU time over turns taken within one run.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read

from ase_bec import NNPCalculator, load
from ase_bec.evaluation.evaluator import Evaluator


def frames(path: Path, count: int) -> list[Atoms]:
    """Rattled copies of the frames of 16 atoms."""
    small = [atoms for atoms in read(path, ":") if len(atoms) == 16]
    rng, out = np.random.default_rng(0), []
    for k in range(count):
        atoms = Atoms(small[k % len(small)])
        atoms.calc = None
        atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
        out.append(atoms)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    some = frames(options.frames, options.count)
    potential, charges = load("li3po4-nnp"), load("li3po4-bec")
    evaluators = {name: Evaluator(load(name), "nothing") for name in ("li3po4-nnp", "li3po4-bec")}
    tasks: dict[str, Callable[[], object]] = {
        "potential, a calculator for each": lambda: [
            NNPCalculator(potential).get_forces(a) for a in some
        ],
        "potential, one calculator": lambda: [
            c.get_forces(a) for c in [NNPCalculator(potential)] for a in some
        ],
        "potential, at once": lambda: list(evaluators["li3po4-nnp"].batch(some)),
        "Born charges, one by one": lambda: [charges.born_charges(a) for a in some],
        "Born charges, at once": lambda: list(evaluators["li3po4-bec"].batch_born_charges(some)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(6):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            seconds[name].append(time.process_time() - start)
    atoms = sum(map(len, some))
    for name, found in seconds.items():
        print(f"{name}: {1e6 * np.median(found[1:]) / atoms:.0f} µs per atom")


if __name__ == "__main__":
    main()
