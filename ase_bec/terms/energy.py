"""Network of symmetry functions: atomic energies of a Behler–Parrinello potential."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.descriptors.scaling import MinMaxScaling
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions
from ase_bec.networks import ElementNetworks
from ase_bec.terms.compiled import CompiledEnergy, serves, weights_by_element
from ase_bec.terms.term import LocalEnergy, Rule

__all__ = ["NetworkEnergy"]


class NetworkEnergy(LocalEnergy):
    r"""Atomic energies by one network for each element.

    .. math:: U_i = E^0_{Z_i} + \mathrm{NN}_{Z_i}(\mathbf{x}_i)

    with x_i the scaled symmetry functions of atom i (:class:`SymmetryFunctions`).

    Parameters
    ----------
    n_elements : int
        Number of elements.
    cutoff : float
        R_c in Å.
    g2, g5, g4 : sequences
        Symmetry functions, see :class:`SymmetryFunctions`.
    hidden : sequence of int
        Nodes of the hidden layers.
    activation : str
        ``tanh``, ``silu``, ``softplus`` or ``linear``.
    scaling : tuple of two Tensors (n_elements, n_features), optional
        Smallest and largest value of each feature in the training data; 0 and 1 if not given.
    offsets : sequence of float, optional
        E⁰ of each element in eV; zero if not given. They stay in double precision.

    Raises
    ------
    ValueError
        If shapes disagree, or no function is given.

    References
    ----------
    J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007).

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.evaluation.evaluator import Evaluator
    >>> from ase_bec.models import Model
    >>> from ase_bec.terms.energy import NetworkEnergy
    >>> network = NetworkEnergy(2, 4.0, g2=[(0.5, 2.0)], g5=[(0.1, 2, 1)], offsets=(-5.0, -3.0))
    >>> evaluator = Evaluator(Model(["Na", "Cl"], [network]), "energies")
    >>> evaluator.values(bulk("NaCl", "rocksalt", 5.6))[0].energies.shape
    (2,)
    """

    kind = "symmetry-functions"
    offsets: Tensor

    def __init__(
        self,
        n_elements: int,
        cutoff: float,
        g2: Sequence[Sequence[float]] = (),
        g5: Sequence[Sequence[float]] = (),
        g4: Sequence[Sequence[float]] = (),
        hidden: Sequence[int] = (10, 10),
        activation: str = "tanh",
        scaling: tuple[Tensor, Tensor] | None = None,
        offsets: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.n_elements = n_elements
        self.descriptor = SymmetryFunctions(n_elements, cutoff, g2, g5, g4)
        self.cutoff = self.descriptor.cutoff
        n_features = self.descriptor.n_features
        if not n_features:
            raise ValueError("`g2`, `g5` and `g4` must hold a function, got none")
        if scaling is None:
            low = torch.zeros(n_elements, n_features, dtype=torch.float64)
            scaling = low, low + 1
        if scaling[0].shape != (n_elements, n_features):
            raise ValueError(
                f"`scaling` must have the shape {(n_elements, n_features)}, "
                f"got {tuple(scaling[0].shape)}"
            )
        self.scaling = MinMaxScaling(*scaling)
        sizes = (n_features, *hidden, 1)
        self.networks = ElementNetworks(n_elements, sizes, activation).double()
        energies = [0.0] * n_elements if offsets is None else offsets
        if len(energies) != n_elements:
            raise ValueError(f"`offsets` must have {n_elements} energies, got {len(energies)}")
        self.register_buffer("offsets", torch.as_tensor(energies, dtype=torch.float64))
        self.hidden = tuple(int(n) for n in hidden)
        self.activation = activation

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> NetworkEnergy:
        # All-electron energies would lose meV to single precision.
        offsets = self.offsets
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.offsets = offsets.to(self.offsets.device)
        return self

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild this term, without its weights."""
        return {
            "cutoff": self.cutoff,
            "g2": [list(row) for row in self.descriptor.g2],
            "g5": [list(row) for row in self.descriptor.g5],
            "g4": [list(row) for row in self.descriptor.g4],
            "hidden": list(self.hidden),
            "activation": self.activation,
        }

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Atomic energies (n,) in eV of n centres."""
        return self.from_features(self.descriptor(nb), nb.species)

    def with_outside(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """Atomic energies, and how far features lie beyond their range in the training data."""
        features = self.descriptor(nb)
        outside = self.scaling.outside(features.detach(), nb.species)
        return self.from_features(features, nb.species), outside

    def from_features(self, features: Tensor, species: Tensor) -> Tensor:
        """Atomic energies (n,) in eV from the centres' symmetry functions (n, n_features) alone."""
        scaled = self.scaling(features, species)
        out: Tensor = self.networks(scaled, species) + self.offsets[species]
        return out

    def rule(self, device: torch.device) -> Rule | None:
        """Compiled kernel on the CPU, for G2, and G5 with whole-number ζ."""
        descriptor = self.descriptor
        if not serves(self, device) or descriptor.g4 or descriptor.explicit:
            return None
        from ase_bec.kernels.network_energy import NetworkTables, network_energies

        weights = weights_by_element(self.networks.networks, self.activation)
        if weights is None:
            return None
        sizes, activation, packed = weights
        factor, offset = (x.to(packed) for x in self.scaling.linear())
        low, high, margin = self.scaling.range()
        arrays = (factor, offset, low, high, 1 / margin, packed, self.offsets)
        numbers = (x.detach().contiguous().numpy() for x in arrays)
        tables = NetworkTables(descriptor.kernels.tables, sizes, activation, *numbers)
        return CompiledEnergy(network_energies, tables)
