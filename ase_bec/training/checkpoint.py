"""Checkpoints: all that a training needs to resume as if never interrupted."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ase_bec.atomic_files import atomic_path
from ase_bec.identity import differing
from ase_bec.terms.limits import load_plain, reason

__all__ = ["check_identity", "read_checkpoint", "write_checkpoint"]

FORMAT, VERSION = "ase_bec checkpoint", 1


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically; an interrupted write leaves the older one."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save({"format": FORMAT, "version": VERSION, **content}, file)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, without executing code.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the file is something else or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint `{path}` to resume from")
    try:
        content = load_plain(path)
    except (UnpicklingError, ValueError) as error:
        raise ValueError(f"`{path}` must be a whole checkpoint, got: {reason(error)}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"`{path}` must be a checkpoint of a training, got another torch file")
    if content.get("version") != VERSION:
        raise ValueError(
            f"`{path}` must have version {VERSION}, got {content.get('version')}: use the version "
            "of ase_bec that began this training"
        )
    return content


def check_identity(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse the checkpoint of another training, naming what differs.

    Raises
    ------
    ValueError
        If the plain values, in dicts of dicts, are not the same.
    """
    for key, (old, new) in differing(found, wanted).items():
        raise ValueError(
            f"`{path}` belongs to a training with `{key}` {old!r}, got {new!r}: "
            "resume with the same settings and files, or start again"
        )
