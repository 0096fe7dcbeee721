"""Born charges of a message-passing network with geometry that is computed only once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ase_bec.models.equivariant import UNLIMITED
from ase_bec.models.messages import MessagePassingNetwork
from ase_bec.system import System

from .density_path import DensityGeometry, density_geometry

__all__ = ["MessagePath"]


class MessagePath:
    """How a message-passing network is trained.

    The dipole is a function of the density of the elements and of that of the messages. Its
    derivatives by the first, messages included, and by the second at fixed messages, times
    constants of the frame, give that by positions.

    Parameters
    ----------
    network : MessagePassingNetwork
        In the dtype and on the device of the training.
    """

    def __init__(self, network: MessagePassingNetwork) -> None:
        self.network = network

    def prepare(self, system: System, species: Tensor) -> DensityGeometry:
        """Geometry of one frame."""
        parameter = next(self.network.parameters())
        geometry = density_geometry(self.network.density, system, species)
        return geometry.to(parameter.device, parameter.dtype)

    def start(self, geometries: Sequence[DensityGeometry], trained: bool = False) -> None:
        """Lift the limits. Fit the scales of a network that is not trained yet.

        Its dipoles start at zero, so that Z does at q.
        """
        self.network.limit.fill_(UNLIMITED)
        if trained:
            return
        density = torch.cat([g.density for g in geometries])
        self.network.messages.set_scales(density, torch.cat([g.species for g in geometries]))
        known = zip(*self._densities(geometries), strict=True)
        self.network.dipoles.set_scales(*(torch.cat(parts) for parts in known))
        self.network.dipoles.silence()

    def finish(self, geometries: Sequence[DensityGeometry]) -> None:
        """Set the limits of the dipoles from those of the training frames."""
        self.network.dipoles.set_limits(self._densities(geometries))

    def directions(self, normals: Tensor) -> Tensor:
        """Directions of the field (frames, 3), evenly over the sphere."""
        return torch.nn.functional.normalize(normals, dim=1)

    def rows(
        self, geometries: Sequence[DensityGeometry], directions: Tensor, create_graph: bool = True
    ) -> tuple[Tensor, Tensor]:
        r"""Dipole :math:`e\cdot D` (frames,) and its derivative (all atoms, 3)."""
        sizes = [len(g.species) for g in geometries]
        species = torch.cat([g.species for g in geometries])
        leaf = torch.cat([g.density for g in geometries]).requires_grad_()
        sent = torch.split(self.network.sent(leaf, species), sizes)
        second = torch.cat([g.second_density(h) for g, h in zip(geometries, sent, strict=True)])
        local = torch.split(self.network.from_densities(leaf, second, species), sizes)
        along = [(part @ e).sum() for part, e in zip(local, directions, strict=True)]
        dipoles = torch.stack(along)
        slopes = torch.autograd.grad(dipoles.sum(), [leaf, second], create_graph=create_graph)
        by_first, by_second = (torch.split(slope, sizes) for slope in slopes)
        rows = [
            g.on_atoms(g.on_pairs(p) + g.second_on_pairs(q, h))
            for g, p, q, h in zip(geometries, by_first, by_second, sent, strict=True)
        ]
        return dipoles, torch.cat(rows)

    def _densities(self, geometries: Sequence[DensityGeometry]) -> list[tuple[Tensor, Tensor]]:
        """Densities of elements and messages together, and species, of each frame."""
        found = []
        with torch.no_grad():
            for g in geometries:
                second = g.second_density(self.network.sent(g.density, g.species))
                found.append((torch.cat([g.density, second], dim=1), g.species))
        return found
