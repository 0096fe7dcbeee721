"""ASE calculator of models with an energy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ase_bec.calculators.state import state_changes
from ase_bec.evaluation.evaluator import Evaluator, Job, Values
from ase_bec.models import Model, load

__all__ = ["NNPCalculator"]

Potential = Model | str | Path


class NNPCalculator(Calculator):
    r"""Energy, forces and stress of a potential, or of a committee of them.

    The charges of atoms, too, where the model has them, computed when asked for.

    .. math:: F_a = -\partial U/\partial r_a , \qquad
              \sigma = \frac1\Omega\,\partial U/\partial\varepsilon

    Parameters
    ----------
    model : Model, str, Path, or a list of them
        A model, its file, a bundled name or released weights; all terms that do not vanish
        without field are used. Several models form a committee: the results are the mean over its
        members, and their spread is in ``extras``.
    device : str or torch.device, optional
        Where to compute; the CPU if not given.
    dtype : torch.dtype or str, optional
        ``float64`` (default) or ``float32``.
    skin : float
        Thickness in Å of the shell beyond the cutoff in which neighbours are kept between calls;
        results don't depend on it.

    Attributes
    ----------
    extras : dict
        After a calculation: ``outside``, the number of atoms whose environment lies outside the
        range that the model was scaled for (a warning appears once); ``neighbour_builds``; for a
        committee ``energy_spread`` (eV), ``energies_spread`` (natoms,) and ``forces_spread``
        (natoms, 3), sample standard deviations over the members.

    Raises
    ------
    ValueError, FileNotFoundError, TypeError
        On construction, for a model that cannot be read, or an unknown device or dtype; on
        calculation, for elements that the model doesn't know, and bad structures.

    References
    ----------
    J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007).

    Examples
    --------
    >>> from ase_bec import NNPCalculator
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> atoms = beta_lithium_phosphate()
    >>> atoms.calc = NNPCalculator("li3po4-nnp")
    >>> round(atoms.get_potential_energy() / len(atoms), 1)
    -6.3
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012
    ignored_changes = {"initial_charges", "initial_magmoms"}  # noqa: RUF012

    def __init__(
        self,
        model: Potential | list[Potential] | tuple[Potential, ...],
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        skin: float = 0.5,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        members = list(model) if isinstance(model, list | tuple) else [model]
        if not members:
            raise ValueError("`model` must be a model or a list of models, got an empty list")
        loaded = [_loaded(member) for member in members]
        self._described = [str(m.metadata.get("source", m.kind)) for m in loaded]
        self._evaluator = Evaluator(
            [m.without_field() for m in loaded],
            "energies and forces",
            device,
            torch.float64 if dtype is None else dtype,
            skin,
        )
        self.extras: dict[str, Any] = {}
        self._charges = None
        if all(m.has_charges for m in self.models):
            self.implemented_properties = [*self.implemented_properties, "charges"]
            feeling = [m.in_field() for m in self.models]
            self._charges = Evaluator(feeling, "charges", self.device, self.dtype, skin)

    @property
    def models(self) -> list[Model]:
        """The frozen copies, with only the terms that do not vanish without field."""
        return self._evaluator.models

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._evaluator.device

    @property
    def dtype(self) -> torch.dtype | None:
        """Floating dtype of the model's arithmetic."""
        return self._evaluator.dtype

    def jobs(self, atoms: Atoms) -> list[Job]:
        """What an evaluator will be asked for a structure."""
        return [Job(self._evaluator, atoms, np.zeros(3))]

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """List what differs from the last calculation, to the last bit."""
        return state_changes(self.atoms, atoms, self.ignored_changes)

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Plain description, written into trajectories and databases."""
        return {
            "model": list(self._described),
            "elements": list(self.models[0].elements),
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute everything for a structure."""
        structure: Atoms | None = self.atoms if atoms is None else atoms.copy()
        if structure is None:
            raise ValueError("`atoms` must be given, got none")
        self.atoms, self.results, self.extras = structure, {}, {}
        if "stress" in properties and not structure.pbc.all():
            raise PropertyNotImplementedError(
                "`stress` needs a cell that is periodic in all directions, got pbc "
                f"{structure.pbc.tolist()}"
            )
        self._take(structure, self._evaluator.values(structure))
        if "charges" in properties and self._charges is not None:
            self.results["charges"] = self._charges.charges(structure)

    def _take(self, structure: Atoms, found: Sequence[Values]) -> None:
        """Results and extras from the answers of the members."""
        outside = np.max([values.outside for values in found], axis=0) > 1
        self.extras = {
            "outside": int(outside.sum()),
            "neighbour_builds": self._evaluator.neighbour_builds,
        }
        if len(found) > 1:
            self.extras["energy_spread"] = float(np.std([v.energy for v in found], ddof=1))
            self.extras["energies_spread"] = np.std([v.energies for v in found], axis=0, ddof=1)
            self.extras["forces_spread"] = np.std([v.forces for v in found], axis=0, ddof=1)
        self.results = mean_results(structure, found)


def mean_results(structure: Atoms, found: Sequence[Values]) -> dict[str, Any]:
    """ASE's properties of a structure, mean over the answers of several models."""
    if len(found) == 1:  # what is kept is shared: calculators give copies, and so must this
        mean = found[0]
    else:
        mean = Values(*(np.mean(parts, axis=0) for parts in zip(*found, strict=True)))
    energy = mean.energy
    results: dict[str, Any] = {
        "energy": energy,
        "free_energy": energy,
        "energies": mean.energies.copy(),
        "forces": mean.forces.copy(),
    }
    if structure.pbc.all():
        results["stress"] = full_3x3_to_voigt_6_stress(mean.virial / structure.get_volume())
    return results


def _loaded(model: Potential) -> Model:
    found = load(model) if isinstance(model, str | Path) else model
    if not isinstance(found, Model) or not found.has_energy:
        raise TypeError(
            "`model` must be a NeuralNetworkPotential or another model with an energy, its file "
            f"or name, or a list of them, got {type(found).__name__}"
        )
    return found
