"""Polarization model: formal charges on unwrapped positions, and local dipoles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.evaluation.evaluator import Evaluator
from ase_bec.terms.formal_charges import FormalCharges
from ase_bec.terms.model import Model, term_from_config
from ase_bec.terms.species import check_elements
from ase_bec.terms.term import LocalDipole

__all__ = ["PolarizationModel"]

Array = NDArray[np.float64]


class PolarizationModel(Model):
    r"""Dipole and Born effective charges of a structure.

    .. math:: \mathbf D = \sum_a q_a \mathbf r_a + \sum_i \mathbf D_i^{NN} , \qquad
              Z_{a,ij} = \partial D_i/\partial r_{a,j} = q_a \delta_{ij} +
              \partial D^{NN}_i/\partial r_{a,j}

    with unwrapped positions r. The first term is multivalued: an ion carried once through the
    cell changes D by q times the lattice vector, and takes up the corresponding work from
    a field. The second is a periodic function of the positions. Σ_a Z_a = Σ_a q_a·1 exactly.

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols.
    network : LocalDipole
        Local dipoles for the same number of elements: an EquivariantNetwork, a
        MessagePassingNetwork or a VAFNetwork.
    formal_charges : mapping or None
        Oxidation number of each element in e. None gives the single-valued model of the source
        paper, in which no lasting current can flow; a warning says so.
    metadata : dict, optional
        Description of the model: plain values, kept in the file.

    Raises
    ------
    ValueError, TypeError
        If elements and charges or network disagree.

    References
    ----------
    L. Jiang, S. V. Levchenko and A. M. Rappe, Phys. Rev. Lett. 108, 166403 (2012); F. Grasselli
    and S. Baroni, Nat. Phys. 15, 967 (2019).

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec import EquivariantNetwork, PolarizationModel
    >>> model = PolarizationModel(["Na", "Cl"], EquivariantNetwork(2, 4.0), {"Na": 1, "Cl": -1})
    >>> model.born_charges(bulk("NaCl", "rocksalt", 5.6)).sum(axis=0).round(9) + 0.0
    array([[0., 0., 0.],
           [0., 0., 0.],
           [0., 0., 0.]])
    """

    kind = "polarization model"

    def __init__(
        self,
        elements: Sequence[str],
        network: LocalDipole,
        formal_charges: Mapping[str, float] | None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        elements = check_elements(elements)
        if not isinstance(network, LocalDipole):
            raise TypeError(
                "`network` must be an EquivariantNetwork, a MessagePassingNetwork or another term "
                f"of local dipoles, got {type(network).__name__}"
            )
        if network.n_elements != len(elements):
            raise ValueError(
                f"`network` must be made for {len(elements)} elements, got {network.n_elements}"
            )
        known = None
        if formal_charges is None:
            warnings.warn(
                "a polarization model without formal charges is single-valued: the field does no "
                "work on an ion carried through the cell, so no lasting current can flow",
                stacklevel=2,
            )
        else:
            known = _checked_charges(formal_charges, elements)
        charges = [(known or {}).get(symbol, 0.0) for symbol in elements]
        super().__init__(elements, [FormalCharges(len(elements), charges), network], metadata)
        self.formal_charges = known
        self._warned = False

    @property
    def charges(self) -> FormalCharges:
        """Term of the formal charges."""
        found: FormalCharges = self.terms[0]  # type: ignore[assignment]
        return found

    @property
    def network(self) -> Any:
        """Term of the local dipoles."""
        return self.terms[1]

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild this model, without its weights."""
        return {
            "elements": list(self.elements),
            "network": {"kind": self.network.kind, **self.network.config()},
            "formal_charges": self.formal_charges,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], metadata: dict[str, Any]) -> PolarizationModel:
        """Make a model from what :meth:`config` returned."""
        network: Any = term_from_config(len(config["elements"]), config["network"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # given when the model was made
            return cls(config["elements"], network, config["formal_charges"], metadata)

    def dipole(self, atoms: Atoms) -> Array:
        """D in e·Å, (3,), of the positions as they are (never wrapped)."""
        with self._evaluator() as evaluator:
            return evaluator.values(atoms)[0].dipole

    def born_charges(self, atoms: Atoms) -> Array:
        """Z[a, i, j] in e, (natoms, 3, 3), [field, displacement]."""
        with self._evaluator() as evaluator:
            return evaluator.born_charges(atoms)

    @contextmanager
    def _evaluator(self) -> Iterator[Evaluator]:
        """Evaluator with the current weights: a model may be trained between two calls."""
        evaluator = Evaluator(self, "Born charges")
        evaluator.warned = self._warned
        try:
            yield evaluator
        finally:
            self._warned = evaluator.warned


def _checked_charges(charges: Mapping[str, float], elements: Sequence[str]) -> dict[str, float]:
    if not isinstance(charges, Mapping):
        raise TypeError(
            "`formal_charges` must be a dict of element and charge, or None, "
            f"got {type(charges).__name__}"
        )
    numbers = [q for q in charges.values() if isinstance(q, Real) and np.isfinite(float(q))]
    if set(charges) != set(elements) or len(numbers) != len(elements):
        raise ValueError(
            f"`formal_charges` must have a finite charge for each of {', '.join(elements)}, "
            f"got {dict(charges)}"
        )
    return {symbol: float(charges[symbol]) for symbol in elements}
