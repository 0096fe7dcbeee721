"""Neural-network potential: the energy as a sum of atomic energies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers
from torch import Tensor, nn

from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.descriptors.scaling import MinMaxScaling
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions
from ase_bec.models.species import check_elements
from ase_bec.models.terms.repulsion import CoreRepulsion
from ase_bec.networks import ElementNetworks

__all__ = ["NeuralNetworkPotential"]


class NeuralNetworkPotential(nn.Module):
    r"""Behler–Parrinello neural-network potential.

    .. math:: U = \sum_i \left[ E^0_{Z_i} + \mathrm{NN}_{Z_i}(\mathbf{x}_i) \right] + U_{core}

    with x_i the scaled symmetry functions of atom i (:class:`SymmetryFunctions`), and a repulsion
    of atoms nearer than any in the training data (:class:`CoreRepulsion`).

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols; their order is that of the features.
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
        E⁰ of each element in eV; zero if not given.
    metadata : dict, optional
        What the model is: plain values, kept in the file.

    Raises
    ------
    ValueError
        If an element is unknown or repeated, or shapes disagree.

    References
    ----------
    J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007).
    """

    kind = "neural-network potential"

    def __init__(
        self,
        elements: Sequence[str],
        cutoff: float,
        g2: Sequence[Sequence[float]] = (),
        g5: Sequence[Sequence[float]] = (),
        g4: Sequence[Sequence[float]] = (),
        hidden: Sequence[int] = (10, 10),
        activation: str = "tanh",
        scaling: tuple[Tensor, Tensor] | None = None,
        offsets: Sequence[float] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.elements = check_elements(elements)
        self.descriptor = SymmetryFunctions(len(self.elements), cutoff, g2, g5, g4)
        self.cutoff = self.descriptor.cutoff
        n_features = self.descriptor.n_features
        if not n_features:
            raise ValueError("`g2`, `g5` and `g4` must hold a function, got none")
        if scaling is None:
            low = torch.zeros(len(self.elements), n_features, dtype=torch.float64)
            scaling = low, low + 1
        if scaling[0].shape != (len(self.elements), n_features):
            raise ValueError(
                f"`scaling` must have the shape {(len(self.elements), n_features)}, "
                f"got {tuple(scaling[0].shape)}"
            )
        self.scaling = MinMaxScaling(*scaling)
        self.repulsion = CoreRepulsion(len(self.elements))
        sizes = (n_features, *hidden, 1)
        self.networks = ElementNetworks(len(self.elements), sizes, activation).double()
        energies = [0.0] * len(self.elements) if offsets is None else offsets
        if len(energies) != len(self.elements):
            raise ValueError(
                f"`offsets` must have {len(self.elements)} energies, got {len(energies)}"
            )
        self.register_buffer("offsets", torch.as_tensor(energies, dtype=torch.float64))
        self.hidden = tuple(int(n) for n in hidden)
        self.activation = activation
        self.metadata = dict(metadata or {})

    offsets: Tensor

    @property
    def numbers(self) -> list[int]:
        """Atomic numbers of the elements."""
        return [atomic_numbers[symbol] for symbol in self.elements]

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Atomic energies (n,) in eV of n centres."""
        out: Tensor = self.from_features(self.descriptor(nb), nb.species) + self.repulsion(nb)
        return out

    def from_features(self, features: Tensor, species: Tensor) -> Tensor:
        """Atomic energies (n,) in eV from the centres' symmetry functions (n, n_features) alone."""
        scaled = self.scaling(features, species)
        out: Tensor = self.networks(scaled, species) + self.offsets[species]
        return out

    def config(self) -> dict[str, Any]:
        """Plain arguments that make this model again, without its numbers."""
        return {
            "elements": list(self.elements),
            "cutoff": self.cutoff,
            "g2": [list(row) for row in self.descriptor.g2],
            "g5": [list(row) for row in self.descriptor.g5],
            "g4": [list(row) for row in self.descriptor.g4],
            "hidden": list(self.hidden),
            "activation": self.activation,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], metadata: dict[str, Any]
    ) -> NeuralNetworkPotential:
        """Make a model from what :meth:`config` gave."""
        return cls(**config, metadata=metadata)

    def save(self, path: str | Path) -> None:
        """Write the model to a file that :func:`ase_bec.load` reads without executing code."""
        from ase_bec.models.formats.saved import save

        save(self, path)
