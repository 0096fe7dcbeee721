"""Models as sources of Born charges."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.evaluation.evaluator import Evaluator, Job
from ase_bec.evaluation.field_response import FieldResponse
from ase_bec.models import Model

__all__ = ["ModelCharges"]

Array = NDArray[np.float64]


class ModelCharges:
    """Dipole and Born charges of those terms of a model that feel a field.

    It owns a copy: training the model afterwards does not change results.

    Parameters
    ----------
    model : Model
        A polarization model, or another with terms that feel a field.

    Raises
    ------
    ValueError
        If no term feels a field.
    """

    has_dipole = True

    def __init__(self, model: Model) -> None:
        if not model.has_dipole:
            raise ValueError(
                f"`charges` must be a model with a dipole, got a {model.kind} that does not feel a "
                "field"
            )
        feeling = model.in_field()
        self._evaluator = Evaluator(feeling, "Born charges")
        # What does not vanish without field counts as its difference from that.
        lasting = [term for term in feeling.terms if not term.vanishes]
        self._at_rest = (
            Evaluator(Model(model.elements, lasting), "Born charges")  # type: ignore[arg-type]
            if lasting
            else None
        )

    @property
    def quadratic(self) -> bool:
        """Whether Born charges and dipole change with the field."""
        return any(term.in_field == "quadratic" for term in self._evaluator.models[0].terms)

    def jobs(self, atoms: Atoms, field: Array) -> list[Job]:
        """What the evaluators will be asked for a structure in a field."""
        rest = [] if self._at_rest is None else [Job(self._at_rest, atoms, np.zeros(3))]
        return [Job(self._evaluator, atoms, np.array(field)), *rest]

    def response(self, atoms: Atoms, field: Array) -> FieldResponse:
        """H(E) − H(0), its forces, and D(E)."""
        vector = np.array(field, dtype=float)
        if vector.shape != (3,) or not np.isfinite(vector).all():
            raise ValueError(f"`field` must be three finite numbers in V/Å, got {vector.tolist()}")
        found = self._evaluator.values(atoms, vector)[0]
        if self._at_rest is None:
            forces, energy = found.forces.copy(), found.energy
        else:
            rest = self._at_rest.values(atoms)[0]
            forces, energy = found.forces - rest.forces, found.energy - rest.energy
        return FieldResponse(forces, energy, found.dipole.copy(), found.outside.copy())

    def born_charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Z[a, i, j] = ∂F_aj/∂E_i in e, (natoms, 3, 3)."""
        return self._evaluator.born_charges(atoms, field)

    def dipole(self, atoms: Atoms) -> Array:
        """D without field in e·Å, (3,), of the positions as they are."""
        kept = self._evaluator.last(atoms)
        if kept is not None and not self.quadratic:
            return kept[0].dipole.copy()  # which the field does not change
        return self._evaluator.values(atoms)[0].dipole.copy()

    @property
    def has_charges(self) -> bool:
        """Whether atoms have charges."""
        return self._evaluator.models[0].has_charges

    def charges(self, atoms: Atoms, field: Array) -> Array:
        """Charges of atoms in a field, (natoms,) in e, where the model has them."""
        return self._evaluator.charges(atoms, field)

    def check(self, atoms: Atoms, field: Array) -> None:
        """Raise ValueError if the model doesn't know an element of the atoms."""
        self._evaluator.check_elements(atoms)
