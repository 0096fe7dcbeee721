"""Whether a calculator, or anything inside it, applies an electric field of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms

from ase_bec.calculators.field_settings import FieldSetting, field_setting, means_field
from ase_bec.calculators.object_graph import Held, attributes, held_objects
from ase_bec.calculators.parameters import parameters, same_parameters

_OUTPUTS = (
    "results",
    "extras",
    "implemented_properties",
    "name",
)  # tell nothing about what is applied


class AppliedField:
    """Watches a calculator for fields of its own: fully at first and whenever it changes.

    It looks for field calculators (anything with a true ``applies_field``) anywhere inside, and
    for nonzero settings that mean a field: parameters, input files and attributes, see
    `field_setting`. While no calculator inside changes its parameters, only the outermost one's
    own attributes are looked at.

    Parameters
    ----------
    calculator : ASE calculator
        The calculator to watch.
    """

    def __init__(self, calculator: Any) -> None:
        self._calculator = calculator
        self._known: list[tuple[object, dict[str, Any]]] | None = None

    def refuse(self, outer: object = None) -> None:
        """Raise ValueError if there is a field, naming what was found and where.

        Parameters
        ----------
        outer
            The field calculator over this one, to which calculators may refer back.
        """
        if self._known is not None and all(
            same_parameters(parameters(inside), known) for inside, known in self._known
        ):
            self._require_none(_own_setting(self._calculator), "")
            return
        self._known = None
        watched = []
        for held in held_objects(self._calculator, lambda value: self._is_over(value, outer)):
            self._refuse_field_calculator(held)
            self._require_none(_own_setting(held.value) or _deep_setting(held.value), held.path)
            if callable(getattr(held.value, "get_property", None)):
                watched.append((held.value, parameters(held.value)))
        self._known = watched

    def _is_over(self, value: object, outer: object) -> bool:
        """Whether a field calculator lies over the watched one, as seen from one of its atoms."""
        over = _applies_field(value) and getattr(value, "calculator", None) is self._calculator
        return value is outer or over

    def _refuse_field_calculator(self, held: Held) -> None:
        if _applies_field(held.value):
            place = f" at {type(self._calculator).__name__}{held.path}" if held.path else ""
            raise ValueError(
                f"`calculator` must not apply a field itself, got {type(held.value).__name__}"
                f"{place}; give its base calculator"
            )

    def _require_none(self, setting: FieldSetting | None, path: str) -> None:
        if setting is not None:
            raise ValueError(
                "`calculator` must not apply a field itself, got "
                f"{type(self._calculator).__name__}{path} with {setting.name}={setting.value!r}; "
                "set it to zero and give `field` here"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {"_calculator": self._calculator, "_known": None}


def holds(calculator: object, sought: object) -> bool:
    """Whether an object is the calculator, or is somewhere inside it."""
    return any(held.value is sought for held in held_objects(calculator))


def _applies_field(value: object) -> bool:
    own = getattr(value, "__dict__", {})
    if not isinstance(own, dict):  # of a proxy
        return False
    return own.get("applies_field", getattr(type(value), "applies_field", False)) is True


def _own_setting(value: object) -> FieldSetting | None:
    """A field among attributes of an object whose names mean one."""
    if _has_no_settings(value):
        return None
    own = getattr(value, "__dict__", {})
    named = {name: item for name, item in own.items() if means_field(name)}
    for name in _field_names(type(value)):  # type: ignore[arg-type]
        named.setdefault(name, _read(value, name))
    return field_setting({name: item for name, item in named.items() if _tells_strength(item)})


def _deep_setting(value: object) -> FieldSetting | None:
    """A field among the parameters of an object, or in what its attributes hold."""
    if _has_no_settings(value):
        return None
    found = field_setting(parameters(value))
    if found is not None:
        return found
    kind = type(value).__name__
    whole = means_field(kind)  # such as GPAW's ConstantElectricField
    rest = {
        name: item
        for name, item in attributes(value).items()
        if name not in ("parameters", *_OUTPUTS) and (whole or not means_field(name))
    }
    return field_setting({kind: rest} if whole else rest)


def _has_no_settings(value: object) -> bool:
    """Whether settings in it are looked at with the object that holds it, or there are none."""
    return isinstance(value, Mapping | list | tuple | set | frozenset | Atoms)


def _tells_strength(item: object) -> bool:
    """Whether an attribute is more than a switch, which may say only what a calculator can do."""
    if isinstance(item, bool | np.bool_) or hasattr(type(item), "named_parameters"):
        return False
    return callable(item) or isinstance(item, int | float | str | list | tuple | np.ndarray | dict)


@lru_cache(maxsize=1024)
def _field_names(kind: type) -> tuple[str, ...]:
    """Names of the values and properties of a class that mean a field."""
    return tuple(
        name
        for base in kind.__mro__
        for name, member in vars(base).items()
        if means_field(name) and (isinstance(member, property) or not hasattr(member, "__get__"))
    )


def _read(value: object, name: str) -> object:
    try:
        return getattr(value, name, None)
    except Exception:  # a property of somebody else may raise anything
        return None
