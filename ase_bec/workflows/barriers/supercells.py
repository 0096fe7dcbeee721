"""Supercells in which an ion does not meet its own periodic images."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import ArrayLike

Repeats = tuple[int, int, int]


def shortest_lattice_vector(cell: ArrayLike) -> float:
    """Length in Å of the shortest lattice vector of a cell, (3, 3)."""
    reduced = minkowski_reduce(np.asarray(cell, dtype=float))[0]
    return float(np.linalg.norm(reduced, axis=1).min())


def needed_repeats(crystal: Atoms, cutoff: float, tolerance: float) -> Repeats:
    """Give the repeats of a crystal in which hops to a cutoff are shorter than half of any period.

    Parameters
    ----------
    crystal
        Periodic in three directions.
    cutoff, tolerance
        Largest length of a hop, and by how much an atom may miss its symmetric image, in Å.

    Returns
    -------
    tuple of int
        The smallest and most even that are large enough; (1, 1, 1) if the crystal itself is.

    Raises
    ------
    ValueError
        If `cutoff` or `tolerance` is not a positive length.
    """
    for name, value in {"cutoff": cutoff, "tolerance": tolerance}.items():
        if not 0 < value < np.inf:
            raise ValueError(f"`{name}` must be a positive length in Å, got {value}")
    length, vectors = 2 * (cutoff + 4 * tolerance), crystal.cell.array
    heights = 1 / np.linalg.norm(np.linalg.inv(vectors), axis=0)
    most = np.floor(length / heights).astype(int) + 1  # every vector then leaves the layer
    choices = sorted(
        product(*(range(1, n + 1) for n in most.tolist())),
        key=lambda n: (n[0] * n[1] * n[2], max(n), n),
    )
    serving = (n for n in choices if shortest_lattice_vector(np.diag(n) @ vectors) > length)
    first, second, third = next(serving)
    return first, second, third
