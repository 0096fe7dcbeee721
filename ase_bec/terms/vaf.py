"""The source paper's network of local dipoles, one axis at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.descriptors.scaling import MinMaxScaling
from ase_bec.descriptors.vector_functions import VectorFunctions
from ase_bec.networks import ElementNetworks
from ase_bec.terms.term import LocalDipole

__all__ = ["VAFNetwork"]

# Cyclic exchange of the coordinates that turns axis x, y or z into z.
_TURNED = ((1, 2, 0), (2, 0, 1), (0, 1, 2))


class VAFNetwork(LocalDipole):
    r"""Local dipoles from vector atomic fingerprints.

    .. math:: D_{i,\alpha} = \mathrm{NN}_{Z_i}(\mathbf V_i^\alpha)

    with one network for every axis, evaluated on the structure turned so that α is z. D is
    invariant under rotation about the axis, but not equivariant under other rotations; train it on
    every axis.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    cutoff : float
        R_c in Å.
    v1, v2 : sequences
        Vector functions, see :class:`VectorFunctions`.
    hidden : sequence of int
        Nodes of the hidden layers.
    activation : str
        ``tanh``, ``silu``, ``softplus`` or ``linear``.

    Raises
    ------
    ValueError
        If no vector function is given, or one is invalid.

    References
    ----------
    K. Shimizu et al., arXiv:2305.19546.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec import PolarizationModel, VAFNetwork
    >>> network = VAFNetwork(2, 4.0, v1=[(0.5, 2.0)], v2=[(0.1, 2.0, 0.0, 0.0)])
    >>> model = PolarizationModel(["Na", "Cl"], network, {"Na": 1, "Cl": -1})
    >>> model.born_charges(bulk("NaCl", "rocksalt", 5.6)).shape
    (2, 3, 3)
    """

    kind = "vaf"

    def __init__(
        self,
        n_elements: int,
        cutoff: float,
        v1: Sequence[Sequence[float]],
        v2: Sequence[Sequence[float]],
        hidden: Sequence[int] = (10, 10),
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        self.n_elements = n_elements
        self.descriptor = VectorFunctions(n_elements, cutoff, v1, v2)
        self.cutoff = self.descriptor.cutoff
        n_features = self.descriptor.n_features
        if not n_features:
            raise ValueError("`v1` and `v2` must hold a function, got none")
        low = -torch.ones(n_elements, n_features, dtype=torch.float64)
        self.scaling = MinMaxScaling(low, -low)
        self.networks = ElementNetworks(n_elements, (n_features, *hidden, 1), activation).double()
        self.hidden, self.activation = tuple(int(n) for n in hidden), activation

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild this network, without its weights."""
        return {
            "cutoff": self.cutoff,
            "v1": [list(row) for row in self.descriptor.v1],
            "v2": [list(row) for row in self.descriptor.v2],
            "hidden": list(self.hidden),
            "activation": self.activation,
        }

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Local dipoles (n, 3) in e·Å of n centres."""
        return torch.stack([self.component(nb, axis) for axis in range(3)], dim=1)

    def component(self, nb: Neighbourhoods, axis: int) -> Tensor:
        """Local dipoles (n,) along one axis."""
        return self.from_features(self.features(nb, axis), nb.species)

    def features(self, nb: Neighbourhoods, axis: int) -> Tensor:
        """Vector functions (n, n_features) along one axis."""
        out: Tensor = self.descriptor(nb._replace(vectors=nb.vectors[:, list(_TURNED[axis])]))
        return out

    def from_features(self, features: Tensor, species: Tensor) -> Tensor:
        """Local dipoles (n,) from the centres' vector functions along an axis."""
        out: Tensor = self.networks(self.scaling(features, species), species)
        return out
