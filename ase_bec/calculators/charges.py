"""Sources of Born effective charges: what `FieldCalculator` turns ``charges=`` into."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from os import PathLike
from typing import Any, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from ase_bec.calculators.model_charges import ModelCharges
from ase_bec.calculators.wrapped import exclusive, is_calculator
from ase_bec.evaluation.field_response import FieldResponse
from ase_bec.models import Model, load

Array = NDArray[np.float64]


@runtime_checkable
class ChargeSource(Protocol):
    """What gives Z[a, i, j] = ∂D_i/∂r_aj in e, first index field, second displacement.

    ``has_dipole`` says that Z is the exact gradient of `dipole` and that Σ_a Z_a does not depend
    on the positions (true for every D that a translation of all atoms changes by the net charge
    times the translation).
    """

    has_dipole: bool

    def response(self, atoms: Atoms, field: Array) -> FieldResponse:
        """Return what a field in V/Å adds; energy and dipole only if ``has_dipole``."""
        ...

    def born_charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Return Z = ∂F/∂E in a field, in e, (natoms, 3, 3). Unknown rows are NaN."""
        ...

    def dipole(self, atoms: Atoms) -> Array:
        """Return D without field in e·Å, (3,), of the unwrapped positions, if ``has_dipole``."""
        ...

    def check(self, atoms: Atoms, field: Array) -> None:
        """Raise ValueError if the source does not support these atoms in this field."""
        ...


class ConstantCharges:
    """Charges that do not depend on the positions: D = Σ_a Z_a·r_a, on unwrapped positions.

    Subclasses give `born_charges`.
    """

    has_dipole = True

    def born_charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Return Z in e, (natoms, 3, 3), [field, displacement]."""
        raise NotImplementedError

    def dipole(self, atoms: Atoms) -> Array:
        """Return D_i = Σ_aj Z[a, i, j] r_aj in e·Å, (3,)."""
        dipole: Array = np.einsum("aij,aj->i", self.born_charges(atoms), atoms.positions)
        return dipole

    def response(self, atoms: Atoms, field: Array) -> FieldResponse:
        """Return F_aj = Σ_i E_i Z[a, i, j], −E·D and D."""
        dipole = self.dipole(atoms)
        forces = np.einsum("i,aij->aj", field, self.born_charges(atoms))
        return FieldResponse(forces, -float(np.dot(field, dipole)), dipole)

    def check(self, atoms: Atoms, field: Array) -> None:
        """Raise ValueError if a field would find no charge to act on."""
        if np.any(field) and not np.any(self.born_charges(atoms)):
            raise ValueError(
                "`field` must be zero where every charge is zero, "
                f"got {_vector_text(field)} V/Å, which would have no effect; check `charges`"
            )


class SpeciesCharges(ConstantCharges):
    """One charge, or one tensor, per element.

    Parameters
    ----------
    charges : mapping
        Chemical symbol to a number in e, or to a (3, 3) tensor [field, displacement] in e.

    Raises
    ------
    ValueError
        If a symbol is not an element, or a value is neither a finite number nor a finite (3, 3).
    """

    def __init__(self, charges: Mapping[str, Any]) -> None:
        if not charges:
            raise ValueError("`charges` must name at least one element, got an empty dict")
        self._tensors = np.full((len(chemical_symbols), 3, 3), np.nan)
        for symbol, value in charges.items():
            if not isinstance(symbol, str) or symbol not in atomic_numbers:
                raise ValueError(f"`charges` must be keyed by chemical symbols, got {symbol!r}")
            tensor = _numbers(value)
            if tensor is None or tensor.shape not in ((), (3, 3)):
                raise ValueError(
                    f"`charges[{symbol!r}]` must be a finite number or a finite (3, 3) array in e, "
                    f"got {_described(value)}"
                )
            self._tensors[atomic_numbers[symbol]] = (
                tensor * np.eye(3) if not tensor.ndim else tensor
            )
        self._known = ~np.isnan(self._tensors[:, 0, 0])

    def born_charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Return the tensor of each atom's element, (natoms, 3, 3)."""
        tensors: Array = self._tensors[atoms.numbers]
        return tensors

    def check(self, atoms: Atoms, field: Array) -> None:
        """Raise ValueError if an element has no charge, or all charges are zero in a field."""
        missing = sorted(
            {chemical_symbols[z] for z in np.unique(atoms.numbers[~self._known[atoms.numbers]])}
        )
        if missing:
            raise ValueError(
                f"`charges` must have every element of the atoms, got none for {', '.join(missing)}"
            )
        super().check(atoms, field)


