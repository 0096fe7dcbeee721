"""Shortest of the vectors that differ by lattice vectors."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase.geometry import complete_cell, minkowski_reduce
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def shortest_vectors(vectors: ArrayLike, cell: ArrayLike, pbc: ArrayLike = True) -> Array:
    r"""Shortest of the vectors :math:`v + \sum_i n_i \mathbf a_i`.

    Exact in any cell, however skewed: the Voronoi-relevant vectors of a Minkowski-reduced basis
    have coefficients -1, 0 and 1, so that steps along these lead to the shortest vector. (ASE's
    `find_mic` relies on the lengths of the given rather than the reduced cell vectors, and misses
    it in some skewed cells.)

    Parameters
    ----------
    vectors : array, shape (..., 3)
        Of any unit.
    cell : array, shape (3, 3)
        Rows are lattice vectors, in the same unit.
    pbc : bool or three bools
        Directions along which :math:`n_i` may differ from zero.

    Returns
    -------
    array, shape (..., 3)

    References
    ----------
    Nguyen & Stehlé, ACM Trans. Algorithms 5, 46 (2009).

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.lattice import shortest_vectors
    >>> shortest_vectors([[2.5, 0.5, 3.5]], 4 * np.eye(3), pbc=[True, True, False]).tolist()
    [[-1.5, 0.5, 3.5]]
    """
    periodic = np.broadcast_to(np.asarray(pbc, dtype=bool), 3)
    given = np.asarray(vectors, dtype=np.float64)
    reduced, _ = minkowski_reduce(complete_cell(np.asarray(cell, dtype=np.float64)), periodic)
    steps = np.array(list(product(*((-1, 0, 1) if p else (0,) for p in periodic)))) @ reduced
    short = given.reshape(-1, 3)
    short = short - np.where(periodic, np.rint(short @ np.linalg.inv(reduced)), 0) @ reduced
    while True:
        candidates = short[:, None] + steps  # [v, step, 3]
        lengths = (candidates**2).sum(-1)
        best = lengths.argmin(1)
        gain = (short**2).sum(-1) - lengths[np.arange(len(short)), best]
        better = gain > 1e-12 * (1 + (short**2).sum(-1))
        if not better.any():
            return np.asarray(short.reshape(given.shape), dtype=np.float64)
        short = np.where(better[:, None], candidates[np.arange(len(short)), best], short)
