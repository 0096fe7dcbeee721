"""Charges of atoms, of models that have them."""

from __future__ import annotations

from torch import Tensor

from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.terms.species import species_of

__all__ = ["atomic_charges"]


def atomic_charges(model: Model, system: System, field: Tensor | None = None) -> Tensor:
    """Charges (N,) in e at the minimum of H in a field, (3,) or (B, 3) in V/Å.

    Raises
    ------
    ValueError
        If no term, or more than one, has charges.
    """
    found = [term for term in model.terms if term.has_charges]
    if len(found) != 1:
        raise ValueError(f"`model` must have one term with charges, got {len(found)}")
    given = system.cell.new_zeros(3) if field is None else field.to(system.cell)
    species = species_of(system.numbers, model.elements)
    charges: Tensor = found[0].charges(system, species, given.expand(system.n_structures, 3))  # type: ignore[operator]
    return charges
