"""Any ASE calculator: validated, locked, its results converted and kept."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_properties
from ase.stress import full_3x3_to_voigt_6_stress

from ase_bec.calculators.applied_field import AppliedField
from ase_bec.calculators.parameters import parameters, same_parameters

_guard = threading.Lock()
_locks: dict[int, threading.RLock] = {}


def exclusive(shared: object) -> threading.RLock:
    """Return the lock of a calculator or charge source, so that threads sharing it take turns.

    The lock is kept outside the object, because locks can be neither copied nor
    pickled, and goes when the object goes.
    """
    key = id(shared)
    with _guard:
        if key not in _locks:
            _locks[key] = threading.RLock()
            weakref.finalize(shared, _locks.pop, key, None).atexit = False
        return _locks[key]


def is_calculator(value: object) -> bool:
    """Return whether a value is an instance that answers like an ASE calculator."""
    return not isinstance(value, type) and callable(getattr(value, "get_property", None))


class WrappedCalculator:
    """A calculator with its results for one configuration.

    Parameters
    ----------
    calculator : ASE calculator
        Its ``implemented_properties`` are taken as a hint: energy and forces are asked for in any
        case, the rest is taken over where the calculator has it.

    Raises
    ------
    TypeError
        If the value is not an ASE calculator.
    """

    def __init__(self, calculator: Any) -> None:
        if not is_calculator(calculator):
            got = (
                f"the class {calculator.__name__}"
                if isinstance(calculator, type)
                else repr(calculator)
            )
            raise TypeError(f"`calculator` must be an ASE calculator, got {got}")
        self.calculator = calculator
        self._applied = AppliedField(calculator)
        self._values: dict[str, Any] = {}
        self._parameters: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Name of the calculator, as ASE writes it to files."""
        return str(getattr(self.calculator, "name", None) or type(self.calculator).__name__.lower())

    @property
    def properties(self) -> list[str]:
        """Properties that the calculator says it has, of those that ASE knows."""
        offered = getattr(self.calculator, "implemented_properties", ())
        return [name for name in all_properties if name in offered]

    def forget(self) -> None:
        """Drop the stored results."""
        self._values = {}

    def changed(self) -> bool:
        """Return whether the calculator's parameters differ from those of the stored results."""
        if not self._values:
            return False
        return not same_parameters(parameters(self.calculator), self._parameters)

    def refuse_applied_field(self, outer: object) -> None:
        """Raise ValueError if the calculator, or one inside it, applies a field itself.

        Parameters
        ----------
        outer
            The field calculator over this one.
        """
        self._applied.refuse(outer)

    def values(self, atoms: Atoms, names: Iterable[str]) -> dict[str, Any]:
        """Return properties of a configuration, each computed at most once.

        Parameters
        ----------
        atoms : Atoms
            The configuration; call `forget` before another one.
        names : iterable of str
            Properties that must be there. Anything else the calculator has computed is
            included.

        Returns
        -------
        dict
            Energies as floats (eV), forces as float64 (natoms, 3) in eV/Å, stress as (6,) in
            eV/Å³, the rest as the calculator gives it.
        """
        with exclusive(self.calculator):
            self._parameters = parameters(self.calculator)
            values = dict(self._values)
            for name in names:
                if name not in values:
                    values[name] = self._asked(name, atoms)
                    self._take_along(values)
            for name in self.properties:
                if name not in values:
                    self._take_over(name, atoms, values)
        self._values = values
        return dict(values)

    def _asked(self, name: str, atoms: Atoms) -> Any:
        if name == "free_energy" and name not in self.properties:
            energy = self.calculator.get_property("energy", atoms)
            results = getattr(self.calculator, "results", {})
            return _coerced("free_energy", results.get("free_energy", energy))
        return _coerced(name, self.calculator.get_property(name, atoms))

    def _take_along(self, values: dict[str, Any]) -> None:
        """Take what ASE's own `get_property` computed along with its answer."""
        if getattr(type(self.calculator), "get_property", None) is Calculator.get_property:
            for name in self.properties:
                if name not in values and name in self.calculator.results:
                    values[name] = _coerced(name, self.calculator.results[name])

    def _take_over(self, name: str, atoms: Atoms, values: dict[str, Any]) -> None:
        try:
            value = self.calculator.get_property(name, atoms, allow_calculation=False)
        except NotImplementedError:
            return
        if value is not None:
            values[name] = _coerced(name, value)


def _coerced(name: str, value: Any) -> Any:
    if name in ("energy", "free_energy"):
        return np.asarray(value, dtype=float).item()
    if name == "forces":
        return np.array(value, dtype=float)
    if name == "stress":
        stress = np.array(value, dtype=float)
        return full_3x3_to_voigt_6_stress(stress) if stress.shape == (3, 3) else stress
    return value.copy() if isinstance(value, np.ndarray) else value
