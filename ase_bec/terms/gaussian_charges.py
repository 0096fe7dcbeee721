"""Electrostatics of Gaussian charges: the matrix A of ½ qᵀAq, periodic or not."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ase_bec.terms.ewald import COULOMB, volume_of, waves_of
from ase_bec.terms.mesh import Mesh, mesh_of

__all__ = ["FEW", "Interaction", "interaction"]

FEW = 40  # atoms of a crystal, for which waves are summed exactly; a mesh is quicker for more


class Interaction(NamedTuple):
    """Matrix A (N, N) in eV/e²: as it is, as F Fᵀ, or what a mesh makes of charges.

    Attributes
    ----------
    matrix : Tensor or None, (N, N)
    factor : Tensor or None, (N, M)
    mesh : Mesh or None
    """

    matrix: Tensor | None = None
    factor: Tensor | None = None
    mesh: Mesh | None = None

    def detach(self) -> Interaction:
        """The same without a graph."""
        matrix, factor = (None if x is None else x.detach() for x in self[:2])
        return Interaction(matrix, factor, None if self.mesh is None else self.mesh.detach())

    def dense(self) -> Tensor:
        """A (N, N)."""
        if self.matrix is not None:
            return self.matrix
        assert self.factor is not None
        return self.factor @ self.factor.T

    def potential(self, charges: Tensor) -> Tensor:
        """A q (N, ...) in V."""
        if self.matrix is not None:
            return self.matrix @ charges
        if self.mesh is not None:
            return self.mesh.potential(charges)
        assert self.factor is not None
        return self.factor @ (self.factor.T @ charges)


def interaction(
    positions: Tensor, cell: Tensor, pbc: Tensor, width: float, exact: bool = False
) -> Interaction:
    r"""Interaction of Gaussian charges of standard deviation σ.

    Without periods, A_ij = k_e erf(r/2σ)/r and A_ii = k_e/(σ√π). With three of them, the sum over
    all images under a conducting boundary,

    .. math:: A_{ij} = \frac{4\pi k_e}{\Omega}\sum_{\mathbf k\ne 0}
              \frac{e^{-\sigma^2k^2}}{k^2}\cos \mathbf k\cdot(\mathbf r_i-\mathbf r_j),

    as :func:`ase_bec.terms.ewald.ewald_matrix` has it for any widths. One width for all and no
    splitting make A = F Fᵀ, so that matrix, potentials and forces come from one set of waves. A net
    charge is neutralised by a uniform background, whose energy is included. More than `FEW` atoms
    go by a mesh.

    Parameters
    ----------
    positions : Tensor, (N, 3)
        Å; differentiable, as is the cell.
    cell : Tensor, (3, 3)
        Å, rows are lattice vectors.
    pbc : Tensor, (3,)
    width : float
        σ in Å.
    exact : bool
        Take waves for any number of atoms.

    Raises
    ------
    ValueError
        If some directions are periodic and some are not, or the cell is narrower than σ.
    """
    if bool(pbc.all()):
        if len(positions) > FEW and not exact:
            return Interaction(mesh=mesh_of(positions, cell, width))
        return Interaction(factor=_factor(positions, cell, width))
    if bool(pbc.any()):
        raise ValueError(
            f"`pbc` must be true in all directions or in none, got {pbc.tolist()}: give a slab a "
            "cell with vacuum, periodic in all directions"
        )
    return Interaction(matrix=_direct(positions, width))


def _direct(positions: Tensor, width: float) -> Tensor:
    n = len(positions)
    difference = positions[:, None] - positions[None]
    own = torch.eye(n, dtype=torch.bool, device=positions.device)
    # A number of no consequence on the diagonal keeps the root differentiable.
    distance = (difference.square().sum(dim=2) + own).sqrt()
    pairs = torch.erf(distance / (2 * width)) / distance
    return COULOMB * torch.where(own, 1 / (width * math.sqrt(math.pi)), pairs)


def _factor(positions: Tensor, cell: Tensor, width: float) -> Tensor:
    """F (N, 2 waves): cosines and sines, of one of k and −k each."""
    heights = 1 / torch.linalg.inv(cell.detach()).norm(dim=0)
    if float(heights.min()) < 2 * width:
        raise ValueError(
            f"`cell` must be at least {2 * width:g} Å wide for charges of the width {width:g} Å, "
            f"got {float(heights.min()):.3g} Å: repeat it"
        )
    waves = waves_of(cell, width)
    square = waves.square().sum(dim=1)
    weight = torch.exp(-(width**2) * square) / square
    weight = (8 * math.pi * COULOMB / volume_of(cell) * weight).sqrt()
    phase = positions @ waves.T
    return torch.cat([torch.cos(phase) * weight, torch.sin(phase) * weight], dim=1)
