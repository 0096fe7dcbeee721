"""Distinct Li hops of the published crystal and their barriers, without field and in 0.1 V/Å.

    python benchmarks/distinct_hops.py ../shared/data/shimizu_li3po4 --picture docs/hops.png

Finds the source paper's second path and those perpendicular to the field, with the released
potential and the bundled Born charges, and prints the tables of docs/reproduction.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from ase import Atom, Atoms
from ase.optimize import FIRE
from barriers import read_path
from matplotlib.figure import Figure

import ase_bec
from ase_bec.workflows import (
    FieldPaths,
    Hop,
    MigrationPath,
    field_paths,
    find_path,
    interpolate_path,
    ion_profile,
    moving_ion,
    vacancy_hops,
)

FIELD = 0.1  # V/Å along z
CUTOFF = 4.0  # Å
IMAGES = 6


def pristine(data: Path, nnp: ase_bec.NeuralNetworkPotential) -> Atoms:
    """The published vacancy structure with its vacancy filled, relaxed at the published cell."""
    initial, *_, final = ase_bec.unwrap_images(read_path(data / "neb/8to1"))
    crystal = initial.copy()
    crystal.append(Atom("Li", final.positions[moving_ion([initial, final])]))
    crystal.calc = ase_bec.NNPCalculator(nnp)
    FIRE(crystal, logfile=None).run(fmax=1e-3, steps=3000)
    return crystal


def screened(hop: Hop, nnp: ase_bec.NeuralNetworkPotential) -> MigrationPath:
    """The path without field."""
    return find_path(
        interpolate_path(hop.initial, hop.final, IMAGES),
        lambda: ase_bec.NNPCalculator(nnp),
        fmax=0.03,
        relax_ends=True,
        max_steps=600,
    )


def row(hop: Hop, path: MigrationPath) -> str:
    vector = ", ".join(f"{x:+.2f}" for x in hop.vector)
    barriers = f"{path.forward_barrier:.3f} | {path.backward_barrier:.3f}"
    note = "" if path.converged else f"force {path.fmax:.2f} eV/Å"
    return f"| {vector} | {hop.length:.2f} | {hop.count} | {barriers} | {note} |"


def field_rows(name: str, found: FieldPaths) -> None:
    first, alone = found.first_order(), found.ion_alone()
    for k, strength in enumerate(found.strengths):
        print(
            f"| {name} | {strength:+.1f} | {found.forward[k]:.3f} | {found.backward[k]:.3f} "
            f"| {first[k]:.3f} | {alone[k]:.3f} |",
            flush=True,
        )


def draw(picture: Path, results: dict[str, FieldPaths]) -> None:
    """Profiles, forces on the ion and coordinates, as in the paper's Fig. 4."""
    figure = Figure(figsize=(4.2 * len(results), 9), layout="constrained")
    axes = figure.subplots(3, len(results))
    for column, (name, found) in zip(axes.T, results.items(), strict=True):
        found.plot(ax=column[0])
        column[0].set_title(name)
        profiles = [
            (strength, ion_profile(path, ion=found.ion))
            for strength, path in zip(found.strengths, found.paths, strict=True)
            if strength >= 0
        ]
        for (strength, profile), marker in zip(profiles, "os", strict=True):
            axis = int(np.abs(np.ptp(profile.positions, axis=0)).argmax())
            for k, letter in enumerate("xyz"):
                column[1].plot(
                    profile.positions[:, axis], profile.forces[:, k], f"C{k}-{marker}",
                    fillstyle="full" if strength else "none", linewidth=0.6,
                    label=f"F$_{letter}$, {strength:g} V/Å",
                )  # fmt: skip
            for k, letter in enumerate("xyz"):
                moves = profile.positions[:, k] - profile.positions[0, k]
                column[2].plot(
                    moves, f"C{k}-{marker}", fillstyle="full" if strength else "none",
                    linewidth=0.6, label=f"Δ{letter}, {strength:g} V/Å",
                )  # fmt: skip
        column[1].set(xlabel=f"{'xyz'[axis]} of the ion (Å)", ylabel="Force on the ion (eV/Å)")
        column[2].set(xlabel="Image", ylabel="Displacement of the ion (Å)")
    for ax in axes.flat:
        ax.legend(frameon=False, fontsize="x-small")
    figure.savefig(picture, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    nnp = ase_bec.read_released_nnp(options.data / "models/lammps-force.nnp")
    crystal = pristine(options.data, nnp)
    hops = vacancy_hops(crystal, "Li", CUTOFF, field=(0, 0, 1), tolerance=0.05)
    print(f"{len(hops)} distinct hops\n| vector (Å) | length | count | forward | backward (eV) | |")
    print("|---|---|---|---|---|---|")
    paths: dict[int, MigrationPath] = {}
    steep = [k for k, hop in enumerate(hops) if hop.along > 0.75 * hop.length]
    level = [k for k, hop in enumerate(hops) if abs(hop.along) < 0.05 * hop.length][:2]
    for k in [*steep, *level]:
        paths[k] = screened(hops[k], nnp)
        print(row(hops[k], paths[k]), flush=True)

    def calculator(field: np.ndarray) -> ase_bec.FieldCalculator:
        return ase_bec.FieldCalculator(ase_bec.NNPCalculator(nnp), "li3po4-bec", field)

    def nearest(forward: float, backward: float) -> int:
        def miss(k: int) -> float:
            path = paths[k]
            return abs(path.forward_barrier - forward) + abs(path.backward_barrier - backward)

        return min(paths, key=miss)

    chosen = {
        "Path 1": nearest(0.157, 0.444),
        "Path 2": nearest(0.702, 0.410),
        "perpendicular": min(level, key=lambda k: paths[k].forward_barrier),
    }
    print("\n| path | E_z (V/Å) | forward | backward | first order | ion alone (eV) |")
    print("|---|---|---|---|---|---|")
    results = {}
    for name, k in chosen.items():
        vector = ", ".join(f"{x:.2f}" for x in hops[k].vector)
        title = f"{name} ({vector}) Å"
        results[title] = field_paths(
            list(paths[k].images), calculator, [FIELD], (0, 0, 1), both=True,
            fmax=0.02, max_steps=1500,
        )  # fmt: skip
        field_rows(name, results[title])
    if options.picture:
        draw(options.picture, results)


if __name__ == "__main__":
    main()
