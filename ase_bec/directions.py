"""Directions, given by vectors of any length."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def unit_vector(direction: ArrayLike, name: str = "direction") -> NDArray[np.float64]:
    """Return the unit vector along a direction, (3,).

    Parameters
    ----------
    direction
        Three numbers.
    name
        Its name in error messages.

    Raises
    ------
    ValueError
        If `direction` is not three finite numbers, not all zero.

    Examples
    --------
    >>> from ase_bec.directions import unit_vector
    >>> unit_vector([0, 3, 4]).tolist()
    [0.0, 0.6, 0.8]
    """
    vector = np.asarray(direction, dtype=float)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
        raise ValueError(
            f"`{name}` must be three finite numbers, not all zero, got {np.array(direction)}"
        )
    found: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return found
