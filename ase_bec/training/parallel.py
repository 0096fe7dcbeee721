"""Several processes that train together, started by torchrun, or this one alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["Processes", "processes"]

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among all that train together.

    Attributes
    ----------
    rank : int
        Number of this process; 0 writes files.
    count : int
        Number of processes.

    Examples
    --------
    >>> from ase_bec.training import Processes
    >>> Processes(rank=1, count=2).share(["a", "b", "c", "d"])
    ['b', 'd']
    """

    rank: int = 0
    count: int = 1

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's share of the items."""
        return list(items[self.rank :: self.count])

    def add(self, tensor: Tensor) -> Tensor:
        """Sum over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(tensor)
        return tensor


@contextmanager
def processes(device: str = "cpu") -> Iterator[Processes]:
    """Join the processes started by torchrun; without it, this one runs alone.

    Examples
    --------
    >>> from ase_bec.training import processes
    >>> with processes() as together:  # without torchrun
    ...     together.rank, together.count
    (0, 1)
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "MASTER_ADDR" not in os.environ:
        yield Processes()
        return
    dist.init_process_group("nccl" if torch.device(device).type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
