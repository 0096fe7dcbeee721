"""Potentials of Gaussian charges on a mesh: smooth particle-mesh Ewald of one width."""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ase_bec.terms.ewald import COULOMB, volume_of

__all__ = ["Mesh", "mesh_of"]

ORDER = 8  # of the B-splines
SPACING = 0.54  # of the mesh, over the width of the Gaussians
_REACH = 5.5  # exp(-_REACH²) is left out


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
    r"""Mesh for A of :func:`ase_bec.terms.gaussian_charges.interaction` in a crystal.

    Exact up to the splines, some 1e-7 of forces, at a cost that grows as the number of atoms.

    References
    ----------
    U. Essmann et al., J. Chem. Phys. 103, 8577 (1995).
    """
    lengths = cell.detach().norm(dim=1).tolist()
    shape = tuple(_smooth(math.ceil(x / (SPACING * width))) for x in lengths)
    n1, n2, n3 = (max(n, ORDER) for n in shape)
    counts = torch.tensor([n1, n2, n3])
    scaled = positions @ torch.linalg.inv(cell) * counts.to(positions)  # [n, x]
    below = torch.floor(scaled.detach())
    weights = _splines(scaled - below)  # [n, x, p]
    steps = torch.arange(ORDER)
    points = (below.long()[:, :, None] + steps - (ORDER - 1)) % counts[:, None]  # [n, x, p]
    weight = torch.einsum("ni,nj,nk->nijk", *weights.unbind(1)).flatten(1)
    first, second, third = points.unbind(1)
    index = (first[:, :, None, None] * n2 + second[:, None, :, None]) * n3 + third[:, None, None, :]
    return Mesh((n1, n2, n3), index.flatten(1), weight, _kernel((n1, n2, n3), cell, width))


def _splines(fraction: Tensor) -> Tensor:
    """Cardinal B-splines M_p(fraction + p − 1 − i) of i = 0 … p − 1, on a new last axis."""
    u = fraction[..., None]
    values = torch.cat([1 - u, u], dim=-1)  # order 2, from the point furthest below on
    for order in range(3, ORDER + 1):
        steps = torch.arange(order).to(u)
        # Argument at the i-th point: u + order − 1 − i.
        x = u + order - 1 - steps
        none = torch.zeros_like(u)
        lower = torch.cat([none, values], dim=-1)  # M_{p−1}(x − 0) where it is there
        upper = torch.cat([values, none], dim=-1)  # M_{p−1}(x − 1)
        values = (x * lower + (order - x) * upper) / (order - 1)
    return values


def _kernel(shape: tuple[int, int, int], cell: Tensor, width: float) -> Tensor:
    """4πk_e/Ω exp(−σ²k²)/k² over the squares of what the splines do to waves."""
    orders = [torch.fft.fftfreq(n, 1 / n).to(cell) for n in shape[:2]]
    orders.append(torch.fft.rfftfreq(shape[2], 1 / shape[2]).to(cell))
    grid = torch.stack(torch.meshgrid(*orders, indexing="ij"), dim=-1)
    k = 2 * math.pi * grid @ torch.linalg.inv(cell).T
    square = k.square().sum(dim=-1)
    zero = square == 0
    safe = torch.where(zero, 1.0, square)
    inside = ~zero & (width**2 * square.detach() < _REACH**2)
    damped = torch.where(inside, torch.exp(-(width**2) * safe) / safe, 0.0)
    bare = 4 * math.pi * COULOMB / volume_of(cell) * damped
    first, second, third = (torch.from_numpy(_attenuation(n)).to(cell) for n in shape)
    third = third[: shape[2] // 2 + 1]
    return bare / (first[:, None, None] * second[None, :, None] * third[None, None, :])


def _attenuation(n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """|Σ_j M_p(j + 1) exp(2πi m j/n)|² of each order m, (n,)."""
    knots = _splines(torch.zeros((), dtype=torch.float64))[: ORDER - 1].numpy()
    phase = np.exp(2j * np.pi * np.outer(np.arange(n), np.arange(ORDER - 1)) / n)
    out: np.ndarray[tuple[int], np.dtype[np.float64]] = np.abs(phase @ knots) ** 2
    return out


def _smooth(n: int) -> int:
    """Smallest number from n on with no prime factor above 5."""
    limit = math.ceil(math.log2(max(n, 2))) + 1
    powers = product(range(limit), repeat=3)
    products = (int(2**a * 3**b * 5**c) for a, b, c in powers)
    return min(m for m in products if m >= n)
