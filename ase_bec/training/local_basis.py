"""Linear model of local invariants: structures whose energies are sums over neighbourhoods."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.cutoffs import cosine_cutoff
from ase_bec.descriptors.harmonics import harmonics
from ase_bec.system import System
from ase_bec.terms.species import species_of

__all__ = ["LocalBasis", "Rows"]

Array = NDArray[np.float64]


class Rows(NamedTuple):
    """Features of one structure of n atoms.

    Attributes
    ----------
    energy : ndarray, (F,)
        Of the structure.
    forces : ndarray, (n, 3, F)
        -∂/∂r of it.
    """

    energy: Array
    forces: Array


class LocalBasis:
    r"""Invariants that an energy of neighbourhoods may be linear in.

    Of each element of the centre: the number of atoms, the neighbour density
    A_{c,lm} = Σ_j f_c(r) e_k(r) Y_lm of each neighbour's element and radial function c = (b, k)
    at l = 0, and its products Σ_m A_{c,lm} A_{c',lm}: all pair energies, and three-body energies
    up to l = ``degree``, as far as the radial functions tell.

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols.
    cutoff : float
        Å.
    radial : int
        Radial functions of pairs.
    coarse : int
        Radial functions of the products.
    degree : int
        Largest l.
    """

    def __init__(
        self,
        elements: tuple[str, ...],
        cutoff: float = 6.0,
        radial: int = 16,
        coarse: int = 3,
        degree: int = 2,
    ) -> None:
        self.elements, self.cutoff, self.degree = elements, cutoff, degree
        self.radial, self.coarse = radial, coarse

    @torch.no_grad()
    def rows(self, atoms: Atoms) -> Rows:
        """Features of a structure and of the forces on its atoms."""
        system = System.from_atoms(atoms, self.cutoff)
        species = species_of(system.numbers, self.elements)
        vectors, n = system.vectors(), system.n_atoms
        pair, by_pair = self._pairs(vectors, species[system.neighbour])
        dense, by_dense = self._products(vectors, system, species)
        values = [torch.zeros(n, pair.shape[1]).double().index_add(0, system.centre, pair), dense]
        slopes = torch.cat([by_pair, by_dense], dim=1)  # (e, f, 3)
        features = torch.cat([torch.ones(n, 1).double(), *values], dim=1)
        slopes = torch.cat([torch.zeros(len(slopes), 1, 3).double(), slopes], dim=1)
        width, count = features.shape[1], len(self.elements)
        energy = torch.zeros(count, width).double().index_add(0, species, features)
        forces = torch.zeros(n, 3, count, width).double()
        for k in range(count):
            chosen = species[system.centre] == k
            flow = slopes[chosen].transpose(1, 2)  # (e, 3, f)
            forces[:, :, k].index_add_(0, system.centre[chosen], flow)
            forces[:, :, k].index_add_(0, system.neighbour[chosen], flow, alpha=-1)
        return Rows(energy.flatten().numpy(), forces.flatten(2).numpy())

    def _pairs(self, vectors: Tensor, neighbour: Tensor) -> tuple[Tensor, Tensor]:
        """Radial functions by element of the neighbour (e, f), and their slopes (e, f, 3)."""
        return _by_element(*_slopes(lambda v: self._radial(v, self.radial), vectors), neighbour,
                           len(self.elements))  # fmt: skip

    def _products(self, vectors: Tensor, system: System, species: Tensor) -> tuple[Tensor, Tensor]:
        """Products of densities (n, f), and their slopes by the pair vectors (e, f, 3)."""
        size = (self.degree + 1) ** 2

        def waves(v: Tensor) -> Tensor:
            y = harmonics(v / v.norm(dim=1, keepdim=True), self.degree)
            return (self._radial(v, self.coarse)[:, :, None] * y[:, None, :]).flatten(1)

        value, slope = _by_element(
            *_slopes(waves, vectors), species[system.neighbour], len(self.elements)
        )
        channels = len(self.elements) * self.coarse
        density = torch.zeros(system.n_atoms, value.shape[1]).double()
        density = density.index_add(0, system.centre, value).reshape(-1, channels, size)
        slope = slope.reshape(-1, channels, size, 3)
        i, j = torch.triu_indices(channels, channels)
        centre, features, slopes = system.centre, [], []
        for l in range(self.degree + 1):  # noqa: E741
            part = slice(l * l, (l + 1) ** 2)
            a, b = density[:, :, part], slope[:, :, part]
            features.append((a[:, i] * a[:, j]).sum(dim=2))
            mixed = torch.einsum("ecmx,edm->ecdx", b, a[centre])
            slopes.append(mixed[:, i, j] + mixed[:, j, i])
        return torch.cat(features, dim=1), torch.cat(slopes, dim=1)

    def _radial(self, vectors: Tensor, number: int) -> Tensor:
        """Gaussians over the distance (e, number), zero from the cutoff on."""
        distance = vectors.norm(dim=1)
        centres = torch.linspace(1.2, self.cutoff - 0.3, number).double()
        spacing = float(centres[1] - centres[0])
        gauss = torch.exp(-0.5 * ((distance[:, None] - centres) / spacing) ** 2)
        return gauss * cosine_cutoff(distance, self.cutoff)[:, None]


def _slopes(function: Callable[[Tensor], Tensor], vectors: Tensor) -> tuple[Tensor, Tensor]:
    """A function of each vector (e, f), and its derivatives (e, f, 3)."""
    leaf = vectors.detach().requires_grad_()
    with torch.enable_grad():
        value = function(leaf)
        columns = [
            torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0]
            for column in value.unbind(dim=1)
        ]
    return value.detach(), torch.stack(columns, dim=1)


def _by_element(value: Tensor, slope: Tensor, element: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Columns for each element of the neighbour, zero of others."""
    which = torch.nn.functional.one_hot(element, count).double()
    return (
        (which[:, :, None] * value[:, None, :]).flatten(1),
        (which[:, :, None, None] * slope[:, None, :, :]).flatten(1, 2),
    )
