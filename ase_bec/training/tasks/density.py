"""Born charges of an equivariant network with geometry that is computed only once.

The network is a function of the neighbour density A alone, and A a sum over pairs of products of
radial functions and harmonics. So the derivative of a dipole with respect to positions is
that with respect to A, which the network gives, times constants of the frame; second derivatives
never involve the geometry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.descriptors.harmonics import harmonic_tables, harmonics
from ase_bec.system import System
from ase_bec.terms.equivariant import UNLIMITED, EquivariantNetwork

__all__ = ["DensityGeometry", "DensityTraining"]

_TINY = 1e-30  # Å, keeps empty slots from 0/0


@dataclass(frozen=True, eq=False)
class DensityGeometry:
    """Density of one frame, and its derivative with respect to positions.

    n atoms, e elements, K radial functions, M harmonics. Pairs stand in n·e rows of J slots, one
    row for each centre and element of neighbour; empty slots are zero.

    Attributes
    ----------
    species : Tensor, (n,)
    density : Tensor, (n, e, K, M)
    radial, slope : Tensor, (n·e, K, J)
        Radial functions and their derivatives.
    distance : Tensor, (n·e, J)
        From centre to neighbour in Å.
    unit : Tensor, (n·e, 3, J)
        Direction from centre to neighbour.
    angular : Tensor, (n·e, M, J)
        Harmonics.
    neighbour : Tensor, (n·e·J,)
        Atom in each slot; 0 in empty ones.
    """

    species: Tensor
    density: Tensor
    radial: Tensor
    slope: Tensor
    distance: Tensor
    unit: Tensor
    angular: Tensor
    neighbour: Tensor

    def to(self, device: torch.device | str, dtype: torch.dtype) -> DensityGeometry:
        """The same on a device, in a floating dtype."""
        moved = {}
        for field in fields(self):
            tensor: Tensor = getattr(self, field.name)
            moved[field.name] = tensor.to(device, dtype if tensor.is_floating_point() else None)
        return DensityGeometry(**moved)

    def on_pairs(self, by_density: Tensor) -> Tensor:
        """Derivative with respect to pair vectors (n·e, 3, J), from that to the density."""
        return self._vectors(*self._by_kind(by_density.flatten(0, 1)[:, None]))

    def second_density(self, sent: Tensor) -> Tensor:
        """Density (n, q, K, M) of numbers (n, q) that every atom sends."""
        received = self._received(sent)  # [ie, q, j]
        weights = (received[:, :, None] * self.radial[:, None]).flatten(1, 2)  # [ie, qk, j]
        density = weights @ self.angular.transpose(1, 2)  # [ie, qk, m]
        n, size = len(self.species), density.shape[2]
        out: Tensor = density.reshape(n, -1, sent.shape[1], self.radial.shape[1], size).sum(dim=1)
        return out

    def second_on_pairs(self, by_density: Tensor, sent: Tensor) -> Tensor:
        """As `on_pairs`, from the derivative to the second density at fixed numbers (n, q)."""
        kinds = len(self.radial) // len(self.species)
        p = by_density.repeat_interleave(kinds, dim=0)  # [ie, q, k, m]
        received = self._received(sent)
        return self._vectors(*(part * received for part in self._by_kind(p)))

    def _received(self, sent: Tensor) -> Tensor:
        """What each slot's neighbour sends, (n·e, q, J)."""
        return sent[self.neighbour].reshape(len(self.radial), -1, sent.shape[1]).transpose(1, 2)

    def _by_kind(self, p: Tensor) -> list[Tensor]:
        """From derivatives (n·e, q, K, M) to those along the pair and by its three turns."""
        # The derivative of Y by the pair vector is -u × (u × ∇)Y / r, and u × ∇ acts on p as well.
        turned = torch.cat([p, *(p @ rotation for rotation in _rotations(p))], dim=2)
        rows: Tensor = turned.flatten(1, 2) @ self.angular  # [ie, (q, itself and turns, k), j]
        rows = rows.reshape(len(p), p.shape[1], 4, p.shape[2], rows.shape[2])
        straight, *turns = rows.unbind(2)
        along = (straight * self.slope[:, None]).sum(dim=2)  # [ie, q, j]
        return [along, *((t * self.radial[:, None]).sum(dim=2) for t in turns)]

    def _vectors(self, along: Tensor, *turns: Tensor) -> Tensor:
        """Derivative with respect to pair vectors (n·e, 3, J), summed over q."""
        turn = torch.stack([t.sum(dim=1) for t in turns], dim=1)  # [ie, x, j]
        across: Tensor = torch.linalg.cross(turn, self.unit, dim=1)  # zero in empty slots, as u
        radial = along.sum(dim=1, keepdim=True) * self.unit
        return radial + across / self.distance.clamp_min(_TINY)[:, None]

    def on_atoms(self, pairs: Tensor) -> Tensor:
        """Derivative with respect to positions (n, 3), from that to pair vectors."""
        own = pairs.reshape(len(self.species), -1, 3, pairs.shape[2]).sum(dim=(1, 3))
        return (-own).index_add(0, self.neighbour, pairs.transpose(1, 2).reshape(-1, 3))


