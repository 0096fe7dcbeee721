"""Time of a force call with the released and the bundled Li3PO4 models.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/speed.py ../shared/data/shimizu_li3po4
    OMP_WAIT_POLICY=PASSIVE python benchmarks/speed.py ../shared/data/shimizu_li3po4 --growth

Medians over calls in which every atom has moved a little, as in dynamics. The variants take turns
within one run, so that their ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.io.lammpsdata import read_lammps_data

from ase_bec import FieldCalculator, NNPCalculator, load, read_released_bec, read_released_nnp
from ase_bec.evaluation.evaluator import Evaluator
from ase_bec.verlet import NeighbourList

FIELD = (0.0, 0.0, 0.1)
FORMAL = {"Li": 1, "P": 5, "O": -2}
SYSTEMS = {"crystal": "md/crystal/data.lammps", "amorphous": "md/amorphous/data.lammps"}


def read(path: Path) -> Atoms:
    return read_lammps_data(path, atom_style="atomic", Z_of_type={1: 3, 2: 15, 3: 8})


def calculators(data: Path, dtype: str) -> dict[str, Calculator]:
    def nnp() -> NNPCalculator:
        return NNPCalculator(read_released_nnp(data / "models/lammps-force.nnp"), dtype=dtype)

    released = read_released_bec(data / "models/lammps_rot_bec.nnp")
    return {
        "NNP": nnp(),
        "NNP + formal charges": FieldCalculator(nnp(), FORMAL, FIELD),
        "NNP + released Born charges": FieldCalculator(nnp(), released, FIELD, energy="none"),
        "bundled NNP": NNPCalculator("li3po4-nnp", dtype=dtype),
        "bundled NNP + bundled Born charges": FieldCalculator(
            NNPCalculator("li3po4-nnp", dtype=dtype), "li3po4-bec", FIELD
        ),
    }


def step(atoms: Atoms, rng: np.random.Generator) -> None:
    """Move as in a time step, about a fixed configuration so that nothing drifts."""
    atoms.positions = atoms.info["home"] + rng.normal(scale=0.01, size=(len(atoms), 3))


def medians(
    atoms: Atoms, tasks: dict[str, Callable[[Atoms], object]], calls: int
) -> dict[str, float]:
    """Median µs per atom of each task; the tasks take turns."""
    rng = np.random.default_rng(0)
    atoms.info["home"] = atoms.positions.copy()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for call in range(calls + 2):
        for name, task in tasks.items():
            step(atoms, rng)
            start = time.perf_counter()
            task(atoms)
            if call > 1:
                seconds[name].append(time.perf_counter() - start)
    atoms.positions = atoms.info["home"]
    return {name: 1e6 * float(np.median(s)) / len(atoms) for name, s in seconds.items()}


def force_calls(data: Path, atoms: Atoms, calls: int) -> None:
    print("\n| µs per atom and call | " + " | ".join(("float64", "float32")) + " |\n|---|---|---|")
    found = {
        dtype: medians(atoms, {n: c.get_forces for n, c in calculators(data, dtype).items()}, calls)
        for dtype in ("float64", "float32")
    }
    for name in found["float64"]:
        print(f"| {name} | {found['float64'][name]:.0f} | {found['float32'][name]:.0f} |")
    ratio = found["float64"]["NNP + formal charges"] / found["float64"]["NNP"]
    print(f"formal charges / zero field: {ratio:.3f}")
    bundled = found["float64"]["bundled NNP + bundled Born charges"]
    print(f"bundled Born charges / zero field: {bundled / found['float64']['bundled NNP']:.2f}")


def shares(atoms: Atoms, calls: int) -> None:
    """What the kernels of the bundled pair take of a step; the rest is Python."""
    print("\n| µs per atom | list | kernels | whole evaluation |\n|---|---|---|---|")
    for name in ("li3po4-nnp", "li3po4-bec"):
        evaluator = Evaluator(load(name), "the timed results")
        (member,) = evaluator.members
        neighbours = NeighbourList(evaluator.cutoff)
        field = np.array(FIELD)
        directions = torch.tensor(field[None])
        rng, parts = np.random.default_rng(0), []
        for _ in range(calls):
            step(atoms, rng)
            start = time.perf_counter()
            system = neighbours.update(atoms)
            listed = time.perf_counter()
            species = member.species(system.numbers)
            for rule in member.rules:
                rule(system, species, directions)
            ran = time.perf_counter()
            evaluator.values(atoms, field)
            parts.append((listed - start, ran - listed, time.perf_counter() - ran))
        cells = 1e6 * np.median(parts, axis=0) / len(atoms)
        print(f"| {name} | " + " | ".join(f"{x:.1f}" for x in cells) + " |")


def threads(data: Path, atoms: Atoms, calls: int) -> None:
    found = {}
    for count in (1, 2):
        torch.set_num_threads(count)
        tasks = {n: c.get_forces for n, c in calculators(data, "float64").items()}
        found[count] = medians(atoms, tasks, calls)
    torch.set_num_threads(1)
    for name in found[1]:
        print(f"two threads, {name}: {found[1][name] / found[2][name]:.2f} times faster")


def growth(data: Path) -> None:
    """Time and peak memory against the number of atoms, one process each."""
    print("\n| atoms | µs per atom and force call | first call (s) | peak memory (GiB) |")
    print("|---|---|---|---|")
    for repeat in ((1, 1, 1), (2, 2, 2), (4, 4, 4), (6, 6, 7), (9, 9, 10)):
        command = [sys.executable, __file__, str(data), "--one", *map(str, repeat)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        n, per_atom, first, memory = json.loads(done.stdout.splitlines()[-1])
        print(f"| {n:,} | {per_atom:.0f} | {first:.1f} | {memory:.2f} |", flush=True)


def one(data: Path, repeat: tuple[int, ...]) -> None:
    atoms = read(data / SYSTEMS["crystal"]).repeat(repeat)
    calculator = calculators(data, "float64")["bundled NNP + bundled Born charges"]
    start = time.perf_counter()
    calculator.get_forces(atoms)
    first = time.perf_counter() - start
    per_atom = medians(atoms, {"": calculator.get_forces}, 3)[""]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps([len(atoms), per_atom, first, memory]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--one", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one:
        one(options.data, tuple(options.one))
    elif options.growth:
        growth(options.data)
    else:
        for name, path in SYSTEMS.items():
            atoms = read(options.data / path)
            print(f"\n{name}, {len(atoms)} atoms")
            calls = 31 if len(atoms) < 500 else 7
            force_calls(options.data, atoms, calls)
            shares(atoms, calls)
            threads(options.data, atoms, calls)


if __name__ == "__main__":
    main()
