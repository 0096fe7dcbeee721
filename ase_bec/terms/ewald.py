"""Ewald sums of Gaussian and point charges in crystals, with conducting boundaries."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.geometry import minkowski_reduce
from torch import Tensor

from ase_bec.neighbours import neighbour_pairs
from ase_bec.terms.ewald_mesh import mesh_potentials

__all__ = ["COULOMB", "Images", "balanced_width", "ewald_matrix", "ewald_potentials"]
__all__ += ["images_of", "open_potentials", "self_potentials", "short_ranged", "volume_of"]
__all__ += ["waves_of"]

COULOMB = 14.399645  # eV Å/e²
_REACH = 5.5  # exp(-_REACH²) = 7e-14 is left out
_POINT = 1e-4  # Å; stands for no width where a width divides
_CHUNK = 4_000_000  # atoms × waves that are in memory at once


def ewald_potentials(
    positions: Tensor,
    cell: Tensor,
    charges: Tensor,
    widths: Tensor,
    splitting: float | None = None,
    images: Images | None = None,
    mesh: bool = False,
) -> Tensor:
    r"""Potential at each charge of a crystal, averaged over the charge's own Gaussian.

    .. math:: U = \frac12 \sum_a q_a \phi_a, \qquad
              \rho_a(\mathbf r) = \frac{q_a}{(2\pi\sigma_a^2)^{3/2}}
              e^{-|\mathbf r-\mathbf r_a|^2/2\sigma_a^2}

    Conducting (tin-foil) boundaries: waves of k = 0 are left out. A net charge so has a uniform
    background that neutralises it, whose energy is in U. A Gaussian acts on itself, too, by
    :func:`self_potentials`; a point charge (σ = 0) only on others and on its images.
    Differentiable by positions, cell and charges.

    Parameters
    ----------
    positions : Tensor, (N, 3)
        Å.
    cell : Tensor, (3, 3)
        Rows are lattice vectors, Å.
    charges : Tensor, (N,)
        q in e.
    widths : Tensor, (N,)
        σ in Å.
    splitting : float, optional
        Charges narrower than this are widened to it in the sum over waves, and set right by a sum
        over neighbours: results do not depend on it. Chosen for speed if not given.
    images : Images, optional
        Neighbours, where they are known, as far as it takes for that splitting.
    mesh : bool
        Sum the waves by :func:`~ase_bec.terms.ewald_mesh.mesh_potentials`: less exact, for many
        atoms much quicker.

    Returns
    -------
    Tensor, (N,)
        V.

    References
    ----------
    P. P. Ewald, Ann. Phys. 369, 253 (1921).
    """
    volume = volume_of(cell)
    if splitting is None:
        splitting = balanced_width(volume, len(positions), widths)
    wide = widths.clamp(min=splitting)
    by_waves = mesh_potentials if mesh else _by_waves
    potentials = by_waves(positions, cell, charges, wide)
    if bool((wide > widths).any()):
        if images is None:
            images = images_of(positions, cell, _range(wide, widths))
        pairs = short_ranged(images.distances(positions, cell), images, widths, wide)
        potentials = potentials.index_add(0, images.centre, pairs * charges[images.neighbour])
        # The waves of k = 0 of what was set right.
        excess = wide.square() - widths.square()
        shift = excess * charges.sum() + (excess * charges).sum()
        potentials = potentials - 2 * math.pi / volume * shift
    own = self_potentials(widths) - self_potentials(wide)
    result: Tensor = COULOMB * potentials + own * charges
    return result


def ewald_matrix(
    positions: Tensor, cell: Tensor, widths: Tensor, splitting: float | None = None
) -> Tensor:
    r"""Matrix A of :func:`ewald_potentials`: φ = A q, U = ½ q·A q, (N, N) in V/e.

    With Gaussians, A is positive definite on neutral charges as far as widths tell close charges
    apart; a point charge has no interaction with itself on the diagonal.
    """
    volume = volume_of(cell)
    if splitting is None:
        splitting = min(0.11 * float(volume.detach()) ** (1 / 3), 1.5)
        splitting = 0.0 if float(widths.min()) > splitting / 1.5 else splitting
    wide = widths.clamp(min=splitting)
    n = len(positions)
    matrix = positions.new_zeros(n, n)
    waves = waves_of(cell, float(wide.min()))
    for part in torch.split(waves, max(_CHUNK // n, 1)):
        weights, damping, phases = _factors(part, positions, volume, wide)
        for wave in (torch.cos(phases) * damping, torch.sin(phases) * damping):
            matrix = matrix + (wave * weights) @ wave.T
    if bool((wide > widths).any()):
        images = images_of(positions, cell, _range(wide, widths))
        pairs = short_ranged(images.distances(positions, cell), images, widths, wide)
        index = images.centre * n + images.neighbour
        matrix = matrix.flatten().index_add(0, index, pairs).reshape(n, n)
        excess = wide.square() - widths.square()
        matrix = matrix - 2 * math.pi / volume * (excess[:, None] + excess[None, :])
    own = self_potentials(widths) - self_potentials(wide)
    return COULOMB * matrix + torch.diag(own)


def open_potentials(positions: Tensor, charges: Tensor, widths: Tensor) -> Tensor:
    """Potential (N,) in V at each charge of a molecule, as :func:`ewald_potentials` has it."""
    i, j = torch.triu_indices(len(positions), len(positions), 1, device=positions.device)
    distance = (positions[j] - positions[i]).norm(dim=1)
    pairs = torch.erf(_steepness(widths, i, j) * distance) / distance
    potentials = torch.zeros_like(charges).index_add(0, i, pairs * charges[j])
    potentials = potentials.index_add(0, j, pairs * charges[i])
    return COULOMB * potentials + self_potentials(widths) * charges


def self_potentials(widths: Tensor) -> Tensor:
    """Potential of each unit Gaussian, averaged over itself, (N,) in V/e; 0 of point charges."""
    point = widths == 0
    gaussian = COULOMB / (math.sqrt(math.pi) * torch.where(point, 1.0, widths))
    own: Tensor = torch.where(point, 0.0, gaussian)
    return own


def volume_of(cell: Tensor) -> Tensor:
    """Volume of a cell in Å³; differentiable."""
    volume: Tensor = torch.linalg.det(cell).abs()
    return volume


def balanced_width(volume: Tensor, n_atoms: int, widths: Tensor) -> float:
    """Width in Å with which both sums take alike long; 0 where waves alone are hardly slower."""
    width = 0.19 * (float(volume.detach()) ** 2 / n_atoms) ** (1 / 6)
    return 0.0 if float(widths.min()) > width / 1.5 else width


class Images(NamedTuple):
    """Pairs of atoms and of their images in a crystal.

    Attributes
    ----------
    centre, neighbour : Tensor, (E,)
        Every pair is listed from both ends.
    shift : Tensor, (E, 3)
        Lattice shifts.
    """

    centre: Tensor
    neighbour: Tensor
    shift: Tensor

    def distances(self, positions: Tensor, cell: Tensor) -> Tensor:
        """Å, (E,); differentiable."""
        vectors = positions[self.neighbour] - positions[self.centre] + self.shift @ cell
        lengths: Tensor = vectors.norm(dim=1)
        return lengths


def images_of(positions: Tensor, cell: Tensor, reach: float) -> Images:
    """All pairs in a crystal up to a distance in Å."""
    points, vectors = (x.detach().cpu().double().numpy() for x in (positions, cell))
    numbers = np.ones(len(points), dtype=int)
    found = neighbour_pairs(Atoms(numbers, points, cell=vectors, pbc=True), reach)
    centre = np.repeat(np.arange(len(points)), np.diff(found.first))
    arrays = (torch.from_numpy(x) for x in (centre, found.neighbour, found.shift))
    i, j, shift = (x.to(positions.device) for x in arrays)
    return Images(i, j, shift.to(positions.dtype))


def short_ranged(distance: Tensor, images: Images, widths: Tensor, wide: Tensor) -> Tensor:
    """What the interaction of pairs (E,) in 1/Å lacks with wide charges."""
    i, j = images.centre, images.neighbour
    right, widened = (torch.erfc(_steepness(x, i, j) * distance) for x in (widths, wide))
    return (widened - right) / distance


def _range(wide: Tensor, widths: Tensor) -> float:
    """Distance in Å beyond which widening makes no difference."""
    widened = float(wide[wide > widths].max())
    return _REACH * math.sqrt(2 * (widened**2 + float(wide.max()) ** 2))


def _steepness(widths: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """γ of erf(γ r)/r between Gaussians."""
    squares = widths.square()
    return (2 * (squares[i] + squares[j]).clamp(min=_POINT**2)).rsqrt()


def _by_waves(positions: Tensor, cell: Tensor, charges: Tensor, wide: Tensor) -> Tensor:
    """Sum over the waves of the lattice, in e/Å."""
    volume = volume_of(cell)
    potentials = torch.zeros_like(charges)
    waves = waves_of(cell, float(wide.min()))
    for part in torch.split(waves, max(_CHUNK // len(positions), 1)):
        weights, damping, phases = _factors(part, positions, volume, wide)
        even, odd = torch.cos(phases) * damping, torch.sin(phases) * damping
        potentials = potentials + even @ (weights * (charges @ even))
        potentials = potentials + odd @ (weights * (charges @ odd))
    return potentials


def waves_of(cell: Tensor, narrowest: float) -> Tensor:
    """Wave vectors (K, 3) in 1/Å of which the narrowest Gaussian has any, one of k and −k."""
    # The most compact vectors of the same lattice: few waves are tried in vain.
    _, operation = minkowski_reduce(cell.detach().cpu().numpy())
    compact = torch.from_numpy(operation).to(cell) @ cell
    largest = _REACH / narrowest
    limits = (largest * compact.detach().norm(dim=1) / (2 * math.pi)).floor().long().tolist()
    ranges = [torch.arange(-m, m + 1, device=cell.device) for m in limits]
    order = torch.cartesian_prod(*ranges)
    order = order[len(order) // 2 + 1 :].to(cell)  # the first half mirrors it; between lies 0
    reciprocal = 2 * math.pi * torch.linalg.inv(compact).T
    inside = (order @ reciprocal.detach()).norm(dim=1) <= largest
    waves: Tensor = order[inside] @ reciprocal
    return waves


def _factors(
    waves: Tensor, positions: Tensor, volume: Tensor, wide: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (K,) of waves ±k, form factors (N, K) of the Gaussians, and phases (N, K)."""
    squares = waves.square().sum(dim=1)
    weights = 8 * math.pi / (volume * squares)
    damping = torch.exp(-0.5 * squares * wide.square()[:, None])
    return weights, damping, positions @ waves.T
