"""The minimum over charges that move along bonds."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Bonds", "Equilibrium", "equilibrate", "laplacian", "require_positive"]


class Bonds(NamedTuple):
    """Directed bonds of one structure, each listed from both of its ends with half its softness.

    Attributes
    ----------
    first, second : Tensor, (b,)
        Atoms i and j.
    vector : Tensor, (b, 3)
        v = r_j − r_i with the lattice shift, Å.
    softness : Tensor, (b,)
        w ≥ 0 in e/V.
    """

    first: Tensor
    second: Tensor
    vector: Tensor
    softness: Tensor

    def drops(self, potential: Tensor) -> Tensor:
        """φ_j − φ_i of each bond, from potentials (N, ...)."""
        return potential[self.second] - potential[self.first]

    def arrivals(self, transfer: Tensor, n: int) -> Tensor:
        """Charges (n, ...) that transfers p (b, ...) carry from i to j bring about."""
        none = transfer.new_zeros(n, *transfer.shape[1:])
        return none.index_add(0, self.second, transfer).index_add(0, self.first, -transfer)


class Equilibrium(NamedTuple):
    """Charges at the minimum.

    Attributes
    ----------
    charges : Tensor, (N,)
        q = Q + Σ ± p in e; Σq = ΣQ exactly.
    tension : Tensor, (b,)
        t = p/w of each bond in V, finite where w vanishes.
    """

    charges: Tensor
    tension: Tensor


def equilibrate(
    stiffness: Tensor,
    electronegativity: Tensor,
    reference: Tensor,
    bonds: Bonds,
    work: Tensor,
) -> Equilibrium:
    r"""Minimum over p of χ·q + ½ q·(A+J)q + Σ p²/2w − Σ p e, where q = Q + Bᵀp.

    With L = BᵀwB it is :math:`[1 + L(A+J)]\,q = Q - L\chi + B^Tw\,e`, and
    :math:`p = w\,(e - B\mu)`, μ = χ + (A+J) q.

    Parameters
    ----------
    stiffness : Tensor, (N, N)
        A + J in V/e.
    electronegativity, reference : Tensor, (N, ...)
        χ in V and Q in e.
    bonds : Bonds
    work : Tensor, (b, ...)
        e = E·v in V.
    """
    n = len(stiffness)
    flow = laplacian(bonds, n)
    softness = bonds.softness.reshape(-1, *[1] * (work.dim() - 1))
    driven = bonds.arrivals(softness * work, n)
    right = reference - flow @ electronegativity + driven
    left = torch.eye(n).to(stiffness) + flow @ stiffness
    solution = torch.linalg.solve(left, right)
    tension = work - bonds.drops(electronegativity + stiffness @ solution)
    return Equilibrium(reference + bonds.arrivals(softness * tension, n), tension)


def laplacian(bonds: Bonds, n: int) -> Tensor:
    """L = BᵀwB, (n, n) in e/V."""
    w = bonds.softness
    entries = torch.cat([w, w, -w, -w])
    rows = torch.cat([bonds.first, bonds.second, bonds.first, bonds.second])
    columns = torch.cat([bonds.first, bonds.second, bonds.second, bonds.first])
    return w.new_zeros(n * n).index_add(0, rows * n + columns, entries).reshape(n, n)


def require_positive(stiffness: Tensor) -> None:
    """Refuse A + J that is not positive on charges that sum to zero.

    Raises
    ------
    ValueError
        There is no minimum then.
    """
    n = len(stiffness)
    # Makes the direction of a common shift stiff, which charges that sum to zero don't have.
    lifted = stiffness + stiffness.diagonal().abs().mean() + 1
    if int(torch.linalg.cholesky_ex(lifted).info) and bool(lifted.isfinite().all()):
        shift = torch.eye(n).to(stiffness) - 1 / n
        lowest = torch.linalg.eigvalsh(shift @ stiffness @ shift)[0]
        raise ValueError(
            "the hardness of the charges must be positive, got a structure in which charges that "
            f"flow lower the energy without end (lowest {float(lowest):.3g} eV/e²): its "
            "environments are unlike those that the model was trained on"
        )
