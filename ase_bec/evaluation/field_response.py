"""What a source of charges gives for a structure in a field."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FieldResponse"]

Array = NDArray[np.float64]


class FieldResponse(NamedTuple):
    """What a field E adds to a structure.

    Attributes
    ----------
    forces : ndarray, (natoms, 3)
        F(E) − F(0) in eV/Å; Σ_i E_i Z[a, i, j] where Z does not depend on the field.
    energy : float or None
        H(E) − H(0) in eV, whose gradient the forces are; −E·D to first order. None if there is
        none.
    dipole : ndarray, (3,), or None
        D(E) in e·Å of the unwrapped positions; None if there is none.
    outside : ndarray, (natoms,), or None
        How far each atom is outside the range that the source was made for: suspect beyond 1.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.calculators.charges import as_charge_source
    >>> source = as_charge_source({"Mg": 2, "O": -2})
    >>> response = source.response(bulk("MgO", "rocksalt", 4.2), [0, 0, 0.1])
    >>> response.forces[:, 2].round(6)
    array([ 0.2, -0.2])
    """

    forces: Array
    energy: float | None = None
    dipole: Array | None = None
    outside: Array | None = None
