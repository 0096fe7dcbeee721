"""Numba kernel of the neighbour list of a small structure: every image of every pair."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numba import njit

__all__ = ["image_pairs"]


@njit(cache=True, nogil=True)
def _images(difference, reach):  # type: ignore[no-untyped-def]
    """Whole numbers n with |difference + n| <= reach, half open; only 0 if nothing repeats."""
    if reach < 0:
        return 0, 1
    return ceil(-reach - difference), floor(reach - difference) + 1


@njit(cache=True, nogil=True)
def image_pairs(positions, fractions, cell, reach, cutoff, first, neighbour, shift):  # type: ignore[no-untyped-def]
    """Neighbours within the cutoff by atom, neighbour, and shift along the third vector first.

    Fills ``first``, and `neighbour` and `shift` where they are not empty, whose lengths a call with
    empty ones tells as ``first[-1]``. ``reach``: furthest difference of fractions, by vector.
    Returns the square of the smallest distance, and the atoms that it is between.
    """
    squared, at, fill = cutoff * cutoff, 0, neighbour.size > 0
    nearest, one, other = np.inf, 0, 0
    first[0] = 0
    for i in range(len(positions)):
        for j in range(len(positions)):
            x = positions[j, 0] - positions[i, 0]
            y = positions[j, 1] - positions[i, 1]
            z = positions[j, 2] - positions[i, 2]
            a0, a1 = _images(fractions[j, 0] - fractions[i, 0], reach[0])
            b0, b1 = _images(fractions[j, 1] - fractions[i, 1], reach[1])
            c0, c1 = _images(fractions[j, 2] - fractions[i, 2], reach[2])
            for c in range(c0, c1):
                for b in range(b0, b1):
                    for a in range(a0, a1):
                        dx = x + a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
                        dy = y + a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1]
                        dz = z + a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2]
                        r2 = dx * dx + dy * dy + dz * dz
                        if not r2 <= squared or (i == j and a == 0 and b == 0 and c == 0):
                            continue
                        if r2 < nearest:
                            nearest, one, other = r2, i, j
                        if fill:
                            neighbour[at] = j
                            shift[at, 0], shift[at, 1], shift[at, 2] = a, b, c
                        at += 1
        first[i + 1] = at
    return nearest, one, other
