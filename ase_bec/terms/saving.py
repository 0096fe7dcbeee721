"""Model files: written whole or not at all."""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING
from uuid import uuid4

import torch

if TYPE_CHECKING:
    from ase_bec.terms.model import Model

__all__ = ["FORMAT", "VERSION", "save"]

FORMAT, VERSION = "ase_bec model", 2


def save(model: Model, path: str | PathLike[str]) -> None:
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
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with unfinished.open("xb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        _check_plain(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _check_plain(path: Path) -> None:
    """Refuse a file that only executing code could read."""
    try:
        torch.load(path, weights_only=True)
    except UnpicklingError as error:
        reason = re.sub(r"\x1b\[\d*m", "", str(error))  # torch prints in bold
        raise ValueError(
            "`metadata` must hold numbers, texts, tensors, and lists and dicts of them, got "
            f"something else: {reason}"
        ) from error
