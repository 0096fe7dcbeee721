"""`ase-bec amorphous`: an amorphous structure by melting and quenching."""

from __future__ import annotations

import argparse
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ase_bec.cli import dynamics, field, inputs
from ase_bec.cli.errors import InputError, input_checked
from ase_bec.locks import locked
from ase_bec.plotting import save_figure

if TYPE_CHECKING:
    from ase import Atoms

    from ase_bec.workflows.structures.amorphous import AmorphousStructure
    from ase_bec.workflows.structures.melt_settings import MeltQuenchSettings

NAME = "amorphous"
HELP = "make an amorphous structure by melting and quenching; interrupt it and resume"
DETAILS = """\
Starts from a crystal (a file, or the built-in beta-Li3PO4), or from random positions for a
formula; scales it to the density, holds it at the melt temperature, cools it at a constant rate,
anneals it and relaxes the positions. While it is hot, repulsive walls keep the ions apart. The
folder gets final.traj, the trajectory run.traj with its table run.csv, and a picture,
amorphous.png. After an interruption, even a kill, the same command with --resume ends at exactly
the same structure. A melt that becomes unphysical stops.

Random positions need a potential that was trained on such structures. The bundled li3po4-nnp was
not, and the run stops; use it to melt a crystal, at a density slightly below the crystal's
2.34 g/cm³.

examples:
  ase-bec amorphous beta-Li3PO4 --repeat 2 2 2 --density 2.2 --nnp li3po4-nnp \\
      --melt 2100 4ps --quench 500K/ps --output glass
  ase-bec amorphous Li3PO4 --units 16 --density 2.2 --nnp model.nnp --output glass
"""
_STILL = 2.0  # Å, about half the distance between the ions of one element
_CRYSTAL = "beta-Li3PO4"
_BUNDLED, _LIMIT = "li3po4-nnp", 2200.0  # K; false minima in the melt above

ARGUMENTS = {
    **field.ARGUMENTS,
    **dynamics.ARGUMENTS,
    "melt_temperature": "the temperature of --melt",
    "melt_time": "the time of --melt",
    "quench_rate": "--quench",
    "final_temperature": "the temperature of --anneal",
    "anneal_time": "the time of --anneal",
    "formula_units": "--units",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("start", help="file in any ASE format, beta-Li3PO4, or a formula")
    structure = parser.add_argument_group("structure")
    structure.add_argument(
        "--units", type=int, metavar="N", help="number of formula units, if START is a formula"
    )
    structure.add_argument(
        "--repeat",
        nargs=3,
        type=int,
        metavar=("A", "B", "C"),
        help="repeat the cell of a crystal along each axis",
    )
    structure.add_argument(
        "--density",
        type=float,
        metavar="G/CM3",
        help="density in g/cm³ (default: that of the file)",
    )
    field.add_formats(structure)
    field.add_potential(parser)
    _add_schedule(parser)
    dynamics.add_limits(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        default=Path("amorphous"),
        help="(default: amorphous)",
    )
    dynamics.add_existing(output, resume="continue the run in the folder")


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    schedule = parser.add_argument_group("temperatures and times")
    schedule.add_argument(
        "--melt",
        nargs=2,
        metavar=("K", "TIME"),
        default=("2000", "10ps"),
        help="temperature and time of the melt (default: 2000 10ps)",
    )
    schedule.add_argument(
        "--quench",
        type=_rate,
        metavar="RATE",
        default="100K/ps",
        help="cooling rate (default: 100K/ps)",
    )
    schedule.add_argument(
        "--anneal",
        nargs=2,
        metavar=("K", "TIME"),
        default=("300", "2ps"),
        help="final temperature, and time there (default: 300 2ps)",
    )
    dynamics.add_integration(schedule, timestep="2fs")
    schedule.add_argument(
        "--fmax",
        type=float,
        metavar="F",
        default=0.05,
        help="largest force of the final relaxation in eV/Å; 0 for no relaxation (default: 0.05)",
    )


def run(options: argparse.Namespace) -> int:
    """Make an amorphous structure, or continue to."""
    with input_checked():
        atoms, settings = _prepare(options)
        if options.nnp == _BUNDLED and settings.melt_temperature > _LIMIT:
            warnings.warn(
                f"{_BUNDLED} has false minima in the melt above about {_LIMIT:.0f} K", stacklevel=1
            )
    with ExitStack() as stack:
        with input_checked():
            options.output.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(options.output))
        return _run(options, atoms, settings)


