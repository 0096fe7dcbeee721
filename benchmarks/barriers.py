"""Barriers of the published Li3PO4 vacancy hop, with and without field: published beside ours.

    python benchmarks/barriers.py ../shared/data/shimizu_li3po4

Prints the table of docs/barriers.md and draws docs/barriers.png with --picture.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.io.lammpsdata import read_lammps_data

import ase_bec
from ase_bec.models import released_field_energy
from ase_bec.workflows import MigrationPath, find_path, interpolate_path

FIELD = (0.0, 0.0, 0.1)
FORMAL = {"Li": 1, "P": 5, "O": -2}


def read_path(folder: Path) -> list[Atoms]:
    """Eight published images."""
    return [
        read_lammps_data(
            folder / f"data.neb{k}.lammps", atom_style="atomic", Z_of_type={1: 3, 2: 15, 3: 8}
        )
        for k in range(1, 9)
    ]


def published_energies(folder: Path) -> np.ndarray:
    return np.array([float(line.split()[1]) for line in (folder / "toten").open()])


def barriers(energies: Sequence[float] | np.ndarray) -> tuple[float, float]:
    values = np.asarray(energies)
    return float(values.max() - values[0]), float(values.max() - values[-1])


def row(name: str, energies: Sequence[float] | np.ndarray, note: str = "") -> None:
    forward, backward = barriers(energies)
    difference = float(energies[-1] - energies[0])
    print(f"| {name} | {forward:.4f} | {backward:.4f} | {difference:+.4f} | {note} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--fmax", type=float, default=0.01)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(2)
    nnp = ase_bec.read_released_nnp(options.data / "models/lammps-force.nnp")
    released = ase_bec.read_released_bec(options.data / "models/lammps_rot_bec.nnp")
    plain = read_path(options.data / "neb/8to1")
    biased = read_path(options.data / "neb/8to1-ez0.1")
    totals = published_energies(options.data / "neb/8to1-ez0.1")

    def zero_field() -> Calculator:
        return ase_bec.NNPCalculator(nnp)

    def formal() -> Calculator:
        return ase_bec.FieldCalculator(zero_field(), FORMAL, FIELD)

    def path(name: str, band: list[Atoms], make, relax_ends: bool, note: str) -> MigrationPath:
        start = time.perf_counter()
        found = find_path(
            band, make, climb=True, fmax=options.fmax, relax_ends=relax_ends, max_steps=3000
        )
        seconds = time.perf_counter() - start
        row(name, found.energies, f"{note}; {found.steps} steps, {seconds:.0f} s")
        if not found.converged:
            print(f"not converged: {found.fmax} eV/Å")
        return found

    print("| path | forward (eV) | backward (eV) | ΔE (eV) | |\n|---|---|---|---|---|")
    row("E = 0, published", published_energies(options.data / "neb/8to1"))
    ends = interpolate_path(plain[0], plain[-1], 6)
    ours = path("E = 0, ours", ends, zero_field, False, "from the published end points")
    relaxed = path("E = 0, ours, ends relaxed", ends, zero_field, True, "ends relaxed")

    row("E = 0.1, published totals", totals)
    calculator = zero_field()
    released_totals = []
    for image in biased:
        energy = released_field_energy(image, released.z_row(image), FIELD[2])
        released_totals.append(calculator.get_potential_energy(image) + energy)
    row("E = 0.1, published images, released formula", released_totals, "ours, not relaxed")
    reference = biased[0].copy()

    def work() -> Calculator:
        return ase_bec.FieldCalculator(
            zero_field(), released, FIELD, reference=reference, energy="work"
        )

    for name, make in (("formal charges", formal), ("released Z, work", work)):
        calculator = make()
        images = ase_bec.unwrap_images(biased)
        energies = [calculator.get_potential_energy(image) for image in images]
        row(f"E = 0.1, published images, {name}", energies, "not relaxed")

    start = list(ours.images)
    in_field = path("E = 0.1, ours, formal charges", start, formal, True, "ends relaxed in field")
    reference = in_field.images[0].copy()
    consistent = path(
        "E = 0.1, ours, released Z, work",
        list(in_field.images),
        work,
        True,
        "ends relaxed in field",
    )
    if options.picture:
        draw(options.picture, relaxed, in_field, consistent, totals)


def draw(
    picture: Path, zero: MigrationPath, formal: MigrationPath, work: MigrationPath, totals
) -> None:
    from matplotlib import pyplot

    figure, ax = pyplot.subplots(figsize=(6.0, 4.0), constrained_layout=True)
    zero.plot(ax, label="E = 0")
    formal.plot(ax, label="E$_z$ = 0.1 V/Å, formal charges")
    work.plot(ax, label="E$_z$ = 0.1 V/Å, released Z, work")
    ax.plot(
        np.linspace(0, 1, len(totals)) * zero.coordinate[-1],
        totals - totals[0],
        "k--x",
        label="E$_z$ = 0.1 V/Å, as published",
    )
    ax.legend()
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    main()
