"""Parameters of a calculator: a snapshot, and whether it still holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_LARGE = 10_000  # numbers; larger arrays are compared by identity


def parameters(calculator: object) -> dict[str, Any]:
    """Return a calculator's parameters as ASE keeps them; empty if it has none.

    Containers and arrays in them are copied, so that a change in place shows.
    """
    found = getattr(calculator, "parameters", None)
    copied: dict[str, Any] = _copied(found) if isinstance(found, Mapping) else {}
    return copied


def same_parameters(now: object, before: object) -> bool:
    """Whether parameters, or values of them, are equal."""
    if now is before:
        return True
    if type(now) is not type(before):
        return False
    if isinstance(now, dict) and isinstance(before, dict):
        return now.keys() == before.keys() and all(
            same_parameters(value, before[name]) for name, value in now.items()
        )
    if isinstance(now, list | tuple) and isinstance(before, list | tuple):
        return len(now) == len(before) and all(map(same_parameters, now, before))
    if isinstance(now, np.ndarray) and isinstance(before, np.ndarray):
        return bool(np.array_equal(now, before))
    try:
        return bool(now == before)
    except (TypeError, ValueError):  # objects that cannot tell
        return False


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if type(value) is tuple:
        return tuple(_copied(item) for item in value)
    if isinstance(value, np.ndarray) and value.size < _LARGE:
        return value.copy()
    return value
