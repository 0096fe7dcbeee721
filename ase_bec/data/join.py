"""Labels of one structure from several files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ase_bec.data.frame import Frame
from ase_bec.lattice import shortest_vectors

_TOLERANCE = 5e-3  # Å, to which the files of one calculation give a structure alike


def join_responses(groups: Iterable[Sequence[Frame]]) -> list[Frame]:
    """Join frames without energy to those of another file with the same structure.

    Parameters
    ----------
    groups
        Frames of each file. A frame with Born charges or dielectric tensor, but without energy
        and forces, is joined to the first frame of another file that has the same structure and
        lacks these labels; where there is none, it stays a frame.

    Returns
    -------
    list of Frame
        In order.
    """
    files = [list(group) for group in groups]
    if len(files) < 2:
        return [frame for group in files for frame in group]
    whole = [(g, k) for g, group in enumerate(files) for k, f in enumerate(group) if _is_whole(f)]
    taken = set()
    for g, group in enumerate(files):
        for k, response in enumerate(group):
            if _is_whole(response) or not response.labels:
                continue
            for h, m in whole:
                if h != g and _belong(files[h][m], response):
                    files[h][m] = _joined(files[h][m], response)
                    taken.add((g, k))
                    break
    return [f for g, group in enumerate(files) for k, f in enumerate(group) if (g, k) not in taken]


def _belong(whole: Frame, response: Frame) -> bool:
    """Whether a frame lacks the labels of a response of the same structure."""
    a, b = whole.atoms, response.atoms
    if set(whole.labels) & set(response.labels):
        return False
    if whole.electric_field is not None or not np.array_equal(a.numbers, b.numbers):
        return False
    if not np.allclose(a.cell.array, b.cell.array, rtol=0, atol=_TOLERANCE):
        return False
    steps = shortest_vectors(a.positions - b.positions, a.cell.array, a.pbc)
    return bool(np.abs(steps).max() < _TOLERANCE)


def _is_whole(frame: Frame) -> bool:
    return bool({"energy", "forces"} & set(frame.labels))


def _joined(whole: Frame, response: Frame) -> Frame:
    labels: dict[str, Any] = {name: getattr(response, name) for name in response.labels}
    return replace(whole, **labels, source=f"{whole.source} with {response.source}")
