"""Atoms outside the range that a potential or a model of Born charges was made for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["MODELS", "outside_counts"]

MODELS = {"potential": "outside", "charges": "charges_outside"}  # and the names in `extras`


def outside_counts(calculator: Any, models: Iterable[str] = tuple(MODELS)) -> dict[str, int]:
    """Count the atoms of the last calculation that are outside the range of a model.

    Parameters
    ----------
    calculator
        With ``extras``, or around one with them, as its ``calculator``.
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
    missing, found = set(models), {}
    for calculator in reversed(chain):
        if not missing:
            break
        extras = getattr(calculator, "extras", None) or {}
        for model in sorted(missing):
            if MODELS[model] in extras:
                found[model] = int(np.count_nonzero(extras[MODELS[model]]))
                if np.ndim(extras[MODELS[model]]) == 0:
                    found[model] = int(extras[MODELS[model]])
        missing -= set(found)
    return found
