"""Neural-network potential: a network of symmetry functions, and repulsion beyond its range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ase_bec.terms.energy import NetworkEnergy
from ase_bec.terms.model import Model
from ase_bec.terms.repulsion import CoreRepulsion
from ase_bec.terms.species import check_elements

__all__ = ["NeuralNetworkPotential"]


class NeuralNetworkPotential(Model):
    r"""Behler–Parrinello neural-network potential.

    .. math:: U = \sum_i \left[ E^0_{Z_i} + \mathrm{NN}_{Z_i}(\mathbf{x}_i) \right] + U_{core}

    with x_i the scaled symmetry functions of atom i (:class:`NetworkEnergy`), and a repulsion
    of atoms closer than any in the training data (:class:`CoreRepulsion`).

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols; their order is that of the features.
    cutoff, g2, g5, g4, hidden, activation, scaling, offsets
        As for :class:`NetworkEnergy`.
    metadata : dict, optional
        Description of the model: plain values, kept in the file.

    Raises
    ------
    ValueError
        If an element is unknown or repeated, or shapes disagree.

    References
    ----------
    J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007).

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec import NeuralNetworkPotential, NNPCalculator
    >>> model = NeuralNetworkPotential(["Na", "Cl"], 4.0, g2=[(0.5, 2.0)], g5=[(0.1, 2, 1)])
    >>> NNPCalculator(model).get_forces(bulk("NaCl", "rocksalt", 5.6)).shape
    (2, 3)
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
        n = len(check_elements(elements))
        network = NetworkEnergy(n, cutoff, g2, g5, g4, hidden, activation, scaling, offsets)
        super().__init__(elements, [network, CoreRepulsion(n)], metadata)

    @property
    def network(self) -> NetworkEnergy:
        """Term of the network."""
        found: NetworkEnergy = self.terms[0]  # type: ignore[assignment]
        return found

    @property
    def repulsion(self) -> CoreRepulsion:
        """Term of the repulsion."""
        found: CoreRepulsion = self.terms[1]  # type: ignore[assignment]
        return found

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild this model, without its weights."""
        return {"elements": list(self.elements), **self.network.config()}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], metadata: dict[str, Any]
    ) -> NeuralNetworkPotential:
        """Make a model from what :meth:`config` returned."""
        return cls(**config, metadata=metadata)
