"""Potentials of Gaussian charges on a mesh: smooth particle-mesh Ewald of one width."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ase_bec.terms.ewald import COULOMB
from ase_bec.terms.ewald_mesh import ORDER, mesh_influence, mesh_splines

__all__ = ["Mesh", "mesh_of"]

SPACING = 0.54  # of the mesh, over the width of the Gaussians


class Mesh(NamedTuple):
    """Weights of atoms on a mesh, and what waves do to each other.

    Attributes
    ----------
    shape : tuple of 3 int
    points : Tensor, (N, ORDER³)
        Mesh points of each atom.
    weight : Tensor, (N, ORDER³)
        B-splines at them; differentiable by positions.
    kernel : Tensor
        Of the waves, as rfftn has them; differentiable by the cell.
    """

    shape: tuple[int, int, int]
    points: Tensor
    weight: Tensor
    kernel: Tensor

    def detach(self) -> Mesh:
        """The same without a graph."""
        return self._replace(weight=self.weight.detach(), kernel=self.kernel.detach())

    def potential(self, charges: Tensor) -> Tensor:
        """Potentials (N, ...) in V of charges (N, ...)."""
        columns = charges.reshape(len(charges), -1)
        out = [self._one(column) for column in columns.unbind(1)]
        return torch.stack(out, dim=1).reshape(charges.shape)

    def _one(self, charges: Tensor) -> Tensor:
        size = math.prod(self.shape)
        spread = (self.weight * charges[:, None]).flatten()
        density = spread.new_zeros(size).index_add(0, self.points.flatten(), spread)
        waves = torch.fft.rfftn(density.reshape(self.shape)) * self.kernel
        field = torch.fft.irfftn(waves, s=self.shape, norm="forward").flatten()
        found: Tensor = (self.weight * field[self.points]).sum(dim=1)
        return found


def mesh_of(positions: Tensor, cell: Tensor, width: float) -> Mesh:
    """Mesh for A of :func:`ase_bec.terms.gaussian_charges.interaction` in a crystal.

    As :func:`ase_bec.terms.ewald_mesh.mesh_potentials`, for charges that are not known yet: what
    depends on positions and cell is made once, for many steps towards the charges.
    """
    lengths = cell.detach().norm(dim=1).tolist()
    n1, n2, n3 = (
        int(next_fast_len(max(math.ceil(x / (SPACING * width)), ORDER), real=True)) for x in lengths
    )
    points, weight = mesh_splines(positions, cell, (n1, n2, n3))
    square, influence = mesh_influence(cell, (n1, n2, n3))
    kernel = COULOMB * influence * torch.exp(-(width**2) * square)
    return Mesh((n1, n2, n3), points, weight, kernel)
