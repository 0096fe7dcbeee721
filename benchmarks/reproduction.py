"""Molecular dynamics of the source paper, run and reported: crystal and amorphous Li3PO4.

    python benchmarks/reproduction.py run ../shared/data/shimizu_li3po4 out/reproduction
    python benchmarks/reproduction.py report ../shared/data/shimizu_li3po4 out/reproduction

Runs use the released potential and the bundled Born charges and take an hour or two of one core;
each can be interrupted and goes on when the script is started again. `--only NAME ...` chooses,
`--length PS` makes finished runs longer. The report prints the tables of docs/reproduction.md.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase.io.lammpsdata import read_lammps_data
from ase.optimize import FIRE
from barriers import read_path
from matplotlib.figure import Figure

import ase_bec
from ase_bec.analysis import (
    Trajectory,
    dipole,
    drift_velocity,
    find_hops,
    initial_sites,
    mean_square_displacement,
    plot_lines,
    read_trajectory,
)
from ase_bec.workflows import MDSettings, Walls, moving_ion, run_md

Z_OF_TYPE = {1: 3, 2: 15, 3: 8}
TIMESTEP = 2.0  # fs
ELEMENTS = ("Li", "P", "O")
CLOSEST = {("P", "P"): 2.7, ("O", "O"): 2.1}  # Å, in the amorphous structure


@dataclass(frozen=True)
class Run:
    """One trajectory: start structure, temperature in K, field along z in V/Å, length in ps."""

    start: str
    temperature: float
    field: float
    length: float
    components: str | None = None
    seed: int = 0
    relaxation: int = 0  # steps before the run


RUNS = {
    "crystal_800K_zero": Run("crystal", 800, 0.0, 40),
    "crystal_800K_plus": Run("crystal", 800, 0.1, 40),
    "crystal_800K_diagonal": Run("crystal", 800, 0.1, 40, "diagonal"),
    "crystal_800K_minus": Run("crystal", 800, -0.1, 40),
    "crystal_600K_plus": Run("crystal", 600, 0.1, 40),
    "crystal_800K_plus2": Run("crystal", 800, 0.1, 40, seed=1),
    "crystal_800K_diagonal2": Run("crystal", 800, 0.1, 40, "diagonal", seed=1),
    # The published amorphous structure is 0.2 eV/atom above a minimum: unrelaxed it heats itself to
    # 1100 K. And pairs of P below 2.5 Å fall into a hole of the released potential.
    "amorphous_600K_zero": Run("amorphous", 600, 0.0, 10, relaxation=150),
    "amorphous_600K_plus": Run("amorphous", 600, 0.1, 10, relaxation=150),
    "amorphous_800K_plus": Run("amorphous", 800, 0.1, 10, relaxation=150),
}


def run(name: str, data: Path, folder: Path, length: float | None) -> None:
    """Start a run, or go on with it."""
    this = RUNS[name]
    start = data / "md" / this.start / "data.lammps"
    atoms = read_lammps_data(start, atom_style="atomic", Z_of_type=Z_OF_TYPE)
    nnp = ase_bec.read_released_nnp(data / "models/lammps-force.nnp")
    atoms.calc = ase_bec.NNPCalculator(nnp)
    if this.start == "amorphous":
        atoms.calc = Walls(atoms.calc, CLOSEST)
    trajectory = folder / f"{name}.traj"
    if this.relaxation and not trajectory.exists():
        FIRE(atoms, logfile=None).run(fmax=0.1, steps=this.relaxation)
    if this.field:
        energy = "none" if this.components else "potential"
        atoms.calc = ase_bec.FieldCalculator(
            atoms.calc,
            "li3po4-bec",
            (0.0, 0.0, this.field),
            energy=energy,
            components=this.components,
        )
    settings = MDSettings(timestep=TIMESTEP, temperature=this.temperature, seed=this.seed)
    duration = 1000 * (length or this.length)
    print(f"{name}: {duration / 1000:g} ps")
    run_md(atoms, trajectory, settings, duration, resume=trajectory.exists(), progress=True)


@dataclass(frozen=True)
class Found:
    """What one trajectory says, seen from the framework of P and O."""

    trajectory: Trajectory
    squares: dict[str, np.ndarray]  # from the first frame, [time, direction], Å²

    def row(self, name: str) -> str:
        t = self.trajectory
        ends = [self.squares[e][-len(t) // 20 :].sum(axis=1).mean() for e in ELEMENTS]
        directions = self.squares["Li"][-len(t) // 20 :].mean(axis=0)
        drift = drift_velocity(t, "Li", blocks=5).scaled(1e5).component(2)
        cells = [f"{t.duration / 1000:.0f} ps", *(f"{x:.2f}" for x in (*ends, *directions))]
        return f"| {name} | " + " | ".join([*cells, str(drift)]) + " |"


def read(path: Path) -> Found:
    """Read a trajectory; the crystal has the charge of its vacancy."""
    charge = -1.0 if path.name.startswith("crystal") else 0.0
    trajectory = read_trajectory(path).relative_to(["P", "O"], charge)
    return Found(trajectory, mean_square_displacement(trajectory, origins="first").values)


def vacancy(data: Path) -> np.ndarray:
    """Empty site of the crystal: the one that the published path leads to."""
    initial, *_, final = ase_bec.unwrap_images(read_path(data / "neb/8to1"))
    return final.positions[[moving_ion([initial, final])]]


def hop_row(name: str, found: Found, empty: np.ndarray) -> str:
    """Hops of Li in the crystal, and the charge they carry beside that of the polarization."""
    t = found.trajectory
    hops = find_hops(t, "Li", initial_sites(t, "Li", empty, frames=50))
    up, down = hops.counts((0, 0, 1))
    ends = slice(0, 50), slice(len(t) - 50, len(t))
    model = ase_bec.load("li3po4-bec")
    first, last = (dipole(t.part(part), model)[:, 2].mean() for part in ends)
    return f"| {name} | {up} | {down} | {hops.vectors[:, 2].sum():.1f} | {last - first:.1f} |"


def picture_of_crystal(path: Path, found: dict[str, Found]) -> None:
    """Draw the panels of the paper's Fig. 3, and below them those that it tells of."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots(2, 3)
    titles = {"zero": "E = 0", "plus": "E$_z$ = 0.1 V/Å"}
    for ax, (key, title) in zip(axes[0], titles.items(), strict=False):
        for element in ELEMENTS:
            ax.plot(
                *picoseconds(found[key], found[key].squares[element].sum(axis=1)), label=element
            )
        ax.set_title(title)
    for key, style in (("plus", "-"), ("zero", ":")):
        for axis, letter in enumerate("xyz"):
            values = found[key].squares["Li"][:, axis]
            label = f"Li {letter}, {titles[key]}"
            axes[0, 2].plot(*picoseconds(found[key], values), style, color=f"C{axis}", label=label)
    for key, label in (("plus", "all of Z"), ("diagonal", "diagonal of Z"), ("zero", "E = 0")):
        values = found[key].squares["Li"].sum(axis=1)
        axes[1, 0].plot(*picoseconds(found[key], values), label=f"Li, {label}")
    for key, label in (("plus", "+0.1"), ("zero", "0"), ("minus", "−0.1")):
        moves = mean_move(found[key])
        axes[1, 1].plot(*picoseconds(found[key], moves), label=f"E$_z$ = {label} V/Å")
    plot_lines(found["plus"].trajectory, plane="yz", ax=axes[1, 2])
    for ax in axes.flat[:4]:
        ax.set(xlabel="Time (ps)", ylabel="Mean square displacement (Å²)")
    axes[1, 1].set(xlabel="Time (ps)", ylabel="Mean displacement of Li along z (Å)")
    for ax in axes.flat:
        ax.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=110)


