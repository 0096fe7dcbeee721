"""What is trained: the interface between the trainer and the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ase_bec.data import Frame

__all__ = ["Loss", "Task", "checked_weights", "mae", "rmse", "tally"]

S = TypeVar("S")
Errors = dict[str, Tensor]


class Loss(NamedTuple):
    """Loss of each frame, and its errors.

    Attributes
    ----------
    values : Tensor, (frames,)
        Differentiable with respect to the parameters; the trainer minimises the mean over frames.
    errors : dict of Tensor, (3,)
        :func:`tally` of the errors in physical units, for each of the task's ``units``.
    """

    values: Tensor
    errors: Errors


class Task(Protocol[S]):
    """A model, its loss, and its errors.

    Everything that depends on positions alone is computed once for each frame, in :meth:`prepare`.

    Attributes
    ----------
    model : nn.Module
        With ``metadata`` and ``save(path)``.
    labels : tuple of str
        Labels that every frame must have.
    units : dict
        Unit of each error that is shown while training; the first is the main one.
    """

    model: Any
    labels: tuple[str, ...]
    units: dict[str, str]

    @property
    def network(self) -> nn.Module:
        """Module whose parameters are trained, in dtype and on device of the training."""
        ...

    def prepare(self, frame: Frame) -> S:
        """Tensors of one frame."""
        ...

    def start(self, samples: Sequence[S]) -> None:
        """Fit what is not trained, such as scales, to the training samples."""
        ...

    def finish(self, samples: Sequence[S]) -> None:
        """Record the range of the training samples in the trained model."""
        ...

    def loss(self, samples: Sequence[S], normals: Tensor | None) -> Loss:
        """Loss of each sample.

        Three standard normal numbers (frames, 3) for each sample are all the randomness it may use,
        such as for the direction of a field; None asks for the exact loss.
        """
        ...

    def errors(self, samples: Sequence[S]) -> Errors:
        """Tallies of all errors, in detail; those of ``units`` among them."""
        ...

    def score(self, errors: Errors) -> float:
        """The mean loss that these errors amount to."""
        ...


def tally(difference: Tensor) -> Tensor:
    """Σ x², Σ |x| and number of the entries, (3,) float64; tallies of parts add up."""
    x = difference.detach().double()
    return torch.stack([(x * x).sum(), x.abs().sum(), x.new_tensor(float(x.numel()))])


def rmse(tallied: Tensor) -> float:
    """Root mean square of the tallied errors; NaN if there were none."""
    return float((tallied[0] / tallied[2]).sqrt())


def mae(tallied: Tensor) -> float:
    """Mean absolute value of the tallied errors; NaN if there were none."""
    return float(tallied[1] / tallied[2])


def checked_weights(given: Mapping[str, float], default: Mapping[str, float]) -> dict[str, float]:
    """Weights of a loss, complete; ValueError if one is unknown, negative, or all are zero."""
    unknown = sorted(set(given) - set(default))
    if unknown:
        raise ValueError(f"`loss` must have weights of {', '.join(default)}, got {unknown[0]!r}")
    weights = {**default, **{name: float(w) for name, w in given.items()}}
    if any(not 0 <= w < np.inf for w in weights.values()) or not any(weights.values()):
        raise ValueError(
            f"`loss` must have weights that are positive or zero, not all zero, got {weights}"
        )
    return weights
