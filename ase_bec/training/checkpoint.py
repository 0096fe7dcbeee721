"""Checkpoints: all that a training needs to go on as if never interrupted."""

from __future__ import annotations

import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from uuid import uuid4

import torch

from ase_bec.models.formats.limits import load_plain, reason

__all__ = ["check_identity", "read_checkpoint", "write_checkpoint"]

FORMAT, VERSION = "ase_bec checkpoint", 1


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Put a checkpoint in place at once; an interrupted write leaves the older one."""
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with unfinished.open("xb") as file:
            torch.save({"format": FORMAT, "version": VERSION, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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
        raise FileNotFoundError(f"there is no checkpoint `{path}` to go on from")
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
    old, new = _flat(found), _flat(wanted)
    for key in sorted(set(old) | set(new)):
        if old.get(key) != new.get(key):
            raise ValueError(
                f"`{path}` is of a training with `{key}` {old.get(key)!r}, got {new.get(key)!r}: "
                "resume with the same settings and files, or begin anew"
            )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = value
    return out