def picture_of_glass(path: Path, found: dict[str, Found]) -> None:
    """Draw displacements and the lines of the paper's Fig. 5."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 4)
    for row, (key, title) in zip(
        axes, (("zero", "E = 0"), ("plus", "E$_z$ = 0.1 V/Å")), strict=True
    ):
        for ax, element in zip(row, ELEMENTS, strict=False):
            plot_lines(found[key].trajectory, [element], plane="xz", ax=ax)
            ax.set_title(f"{element}, {title}")
        for element in ELEMENTS:
            values = found[key].squares[element].sum(axis=1)
            row[3].plot(*picoseconds(found[key], values), label=element)
        row[3].set(xlabel="Time (ps)", ylabel="Mean square displacement (Å²)", title=title)
        row[3].legend(frameon=False)
    top = max(row[3].get_ylim()[1] for row in axes)
    for row in axes:
        row[3].set_ylim(0, top)
    figure.savefig(path, dpi=110)


def picoseconds(found: Found, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    times = found.trajectory.times
    return (times - times[0]) / 1000, values


def mean_move(found: Found) -> np.ndarray:
    t = found.trajectory
    heights = t.positions[:, t.indices("Li"), 2].mean(axis=1)
    return heights - heights[0]


def report(data: Path, folder: Path, pictures: Path | None) -> None:
    """Print tables, draw pictures."""
    found = {path.stem: read(path) for path in sorted(folder.glob("*.traj"))}
    print("| run | length | MSD Li | P | O | Li x | Li y | Li z (Å²) | drift of Li (m/s) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, this in found.items():
        print(this.row(name))
    print("\n| run | hops along +z | −z | their Σ Δz (Å) | ΔD_z of the model (e·Å) |")
    print("|---|---|---|---|---|")
    for name, this in found.items():
        if name.startswith("crystal"):
            print(hop_row(name, this, vacancy(data)))
    if pictures is not None:
        for kind, draw in (
            ("crystal_800K", picture_of_crystal),
            ("amorphous_600K", picture_of_glass),
        ):
            chosen = {n.removeprefix(f"{kind}_"): f for n, f in found.items() if kind in n}
            draw(pictures / f"{kind.split('_')[0]}.png", chosen)


def main() -> None:
    warnings.filterwarnings("ignore", message=".*environment outside")
    warnings.filterwarnings("ignore", message=".*local dipole beyond")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run")
    runner.add_argument("data", type=Path)
    runner.add_argument("folder", type=Path)
    runner.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS))
    runner.add_argument("--length", type=float, metavar="PS")
    reporter = commands.add_parser("report")
    reporter.add_argument("data", type=Path)
    reporter.add_argument("folder", type=Path)
    reporter.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.command == "run":
        options.folder.mkdir(parents=True, exist_ok=True)
        for name in options.only:
            run(name, options.data, options.folder, options.length)
    else:
        report(options.data, options.folder, options.pictures)


if __name__ == "__main__":
    main()
