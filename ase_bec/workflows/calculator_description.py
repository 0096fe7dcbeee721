"""What a run records of its calculator, so that it continues with the same one."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
from ase import Atoms

from ase_bec.calculators.field import FieldCalculator
from ase_bec.identity import require_same

__all__ = ["describe_calculator", "require_same_calculator"]

_CHARGES_TO = 1e-4  # e; computed, so up to rounding
_LONG = 20


def describe_calculator(calculator: Any, atoms: Atoms) -> dict[str, Any]:
    """Describe a calculator by plain values, in dicts of dicts.

    Parameters
    ----------
    calculator
        Any of ASE's. Of a `FieldCalculator` come field, options, the mean Born charge of each
        element in e, and the potential below it; of models a checksum of their numbers.
    atoms
        Structure for the Born charges.
    """
    found: dict[str, Any] = {"calculator": type(calculator).__name__, "field": None}
    described: dict[str, Any] = getattr(calculator, "todict", dict)() or {}
    found |= {name: _plain(value) for name, value in described.items() if name != "calculator"}
    weights = _weights(calculator)
    if weights is not None:
        found["weights"] = weights
    if isinstance(calculator, FieldCalculator):
        if calculator.time_dependent:
            found["field"] = "a function of time"
        found["charges"] = _charges(calculator, atoms)
    base = getattr(calculator, "calculator", None)
    if base is not None:
        found["potential"] = describe_calculator(base, atoms)
    return found


def require_same_calculator(
    recorded: Mapping[str, Any], given: Mapping[str, Any], place: str
) -> None:
    """Raise where calculators are not described alike, with what differs.

    Where one wraps the other, or they are of different kinds, only the field can be compared.

    Parameters
    ----------
    recorded, given
        From :func:`describe_calculator`.
    place
        Where the recorded one stands, such as "the frames of `md.traj`".
    """
    old, new = dict(recorded), dict(given)
    require_same({"field": old.get("field")}, {"field": new.get("field")}, place)
    if _kinds(old) == _kinds(new):
        charges = {"charges": old.pop("charges", None)}, {"charges": new.pop("charges", None)}
        require_same(*charges, place, _CHARGES_TO)
        require_same(old, new, place)


def _kinds(described: Mapping[str, Any]) -> list[str]:
    """Names of the class of a calculator that was described, and of those below it."""
    below = described.get("potential")
    return [str(described.get("calculator")), *(_kinds(below) if below else [])]


def _charges(calculator: FieldCalculator, atoms: Atoms) -> dict[str, Any]:
    """Mean Born charges of the elements, where all are known."""
    found: dict[str, Any] = {"source": type(calculator.source).__name__}
    if "born_effective_charges" in calculator.implemented_properties:
        born = calculator.get_property("born_effective_charges", atoms)
        means = np.trace(born, axis1=1, axis2=2) / 3
        for symbol in dict.fromkeys(atoms.get_chemical_symbols()):
            found[symbol] = float(means[atoms.symbols == symbol].mean())
    return found


def _weights(calculator: Any) -> int | None:
    """Checksum of the numbers of a calculator's models."""
    models = [m for m in getattr(calculator, "models", None) or () if hasattr(m, "state_dict")]
    if not models:
        return None
    found = 0
    for model in models:
        for name, tensor in sorted(model.state_dict().items()):
            found = zlib.crc32(name.encode(), found)
            if hasattr(tensor, "detach"):
                numbers = np.ascontiguousarray(tensor.detach().cpu().numpy())
                found = zlib.crc32(numbers.tobytes(), found)
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it; long arrays as their checksum."""
    if isinstance(value, Mapping):
        return {str(name): _plain(v) for name, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        if np.size(np.array(value, dtype=object)) > _LONG:
            return f"{len(value)} values with checksum {zlib.crc32(repr(value).encode()):08x}"
        return [_plain(v) for v in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value) if isinstance(value, PurePath) else type(value).__name__
