"""Model files, read without executing code."""

from __future__ import annotations

import zipfile
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ase_bec.models.formats.released import (
    RELEASED_MARK,
    ReleasedBornCharges,
    read_released_bec,
    read_released_nnp,
)
from ase_bec.models.polarization import PolarizationModel
from ase_bec.models.potential import NeuralNetworkPotential
from ase_bec.terms.limits import check_model, load_plain, reason
from ase_bec.terms.model import Model
from ase_bec.terms.saving import FORMAT, VERSION

__all__ = ["bundled", "load"]

_CLASSES: dict[str, type[Model]] = {
    kind.kind: kind for kind in (Model, NeuralNetworkPotential, PolarizationModel)
}
_INCONSISTENT = (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError)
_FOLDER = Path(__file__).parents[1] / "bundled"
_BUNDLED = {
    "li3po4-nnp": "potential of Li3PO4, distilled from the one of Shimizu et al. 2023",
    "li3po4-bec": "Born charges of Li3PO4, formal charges and equivariant network, from DFPT (PBE)",
    "hfo2": "amorphous HfO2: energies, and charges that respond to a field, from AIMD (PBE, Bader)",
    "zno": "potential of ZnO polymorphs and their transitions, network and effective charges (PBE)",
}


def bundled() -> dict[str, str]:
    """Names of the models that come with the package, with a one-line description of each.

    Examples
    --------
    >>> from ase_bec import bundled
    >>> sorted(bundled())
    ['li3po4-bec', 'li3po4-nnp']
    """
    return dict(_BUNDLED)


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

    Examples
    --------
    >>> from ase_bec import load
    >>> model = load("li3po4-bec")
    >>> model.elements, model.formal_charges
    (('Li', 'P', 'O'), {'Li': 1.0, 'P': 5.0, 'O': -2.0})
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
        raise ValueError(f"`{path}` must hold numbers and strings, got {reason(error)}") from error
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
        dtypes = {x.dtype for k, x in content["state"].items() if not k.endswith("offsets")}
        state = _present_names(kind, content["state"]) if version < 2 else content["state"]
        model.to(dtypes.pop() if len(dtypes) == 1 else torch.float64)
        model.load_state_dict(state)
        infinite = [k for k, v in state.items() if not bool(torch.isfinite(v).all())]
        if infinite:
            raise ValueError(f"numbers in {infinite[0]} that are not finite")
    except _INCONSISTENT as error:
        found = " ".join(str(error).split())
        raise ValueError(f"`{path}` must be a consistent model file, got: {found}") from error
    return model.eval()


def _present_names(kind: str, state: dict[str, Any]) -> dict[str, Any]:
    """Names of the tensors in a file of version 1, as terms have them now."""
    if kind == PolarizationModel.kind:
        own = ((name.removeprefix("network."), x) for name, x in state.items() if name != "charges")
        return {f"terms.1.{name}": x for name, x in own}
    return {
        f"terms.1.{name.removeprefix('repulsion.')}"
        if name.startswith("repulsion.")
        else f"terms.0.{name}": x
        for name, x in state.items()
    }
