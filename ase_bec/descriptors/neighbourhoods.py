"""What a descriptor sees of a structure: centres and the vectors to their neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ase_bec.kernels.cache import HAS_NUMBA
from ase_bec.system import System

__all__ = ["Neighbourhoods", "chunks", "neighbourhoods", "pad"]


class Neighbourhoods(NamedTuple):
    """Neighbourhoods of n centres with e pairs in all.

    Attributes
    ----------
    species : Tensor, (n,) int64
        Element of each centre, as index into the model's elements.
    neighbour_species : Tensor, (e,) int64
        Element of each pair's neighbour.
    vectors : Tensor, (e, 3)
        r_j - r_i from centre to neighbour in Å; those beyond the cutoff are ignored.
    first : Tensor, (n + 1,) int64
        Pairs of centre i are ``first[i]:first[i + 1]``.
    neighbour : Tensor, (e,) int64
        Atom that each pair's neighbour is, counted from the first centre.
    """

    species: Tensor
    neighbour_species: Tensor
    vectors: Tensor
    first: Tensor
    neighbour: Tensor


def neighbourhoods(
    system: System, species: Tensor, vectors: Tensor, start: int, stop: int
) -> Neighbourhoods:
    """Neighbourhoods of the atoms ``start:stop`` of a system.

    Parameters
    ----------
    system : System
        Structure with its pairs.
    species : Tensor, (N,) int64
        Element index of every atom.
    vectors : Tensor, (e, 3)
        Vectors of the pairs of these atoms alone (a slice of ``system.vectors()``), Å.
    start, stop : int
        Range of centres.
    """
    first = system.first[start : stop + 1]
    pairs = slice(int(first[0]), int(first[-1]))
    neighbour = system.neighbour[pairs]
    return Neighbourhoods(
        species[start:stop], species[neighbour], vectors, first - first[0], neighbour - start
    )


def chunks(
    system: System,
    species: Tensor,
    dtype: torch.dtype = torch.float64,
    whole: bool = False,
    chunk: int | None = None,
) -> Iterator[tuple[int, Neighbourhoods]]:
    """First centre and neighbourhoods of all atoms, some centres at a time, in order.

    Neighbours are counted from the first centre. ``whole``: structures stay in one piece.
    ``chunk``: centres at a time; by default so many that memory stays bounded.
    """
    if chunk is None:
        on_cpu = system.positions.device.type == "cpu"
        chunk = (256 if HAS_NUMBA else 64) if on_cpu else 4096
    start = 0
    while start < system.n_atoms:
        stop = min(start + chunk, system.n_atoms)
        if whole and stop < system.n_atoms:  # to the end of the structure of the last of them
            stop = int(torch.searchsorted(system.batch, system.batch[stop - 1], right=True))
        vectors = system.vectors(start, stop).detach().to(dtype)
        yield start, neighbourhoods(system, species, vectors, start, stop)
        start = stop


def pad(nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
    """Index (n, K) of each centre's pairs, K the largest count, and its mask.

    Masked entries point one past the last pair; K is at least 1, so that an isolated atom needs no
    branch.
    """
    counts = nb.first[1:] - nb.first[:-1]
    width = max(int(counts.max()) if len(counts) else 0, 1)
    column = torch.arange(width, device=counts.device)
    mask = column < counts[:, None]
    index = torch.where(mask, nb.first[:-1, None] + column, nb.first[-1])
    return index, mask
