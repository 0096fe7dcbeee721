"""Atoms outside the range that a potential or a model of Born charges was made for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["MODELS", "outside_counts"]

MODELS = {"potential": "outside", "charges": "charges_outside"}  # and the names of the counts


def outside_counts(calculator: Any, models: Iterable[str] = tuple(MODELS)) -> dict[str, int]:
    """Count the atoms of the last calculation that are outside the range of a model.

    Parameters
    ----------
    calculator
        With the counts as attributes or in ``extras``, or around one as its ``calculator``.
    models
        Those to ask for, of "potential" and "charges".

    Returns
    -------
    dict
        Number of atoms, without the models of which nothing is known.
    """
    chain = [calculator]
    while getattr(chain[-1], "calculator", None) is not None:
        chain.append(chain[-1].calculator)
    found: dict[str, int] = {}
    for calculator in reversed(chain):
        for model in models:
            if model not in found:
                count = _count(calculator, MODELS[model])
                found |= {} if count is None else {model: count}
    return found


def _count(calculator: Any, name: str) -> int | None:
    """Read a count; `extras` may cost something, so last."""
    value = getattr(calculator, name, None)
    if value is None or callable(value):
        value = (getattr(calculator, "extras", None) or {}).get(name)
    if value is None:
        return None
    return int(value) if np.ndim(value) == 0 else int(np.count_nonzero(value))
