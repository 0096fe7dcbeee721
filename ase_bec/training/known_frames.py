"""Which frames a model was made from: hashes of structures, kept with the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_bec.data import Dataset, Frame
from ase_bec.training.split import Split

__all__ = ["frame_hashes", "known_frames", "known_frames_text"]

PARTS = ("train", "validation")
_GRID = 1e-3  # Å; files keep positions to 1e-8 Å, relaxed structures differ by more
_DIGITS = 12


def structure_hashes(atoms: Atoms) -> tuple[str, str]:
    """Two hashes of a structure; equal structures share at least one of them.

    Cell and positions are rounded to about 0.001 Å on two grids half a step apart, so that no
    rounding of a file changes both. Wrapping atoms or changing their order changes neither.
    """
    cell = atoms.cell.complete().array
    lengths = np.maximum(np.linalg.norm(cell, axis=1), _GRID)
    steps = 2.0 ** np.ceil(np.log2(lengths / _GRID))  # along each vector
    places = atoms.cell.complete().scaled_positions(atoms.positions) * steps
    hashes = []
    for offset in (0.0, 0.5):
        rows = np.rint(places + offset).astype(np.int64)
        rows[:, atoms.pbc] %= steps[atoms.pbc].astype(np.int64)
        rows = np.column_stack([atoms.numbers, rows])
        rows = rows[np.lexsort(rows.T[::-1])]
        edges = np.rint(cell / _GRID + offset).astype(np.int64)
        data = rows.tobytes() + edges.tobytes() + atoms.pbc.tobytes()
        hashes.append(hashlib.sha256(data).hexdigest()[:_DIGITS])
    return hashes[0], hashes[1]


def frame_hashes(data: Dataset, split: Split) -> dict[str, list[str]]:
    """Hashes of the frames that a model is made from, two for each, to keep with the model."""
    indices = split._asdict()
    return {
        part: [text for k in indices[part] for text in structure_hashes(data[k].atoms)]
        for part in PARTS
    }


def known_frames(model: Any, frames: Iterable[Frame]) -> dict[str, list[int]]:
    """Indices of the frames that a model was trained or validated on.

    Parameters
    ----------
    model
        With ``metadata``; those of a model that it started from count too.
    frames : iterable of Frame
        Frames to look for.

    Returns
    -------
    dict
        "train" and "validation" with indices; empty where the model keeps no hashes.
    """
    kept = _kept(getattr(model, "metadata", {}))
    if not any(kept.values()):
        return {}
    hashes = [set(structure_hashes(frame.atoms)) for frame in frames]
    found = {part: [k for k, own in enumerate(hashes) if own & kept[part]] for part in PARTS}
    trained = set(found["train"])
    return found | {"validation": [k for k in found["validation"] if k not in trained]}


def known_frames_text(model: Any, frames: Sequence[Frame], files: Sequence[Path]) -> str | None:
    """Say how many of the frames a model was made from; None if it was made from none.

    Models of earlier versions keep hashes of whole files only.
    """
    found = known_frames(model, frames)
    trained, validated = (len(found.get(part, [])) for part in PARTS)
    if trained or validated:
        verbs = [
            f"{count} {verb}"
            for count, verb in ((trained, "trained"), (validated, "validated"))
            if count
        ]
        return (
            f"of these {len(frames)} frames the model was {' and '.join(verbs)} on: these are not "
            "its errors on new frames"
        )
    names = [] if found else [str(file) for file in files if _is_known_file(model, file)]
    if names:
        return (
            f"the model was made from frames of {', '.join(names)}: these are not its errors on "
            "new frames"
        )
    return None


def _kept(metadata: Mapping[str, Any]) -> dict[str, set[str]]:
    """Hashes of a model and of those that it started from."""
    own = metadata.get("frame_hashes", {})
    earlier = _kept(metadata["start"]) if isinstance(metadata.get("start"), Mapping) else {}
    return {part: {*own.get(part, ()), *earlier.get(part, ())} for part in PARTS}


def _is_known_file(model: Any, file: Path) -> bool:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    data = getattr(model, "metadata", {}).get("data", ())
    return any(isinstance(part, Mapping) and part.get("sha256") == digest for part in data)
