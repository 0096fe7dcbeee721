"""Options of molecular dynamics, shared by the commands that run it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ase_bec.cli import inputs
from ase_bec.cli.errors import InputError
from ase_bec.cli.option_names import in_options

if TYPE_CHECKING:
    from ase_bec.workflows.dynamics.limits import Limits


_LIMITS = {name: f"--limit-{name}" for name in ("temperature", "outside", "energy")}
# Arguments that options of other names set.
ARGUMENTS = {f"limits.{name}": option for name, option in _LIMITS.items()}


def add_integration(group: argparse._ArgumentGroup, timestep: str) -> None:
    """Add the options of time step, thermostat and frames."""
    group.add_argument(
        "--timestep",
        type=inputs.time,
        metavar="TIME",
        default=timestep,
        help="time step (default: %(default)s)",
    )
    group.add_argument(
        "--relaxation-time",
        type=inputs.time,
        metavar="TIME",
        default="100fs",
        help="relaxation time of the thermostat (default: %(default)s)",
    )
    group.add_argument(
        "--interval",
        type=int,
        metavar="N",
        default=10,
        help="steps between frames (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        help="seed of the random numbers (default: %(default)s)",
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the limits beyond which a run stops."""
    group = parser.add_argument_group(
        "limits beyond which a run counts as unphysical and stops; its frames are kept",
        "averages are over ten relaxation times of the thermostat; inf means no limit",
    )
    group.add_argument(
        "--limit-temperature",
        type=float,
        metavar="K",
        help="average temperature (default: about 1.4 times that of the thermostat, or none "
        "without a thermostat)",
    )
    group.add_argument(
        "--limit-outside",
        type=float,
        metavar="FRACTION",
        default=0.25,
        help="average fraction of atoms outside the range of a model (default: %(default)s)",
    )
    group.add_argument(
        "--limit-energy",
        type=float,
        metavar="E",
        default=0.1,
        help="change of the conserved energy in eV/atom, if there is one (default: %(default)s)",
    )


def limits(options: argparse.Namespace) -> Limits:
    """Make the limits of the options."""
    from ase_bec.workflows.dynamics.limits import Limits

    try:
        return Limits(options.limit_temperature, options.limit_outside, options.limit_energy)
    except ValueError as error:
        raise InputError(in_options(str(error), _LIMITS)) from error


def add_existing(output: argparse._ArgumentGroup, resume: str) -> None:
    """Add the options that say what to do with the files of an earlier run."""
    existing = output.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help=resume)
    existing.add_argument("--overwrite", action="store_true", help="replace earlier output")
