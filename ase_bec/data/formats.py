"""Which reader a file is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ase_bec.data.extxyz import is_extxyz, read_extxyz
from ase_bec.data.files import read_text
from ase_bec.data.frame import Frame

FORMATS = ("extxyz",)


def read_frames(
    path: Path, format: str | None, allow_unconverged: bool, **mapping: Any
) -> list[Frame]:
    """Frames of one file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the format is not known, or options are given that it has no use for.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"`format` must be of {', '.join(FORMATS)}, got {format!r}")
    text = read_text(path)
    kind = format or _detect(path, text)
    if kind == "extxyz":
        return read_extxyz(text, str(path), **mapping)
    raise ValueError(kind)


def _detect(path: Path, text: str) -> str:
    if is_extxyz(path, text[:1000]):
        return "extxyz"
    raise ValueError(f"{path}: format is not known; give `format` of {', '.join(FORMATS)}")


Reader = Callable[[str, str], list[Frame]]