class ArrayCharges(ConstantCharges):
    """A constant tensor for each atom, by index.

    Parameters
    ----------
    charges : array_like, (natoms, 3, 3)
        Z in e, [field, displacement].

    Raises
    ------
    ValueError
        If the array is not finite or not of that shape.
    """

    def __init__(self, charges: Any) -> None:
        tensors = _numbers(charges)
        if tensors is None or tensors.ndim != 3 or tensors.shape[1:] != (3, 3):
            raise ValueError(
                "`charges` must be a finite array of shape (natoms, 3, 3) in e, "
                f"got {_described(charges)}"
            )
        self._tensors = tensors.copy()

    def born_charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Return the array, (natoms, 3, 3)."""
        return self._tensors.copy()

    def check(self, atoms: Atoms, field: Array) -> None:
        """Raise ValueError if the array is for another number of atoms, or zero in a field."""
        if len(self._tensors) != len(atoms):
            raise ValueError(
                f"`charges` must have one tensor for each of the {len(atoms)} atoms, "
                f"got {len(self._tensors)}"
            )
        super().check(atoms, field)


class CalculatorCharges:
    """Born charges of any ASE calculator that has ``born_effective_charges``.

    They are a function of the positions without a dipole: an energy is the work along a path from
    a reference, or is refused.

    Raises
    ------
    ValueError
        If the calculator does not have the property.
    """

    has_dipole = False

    def __init__(self, calculator: Any) -> None:
        if "born_effective_charges" not in getattr(calculator, "implemented_properties", ()):
            raise ValueError(
                "`charges` must be a calculator with `born_effective_charges` among its "
                f"implemented properties, got {type(calculator).__name__}"
            )
        self.calculator = calculator

    def born_charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Return the calculator's Z in e, (natoms, 3, 3), [field, displacement].

        Raises
        ------
        ValueError
            If the answer is missing, not finite or not of that shape.
        """
        name = type(self.calculator).__name__
        try:
            with exclusive(self.calculator):
                value = self.calculator.get_property("born_effective_charges", atoms)
        except PropertyNotImplementedError as error:
            raise ValueError(f"`charges` must give Born charges, {name} gave none") from error
        charges = _numbers(value)
        if charges is None or charges.shape != (len(atoms), 3, 3):
            raise ValueError(
                f"`charges` must give a finite ({len(atoms)}, 3, 3) array, "
                f"got {_described(value)} from {name}"
            )
        return charges

    def dipole(self, atoms: Atoms) -> Array:
        """Refuse: Born charges alone have no dipole."""
        raise PropertyNotImplementedError("Born charges of a calculator have no dipole")

    def response(self, atoms: Atoms, field: Array) -> FieldResponse:
        """Return F_aj = Σ_i E_i Z[a, i, j]."""
        return FieldResponse(np.einsum("i,aij->aj", field, self.born_charges(atoms)))

    def check(self, atoms: Atoms, field: Array) -> None:
        """Pass: only the calculator knows what it supports."""


def as_charge_source(charges: Any) -> ChargeSource:
    """Turn the ``charges`` given by a user into a source.

    Parameters
    ----------
    charges : dict, array_like, ASE calculator, str, path or ChargeSource
        Charges per element, a constant (natoms, 3, 3) array, a calculator with Born charges, the
        name or path of a model, or anything with the methods of `ChargeSource`.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        If it is none of these; the message says what is wrong.
    """
    if isinstance(charges, str | PathLike):
        charges = load(charges)
        if not isinstance(charges, Model | ChargeSource):
            raise ValueError(f"`charges` must be a model of Born charges, got {charges!r}")
    if isinstance(charges, Model):
        return ModelCharges(charges)
    if isinstance(charges, Mapping):
        return SpeciesCharges(charges)
    if isinstance(charges, np.ndarray | list | tuple):
        return ArrayCharges(charges)
    if not isinstance(charges, type):
        if isinstance(charges, ChargeSource):
            return charges
        if is_calculator(charges):
            return CalculatorCharges(charges)
    raise TypeError(
        "`charges` must be a dict per element, an array (natoms, 3, 3), a model with a dipole, its "
        "path, or a calculator with `born_effective_charges`, "
        f"got {charges.__name__ if isinstance(charges, type) else type(charges).__name__}"
    )


def _numbers(value: Any) -> Array | None:
    """Return finite real numbers as a float array, None for anything else."""
    if isinstance(value, bool | np.bool_ | str):
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        return None
    return array.astype(float)


def _described(value: Any) -> str:
    """Describe a rejected value in a few words."""
    if isinstance(value, Real | str):
        return repr(value)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return "a ragged list"
    if array.dtype.kind not in "iufbc":
        return type(value).__name__
    finite = "" if np.isfinite(array).all() else " with values that are not finite"
    return f"{array.dtype} of shape {array.shape}{finite}"


def _vector_text(vector: Array) -> str:
    return "(" + ", ".join(f"{x:g}" for x in vector) + ")"
