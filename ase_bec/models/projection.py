"""Local dipoles with the derivative of their sum along one direction: what a field needs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ase_bec.descriptors.compiled import can_compile, compiled_dipoles
from ase_bec.descriptors.density import NeighbourDensity
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.models.terms.equivariant import EquivariantNetwork, coupling
from ase_bec.models.terms.messages import MessagePassingNetwork
from ase_bec.models.terms.vaf import VAFNetwork

__all__ = ["dipoles_along"]


def dipoles_along(
    network: EquivariantNetwork | MessagePassingNetwork | VAFNetwork,
    numbers: Tensor,
    nb: Neighbourhoods,
    direction: Tensor,
) -> tuple[Tensor, Tensor]:
    r"""Local dipoles :math:`\mathbf D_i` and :math:`\partial(\mathbf e\cdot\sum_i\mathbf D_i)
    /\partial\mathbf r_{ij}`.

    An equivariant network in evaluation mode on the CPU takes the compiled path, everything else
    torch's own differentiation.

    Parameters
    ----------
    network : EquivariantNetwork, MessagePassingNetwork or VAFNetwork
    numbers : Tensor
        What ``network.numbers()`` gives.
    nb : Neighbourhoods
        n centres with e pairs.
    direction : Tensor, (3,)
        e, of any length.

    Returns
    -------
    tuple of Tensor (n, 3) in e·Å and Tensor (e, 3) in e
    """
    if can_compile(nb.vectors, network.training) and _is_as_made(network):
        return compiled_dipoles(nb, _tables_of(network), numbers, direction)
    leaf = nb.vectors.detach().requires_grad_()
    local = network(nb._replace(vectors=leaf))
    (slope,) = torch.autograd.grad((local @ direction).sum(), leaf)
    return local.detach(), slope


def _is_as_made(network: nn.Module) -> bool:
    """Whether the network consists of what the kernel knows."""
    return type(network) is EquivariantNetwork and all(
        type(layer) is (nn.SiLU if k % 2 else nn.Linear)
        for layers in network.networks.children()
        for k, layer in enumerate(layers.children())
    )


def _tables_of(network: Any) -> Any:
    sizes = (network.n_invariants, *network.hidden, network.n_vectors)
    density = network.density
    shape = density.cutoff, density.radial, density.degree, density.closest
    return _tables(shape, network.channels, sizes)


@lru_cache(maxsize=16)
def _tables(shape: tuple[float, int, int, float], channels: int, sizes: tuple[int, ...]) -> Any:
    from ase_bec.descriptors.kernels.equivariant import equivariant_tables

    density = NeighbourDensity(1, *shape)
    couplings = [coupling(degree).numpy() for degree in range(density.degree)]
    return equivariant_tables(density.cutoff, density.gaussians, channels, sizes, couplings)
