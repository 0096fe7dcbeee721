"""Atomic energies from invariants of the neighbour density, with learned channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

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

    .. math:: U_i = E^0_{Z_i} + \mathrm{NN}_{Z_i}(G_i)

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
        offsets: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.n_elements = n_elements
        self.density = NeighbourDensity(n_elements, cutoff, radial, degree)
        self.cutoff = self.density.cutoff
        inputs = n_elements * radial
        self.network = InvariantNetwork(n_elements, inputs, degree, channels, hidden, 1)
        energies = [0.0] * n_elements if offsets is None else offsets
        if len(energies) != n_elements:
            raise ValueError(f"`offsets` must have {n_elements} energies, got {len(energies)}")
        low = torch.full((n_elements, self.network.n_invariants), -UNLIMITED, dtype=torch.float64)
        self.known = MinMaxScaling(low, -low)
        self.register_buffer("offsets", torch.as_tensor(energies, dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DensityEnergy:
        # All-electron energies would lose meV to single precision.
        offsets = self.offsets
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.offsets = offsets.to(self.offsets.device)
        return self

    def config(self) -> dict[str, Any]:
        """Plain arguments that make this term again, without its numbers."""
        return {
            "cutoff": self.cutoff,
            "radial": self.density.radial,
            "degree": self.density.degree,
            "channels": self.network.channels,
            "hidden": list(self.network.hidden),
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
        """G (n, n_invariants), without a graph."""
        with torch.no_grad():
            return self.network.invariants(density, self.network.contracted(density, species))

    def from_density(self, density: Tensor, species: Tensor) -> Tensor:
        """Atomic energies (n,) in eV from the centres' densities."""
        out: Tensor = self.network(density, species)[:, 0] + self.offsets[species]
        return out
