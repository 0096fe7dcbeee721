"""The Atoms that carry the labels of a field calculator."""

from __future__ import annotations

from typing import Any
from weakref import ReferenceType, WeakValueDictionary, ref

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from numpy.typing import NDArray

from ase_bec.calculators.applied_field import holds
from ase_bec.calculators.object_graph import held_objects
from ase_bec.data.field_labels import FIELD, FORCES, remove_field_labels, set_field_labels


class LabelledAtoms:
    """Puts field labels on Atoms when they are computed, and removes them when they are stale.

    Only Atoms whose calculator is the field calculator, or contains it, are handled: others may
    carry results, and labels, of another one.

    Parameters
    ----------
    field : ndarray, (3,)
        V/Å, common to all labels.
    """

    def __init__(self, field: NDArray[np.float64]) -> None:
        self.field = field
        self._labels: dict[str, Any] = {}
        self._atoms: WeakValueDictionary[int, Atoms] = WeakValueDictionary()
        self._around: ReferenceType[object] | None = None  # the last calculator around

    def note(self, labels: dict[str, Any]) -> None:
        """Accept the labels of a new calculation."""
        self._labels = labels

    def put(self, atoms: Atoms, calculator: object, valid: bool) -> None:
        """Put the labels on Atoms if they are those of the atoms, else take labels off."""
        if not self._is_used(atoms.calc, calculator):
            return
        if not valid:
            remove_field_labels(atoms)
            return
        if not self._has(atoms):
            set_field_labels(atoms, self._labels)
        self._atoms[id(atoms)] = atoms

    def take_off(self, calculator: object) -> None:
        """Take the labels of this field off all Atoms.

        Calculators of these Atoms that have the field calculator inside them forget their results,
        since they were computed in this field.
        """
        for atoms in list(self._atoms.values()):
            if atoms.info.get(FIELD) is self.field:
                remove_field_labels(atoms)
            if atoms.calc is not calculator:
                _forget_around(calculator, atoms.calc)
        self._atoms.clear()

    def _is_used(self, used: object, calculator: object) -> bool:
        """Whether a calculator of Atoms is the field calculator, or has it inside."""
        if used is calculator or (self._around is not None and used is self._around()):
            return True
        if used is None or not holds(used, calculator):
            return False
        self._around = ref(used)
        return True

    def _has(self, atoms: Atoms) -> bool:
        """Whether these labels are already on the Atoms."""
        there = atoms.info.get(FORCES) is self._labels.get(FORCES)
        return there and all(atoms.info.get(name) is self._labels[name] for name in self._labels)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_atoms": None, "_around": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _atoms=WeakValueDictionary())


def _forget_around(inner: object, outer: object) -> None:
    """Make the calculators between an outer one and one inside it forget their results."""
    for held in held_objects(outer, without=lambda value: value is inner):
        around = held.value
        if isinstance(around, BaseCalculator) and holds(around, inner):
            around.atoms, around.results = None, {}
