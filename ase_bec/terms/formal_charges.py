"""Formal charges on unwrapped positions: the multivalued part of the dipole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ase_bec.system import System
from ase_bec.terms.term import Contribution, Rule, WholeStructure

__all__ = ["FormalCharges"]


class FormalCharges(WholeStructure):
    r"""Dipole of constant charges, and its enthalpy.

    .. math:: H = -\mathbf E \cdot \sum_a q_a \mathbf r_a

    with positions r as they are, never wrapped. An ion carried once through the cell changes D by
    q times the lattice vector. At fixed voltages across the cell, strain does no work on H.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    charges : sequence of float
        q of each element in e.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.evaluation.evaluator import Evaluator
    >>> from ase_bec.models import Model
    >>> from ase_bec.terms.formal_charges import FormalCharges
    >>> evaluator = Evaluator(Model(["Mg", "O"], [FormalCharges(2, [2, -2])]), "dipoles")
    >>> [values] = evaluator.values(bulk("MgO", "rocksalt", 4.2))
    >>> values.dipole.round(6) + 0.0  # e·Å
    array([-4.2,  0. ,  0. ])
    """

    kind = "formal-charges"
    in_field = "linear"

    def __init__(self, n_elements: int, charges: Sequence[float]) -> None:
        super().__init__()
        if len(charges) != n_elements:
            raise ValueError(f"`charges` must have {n_elements} numbers, got {len(charges)}")
        self.n_elements = n_elements
        self.values = tuple(float(q) for q in charges)

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild this term."""
        return {"charges": list(self.values)}

    def of(self, species: Tensor) -> Tensor:
        """Charge of each atom, (N,), in double precision."""
        return torch.tensor(self.values, dtype=torch.float64, device=species.device)[species]

    def forward(self, system: System, species: Tensor, field: Tensor) -> Tensor:
        """−E·q r of each atom, (N,), in eV."""
        along = (field[system.batch] * system.positions).sum(dim=1)
        return -self.of(species) * along

    def rule(self, device: torch.device) -> Rule:
        """Closed form."""
        return self._contribution

    def _contribution(self, system: System, species: Tensor, field: Tensor) -> Contribution:
        charges = self.of(species)[:, None]
        moments = charges * system.positions
        local = field[system.batch]
        return Contribution(
            -(local * moments).sum(dim=1),
            charges * local,
            torch.zeros_like(system.cell),
            system.sum_structures(moments),
            torch.zeros_like(charges[:, 0]),
        )
