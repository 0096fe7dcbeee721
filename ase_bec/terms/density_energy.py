"""Atomic energies from invariants of the neighbour density, with learned channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ase_bec.descriptors.compiled import can_compile
from ase_bec.descriptors.density import NeighbourDensity
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.descriptors.scaling import MinMaxScaling
from ase_bec.terms.invariants import InvariantNetwork
from ase_bec.terms.term import LocalEnergy

__all__ = ["UNLIMITED", "DensityEnergy"]

UNLIMITED = 1e30  # bound of invariants whose range is not known


class DensityEnergy(LocalEnergy):
    r"""Atomic energies from learned invariants of the neighbour density.

    .. math:: U_i = E^0_{Z_i} + \frac1M \sum_{m=1}^M \mathrm{NN}^m_{Z_i}(G^m_i)

    with the invariants G of :class:`InvariantNetwork`: radial and angular resolution are learned
    together, where symmetry functions have fixed functions. More accurate from few data, and
    dearer, than :class:`NetworkEnergy`.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    cutoff, radial, degree : float, int, int
        As for :class:`NeighbourDensity`.
    channels : int
        Learned channels for each l.
    hidden : sequence of int
        Nodes of the hidden layers.
    members : int
        Number M of networks whose mean it is: with few data much of the error is chance, of which
        a mean has less. See `mean_of`.
    offsets : sequence of float, optional
        E⁰ of each element in eV; zero if not given. They stay in double precision.

    Raises
    ------
    ValueError
        If a number is of no use.
    """

    kind = "density-energy"
    offsets: Tensor

    def __init__(
        self,
        n_elements: int,
        cutoff: float = 5.5,
        radial: int = 8,
        degree: int = 3,
        channels: int = 8,
        hidden: Sequence[int] = (48, 48),
        members: int = 1,
        offsets: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.n_elements = n_elements
        self.density = NeighbourDensity(n_elements, cutoff, radial, degree)
        self.cutoff = self.density.cutoff
        inputs = n_elements * radial
        if members < 1:
            raise ValueError(f"`members` must be 1 or more, got {members}")
        self.networks = nn.ModuleList(
            InvariantNetwork(n_elements, inputs, degree, channels, hidden, 1)
            for _ in range(members)
        )
        energies = [0.0] * n_elements if offsets is None else offsets
        if len(energies) != n_elements:
            raise ValueError(f"`offsets` must have {n_elements} energies, got {len(energies)}")
        size = members * self._listed()[0].n_invariants
        low = torch.full((n_elements, size), -UNLIMITED, dtype=torch.float64)
        self.known = MinMaxScaling(low, -low)
        self.register_buffer("offsets", torch.as_tensor(energies, dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DensityEnergy:
        # All-electron energies would lose meV to single precision.
        offsets = self.offsets
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.offsets = offsets.to(self.offsets.device)
        return self

    @classmethod
    def mean_of(cls, terms: Sequence[DensityEnergy]) -> DensityEnergy:
        """Mean of terms that were trained apart, at little more than the cost of one.

        Raises
        ------
        ValueError
            If there is none, or their settings differ.
        """
        configs = [{**term.config(), "members": 1} for term in terms]
        if not terms or any(config != configs[0] for config in configs[1:]):
            raise ValueError("`terms` must be one or more of the same settings, got others")
        options = configs[0] | {"members": sum(len(term.networks) for term in terms)}
        out = cls(terms[0].n_elements, **options)
        out.networks = nn.ModuleList(n for term in terms for n in deepcopy(term).networks)
        for name in ("low", "high"):
            known = torch.cat([getattr(term.known, name) for term in terms], dim=1)
            setattr(out.known, name, known.clone())
        weights = torch.tensor([len(term.networks) for term in terms], dtype=torch.float64)
        offsets = torch.stack([term.offsets for term in terms])
        out.offsets = (weights / weights.sum()) @ offsets
        return out

    def config(self) -> dict[str, Any]:
        """Plain arguments that make this term again, without its numbers."""
        return {
            "cutoff": self.cutoff,
            "radial": self.density.radial,
            "degree": self.density.degree,
            "channels": self._listed()[0].channels,
            "hidden": list(self._listed()[0].hidden),
            "members": len(self.networks),
        }

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Atomic energies (n,) in eV of n centres."""
        return self.from_density(self._density(nb), nb.species)

    def with_outside(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """Atomic energies, and how far invariants lie beyond their range in the training data."""
        density = self._density(nb)
        outside = self.known.outside(self.invariants(density.detach(), nb.species), nb.species)
        return self.from_density(density, nb.species), outside

    def _density(self, nb: Neighbourhoods) -> Tensor:
        if can_compile(nb.vectors, self.training):
            return self.density.compiled(nb)
        density: Tensor = self.density(nb)
        return density

    def invariants(self, density: Tensor, species: Tensor) -> Tensor:
        """G (n, members · n_invariants), without a graph."""
        with torch.no_grad():
            rows = [n.invariants(density, n.contracted(density, species)) for n in self._listed()]
            return torch.cat(rows, dim=1)

    def from_density(self, density: Tensor, species: Tensor) -> Tensor:
        """Atomic energies (n,) in eV from the centres' densities."""
        found = torch.cat([network(density, species) for network in self._listed()], dim=1)
        out: Tensor = found.mean(dim=1) + self.offsets[species]
        return out

    def _listed(self) -> list[InvariantNetwork]:
        return list(self.networks)  # type: ignore[arg-type]