def _run(options: argparse.Namespace, atoms: Atoms, settings: MeltQuenchSettings) -> int:
    from ase_bec.workflows.dynamics.limits import UnphysicalStructure
    from ase_bec.workflows.structures.amorphous import melt_quench

    with input_checked():
        try:
            made = melt_quench(
                atoms,
                options.output,
                settings,
                resume=options.resume,
                overwrite=options.overwrite,
                progress=True,
            )
        except UnphysicalStructure as error:
            print(f"{options.prog}: stopped: {options.in_options(str(error))}", file=sys.stderr)
            print(_files(options.output))
            return 1
    _report(made)
    _draw(options.output / "amorphous.png", options.output / "run.traj", made)
    print(_files(options.output))
    if not made.run.completed:
        print("Interrupted: run the same command with --resume to continue.")
        return 130
    if not made.converged:
        print(f"{options.prog}: not relaxed to {options.fmax:g} eV/Å", file=sys.stderr)
    return 0 if made.converged else 1


def _files(folder: Path) -> str:
    """Name what there is in the folder."""
    names = ("final.traj", "run.traj", "run.csv", "amorphous.png")
    there = [name for name in names if (folder / name).exists()]
    return f"{', '.join(there) or 'nothing'} in {folder}"


def _prepare(options: argparse.Namespace) -> tuple[Atoms, MeltQuenchSettings]:
    """Check all input, before anything is computed or written."""
    from ase_bec.workflows.structures.melt_settings import MeltQuenchSettings

    melt, anneal = (_held(name, getattr(options, name)) for name in ("melt", "anneal"))
    settings = MeltQuenchSettings(
        density=options.density,
        melt_temperature=melt[0],
        melt_time=melt[1],
        quench_rate=options.quench,
        final_temperature=anneal[0],
        anneal_time=anneal[1],
        timestep=options.timestep,
        relaxation_time=options.relaxation_time,
        interval=options.interval,
        seed=options.seed,
        fmax=options.fmax or None,
        limits=dynamics.limits(options),
    )
    atoms = _start(options)
    atoms.calc = field.potential(options.nnp, options.device, options.dtype, atoms)()
    return atoms, settings


def _start(options: argparse.Namespace) -> Atoms:
    """Read or make the structure to melt."""
    from ase_bec.workflows.structures.crystals import beta_lithium_phosphate
    from ase_bec.workflows.structures.packing import random_structure

    path = Path(options.start)
    if path.is_file() or options.start == _CRYSTAL:
        if options.units is not None:
            raise InputError(f"--units is for a formula, got the crystal `{options.start}`")
        repeat = tuple(options.repeat or (1, 1, 1))
        if min(repeat) < 1:
            raise InputError(f"--repeat must be three numbers from 1, got {repeat}")
        if not path.is_file():
            return beta_lithium_phosphate(repeat)
        read, which = inputs.read_frame(path, options.format, options.species)
        if which:
            print(which)
        crystal: Atoms = read.repeat(repeat)
        return crystal
    if options.units is None or options.density is None or options.repeat is not None:
        raise InputError(
            f"there is no file `{options.start}`; a formula needs --units and --density, "
            "and no --repeat"
        )
    return random_structure(options.start, options.units, options.density, options.seed)


def _held(name: str, words: tuple[str, str]) -> tuple[float, float]:
    """Read a temperature, with or without its K, and a time."""
    try:
        return float(words[0].removesuffix("K")), inputs.time(words[1])
    except (ValueError, argparse.ArgumentTypeError):
        raise InputError(
            f"--{name} must be a temperature in K and a time, such as 2000 10ps, got "
            + " ".join(words)
        ) from None


def _rate(text: str) -> float:
    """Read a rate such as ``100K/ps``; return it in K/ps."""
    try:
        return float(text.removesuffix("K/ps"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a rate such as 100K/ps, got {text!r}") from None


def _report(made: AmorphousStructure) -> None:
    """Print the table of neighbours."""
    elements = list(dict.fromkeys(a for a, _ in made.bonds))
    print(f"{made.atoms.get_chemical_formula()}, {made.density:.3f} g/cm³; mean number of")
    print("neighbours within 1.3 times the sum of covalent radii (that distance in brackets, Å):")
    print(" " * 4 + "".join(f"{b:>14}" for b in elements))
    for a in elements:
        row = (made.bonds[a, b] for b in elements)
        print(f"{a:<4}" + "".join(f"{x.mean:>7.2f} ({x.cutoff:.2f})" for x in row))
    moved = ", ".join(f"{a} {length:.1f}" for a, length in made.moved.items())
    print(f"rms displacement in the melt (Å): {moved}")
    slowest = min(made.moved, key=lambda a: made.moved[a])
    if made.run.completed and made.moved[slowest] < _STILL:
        print(
            f"{slowest} has hardly moved, so the structure remembers the one that it started from: "
            "melt longer, hotter or at a lower density."
        )


def _draw(path: Path, trajectory: Path, made: AmorphousStructure) -> None:
    from matplotlib.figure import Figure

    from ase_bec.workflows.dynamics.table import read_table

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    made.plot(left)
    table = read_table(trajectory)
    right.plot(table["time_fs"] / 1000, table["temperature_K"])
    right.set_xlabel("Time (ps)")
    right.set_ylabel("Temperature (K)")
    save_figure(figure, path, dpi=120)
