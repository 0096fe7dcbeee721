"""`ase-bec md`: molecular dynamics that can be interrupted at any moment and resumed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ase_bec.cli import field, inputs
from ase_bec.cli.errors import InputError, input_checked, require_new

if TYPE_CHECKING:
    from ase import Atoms

    from ase_bec.workflows.dynamics import MDSettings

NAME = "md"
HELP = "run molecular dynamics in a constant field; interrupt it at any moment and resume"
DETAILS = """\
Writes the trajectory, with unwrapped positions, and a table beside it that ends in .csv: step,
time, temperature, enthalpy H, H + kinetic energy, field. After an interruption, even a kill, the
same command with --resume goes on from the last frame; a longer --time makes a finished run longer.

example:
  ase-bec md start.vasp --nnp model.nnp --charges Li=1,P=5,O=-2 --field 0 0 0.1 \\
      --temperature 800 --time 10ps --output md.traj
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("start", type=Path, help="structure to start from, in any ASE format")
    run_ = parser.add_argument_group("dynamics")
    run_.add_argument(
        "--time", type=inputs.time, metavar="TIME", required=True, help="whole time, such as 10ps"
    )
    run_.add_argument(
        "--timestep", type=inputs.time, metavar="TIME", default="1fs", help="(default: 1fs)"
    )
    run_.add_argument("--temperature", type=float, metavar="K", help="of thermostat and start")
    run_.add_argument(
        "--thermostat",
        choices=("nose-hoover", "langevin", "none"),
        default="nose-hoover",
        help="(default: %(default)s)",
    )
    run_.add_argument(
        "--relaxation-time",
        type=inputs.time,
        metavar="TIME",
        default="100fs",
        help="of the thermostat (default: %(default)s)",
    )
    run_.add_argument(
        "--interval",
        type=int,
        metavar="N",
        default=10,
        help="steps from frame to frame (default: 10)",
    )
    run_.add_argument(
        "--seed", type=int, metavar="N", default=0, help="of velocities and langevin (default: 0)"
    )
    field.add_arguments(parser, energies=("potential", "work", "none"))
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", type=Path, metavar="TRAJ", default=Path("md.traj"), help="(default: md.traj)"
    )
    existing = output.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on from the last frame")
    existing.add_argument("--overwrite", action="store_true", help="replace earlier output")


def run(options: argparse.Namespace) -> int:
    """Run or resume the dynamics."""
    with input_checked():
        settings, atoms, note = _prepare(options)
    if note:
        print(note)
    from ase_bec.workflows.md import run_md

    with input_checked():
        done = run_md(
            atoms,
            options.output,
            settings,
            options.time,
            resume=options.resume,
            overwrite=options.overwrite,
            progress=True,
        )
    table = options.output.with_suffix(".csv")
    time = done.step * settings.timestep / 1e3
    print(f"{done.frames} frames, {time:g} ps, in {options.output}; table in {table}")
    if not done.completed:
        print("Interrupted: the same command with --resume goes on.")
    return 0 if done.completed else 130


def _prepare(options: argparse.Namespace) -> tuple[MDSettings, Atoms, str]:
    """Check all input, before anything is computed or written."""
    from ase_bec.workflows.dynamics import MDSettings

    if options.output.suffix != ".traj":
        raise InputError(f"--output must end in .traj, got `{options.output}`")
    if options.resume and not options.output.exists():
        raise InputError(f"--resume: there is no `{options.output}` to go on with")
    if not options.resume:
        require_new((options.output, options.output.with_suffix(".csv")), options.overwrite)
    settings = MDSettings(
        timestep=options.timestep,
        thermostat=options.thermostat,
        temperature=options.temperature,
        relaxation_time=options.relaxation_time,
        interval=options.interval,
        seed=options.seed,
    )
    settings.steps(options.time)
    atoms = inputs.read_structure(options.start, options.format, options.species)
    makers = field.calculators(options, atoms, without_dipole="none")
    atoms.calc = makers.bare() if makers.charged is None else makers.charged(atoms.copy())
    return settings, atoms, makers.note
