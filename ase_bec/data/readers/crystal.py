"""Periodic structures from what a file says, checked before ASE takes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from ase_bec.data.frame import Array

_SMALLEST = 1e-3  # Å³


def crystal(
    elements: Sequence[str] | Sequence[int],
    cell: Array,
    positions: Array | None = None,
    scaled: Array | None = None,
) -> Atoms:
    """Atoms in a cell that is periodic in all directions.

    Parameters
    ----------
    elements
        Symbols or atomic numbers.
    cell : array, shape (3, 3)
        Å, rows are lattice vectors.
    positions, scaled : array, shape (n, 3)
        Either Å or parts of the lattice vectors.

    Raises
    ------
    ValueError
        If the cell spans no volume, or there are not as many positions as elements.
    """
    if cell.shape != (3, 3) or not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < _SMALLEST:
        raise ValueError(f"lattice vectors must span a volume, got {cell.tolist()} Å")
    given = positions if scaled is None else scaled
    if given is None or given.shape != (len(elements), 3):
        shape = None if given is None else given.shape
        raise ValueError(f"positions must have shape ({len(elements)}, 3), got {shape}")
    if not np.isfinite(given).all():
        raise ValueError("positions must be finite, got NaN or infinity")
    return Atoms(elements, positions=positions, scaled_positions=scaled, cell=cell, pbc=True)
