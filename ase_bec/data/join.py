"""Labels of one structure from several files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ase_bec.data.checks import structure_key
from ase_bec.data.frame import Frame

_DIGITS = 3  # of an Å to which files of one calculation give positions alike


def join_responses(groups: Iterable[Sequence[Frame]]) -> list[Frame]:
    """Give frames without energy to those of another file with the same structure.

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
    whole: dict[bytes, list[tuple[int, int]]] = {}
    for g, group in enumerate(files):
        for k, frame in enumerate(group):
            if not _is_response(frame):
                whole.setdefault(structure_key(frame, _DIGITS), []).append((g, k))
    taken = set()
    for g, group in enumerate(files):
        for k, frame in enumerate(group):
            if not _is_response(frame):
                continue
            for h, m in whole.get(structure_key(frame, _DIGITS), []):
                if h != g and not set(frame.labels) & set(files[h][m].labels):
                    files[h][m] = _joined(files[h][m], frame)
                    taken.add((g, k))
                    break
    return [f for g, group in enumerate(files) for k, f in enumerate(group) if (g, k) not in taken]


def _is_response(frame: Frame) -> bool:
    return bool(frame.labels) and not {"energy", "forces"} & set(frame.labels)


def _joined(whole: Frame, response: Frame) -> Frame:
    labels: dict[str, Any] = {name: getattr(response, name) for name in response.labels}
    return replace(whole, **labels, source=f"{whole.source} with {response.source}")
