"""Model files: written whole or not at all."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ase_bec.atomic_files import atomic_path
from ase_bec.terms.limits import reason

__all__ = ["FORMAT", "VERSION", "save"]

FORMAT, VERSION = "ase_bec model", 2


def save(model: Any, path: str | PathLike[str]) -> None:
    """Write a model; an interrupted write leaves an older file as it was.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the path is a folder, or the metadata could not be read again.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"`path` must be a file, got the folder {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"`path` must lie in an existing folder, got {path}")
    content = {
        "format": FORMAT,
        "version": VERSION,
        "kind": model.kind,
        "config": model.config(),
        "state": model.state_dict(),
        "metadata": model.metadata,
    }
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            torch.save(content, file)
        _check_plain(temporary)


def _check_plain(path: Path) -> None:
    """Refuse a file that only executing code could read."""
    try:
        torch.load(path, weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            "`metadata` must hold numbers, strings, tensors, and lists and dicts of them, got "
            f"{reason(error)}"
        ) from error
