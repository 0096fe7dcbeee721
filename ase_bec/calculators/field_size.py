"""Sizes of fields that a linear-response model can describe."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WARNED = 1.0  # V/Å, 100 MV/cm; oxides break down at about 0.1 V/Å and below
REFUSED = 10.0  # V/Å, of the order of the fields between atoms


class FieldLimit:
    """Largest field that is accepted.

    Parameters
    ----------
    limit : float, optional
        Fields of this size (V/Å) and above are refused; by default 10, with a warning from 1.

    Raises
    ------
    ValueError
        If the limit is not a positive number.
    """

    def __init__(self, limit: float | None = None) -> None:
        if limit is not None and (isinstance(limit, bool) or not limit > 0):
            raise ValueError(f"`field_limit` must be a positive field in V/Å, got {limit!r}")
        self._limit = limit
        self._warned = False

    def checked(self, field: Array) -> Array:
        """Return a field in V/Å, (3,), if it is small enough.

        Raises
        ------
        ValueError
            If it is not.
        """
        size = math.hypot(*field)
        if size >= (REFUSED if self._limit is None else self._limit):
            raise ValueError(
                f"`field` must be smaller than {self._limit or REFUSED:g} V/Å, got "
                f"{field.tolist()} V/Å, which is {size:.4g} V/Å ({100 * size:.4g} MV/cm); a larger "
                "`field_limit` allows it"
            )
        if size >= WARNED and self._limit is None and not self._warned:
            self._warned = True
            warnings.warn(
                f"`field` is {size:.4g} V/Å ({100 * size:.4g} MV/cm): that is beyond the breakdown "
                "of solids and the linear response of Born charges (shown once; give "
                "`field_limit` if it is intended)",
                stacklevel=3,
            )
        return field

    def check_amplitude(self, function: Any) -> None:
        """Check the largest field of a function of time, if it has an ``amplitude``.

        Raises
        ------
        ValueError
            If it is too large.
        """
        amplitude = getattr(function, "amplitude", None)
        if amplitude is not None and np.shape(amplitude) == (3,):
            self.checked(np.asarray(amplitude, dtype=float))
