"""ASE calculator of neural-network potentials."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.derivatives import differentiate, on_atoms, pair_vectors, strain_derivative
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.models import NeuralNetworkPotential, load
from ase_bec.models.species import species_of
from ase_bec.neighbours import NeighbourList
from ase_bec.system import System

__all__ = ["NNPCalculator"]

Potential = NeuralNetworkPotential | str | Path


class _Result(NamedTuple):
    energies: Tensor  # (N,) eV
    forces: Tensor  # (N, 3) eV/Å
    virial: Tensor  # (3, 3) eV, derivative by strain
    outside: Tensor  # (N,) bool


class NNPCalculator(Calculator):
    r"""Energy, forces and stress of a neural-network potential, or of a committee of them.

    .. math:: F_a = -\partial U/\partial r_a , \qquad
              \sigma = \frac1\Omega\,\partial U/\partial\varepsilon

    Parameters
    ----------
    model : NeuralNetworkPotential, str, Path, or a list of them
        The model, its file, a bundled name or released weights. Several make a committee: the
        results are the mean over its members, their spread stands in ``extras``.
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
        range that the model was scaled for (a warning says so once); ``neighbour_builds``; for a
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
        self.device = _device(device)
        self.dtype = _dtype(dtype)
        members = list(model) if isinstance(model, list | tuple) else [model]
        if not members:
            raise ValueError("`model` must be a model or a list of models, got an empty list")
        self.models = [self._prepared(member) for member in members]
        self._neighbours = NeighbourList(
            max(m.cutoff for m in self.models), skin, self.dtype, self.device
        )
        self.extras: dict[str, Any] = {}
        self._warned = False

    def _prepared(self, model: Potential) -> NeuralNetworkPotential:
        found = load(model) if isinstance(model, str | Path) else model
        if not isinstance(found, NeuralNetworkPotential):
            raise TypeError(
                "`model` must be a NeuralNetworkPotential, its file or name, or a list of them, "
                f"got {type(found).__name__}"
            )
        # A copy of its own: moving or training the caller's model must not change results.
        return deepcopy(found).to(self.device, self.dtype).eval().requires_grad_(False)

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Plain description, written into trajectories and databases."""
        return {
            "model": [str(m.metadata.get("source", m.kind)) for m in self.models],
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
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        structure: Atoms | None = self.atoms
        if structure is None:
            raise ValueError("`atoms` must be given, got none")
        self.results, self.extras = {}, {}
        if "stress" in properties and not structure.pbc.all():
            raise PropertyNotImplementedError(
                "`stress` needs a cell that is periodic in all directions, got pbc "
                f"{structure.pbc.tolist()}"
            )
        system = self._neighbours.update(structure)
        vectors = pair_vectors(system)
        found = [self._evaluate(model, system, vectors) for model in self.models]
        energies = torch.stack([r.energies for r in found]).double()
        forces = torch.stack([r.forces for r in found]).double()
        virial = torch.stack([r.virial for r in found]).double().mean(dim=0)
        outside = int(torch.stack([r.outside for r in found]).any(dim=0).sum())
        self._warn(outside, len(structure))
        total = energies.sum(dim=1)
        self.extras = {"outside": outside, "neighbour_builds": self._neighbours.builds}
        if len(found) > 1:
            self.extras["energy_spread"] = float(total.std(dim=0))
            self.extras["energies_spread"] = _numpy(energies.std(dim=0))
            self.extras["forces_spread"] = _numpy(forces.std(dim=0))
        results: dict[str, Any] = {
            "energy": float(total.mean()),
            "free_energy": float(total.mean()),
            "energies": _numpy(energies.mean(dim=0)),
            "forces": _numpy(forces.mean(dim=0)),
        }
        if structure.pbc.all():
            stress = _numpy(virial) / structure.get_volume()
            results["stress"] = full_3x3_to_voigt_6_stress(stress)
        self.results = results

    def _evaluate(self, model: NeuralNetworkPotential, system: System, vectors: Tensor) -> _Result:
        species = species_of(system.numbers, model.elements)
        outside = []

        def terms(nb: Neighbourhoods) -> Tensor:
            features = model.descriptor(nb)
            outside.append(model.scaling.outside(features.detach(), nb.species))
            energies: Tensor = model.from_features(features, nb.species) + model.repulsion(nb)
            return energies

        found = differentiate(terms, system, species, vectors)
        return _Result(
            found.values,
            -on_atoms(system, found.pair_derivatives),
            strain_derivative(vectors, found.pair_derivatives),
            torch.cat(outside),
        )

    def _warn(self, outside: int, n_atoms: int) -> None:
        if outside and not self._warned:
            self._warned = True
            warnings.warn(
                f"{outside} of {n_atoms} atoms have an environment outside the range that "
                "the model was made for: energies and forces may be wrong there (said once; "
                "`calc.extras['outside']` counts)",
                stacklevel=2,
            )


def _numpy(values: Tensor) -> NDArray[np.float64]:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)


def _dtype(dtype: torch.dtype | str | None) -> torch.dtype:
    known = {"float64": torch.float64, "float32": torch.float32}
    found = torch.float64 if dtype is None else known.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise ValueError(f"`dtype` must be float64 or float32, got {dtype!r}")
    return found


def _device(device: str | torch.device | None) -> torch.device:
    try:
        found = torch.device("cpu" if device is None else device)
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"`device` must be a device of this machine such as 'cpu' or 'cuda', got {device!r} "
            f"({reason})"
        ) from error
    return found
