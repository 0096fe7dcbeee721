"""`ase-bec demo`: a vacancy hop of Li3PO4 in a field, and a short run of molecular dynamics."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_bec.cli.errors import claimed, input_checked, require_new
from ase_bec.cli.neb_report import report
from ase_bec.plotting import save_figure

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from ase_bec.workflows.barriers.neb import MigrationPath

NAME = "demo"
HELP = "show what a field does to Li3PO4, with the bundled models"
DETAILS = """\
Builds Li47P16O64, finds the barriers of a vacancy hop along z without field and with +0.1 and
-0.1 V/Å, runs molecular dynamics in the field, prints a table, and writes PREFIX.png, the paths
PREFIX-*.traj and the trajectory PREFIX-md.traj. Takes a few minutes.

example:
  ase-bec demo
"""
POTENTIAL, CHARGES = "li3po4-nnp", "li3po4-bec"
STRENGTH = 0.1  # V/Å
TEMPERATURE, DURATION = 800.0, 3000.0  # K, fs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--output", default="demo", metavar="PREFIX", help="(default: demo)")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier output")


def run(options: argparse.Namespace) -> int:
    """Run the demonstration."""
    names = ("zero", "plus", "minus", "md")
    files = {name: Path(f"{options.output}-{name}.traj") for name in names}
    picture = Path(f"{options.output}.png")
    with input_checked():
        table = files["md"].with_suffix(".csv")
        require_new((*files.values(), picture, table), options.overwrite)
    with claimed([picture], options.overwrite):
        return _run(options, files, picture)


def _run(options: argparse.Namespace, files: dict[str, Path], picture: Path) -> int:
    from ase_bec.data.net_charge import charge_text
    from ase_bec.models import load
    from ase_bec.workflows.barriers.neb import interpolate_path
    from ase_bec.workflows.structures.crystals import beta_lithium_phosphate, vacancy_hop

    ends = vacancy_hop(beta_lithium_phosphate((2, 2, 2)), "Li", axis=2)
    model: Any = load(CHARGES)
    charge = charge_text(sum(model.formal_charges[symbol] for symbol in ends[0].symbols))
    print(
        f"{ends[0].get_chemical_formula()}, net charge {charge}: one Li hops along z into a vacancy"
    )
    paths = _paths(interpolate_path(*ends, images=5), files)
    report(paths, climb=True)
    run_dynamics(paths["E = 0"].images[0], files["md"], options.overwrite)
    _draw(picture, paths, files["md"])
    print(f"wrote {picture}, " + ", ".join(str(path) for path in files.values()))
    return 0


def _paths(band: list[Atoms], files: dict[str, Path]) -> dict[str, MigrationPath]:
    """The hop without field, and in the field along and against z."""
    from ase_bec import NNPCalculator
    from ase_bec.workflows.barriers.band_files import write_band
    from ase_bec.workflows.barriers.neb import find_path

    options: dict[str, Any] = {"climb": True, "fmax": 0.03, "relax_ends": True}
    zero = find_path(band, lambda: NNPCalculator(POTENTIAL), progress="E = 0", **options)
    paths = {"E = 0": zero}
    write_band(files["zero"], zero.images)
    for name, sign in (("plus", 1), ("minus", -1)):
        field = (0.0, 0.0, sign * STRENGTH)
        title = f"E = {sign * STRENGTH:+g} V/Å"
        paths[title] = find_path(
            zero.images,
            partial(_in_field, field),
            progress=title,
            **options,
        )
        write_band(files[name], paths[title].images)
    return paths


def _in_field(field: tuple[float, float, float]) -> Calculator:
    from ase_bec import FieldCalculator, NNPCalculator

    return FieldCalculator(NNPCalculator(POTENTIAL), CHARGES, field)


def run_dynamics(atoms: Atoms, path: Path, overwrite: bool) -> None:
    """Some picoseconds in the field."""
    from ase_bec.workflows.dynamics.md import run_md
    from ase_bec.workflows.dynamics.settings import MDSettings

    atoms = atoms.copy()
    atoms.calc = _in_field((0.0, 0.0, STRENGTH))
    settings = MDSettings(temperature=TEMPERATURE, interval=10)
    run_md(atoms, path, settings, DURATION, overwrite=overwrite, progress=True)


def _draw(path: Path, paths: dict[str, MigrationPath], trajectory: Path) -> None:
    """Draw the paths, and next to them the mean displacement of each element along z."""
    import numpy as np
    from ase.io import iread
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for title, found in paths.items():
        barrier = f"{found.forward_barrier:.3f} / {found.backward_barrier:.3f} eV"
        found.plot(left, label=f"{title}: {barrier}")
    left.legend(frameon=False, title="forward / backward barrier")
    left.set_title("Li vacancy hop along z in Li$_{47}$P$_{16}$O$_{64}$")
    frames: list[Atoms] = list(iread(trajectory))
    moved = np.array([frame.positions - frames[0].positions for frame in frames])[:, :, 2]
    times = np.linspace(0.0, DURATION / 1000, len(frames))
    for symbol in ("Li", "P", "O"):
        chosen = frames[0].symbols == symbol
        right.plot(times, moved[:, chosen].mean(axis=1), label=symbol)
    right.set_title(f"Dynamics at {TEMPERATURE:g} K, E$_z$ = {STRENGTH} V/Å")
    right.set_xlabel("Time (ps)")
    right.set_ylabel("Mean displacement along z (Å)")
    right.legend(frameon=False)
    save_figure(figure, path)
