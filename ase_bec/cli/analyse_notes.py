"""Notes of `ase-bec analyse` on the trajectory, before its results."""

from __future__ import annotations

import argparse
import warnings

from ase_bec.analysis.drift import common_motion
from ase_bec.analysis.statistics import block_slices
from ase_bec.analysis.trajectory import Trajectory

__all__ = ["outside", "seen"]

_MANY_OUTSIDE = 0.1  # of the atoms; sound melts of the bundled potential have a twentieth
_NAMES = {"potential": "the potential", "charges": "the model of Born charges"}


def seen(
    options: argparse.Namespace, whole: Trajectory, net_charge: float | None, time: float
) -> tuple[Trajectory, list[str]]:
    """Return the trajectory from the framework that was named, or without a common motion."""
    if options.frame_of is not None:
        return whole.relative_to(options.frame_of, net_charge), []
    common = common_motion(whole, time, blocks=options.blocks)
    if common is None:
        return whole, []
    found = whole.relative_to(None, net_charge)
    note = (
        f"Note: {common}. This is not diffusion: everything below is relative to the centre of "
        "mass (--frame-of P,O takes a framework instead)."
    )
    if whole.dipole is not None and found.dipole is None:
        note += (
            " The recorded dipole is left out because the net charge is unknown: give --charges."
        )
    return found, [note]


def outside(trajectory: Trajectory, blocks: int) -> list[str]:
    """Say how many atoms were outside the range of the models; warn where they were many."""
    found = []
    for model, counts in trajectory.outside.items():
        parts = counts / len(trajectory.numbers)
        name = _NAMES[model]
        said = f"{parts.mean():.2%} of the atoms on average, {parts.max():.1%} at most"
        found.append(f"Outside the range of {name}: {said}.")
        worst = max(float(parts[part].mean()) for part in block_slices(len(parts), blocks))
        if worst > _MANY_OUTSIDE:
            warnings.warn(
                f"{worst:.0%} of the atoms are outside the range of {name} in one of {blocks} "
                "blocks of time: these results are not properties of the material",
                stacklevel=2,
            )
    return found
