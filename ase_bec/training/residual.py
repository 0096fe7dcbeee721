"""Labels less what a model gives: what is left for another to learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ase_bec.data import Dataset, Frame
from ase_bec.evaluation.evaluator import Evaluator, Values
from ase_bec.models import Model

__all__ = ["less"]


def less(data: Dataset, model: Model) -> Dataset:
    """Frames with energy, forces and stress less those of a model; other labels stay.

    A model that is trained on them and this one add up to one model: their terms side by side.

    Raises
    ------
    ValueError
        If the model has no energy without field, or does not know an element.
    """
    if not model.has_energy:
        raise ValueError(f"`data.less` must be a model with an energy, got a {model.kind}")
    evaluator = Evaluator(model.without_field(), "energies and forces")
    found = evaluator.batch([frame.atoms for frame in data])
    rest = [_rest(frame, values) for frame, (values,) in zip(data, found, strict=True)]
    return Dataset(rest, data.notes)


def _rest(frame: Frame, values: Values) -> Frame:
    left: dict[str, object] = {}
    if frame.energy is not None:
        left["energy"] = frame.energy - values.energy
    if frame.forces is not None:
        left["forces"] = frame.forces - values.forces
    if frame.stress is not None:
        left["stress"] = frame.stress - values.virial / np.abs(np.linalg.det(frame.atoms.cell))
    return replace(frame, **left)  # type: ignore[arg-type]
