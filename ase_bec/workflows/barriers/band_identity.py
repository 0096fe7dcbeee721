"""Whether a band in a file belongs to the search that is to continue from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.identity import require_same
from ase_bec.paths import unwrap_images
from ase_bec.trajectory_files import open_trajectory
from ase_bec.workflows.calculator_description import describe_calculator, require_same_calculator

__all__ = ["GIVEN", "RELAXED", "describe_search", "require_same_ends", "require_same_search"]

Array = NDArray[np.float64]

RELAXED = 1.0  # Å, by which ends may move when they are relaxed
GIVEN = 1e-4  # Å, that files of some formats round off


def describe_search(band: Sequence[Atoms], calculator: Any, **options: Any) -> dict[str, Any]:
    """Describe a search by plain values: its ends, its calculator and its options.

    Parameters
    ----------
    band
        Images that it starts from.
    calculator
        That of one of them.
    **options
        Plain values that must be the same to continue.
    """
    return {
        "options": options,
        "calculator": describe_calculator(calculator, band[0]),
        "ends": [band[k].positions.tolist() for k in (0, -1)],
    }


def require_same_search(path: Path, described: Mapping[str, Any], near: float = GIVEN) -> None:
    """Raise where the search that has written a band is another one, with what differs.

    Parameters
    ----------
    path
        Trajectory of the band. One of an older version, which does not say, passes.
    described
        From :func:`describe_search`.
    near
        How far its ends may be from those given, in Å.

    Raises
    ------
    ValueError
        If ends, calculator or an option is another.
    """
    with open_trajectory(path) as frames:
        recorded = ((len(frames) and frames.description) or {}).get("neb")
        first = frames[0] if len(frames) else None
    if recorded is None or first is None:
        return
    require_same(recorded["options"], described["options"], f"`{path}`")
    require_same_calculator(recorded["calculator"], described["calculator"], f"`{path}`")
    for k in (0, 1):
        old, new = first.copy(), first.copy()
        old.positions, new.positions = recorded["ends"][k], described["ends"][k]
        _require_near(("initial", "final")[k], old, new, path, near)


def require_same_ends(path: Path, band: Sequence[Atoms], initial: Atoms, final: Atoms) -> None:
    """Raise where a band leads from or to another structure than the ones given.

    Raises
    ------
    ValueError
        If an atom of an end is more than 1 Å from where it is given.
    """
    _require_near("initial", band[0], initial, path, RELAXED)
    _require_near("final", band[-1], final, path, RELAXED)


def _require_near(name: str, there: Atoms, given: Atoms, path: Path, near: float) -> None:
    _, moved = unwrap_images([there, given])
    away = np.linalg.norm(moved.positions - there.positions, axis=1)
    if away.max() > near:
        atom = int(away.argmax())
        raise ValueError(
            f"`{name}` must be the structure that the path in `{path}` was found for, got "
            f"another: {given.symbols[atom]}{atom} is {away[atom]:.3g} Å away"
        )
