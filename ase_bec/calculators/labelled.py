"""The Atoms that a field calculator has put labels on."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.data.field_labels import FIELD, FORCES, remove_field_labels, set_field_labels


class LabelledAtoms:
    """Puts field labels on Atoms when they are computed, and takes them off when they are stale.

    Parameters
    ----------
    field : ndarray, (3,)
        V/Å, of all labels.
    """

    def __init__(self, field: NDArray[np.float64]) -> None:
        self.field = field
        self._labels: dict[str, Any] = {}
        self._atoms: WeakValueDictionary[int, Atoms] = WeakValueDictionary()

    def note(self, labels: dict[str, Any]) -> None:
        """Take the labels of a new calculation."""
        self._labels = labels

    def put(self, atoms: Atoms, valid: bool) -> None:
        """Put the labels on Atoms if they are those of the atoms, else take labels off."""
        if not valid:
            remove_field_labels(atoms)
        elif not self._has(atoms):
            set_field_labels(atoms, self._labels)
            self._atoms[id(atoms)] = atoms

    def take_off(self) -> None:
        """Take the labels of this field off all Atoms."""
        for atoms in list(self._atoms.values()):
            if atoms.info.get(FIELD) is self.field:
                remove_field_labels(atoms)
        self._atoms.clear()

    def _has(self, atoms: Atoms) -> bool:
        """Whether these very labels are on the Atoms already."""
        there = atoms.info.get(FORCES) is self._labels.get(FORCES)
        return there and all(atoms.info.get(name) is self._labels[name] for name in self._labels)

    def __getstate__(self) -> dict[str, Any]:
        return {"field": self.field, "_labels": self._labels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _atoms=WeakValueDictionary())
