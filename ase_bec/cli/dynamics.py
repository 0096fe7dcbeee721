"""Options of molecular dynamics, shared by the commands that run it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ase_bec.cli import inputs

if TYPE_CHECKING:
    from ase_bec.workflows.dynamics.limits import Limits


def add_integration(group: argparse._ArgumentGroup, timestep: str) -> None:
    """Add the options of time step, thermostat and frames."""
    group.add_argument(
        "--timestep",
        type=inputs.time,
        metavar="TIME",
        default=timestep,
        help="(default: %(default)s)",
    )
    group.add_argument(
        "--relaxation-time",
        type=inputs.time,
        metavar="TIME",
        default="100fs",
        help="of the thermostat (default: %(default)s)",
    )
    group.add_argument(
        "--interval",
        type=int,
        metavar="N",
        default=10,
        help="steps from frame to frame (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        help="of all that is random (default: %(default)s)",
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the limits beyond which a run stops."""
    group = parser.add_argument_group(
        "limits beyond which a run is no longer physical and stops, its frames kept",
        "means are those over ten relaxation times of the thermostat; inf for no limit",
    )
    group.add_argument(
        "--limit-temperature",
        type=float,
        metavar="K",
        help="of the mean (default: some 1.4 times that of the thermostat; none without)",
    )
    group.add_argument(
        "--limit-outside",
        type=float,
        metavar="PART",
        default=0.25,
        help="of the atoms outside the range of a model, in the mean (default: %(default)s)",
    )
    group.add_argument(
        "--limit-energy",
        type=float,
        metavar="E",
        default=0.1,
        help="change of the conserved energy in eV/atom, where one is (default: %(default)s)",
    )


def limits(options: argparse.Namespace) -> Limits:
    """Make the limits of the options."""
    from ase_bec.workflows.dynamics.limits import Limits

    return Limits(options.limit_temperature, options.limit_outside, options.limit_energy)


def add_existing(output: argparse._ArgumentGroup, resume: str) -> None:
    """Add the options that say what to do with the files of an earlier run."""
    existing = output.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help=resume)
    existing.add_argument("--overwrite", action="store_true", help="replace earlier output")
