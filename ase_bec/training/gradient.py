"""Gradient of a mean loss, from parts of a batch and from several processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from ase_bec.training.parallel import Processes
from ase_bec.training.tasks.task import Errors, Task

__all__ = ["Gradient", "differentiate", "no_errors"]

S = TypeVar("S")


class Gradient(NamedTuple):
    """What accompanies the gradient, which is in the parameters.

    Attributes
    ----------
    loss : float
        Mean over the batch.
    errors : dict of Tensor, (3,)
        Tallies of the batch.
    stop : bool
        Whether any process wants to stop.
    """

    loss: float
    errors: Errors
    stop: bool


def no_errors(task: Task[S]) -> Errors:
    """Empty tallies of the errors that are shown while training."""
    return {name: torch.zeros(3, dtype=torch.float64) for name in task.units}


def differentiate(
    task: Task[S],
    parameters: Sequence[Tensor],
    parts: Iterable[tuple[Sequence[S], Tensor | None]],
    size: int,
    processes: Processes,
    stop: bool = False,
) -> Gradient:
    """Put the gradient of the mean loss of a batch into the parameters.

    Parameters
    ----------
    task : Task
        Loss.
    parameters : sequence of Tensor
        Parameters to train.
    parts : iterable
        Samples of this process and the normal numbers for them, one part after another.
    size : int
        Samples of the batch, those of all processes together.
    processes : Processes
        Those that share the batch.
    stop : bool
        Whether this one wants to stop.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    for parameter in parameters:
        parameter.grad = None
    loss, errors = torch.zeros((), dtype=torch.float64), no_errors(task)
    for samples, normals in parts:
        if samples:
            found = task.loss(samples, normals)
            mean = found.values.sum() / size
            torch.autograd.backward(mean)
            loss = loss + mean.detach().cpu()
            errors = {n: errors[n] + found.errors[n].cpu() for n in errors}
    if processes.count > 1:
        _add_gradients(parameters, processes)
    status = torch.cat([torch.stack([loss, loss.new_tensor(float(stop))]), *errors.values()])
    status = processes.add(status.to(parameters[0].device)).cpu()
    if not bool(status[0].isfinite()):
        raise FloatingPointError(
            f"the loss became {float(status[0])}: `training.rate` must be smaller, or labels are "
            "wrong"
        )
    tallies = dict(zip(errors, status[2:].reshape(-1, 3), strict=True))
    return Gradient(float(status[0]), tallies, bool(status[1] > 0))


def _add_gradients(parameters: Sequence[Tensor], processes: Processes) -> None:
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    total = processes.add(torch.cat([g.flatten() for g in grads]))
    sizes = [p.numel() for p in parameters]
    for p, part in zip(parameters, torch.split(total, sizes), strict=True):
        p.grad = part.reshape(p.shape)
