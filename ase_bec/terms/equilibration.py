"""The minimum over charges that move along bonds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Bonds", "Equilibrium", "descend", "equilibrate", "laplacian", "require_positive"]

PRECISION = 1e-9  # of the conjugate gradients, relative
MOST_STEPS = 500


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
    charges : Tensor, (N, ...)
        q = Q + Σ ± p in e; Σq = ΣQ exactly.
    tension : Tensor, (b, ...)
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


def descend(
    stiff: Callable[[Tensor], Tensor],
    electronegativity: Tensor,
    reference: Tensor,
    bonds: Bonds,
    work: Tensor,
) -> Equilibrium:
    r"""As :func:`equilibrate`, by conjugate gradients in y = p/√w.

    The matrix :math:`1 + \sqrt w B(A+J)B^T\sqrt w` is positive where A + J is on the charges that
    bonds allow, with few iterations whatever the size.

    Parameters
    ----------
    stiff : callable
        Gives (A + J) q (N, r) of charges (N, r).
    electronegativity, reference : Tensor, (N, 1)
    bonds : Bonds
    work : Tensor, (b, r)

    Raises
    ------
    ValueError
        If there is no minimum.
    """
    n, root = len(electronegativity), bonds.softness.sqrt()[:, None]

    def applied(y: Tensor) -> Tensor:
        return y + root * bonds.drops(stiff(bonds.arrivals(root * y, n)))

    start = electronegativity + stiff(reference)
    right = root * (work - bonds.drops(start))
    y, rest = torch.zeros_like(right), right.clone()
    direction, square = rest.clone(), rest.square().sum(dim=0)
    goal = PRECISION**2 * square
    for _ in range(MOST_STEPS):
        if bool((square <= goal).all()) or not bool(square.isfinite().all()):
            break
        image = applied(direction)
        curvature = (direction * image).sum(dim=0)
        if bool((curvature < 0).any()):
            raise ValueError(_NOT_POSITIVE)
        # Columns that have arrived stay where they are.
        moving = square > goal
        step = torch.where(moving, square / curvature.clamp_min(1e-300), 0.0)
        y, rest = y + step * direction, rest - step * image
        before, square = square, rest.square().sum(dim=0)
        direction = rest + torch.where(moving, square / before.clamp_min(1e-300), 0.0) * direction
    else:
        raise ValueError(f"the charges must settle in {MOST_STEPS} steps. {_NOT_POSITIVE}")
    charges = reference + bonds.arrivals(root * y, n)
    return Equilibrium(charges, work - bonds.drops(electronegativity + stiff(charges)))


_NOT_POSITIVE = (
    "the hardness of the charges must be positive, got a structure in which charges that flow "
    "lower the energy without end: its environments are unlike those that the model was trained on"
)


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
    # Makes the direction of a common shift stiff, which charges that sum to zero don't have.
    lifted = stiffness + stiffness.diagonal().abs().mean() + 1
    if int(torch.linalg.cholesky_ex(lifted).info) and bool(lifted.isfinite().all()):
        raise ValueError(_NOT_POSITIVE)
