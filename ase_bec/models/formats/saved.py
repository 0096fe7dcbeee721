"""Model files: written whole or not at all, read without executing code."""

from __future__ import annotations

import os
import zipfile
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING
from uuid import uuid4

import torch

from ase_bec.models.energy import NeuralNetworkPotential
from ase_bec.models.formats.limits import check_model, load_plain, reason
from ase_bec.models.formats.released import RELEASED_MARK, read_released_bec, read_released_nnp
from ase_bec.models.polarization import PolarizationModel

if TYPE_CHECKING:
    from ase_bec.models.formats.released import ReleasedBornCharges

__all__ = ["bundled", "load", "save"]

FORMAT, VERSION = "ase_bec model", 1
Model = NeuralNetworkPotential | PolarizationModel
_CLASSES: dict[str, type[NeuralNetworkPotential] | type[PolarizationModel]] = {
    NeuralNetworkPotential.kind: NeuralNetworkPotential,
    PolarizationModel.kind: PolarizationModel,
}
_INCONSISTENT = (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError)
_FOLDER = Path(__file__).parents[1] / "bundled"
_BUNDLED = {
    "li3po4-nnp": "potential of Li3PO4, distilled from the one of Shimizu et al. 2023",
    "li3po4-bec": "Born charges of Li3PO4, formal charges and equivariant network, from DFPT (PBE)",
}


def bundled() -> dict[str, str]:
    """Names of the models that come with the package, with a one-line description of each."""
    return dict(_BUNDLED)


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
        raise ValueError(
            "`metadata` must hold numbers, texts, tensors, and lists and dicts of them, got "
            f"{reason(error)}"
        ) from error


def load(name_or_path: str | PathLike[str]) -> Model | ReleasedBornCharges:
    """Read a model: a bundled name, a file written by ``.save``, or released Li3PO4 weights.

    Parameters
    ----------
    name_or_path : str or Path
        One of :func:`bundled`, or a file.

    Raises
    ------
    FileNotFoundError
        If there is neither such a bundled model nor such a file.
    ValueError
        If the file is not a model, is truncated, or was written by a newer version.
    """
    path = Path(name_or_path)
    if str(name_or_path) in _BUNDLED:
        path = _FOLDER / f"{name_or_path}.pt"
    if not path.is_file():
        names = ", ".join(_BUNDLED)
        raise FileNotFoundError(
            f"`{name_or_path}` must be a model file or the name of a bundled model ({names}), "
            "got neither"
        )
    if zipfile.is_zipfile(path):
        return _load_saved(path)
    with path.open("rb") as file:
        head = file.read(4096)
    if RELEASED_MARK in head:
        return read_released_bec(path) if b"eforce" in head else read_released_nnp(path)
    raise ValueError(
        f"`{path}` must be a file written by model.save or released Li3PO4 weights, got something "
        "else (or a truncated file)"
    )


def _load_saved(path: Path) -> Model:
    try:
        content = load_plain(path)
    except UnpicklingError as error:
        raise ValueError(f"`{path}` must hold numbers and texts, got {reason(error)}") from error
    except ValueError as error:
        raise ValueError(
            f"`{path}` must be a whole model file, got one that cannot be read: {error}"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"`{path}` must be a file written by model.save, got another torch file")
    version, kind = content.get("version"), content.get("kind")
    if type(version) is not int or not 0 < version <= VERSION:
        advice = "it is damaged" if type(version) is int and version < 1 else "update ase_bec"
        raise ValueError(
            f"`{path}` must have a format version of at most {VERSION}, got {version}: {advice}"
        )
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise ValueError(f"`{path}` must hold one of {sorted(_CLASSES)}, got {kind!r}")
    try:
        check_model(content, path.stat().st_size)
        model = _CLASSES[kind].from_config(content["config"], content["metadata"])
        dtypes = {value.dtype for value in content["state"].values()}
        model.to(dtypes.pop() if len(dtypes) == 1 else torch.float64)
        model.load_state_dict(content["state"])
        infinite = [k for k, v in content["state"].items() if not bool(torch.isfinite(v).all())]
        if infinite:
            raise ValueError(f"numbers in {infinite[0]} that are not finite")
    except _INCONSISTENT as error:
        found = " ".join(str(error).split())
        raise ValueError(f"`{path}` must be a consistent model file, got: {found}") from error
    return model.eval()
