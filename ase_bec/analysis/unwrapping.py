"""Unwrapping of positions, and whether the frames are close enough in time for it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import product

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell, minkowski_reduce
from numpy.typing import NDArray

from ase_bec.analysis.trajectory import Array, Trajectory
from ase_bec.lattice import shortest_vectors

__all__ = ["check_jumps", "unwrapped"]

_NEAR = 0.8  # of the way to where a step is as near to a periodic image: longer ones are ambiguous
_EVEN = 3.0  # standard errors, within which steps are spread evenly over the cell
_MANY = 100  # steps, enough to tell


def unwrapped(trajectory: Trajectory) -> Trajectory:
    """Bring each atom next to where it was in the frame before.

    A step longer than half way to a periodic image comes out as a shorter one in another
    direction. If some steps come close to that limit, others have gone beyond it, and displacements
    are too small; a warning says by how much, assuming that steps are Gaussian.

    Raises
    ------
    ValueError
        If the steps of an element are spread evenly over the cell, so that they cannot be followed.
    """
    steps = np.diff(trajectory.positions, axis=0)
    short = shortest_vectors(steps, trajectory.cell, trajectory.pbc)
    _check_lengths(trajectory, short)
    excess = steps - short
    moved = np.linalg.norm(excess, axis=2) > 1e-6
    if not moved.any():
        return trajectory
    shifts = np.cumsum(np.where(moved[..., None], excess, 0.0), axis=0)
    positions = trajectory.positions.copy()
    positions[1:] -= shifts
    return replace(trajectory, positions=positions, dipole=None)


def check_jumps(trajectory: Trajectory) -> None:
    """Raise where an atom moves too far between two frames to be certainly on one branch."""
    if not trajectory.pbc.any():
        return
    limit = _heights(trajectory.cell, trajectory.pbc).min() / 2
    jumps = np.linalg.norm(np.diff(trajectory.positions, axis=0), axis=2)
    if (jumps > limit).any():
        frame, atom = np.unravel_index(np.argmax(jumps > limit), jumps.shape)
        raise ValueError(
            f"`source` must hold unwrapped positions, got a jump of {jumps[frame, atom]:.2f} Å of "
            f"atom {atom} from frame {frame} to {frame + 1}, more than half the shortest height "
            f"of the cell ({limit:.2f} Å): set `unwrap` if the frames were wrapped"
        )


def _heights(cell: Array, pbc: NDArray[np.bool_]) -> Array:
    """Distances between the lattice planes that bound the cell along periodic directions."""
    complete = Atoms(cell=cell).cell.complete()
    heights: Array = 1 / np.linalg.norm(complete.reciprocal().array, axis=1)[pbc]
    return heights


def _check_lengths(trajectory: Trajectory, short: Array) -> None:
    """Warn of steps that come near to half way to a periodic image, [frame, atom, 3]."""
    near = _nearness(short, trajectory.cell, trajectory.pbc)
    if not (near > _NEAR).any():
        return
    losses = {}
    for element in trajectory.elements:
        atoms = trajectory.indices(element)
        if (near[:, atoms] > _NEAR).any():
            losses[element] = _loss(short[:, atoms], trajectory.cell, trajectory.pbc)
    even = [element for element, loss in losses.items() if np.isnan(loss)]
    if even:
        raise ValueError(
            f"`source` must hold frames close enough in time to follow the atoms, got steps "
            f"of {even[0]} spread evenly over the cell: record frames more often"
        )
    frame, atom = np.unravel_index(np.argmax(near), near.shape)
    said = ", ".join(f"{_percent(loss)} of {element}" for element, loss in losses.items())
    warnings.warn(
        f"the frames are too far apart to follow each atom: {int((near > _NEAR).sum())} of "
        f"{near.size} steps go more than {_NEAR:g} of half way to a periodic image (atom {atom} "
        f"moves by {np.linalg.norm(short[frame, atom]):.2f} Å from frame {frame} to {frame + 1}), "
        "and longer ones come out shorter. If steps are Gaussian, square displacements and D are "
        f"too small by {said}: record frames more often",
        stacklevel=4,
    )


def _nearness(short: Array, cell: Array, pbc: NDArray[np.bool_]) -> Array:
    """How far shortest vectors go towards the plane half way to a periodic image, 0 to 1."""
    reduced, _ = minkowski_reduce(complete_cell(cell), pbc)
    near = np.zeros(short.shape[:-1])
    for numbers in product(*((-1, 0, 1) if periodic else (0,) for periodic in pbc)):
        if any(numbers):
            vector = np.array(numbers) @ reduced
            np.maximum(near, short @ (2 * vector / (vector @ vector)), out=near)
    return near


def _loss(short: Array, cell: Array, pbc: NDArray[np.bool_]) -> float:
    r"""Part by which the mean square of Gaussian steps comes out too small, NaN where unknown.

    Of a Gaussian step of the variance :math:`s^2` along a direction, in units of the lattice
    vector, :math:`\langle\exp 2\pi i x\rangle = \exp(-2\pi^2 s^2)`, wrapped or not.
    """
    heights = 1 / np.linalg.norm(np.linalg.inv(complete_cell(cell)), axis=0)[pbc]
    parts = (short @ np.linalg.inv(complete_cell(cell)))[..., pbc].reshape(-1, int(pbc.sum()))
    resultants = np.abs(np.exp(2j * np.pi * parts).mean(axis=0))
    if len(parts) >= _MANY and (resultants < _EVEN / np.sqrt(len(parts))).any():
        return float("nan")
    right = -2 * np.log(resultants) / (2 * np.pi) ** 2 * heights**2
    seen = parts.var(axis=0) * heights**2
    return float(1 - seen.sum() / max(right.sum(), seen.sum()))


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %" if part >= 1e-3 else "less than 0.1 %"