class DensityTraining:
    """How an equivariant network is trained.

    Parameters
    ----------
    network : EquivariantNetwork
        In the dtype and on the device of the training.
    """

    def __init__(self, network: EquivariantNetwork) -> None:
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
        density, species = zip(*self.densities(geometries), strict=True)
        self.network.set_scales(torch.cat(density), torch.cat(species))
        self.network.silence()

    def finish(self, geometries: Sequence[DensityGeometry]) -> None:
        """Set the limits of the dipoles from those of the training frames."""
        self.network.set_limits(self.densities(geometries))

    def densities(self, geometries: Iterable[DensityGeometry]) -> Iterator[tuple[Tensor, Tensor]]:
        """What the network sees of each frame, and its species."""
        return ((g.density, g.species) for g in geometries)

    def directions(self, normals: Tensor) -> Tensor:
        """Directions of the field (frames, 3), evenly over the sphere."""
        return torch.nn.functional.normalize(normals, dim=1)

    def rows(
        self, geometries: Sequence[DensityGeometry], directions: Tensor, create_graph: bool = True
    ) -> tuple[Tensor, Tensor]:
        r"""Dipole :math:`e\cdot D` (frames,) and its derivative (all atoms, 3)."""
        sizes = torch.tensor([len(g.species) for g in geometries], device=directions.device)
        frame = torch.repeat_interleave(sizes)
        leaf = torch.cat([g.density for g in geometries]).requires_grad_()
        local = self.network.from_density(leaf, torch.cat([g.species for g in geometries]))
        along = (local * directions[frame]).sum(dim=1)
        dipoles = along.new_zeros(len(geometries)).index_add(0, frame, along)
        (by_density,) = torch.autograd.grad(dipoles.sum(), leaf, create_graph=create_graph)
        parts = torch.split(by_density, sizes.tolist())
        rows = [g.on_atoms(g.on_pairs(p)) for g, p in zip(geometries, parts, strict=True)]
        return dipoles, torch.cat(rows)


class Channels(Protocol):
    """Radial channels exp[-η(r-μ)²] f_c and harmonics up to a degree, as `NeighbourDensity`."""

    @property
    def n_elements(self) -> int:
        """Number of elements."""
        ...

    @property
    def cutoff(self) -> float:
        """R_c in Å."""
        ...

    @property
    def degree(self) -> int:
        """Largest l."""
        ...

    @property
    def gaussians(self) -> NDArray[np.float64]:
        """Rows (η, μ)."""
        ...


def density_geometry(descriptor: Channels, system: System, species: Tensor) -> DensityGeometry:
    """Geometry of one frame for the density in given channels."""
    vectors = system.vectors()
    distance = vectors.norm(dim=1)
    unit = vectors / distance[:, None]
    radial, slope = _radial(descriptor, distance)
    angular = harmonics(unit, descriptor.degree)

    n, e = len(species), descriptor.n_elements
    row = system.centre * e + species[system.neighbour]
    order = torch.argsort(row, stable=True)
    counts = torch.bincount(row, minlength=n * e)
    width = max(int(counts.max()), 1)
    starts = torch.cumsum(counts, 0) - counts
    slot = torch.empty_like(row)
    slot[order] = torch.arange(len(row)) - starts[row[order]]

    def padded(values: Tensor) -> Tensor:
        out = values.new_zeros(n * e, width, *values.shape[1:])
        out[row, slot] = values
        return out.movedim(1, -1).contiguous()

    radial, angular = padded(radial), padded(angular)
    density = radial @ angular.transpose(1, 2)
    density = density.reshape(n, e, *density.shape[1:])
    return DensityGeometry(
        species, density, radial, padded(slope), padded(distance), padded(unit), angular,
        padded(system.neighbour).flatten(),
    )  # fmt: skip


def _radial(descriptor: Channels, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Radial functions and their derivatives, (E, K)."""
    eta, centre = torch.as_tensor(descriptor.gaussians, dtype=distance.dtype).T
    away = distance[:, None] - centre
    angle = (np.pi / descriptor.cutoff * distance)[:, None]
    cutoff = (torch.cos(angle) + 1) / 2
    cutoff_slope = -np.pi / (2 * descriptor.cutoff) * torch.sin(angle)
    gauss = torch.exp(-eta * away**2)
    return gauss * cutoff, gauss * (cutoff_slope - 2 * eta * away * cutoff)


def _rotations(p: Tensor) -> Tensor:
    """Matrices (3, M, M) of u × ∇ on the harmonics, in the dtype and on the device of p."""
    matrices: Tensor = _rotation_matrices(math.isqrt(p.shape[-1]) - 1)
    return matrices.to(p)


@lru_cache(maxsize=8)
def _rotation_matrices(degree: int) -> Tensor:
    tables = harmonic_tables(degree)
    rows = np.arange((degree + 1) ** 2)[None, :, None]
    matrices = np.zeros((3, rows.size, rows.size))
    np.add.at(matrices, (np.arange(3)[:, None, None], rows, tables.partner), tables.turn)
    return torch.as_tensor(matrices)
