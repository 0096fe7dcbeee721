"""Numba kernels from atoms to pair vectors, and from derivatives by these to atoms."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

__all__ = ["gather_vectors", "scatter_derivatives"]

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def gather_vectors(
    positions: Array, cell: Array, centre: Array, neighbour: Array, shift: Array, out: Array
) -> None:
    """out[p] = r_j - r_i + S·cell."""
    for p in range(centre.size):
        i, j = centre[p], neighbour[p]
        a, b, c = shift[p, 0], shift[p, 1], shift[p, 2]
        for x in range(3):
            lattice = a * cell[0, x] + b * cell[1, x] + c * cell[2, x]
            out[p, x] = positions[j, x] - positions[i, x] + lattice


@njit(cache=True, nogil=True)
def scatter_derivatives(centre: Array, neighbour: Array, derivatives: Array, out: Array) -> None:
    """Add derivatives by the pair vectors to those by the positions."""
    for p in range(centre.size):
        i, j = centre[p], neighbour[p]
        for x in range(3):
            out[j, x] += derivatives[p, x]
            out[i, x] -= derivatives[p, x]
