"""`ase-bec md`: molecular dynamics that can be interrupted at any moment and resumed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ase_bec.cli import dynamics, field, inputs
from ase_bec.cli.errors import InputError, claimed, input_checked, require_new
from ase_bec.plotting import save_figure

if TYPE_CHECKING:
    from ase import Atoms

    from ase_bec.calculators.field import FieldFunction
    from ase_bec.workflows.dynamics.settings import MDSettings

NAME = "md"
HELP = "run molecular dynamics in a field; interrupt it at any moment and resume"
DETAILS = """\
Writes a trajectory with unwrapped positions; a table with the same name ending in .csv (step, time,
temperature, enthalpy H, H + kinetic energy, field, mean displacement of each element; polarization
and current density if the charges have a dipole; the number of atoms outside the range of the
models, if they count them); and a picture of the table (.png). After an interruption, even a kill,
the same command with --resume continues from the last frame, or starts the run if there is none
yet; a longer --time extends a finished run. A run that becomes unphysical stops.
In a field that changes with time, H + kinetic energy is not conserved: the column work_eV gives
the work done by the change.

examples:
  ase-bec md start.vasp --nnp model.nnp --charges Li=1,P=5,O=-2 --field 0 0 0.1 \\
      --temperature 800 --time 10ps --output md.traj
  ase-bec md start.vasp --nnp li3po4-nnp --charges li3po4-bec --field 0 0 0.1 \\
      --field-pulse 1ps 100fs --temperature 800 --time 3ps --output pulse.traj
"""

ARGUMENTS = {**field.ARGUMENTS, **dynamics.ARGUMENTS, "duration": "--time"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "start",
        type=Path,
        help="starting structure, in any ASE format; FILE@K for frame K (from 0) of several",
    )
    run_ = parser.add_argument_group("dynamics")
    run_.add_argument(
        "--time", type=inputs.time, metavar="TIME", required=True, help="total time, such as 10ps"
    )
    run_.add_argument(
        "--temperature",
        type=float,
        metavar="K",
        help="temperature of the thermostat and of the initial velocities",
    )
    run_.add_argument(
        "--thermostat",
        choices=("nose-hoover", "langevin", "none"),
        default="nose-hoover",
        help="(default: %(default)s)",
    )
    dynamics.add_integration(run_, timestep="1fs")
    field.add_arguments(parser, energies=("potential", "work", "none"))
    _add_shape(parser)
    dynamics.add_limits(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", type=Path, metavar="TRAJ", default=Path("md.traj"), help="(default: md.traj)"
    )
    dynamics.add_existing(output, resume="continue from the last frame")


def _add_shape(parser: argparse.ArgumentParser) -> None:
    shape = parser.add_argument_group("time-dependent field, with --field as its amplitude")
    shape.add_argument(
        "--field-period",
        type=inputs.time,
        metavar="TIME",
        help="period of a sine that starts at zero; with --field-pulse, of a cosine about its "
        "centre",
    )
    shape.add_argument(
        "--field-pulse",
        nargs=2,
        type=inputs.time,
        metavar=("CENTRE", "WIDTH"),
        help="Gaussian pulse: time of its centre and standard deviation",
    )
    shape.add_argument(
        "--field-ramp",
        type=inputs.time,
        metavar="TIME",
        help="rise linearly from zero over this time",
    )


def run(options: argparse.Namespace) -> int:
    """Run or resume the dynamics."""
    with input_checked():
        settings, atoms, header = _prepare(options)
    picture = options.output.with_suffix(".png")
    with claimed([picture], options.overwrite or options.resume):
        return _run(options, settings, atoms, header, picture)


def _run(
    options: argparse.Namespace,
    settings: MDSettings,
    atoms: Atoms,
    header: list[str],
    picture: Path,
) -> int:
    from ase_bec.workflows.dynamics.limits import UnphysicalStructure
    from ase_bec.workflows.dynamics.md import run_md

    resume = options.resume and options.output.exists()
    if options.resume and not resume:
        require_new([options.output.with_suffix(".csv")], False)
        header += ["There is nothing to resume yet: the run starts from the beginning."]

    with input_checked():
        try:
            done = run_md(
                atoms,
                options.output,
                settings,
                options.time,
                resume=resume,
                overwrite=options.overwrite,
                progress=True,
                begin=lambda: print("\n".join(header)),
            )
        except UnphysicalStructure as error:
            print(f"{options.prog}: stopped: {options.in_options(str(error))}", file=sys.stderr)
            print(_files(options.output, picture))
            return 1
    time = done.step * settings.timestep / 1e3
    print(f"{done.frames} frames, {time:g} ps, in {_files(options.output, picture)}")
    if not done.completed:
        print("Interrupted: run the same command with --resume to continue.")
    return 0 if done.completed else 130


def _prepare(options: argparse.Namespace) -> tuple[MDSettings, Atoms, list[str]]:
    """Check all input, before anything is computed or written."""
    from ase_bec.workflows.dynamics.settings import MDSettings

    if options.output.suffix != ".traj":
        raise InputError(f"--output must end in .traj, got `{options.output}`")
    if not options.resume:
        files = (options.output.with_suffix(end) for end in (".traj", ".csv", ".png"))
        require_new(files, options.overwrite)
    settings = MDSettings(
        timestep=options.timestep,
        thermostat=options.thermostat,
        temperature=options.temperature,
        relaxation_time=options.relaxation_time,
        interval=options.interval,
        seed=options.seed,
        limits=dynamics.limits(options),
    )
    settings.steps(options.time)
    atoms, which = inputs.read_frame(options.start, options.format, options.species)
    makers = field.calculators(options, atoms, without_dipole="none")
    atoms.calc = makers.bare() if makers.charged is None else makers.charged(atoms.copy())
    function = _shaped(options)
    if function is not None:
        atoms.calc.field = function
    header = _header(options, atoms, which, settings, makers, function)
    return settings, atoms, [makers.note, *header] if makers.note else header


def _header(
    options: argparse.Namespace,
    atoms: Atoms,
    which: str,
    settings: MDSettings,
    makers: field.Calculators,
    function: FieldFunction | None,
) -> list[str]:
    """What is going to be computed."""
    from ase_bec.cli.header import dynamics_line, field_line, field_text, structure_line

    text = field_text(options.field)
    if function is not None:
        text += f", the amplitude of {function}"
    return [
        structure_line(atoms, [which]),
        field_line(options.charges, makers.net_charge, text),
        dynamics_line(settings, options.time),
    ]


def _shaped(options: argparse.Namespace) -> FieldFunction | None:
    """Make the function of time, None for a constant field."""
    from ase_bec.calculators.waveforms import PulseField, RampField, SineField

    period, pulse, ramp = options.field_period, options.field_pulse, options.field_ramp
    if period is None and pulse is None and ramp is None:
        return None
    if not any(options.field):
        raise InputError("--field-period, --field-pulse and --field-ramp need --field, got none")
    if ramp is not None:
        if period is not None or pulse is not None:
            raise InputError("--field-ramp must come without --field-period and --field-pulse")
        return RampField(options.field, duration=ramp)
    if pulse is not None:
        centre, width = pulse
        return PulseField(options.field, centre, width, period)
    return SineField(options.field, period)


def _files(trajectory: Path, picture: Path) -> str:
    """Draw the table, and name what there is."""
    from ase_bec.workflows.dynamics.table import plot_run

    table = trajectory.with_suffix(".csv")
    if not table.exists():
        return f"{trajectory}"
    save_figure(plot_run(trajectory), picture, dpi=120)
    return f"{trajectory}; table {table}, {picture}"
