"""Whether a run is the one to be continued: what differs, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["differing", "flat", "require_same"]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of dicts in dicts, under names joined by dots."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        out |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return out


def differing(
    recorded: Mapping[str, Any], given: Mapping[str, Any], tolerance: float = 0.0
) -> dict[str, tuple[Any, Any]]:
    """Plain values, in dicts of dicts, that are not the same.

    Parameters
    ----------
    recorded, given
        The two; what one of them lacks counts as None.
    tolerance
        Within which numbers are the same.

    Returns
    -------
    dict
        By name, the recorded value and the one that is given.
    """
    old, new = flat(recorded), flat(given)
    names = dict.fromkeys((*new, *old))
    pairs = {name: (old.get(name), new.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if not _same(*pair, tolerance)}


def require_same(
    recorded: Mapping[str, Any], given: Mapping[str, Any], place: str, tolerance: float = 0.0
) -> None:
    """Raise where values differ from those that a run was begun with.

    Parameters
    ----------
    recorded, given
        Plain values, in dicts of dicts.
    place
        Where the recorded ones stand, such as "the frames of `md.traj`".
    tolerance
        Within which numbers are the same.

    Raises
    ------
    ValueError
        With all names, and the values of the first.
    """
    found = differing(recorded, given, tolerance)
    if not found:
        return
    (name, (old, new)), *others = found.items()
    more = ", ".join(f"`{other}`" for other, _ in others)
    raise ValueError(
        f"`{name}` must be {_shown(old)}, as in {place}, got {_shown(new)}"
        + (f"; {more} differ{'s' if len(others) == 1 else ''} too" if others else "")
    )


def _same(one: Any, other: Any, tolerance: float) -> bool:
    one, other = _plain(one), _plain(other)
    if one == other:
        return True
    try:
        a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    except (TypeError, ValueError):
        return False
    if isinstance(one, str | bool | None) or isinstance(other, str | bool | None):
        return False
    return bool(a.shape == b.shape and np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True))


def _plain(value: Any) -> Any:
    """Tuples and arrays as lists, as they come back from files."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
