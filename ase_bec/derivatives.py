"""Derivatives of sums of local terms: the only place that differentiates models.

A model is a function of neighbourhoods: from the vectors of some centres to one number for each.
Its sum over all centres is differentiated by the pair vectors, a chunk of centres at a time, so
memory does not grow with the system; forces and stress follow from these pair derivatives alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ase_bec.descriptors.compiled import can_compile
from ase_bec.descriptors.neighbourhoods import Neighbourhoods, neighbourhoods
from ase_bec.system import System

__all__ = ["LocalSum", "chunks", "differentiate", "on_atoms", "pair_vectors", "strain_derivative"]


class LocalSum(NamedTuple):
    """Local terms and the derivative of their sum.

    Attributes
    ----------
    values : Tensor, (N,)
        Term of each centre.
    pair_derivatives : Tensor, (E, 3)
        ∂(Σ values)/∂r_ij for the vector of each pair.
    """

    values: Tensor
    pair_derivatives: Tensor


def differentiate(
    terms: Callable[[Neighbourhoods], Tensor],
    system: System,
    species: Tensor,
    vectors: Tensor,
    chunk: int | None = None,
) -> LocalSum:
    """Local terms of all centres and the derivative of their sum by every pair vector.

    Parameters
    ----------
    terms : callable
        From the neighbourhoods of n centres to n numbers.
    system : System
        One structure.
    species : Tensor, (N,) int64
        Element index of each atom.
    vectors : Tensor, (E, 3)
        Its pair vectors in Å.
    chunk : int, optional
        Centres at a time; by default so many that memory stays bounded.
    """
    values, slopes = [], []
    for nb in chunks(system, species, vectors, chunk):
        leaf = nb.vectors.detach().requires_grad_()
        found = terms(nb._replace(vectors=leaf))
        (slope,) = torch.autograd.grad(found.sum(), leaf)
        values.append(found.detach())
        slopes.append(slope)
    return LocalSum(torch.cat(values), torch.cat(slopes))


def chunks(
    system: System, species: Tensor, vectors: Tensor, chunk: int | None = None
) -> Iterator[Neighbourhoods]:
    """Neighbourhoods of all atoms, ``chunk`` centres at a time, in order."""
    if chunk is None:
        chunk = 256 if can_compile(vectors, training=False) else 64
    for start in range(0, system.n_atoms, chunk):
        stop = min(start + chunk, system.n_atoms)
        pairs = slice(int(system.first[start]), int(system.first[stop]))
        yield neighbourhoods(system, species, vectors[pairs], start, stop)


def pair_vectors(system: System) -> Tensor:
    """Vectors of all pairs (E, 3) in Å, of one structure and without a graph."""
    if not can_compile(system.positions, training=False):
        return system.vectors().detach()
    from ase_bec.descriptors.kernels.pairs import gather_vectors

    out = torch.empty_like(system.shift)
    inputs = (system.positions, system.cell[0], system.centre, system.neighbour, system.shift, out)
    gather_vectors(*(tensor.numpy() for tensor in inputs))
    return out


def on_atoms(system: System, pair_derivatives: Tensor) -> Tensor:
    """Derivative by the positions (N, 3): r_ij = r_j - r_i + S·cell."""
    out = torch.zeros_like(system.positions)
    if can_compile(out, training=False):
        from ase_bec.descriptors.kernels.pairs import scatter_derivatives

        inputs = (system.centre, system.neighbour, pair_derivatives, out)
        scatter_derivatives(*(tensor.detach().numpy() for tensor in inputs))
        return out
    out.index_add_(0, system.neighbour, pair_derivatives)
    return out.index_add_(0, system.centre, pair_derivatives, alpha=-1)


def strain_derivative(vectors: Tensor, pair_derivatives: Tensor) -> Tensor:
    """Derivative by a homogeneous strain r → (1 + ε)r, (3, 3) and symmetric for an energy."""
    out = vectors.T @ pair_derivatives
    return (out + out.T) / 2
