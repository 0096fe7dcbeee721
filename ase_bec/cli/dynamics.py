"""Options of molecular dynamics, shared by the commands that run it."""

from __future__ import annotations

import argparse

from ase_bec.cli import inputs


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


def add_existing(output: argparse._ArgumentGroup, resume: str) -> None:
    """Add the options that say what to do with the files of an earlier run."""
    existing = output.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help=resume)
    existing.add_argument("--overwrite", action="store_true", help="replace earlier output")
