"""Sum over the waves of a crystal on a mesh, with a time that grows hardly faster than atoms."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

__all__ = ["mesh_potentials"]

ORDER = 8  # of the B-splines; even, so that no wave of the mesh is lost
FINENESS = 0.6  # spacing of the mesh over the narrowest width


def mesh_potentials(
    positions: Tensor, cell: Tensor, charges: Tensor, widths: Tensor, fineness: float = FINENESS
) -> Tensor:
    r"""Potential of Gaussian charges at each of them, averaged over it, in e/Å, (N,).

    Smooth particle-mesh Ewald: charges go to a mesh by B-splines, the waves k ≠ 0 are summed by
    fast Fourier transforms, and potentials come back by the same splines. So ½Σqφ is smooth in
    positions, and forces and stress are its derivatives exactly; it differs from the sum over
    waves by some 1e-7 eV per atom for charges of 1 e.

    Parameters
    ----------
    positions, cell, charges, widths
        As for :func:`ase_bec.terms.ewald.ewald_potentials`; widths above zero.
    fineness : float
        Spacing of the mesh over the narrowest width.

    References
    ----------
    U. Essmann et al., J. Chem. Phys. 103, 8577 (1995).
    """
    spacing = fineness * float(widths.min())
    lengths = cell.detach().norm(dim=1).tolist()
    sizes = tuple(next_fast_len(max(math.ceil(x / spacing), ORDER), real=True) for x in lengths)
    index, weights = _splines(positions, cell, sizes)
    squares, influence = _influence(cell, sizes)
    # Charges of one width share a mesh.
    kinds, kind = torch.unique(widths, return_inverse=True)
    damping = [torch.exp(-0.5 * squares * width**2) for width in kinds]
    summed = torch.zeros_like(influence, dtype=torch.complex128)
    members = [(kind == k).nonzero()[:, 0] for k in range(len(kinds))]
    for chosen, damp in zip(members, damping, strict=True):
        density = charges.new_zeros(math.prod(sizes))
        spread = (charges[chosen, None] * weights[chosen]).flatten()
        density = density.index_add(0, index[chosen].flatten(), spread)
        summed = summed + damp * torch.fft.rfftn(density.reshape(sizes))
    potentials = torch.zeros_like(charges)
    for chosen, damp in zip(members, damping, strict=True):
        mesh = torch.fft.irfftn(summed * influence * damp, s=sizes, norm="forward").flatten()
        found = (mesh[index[chosen].flatten()].reshape(len(chosen), -1) * weights[chosen]).sum(1)
        potentials = potentials.index_add(0, chosen, found)
    return potentials


def _splines(positions: Tensor, cell: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Points of the mesh (N, ORDER³) near each atom, and what part of it goes there."""
    at = positions @ torch.linalg.inv(cell) * torch.tensor(sizes).to(cell)
    corner = at.detach().floor()
    values = _b_splines(at - corner, ORDER)  # (N, 3, ORDER)
    steps = torch.arange(ORDER, device=at.device)
    points = [
        (corner[:, k, None].long() - steps).remainder(size) for k, size in enumerate(sizes)
    ]  # (N, ORDER) each
    x, y, z = points
    index = (x[:, :, None, None] * sizes[1] + y[:, None, :, None]) * sizes[2] + z[:, None, None, :]
    a, b, c = values.unbind(1)
    weights = a[:, :, None, None] * b[:, None, :, None] * c[:, None, None, :]
    return index.flatten(1), weights.flatten(1)


def _b_splines(part: Tensor, order: int) -> Tensor:
    """Cardinal B-splines M_p(x + j), (..., order), of x in [0, 1)."""
    values = [part, 1 - part]
    for p in range(3, order + 1):
        padded = [torch.zeros_like(part), *values, torch.zeros_like(part)]
        values = [
            ((part + j) * padded[j + 1] + (p - part - j) * padded[j]) / (p - 1) for j in range(p)
        ]
    return torch.stack(values, dim=-1)


def _influence(cell: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Squares of the mesh's waves, and 4π/(V k²) over the squared transforms of the splines."""
    orders = [torch.fft.fftfreq(n, 1 / n) for n in sizes[:2]]
    orders.append(torch.fft.rfftfreq(sizes[2], 1 / sizes[2]))
    m = torch.stack(torch.meshgrid(*orders, indexing="ij"), dim=-1).to(cell)
    waves = 2 * math.pi * m @ torch.linalg.inv(cell).T
    squares = waves.square().sum(dim=-1)
    nonzero = (m != 0).any(dim=-1)
    safe = torch.where(nonzero, squares, 1.0)
    transforms = [_transform(n).to(cell) for n in sizes]
    transforms[2] = transforms[2][: sizes[2] // 2 + 1]
    x, y, z = transforms
    splines = x[:, None, None] * y[None, :, None] * z[None, None, :]
    volume = torch.linalg.det(cell).abs()
    return safe, torch.where(nonzero, 4 * math.pi / (volume * safe * splines), 0.0)


def _transform(size: int) -> Tensor:
    """Squared Fourier transform of the spline at the points of a mesh, (size,)."""
    nodes = _b_splines(torch.zeros(1, dtype=torch.float64), ORDER)[0]  # M_p(0), M_p(1), …
    signal = np.zeros(size)
    np.add.at(signal, np.arange(ORDER) % size, nodes.numpy())
    return torch.from_numpy(np.abs(np.fft.fft(signal)) ** 2)
