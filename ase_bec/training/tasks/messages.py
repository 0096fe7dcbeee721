"""Born charges of a message-passing network with geometry that is computed only once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ase_bec.terms.messages import MessagePassingNetwork
from ase_bec.training.tasks.density import DensityGeometry, DensityTraining

__all__ = ["MessageTraining"]


class MessageTraining(DensityTraining):
    """How a message-passing network is trained.

    The dipole is a function of the density of the elements and of that of the messages. Its
    derivatives with respect to the first, messages included, and to the second at fixed messages,
    times constants of the frame, give that with respect to positions.

    Parameters
    ----------
    network : MessagePassingNetwork
        In the dtype and on the device of the training.
    """

    def __init__(self, network: MessagePassingNetwork) -> None:
        super().__init__(network.dipoles)
        self.whole = network

    def start(self, geometries: Sequence[DensityGeometry], trained: bool = False) -> None:
        """As of an equivariant network, and fit the scales of what the messages are made from."""
        if not trained:
            density, species = zip(*super().densities(geometries), strict=True)
            self.whole.messages.set_scales(torch.cat(density), torch.cat(species))
        super().start(geometries, trained)

    def densities(self, geometries: Iterable[DensityGeometry]) -> Iterator[tuple[Tensor, Tensor]]:
        """Densities of elements and messages together, and species, of each frame."""
        for g in geometries:
            with torch.no_grad():
                second = g.second_density(self.whole.sent(g.density, g.species))
            yield torch.cat([g.density, second], dim=1), g.species

    def rows(
        self, geometries: Sequence[DensityGeometry], directions: Tensor, create_graph: bool = True
    ) -> tuple[Tensor, Tensor]:
        r"""Dipole :math:`e\cdot D` (frames,) and its derivative (all atoms, 3)."""
        sizes = [len(g.species) for g in geometries]
        species = torch.cat([g.species for g in geometries])
        leaf = torch.cat([g.density for g in geometries]).requires_grad_()
        sent = torch.split(self.whole.sent(leaf, species), sizes)
        second = torch.cat([g.second_density(h) for g, h in zip(geometries, sent, strict=True)])
        local = torch.split(self.whole.from_densities(leaf, second, species), sizes)
        along = [(part @ e).sum() for part, e in zip(local, directions, strict=True)]
        dipoles = torch.stack(along)
        slopes = torch.autograd.grad(dipoles.sum(), [leaf, second], create_graph=create_graph)
        by_first, by_second = (torch.split(slope, sizes) for slope in slopes)
        rows = [
            g.on_atoms(g.on_pairs(p) + g.second_on_pairs(q, h))
            for g, p, q, h in zip(geometries, by_first, by_second, sent, strict=True)
        ]
        return dipoles, torch.cat(rows)
