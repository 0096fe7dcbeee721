"""What differs between a structure and the one that the results belong to."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_changes

__all__ = ["state_changes"]


def state_changes(before: Atoms | None, atoms: Atoms, ignored: Collection[str] = ()) -> list[str]:
    """Names of what differs, as ASE's `compare_atoms` finds it, but to the last bit and faster.

    Parameters
    ----------
    before : Atoms or None
        Structure of the results; None if there are none.
    atoms : Atoms
        The structure now.
    ignored : collection of str
        Names that may differ.
    """
    if before is None:
        return list(all_changes)
    changes = []
    if not np.array_equal(before.cell.array, atoms.cell.array):
        changes.append("cell")
    if not np.array_equal(before.pbc, atoms.pbc):
        changes.append("pbc")
    for name in ("positions", "numbers", "initial_charges", "initial_magmoms"):
        if name in ignored:
            continue
        one, other = before.arrays.get(name), atoms.arrays.get(name)
        if one is None and other is None:
            continue
        if one is None or other is None or not np.array_equal(one, other):
            changes.append(name)
    return changes
