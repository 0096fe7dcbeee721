"""Born charges of the one-axis network, by differentiating its vector functions twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ase_bec.descriptors.neighbourhoods import Neighbourhoods, neighbourhoods
from ase_bec.descriptors.scaling import MinMaxScaling
from ase_bec.system import System
from ase_bec.terms.vaf import VAFNetwork

__all__ = ["AxisGeometry", "AxisTraining"]


@dataclass(frozen=True, eq=False)
class AxisGeometry:
    """One frame: neighbourhoods, and the atoms (E,) of each pair."""

    nb: Neighbourhoods
    centre: Tensor
    neighbour: Tensor

    @property
    def species(self) -> Tensor:
        """Element of each atom, (n,)."""
        return self.nb.species

    def on_atoms(self, by_vectors: Tensor) -> Tensor:
        """Derivative with respect to positions (n, 3), from that to pair vectors (E, 3)."""
        out = by_vectors.new_zeros(len(self.species), 3)
        return out.index_add(0, self.neighbour, by_vectors).index_add(0, self.centre, -by_vectors)


class AxisTraining:
    """How a one-axis network is trained: along one axis of each frame in each step.

    Parameters
    ----------
    network : VAFNetwork
        In the dtype and on the device of the training.
    """

    def __init__(self, network: VAFNetwork) -> None:
        self.network = network

    def prepare(self, system: System, species: Tensor) -> AxisGeometry:
        """Geometry of one frame."""
        parameter = next(self.network.parameters())
        system, species = system.to(parameter.device), species.to(parameter.device)
        vectors = system.vectors().to(parameter.dtype)
        nb = neighbourhoods(system, species, vectors, 0, system.n_atoms)
        return AxisGeometry(nb, system.centre, system.neighbour)

    def start(self, geometries: Sequence[AxisGeometry], trained: bool = False) -> None:
        """Fit the scaling of a network that is not trained yet.

        It is symmetric about zero, since turning the structure changes the sign.
        """
        if trained:
            return
        old = self.network.scaling
        high = torch.zeros_like(old.high)
        with torch.no_grad():
            for g in geometries:
                for axis in range(3):
                    features = self.network.features(g.nb, axis).abs()
                    index = g.species[:, None].expand_as(features)
                    high = high.scatter_reduce(0, index, features.to(high), "amax")
        self.network.scaling = MinMaxScaling(-high, high)

    def finish(self, geometries: Sequence[AxisGeometry]) -> None:
        """Do nothing: this network has no limits."""

    def directions(self, normals: Tensor) -> Tensor:
        """Directions of the field (frames, 3): one of the three axes each, equally likely."""
        axis = normals.abs().argmax(dim=1)
        return torch.nn.functional.one_hot(axis, 3).to(normals.dtype)

    def rows(
        self, geometries: Sequence[AxisGeometry], directions: Tensor, create_graph: bool = True
    ) -> tuple[Tensor, Tensor]:
        r"""Dipole :math:`e\cdot D` (frames,) and its derivative (all atoms, 3).

        The directions must be axes.
        """
        dipoles, rows = [], []
        for g, axis in zip(geometries, directions.argmax(dim=1).tolist(), strict=True):
            leaf = g.nb.vectors.detach().requires_grad_()
            dipole = self.network.component(g.nb._replace(vectors=leaf), axis).sum()
            (by_vectors,) = torch.autograd.grad(dipole, leaf, create_graph=create_graph)
            dipoles.append(dipole)
            rows.append(g.on_atoms(by_vectors))
        return torch.stack(dipoles), torch.cat(rows)
