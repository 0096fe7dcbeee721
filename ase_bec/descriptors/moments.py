r"""Moments of the neighbour density: the sum over neighbours that makes angular functions linear.

.. math:: A_{i,e,c,lm} = \sum_{j \in e} w_c(r_{ij})\, Y_{lm}(\hat r_{ij})

A sum over pairs of neighbours of w_c(r_ij) w_d(r_ik) P_l(cos θ_jik) is then
Σ_m A_{c,lm} A_{d,lm}, at the cost of a sum over neighbours. This is the torch implementation,
differentiable any number of times; `kernels.py` holds the same for CPU inference.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ase_bec.cutoffs import cosine_cutoff
from ase_bec.descriptors.harmonics import harmonics
from ase_bec.descriptors.neighbourhoods import Neighbourhoods, pad

__all__ = ["Shell", "by_degree", "make_shell", "moments"]


class Shell(NamedTuple):
    """Padded geometry of n neighbourhoods of at most K neighbours.

    Attributes
    ----------
    distance : Tensor, (n, K)
        r_ij in Å; masked entries, and those beyond the cutoff, lie at the cutoff.
    unit : Tensor, (n, K, 3)
        Unit vectors from centre to neighbour.
    cutoff : Tensor, (n, K)
        f_c(r_ij); zero where masked.
    element : Tensor, (n, K, n_elements)
        One where the neighbour is of that element, else zero.
    """

    distance: Tensor
    unit: Tensor
    cutoff: Tensor
    element: Tensor


def make_shell(nb: Neighbourhoods, n_elements: int, cutoff: float) -> Shell:
    """Padded geometry of neighbourhoods (all pairs, those beyond the cutoff with weight zero)."""
    index, mask = pad(nb)
    # Pairs beyond the cutoff are moved onto it, where no radial function can overflow.
    edge = nb.vectors.new_tensor([[0.0, 0.0, cutoff]])
    beyond = nb.vectors.detach().norm(dim=-1, keepdim=True) >= cutoff
    vectors = torch.cat([torch.where(beyond, edge, nb.vectors), edge])[index]  # [i, j, 3]
    species = torch.cat([nb.neighbour_species, nb.neighbour_species.new_zeros(1)])[index]
    distance = vectors.norm(dim=-1)
    weight = cosine_cutoff(distance, cutoff) * mask
    element = torch.nn.functional.one_hot(species, n_elements)
    return Shell(distance, vectors / distance[..., None], weight, element.to(distance.dtype))


def moments(shell: Shell, weights: Tensor, degree: int) -> Tensor:
    """Moments A of radial channels.

    Parameters
    ----------
    shell : Shell
        Geometry.
    weights : Tensor, (n, K, C)
        w_c(r_ij), cutoff included.
    degree : int
        Largest l.

    Returns
    -------
    Tensor, (n, n_elements, C, (degree + 1)^2)
    """
    by_element = shell.element[..., :, None] * weights[..., None, :]  # [i, j, e, c]
    y = harmonics(shell.unit, degree)  # [i, j, lm]
    a = by_element.flatten(2).transpose(1, 2) @ y  # [i, ec, lm]
    return a.reshape(len(a), *by_element.shape[2:], y.shape[-1])


def by_degree(coefficients: Tensor) -> Tensor:
    """Spread Legendre coefficients (P, degree + 1) over the entries lm: ((degree + 1)^2, P)."""
    degrees = torch.arange(coefficients.shape[1], device=coefficients.device)
    return coefficients.T.repeat_interleave(2 * degrees + 1, dim=0)
