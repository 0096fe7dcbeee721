"""From atoms to numbers: the owner of neighbour lists, kept results and warnings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.evaluation.charges import atomic_charges
from ase_bec.evaluation.evaluate import Response, born_charges, evaluate, rules_of
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.terms.species import species_of
from ase_bec.terms.term import Rule
from ase_bec.verlet import NeighbourList

__all__ = ["Evaluator", "Values", "device_of", "dtype_of"]

Array = NDArray[np.float64]

_BATCH = 4096  # atoms that are evaluated at once, unless one structure has more


class Values(NamedTuple):
    """A model's answer for one structure of n atoms; see :class:`Response`."""

    energies: Array  # (n,) eV
    forces: Array  # (n, 3) eV/Å
    virial: Array  # (3, 3) eV
    dipole: Array  # (3,) e·Å
    outside: Array  # (n,)

    @property
    def energy(self) -> float:
        """Sum of the energies in eV."""
        return float(self.energies.sum())


class _Member:
    """A frozen model with its rules and the element indices of the last structure."""

    def __init__(self, model: Model, device: torch.device, dtype: torch.dtype | None) -> None:
        frozen = deepcopy(model).to(device)
        self.model = (frozen if dtype is None else frozen.to(dtype)).eval().requires_grad_(False)
        self.rules: list[Rule | None] = rules_of(self.model, device)
        self._species: tuple[Tensor, Tensor] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Member:
        return self  # frozen

    def __getstate__(self) -> dict[str, Any]:
        # Kernels are compiled where the copy is used.
        return {"model": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["model"], _device(state["model"]), None)  # type: ignore[misc]

    def species(self, numbers: Tensor) -> Tensor:
        """Element index of every atom; that of the same tensor is kept."""
        kept = self._species
        if kept is None or kept[0] is not numbers:
            kept = self._species = numbers, species_of(numbers, self.model.elements)
        return kept[1]

    def response(self, system: System, field: Tensor | None) -> Response:
        return evaluate(
            self.model, system, field, rules=self.rules, species=self.species(system.numbers)
        )


class _Kept(NamedTuple):
    numbers: NDArray[Any]
    positions: Array
    cell: Array
    pbc: NDArray[np.bool_]
    field: Array
    values: list[Values]

    def serves(self, atoms: Atoms) -> bool:
        return (
            np.array_equal(self.positions, atoms.positions)
            and np.array_equal(self.numbers, atoms.numbers)
            and np.array_equal(self.cell, atoms.cell.array)
            and np.array_equal(self.pbc, atoms.pbc)
        )


class Evaluator:
    """Evaluates models on atoms.

    It owns frozen copies: moving or training a model afterwards does not change results. Threads
    may share one; what is kept is replaced as a whole.

    Parameters
    ----------
    models : Model or sequence of them
        Evaluated together, on one neighbour list.
    concern : str
        What may be wrong outside the range of the models, for the warning.
    device : str or torch.device, optional
        Where to compute; the CPU if not given.
    dtype : torch.dtype or str, optional
        ``float64`` or ``float32``; that of each model if not given.
    skin : float
        Thickness in Å of the shell beyond the cutoff in which neighbours are kept between calls.

    Raises
    ------
    ValueError
        If there is no such device, or the dtype is another.
    """

    def __init__(
        self,
        models: Model | Sequence[Model],
        concern: str,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        skin: float = 0.5,
    ) -> None:
        self.device = device_of(device)
        self.dtype = None if dtype is None else dtype_of(dtype)
        members = [models] if isinstance(models, Model) else list(models)
        self._members = [_Member(model, self.device, self.dtype) for model in members]
        self.cutoff = max(max(model.cutoff for model in self.models), 1e-3)
        self._neighbours = NeighbourList(self.cutoff, skin, self.device)
        self._concern = concern
        self._kept: _Kept | None = None
        self._warned = False

    @property
    def models(self) -> list[Model]:
        """The frozen models."""
        return [member.model for member in self._members]

    @property
    def neighbour_builds(self) -> int:
        """How many times the neighbour list was built."""
        return self._neighbours.builds

    def check_elements(self, atoms: Atoms) -> None:
        """Raise ValueError if a model doesn't know an element of the atoms."""
        kept = self._kept
        if kept is None or not np.array_equal(kept.numbers, atoms.numbers):
            for model in self.models:
                species_of(torch.as_tensor(atoms.numbers), model.elements)

    def values(self, atoms: Atoms, field: Array | None = None) -> list[Values]:
        """Answer of each model for a structure in a field (3,) in V/Å; the last one is kept.

        Raises
        ------
        TypeError, ValueError
            For unknown elements, and structures that are none.
        """
        vector = np.zeros(3) if field is None else np.array(field, dtype=float)
        kept = self._kept
        if kept is None or np.any(kept.field != vector) or not kept.serves(atoms):
            system = self._neighbours.update(atoms)
            given = None if field is None else torch.from_numpy(vector).to(self.device)
            found = [self._split(m.response(system, given), system)[0] for m in self._members]
            kept = self._kept = _Kept(
                atoms.numbers.copy(),
                atoms.positions.copy(),
                atoms.cell.array.copy(),
                atoms.pbc.copy(),
                vector,
                found,
            )
            self._warn(found)
        return kept.values

    def last(self, atoms: Atoms) -> list[Values] | None:
        """What was found last, in whatever field, if it was for these atoms."""
        kept = self._kept
        return kept.values if kept is not None and kept.serves(atoms) else None

    def batch(self, frames: Sequence[Atoms], field: Array | None = None) -> Iterator[list[Values]]:
        """Answer of each model for each of many structures, evaluated many at once."""
        given = None if field is None else torch.as_tensor(field, dtype=torch.float64)
        for some in _portions(frames):
            system = System.from_atoms(some, self.cutoff, self.device)
            parts = [self._split(m.response(system, given), system) for m in self._members]
            for found in zip(*parts, strict=True):
                self._warn(found)
                yield list(found)

    def born_charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Z[a, i, j] in e, (n, 3, 3), [field, displacement], mean over the models."""
        system = self._neighbours.update(atoms)
        return self._mean_charges(system, field)

    def charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Charges of atoms in a field, (n,) in e, mean over the models."""
        system = self._neighbours.update(atoms)
        given = None if field is None else torch.as_tensor(field, dtype=torch.float64)
        found = [atomic_charges(model, system, given) for model in self.models]
        return _numpy(torch.stack(found).mean(dim=0))

    def batch_born_charges(self, frames: Sequence[Atoms]) -> Iterator[Array]:
        """Born charges of each of many structures, evaluated many at once."""
        for some in _portions(frames):
            system = System.from_atoms(some, self.cutoff, self.device)
            ends = np.cumsum([len(atoms) for atoms in some])[:-1]
            yield from np.split(self._mean_charges(system, None), ends)

    def _mean_charges(self, system: System, field: Array | None) -> Array:
        given = None if field is None else torch.as_tensor(field, dtype=torch.float64)
        found = [born_charges(model, system, given) for model in self.models]
        return _numpy(torch.stack(found).mean(dim=0))

    def _split(self, response: Response, system: System) -> list[Values]:
        """Answers of one model by structure."""
        energies, forces, outside = (
            _numpy(x) for x in (response.energies, response.forces, response.outside)
        )
        virial, dipole = _numpy(response.virial), _numpy(response.dipole)
        if system.n_structures == 1:
            return [Values(energies, forces, virial[0], dipole[0], outside)]
        ends = np.cumsum(np.bincount(system.batch.cpu().numpy()))[:-1]
        by_atom = (np.split(x, ends) for x in (energies, forces, outside))
        return [
            Values(e, f, v, d, o) for e, f, o, v, d in zip(*by_atom, virial, dipole, strict=True)
        ]

    def _warn(self, found: Sequence[Values]) -> None:
        """Say once that a model is asked for what it was not made for."""
        if self._warned:
            return
        suspect = np.max([values.outside for values in found], axis=0) > 1
        if suspect.any():
            self._warned = True
            warnings.warn(
                f"{suspect.sum()} of {len(suspect)} atoms have an environment outside the range "
                f"that the model was made for: {self._concern} may be wrong there (this is said "
                "once; `extras` counts)",
                stacklevel=2,
            )


def _portions(frames: Sequence[Atoms]) -> Iterator[Sequence[Atoms]]:
    """Runs of frames of so many atoms in all as are evaluated at once."""
    start = atoms = 0
    for stop, frame in enumerate(frames):
        if stop > start and atoms + len(frame) > _BATCH:
            yield frames[start:stop]
            start, atoms = stop, 0
        atoms += len(frame)
    if start < len(frames):
        yield frames[start:]


def _numpy(values: Tensor) -> Array:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)


def _device(model: Model) -> torch.device:
    return next((x.device for x in model.parameters()), torch.device("cpu"))


def dtype_of(dtype: torch.dtype | str) -> torch.dtype:
    """Floating dtype by its name."""
    known = {"float64": torch.float64, "float32": torch.float32}
    found = known.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise ValueError(f"`dtype` must be float64 or float32, got {dtype!r}")
    return found


def device_of(device: str | torch.device | None) -> torch.device:
    """Device by its name, the CPU by default; ValueError if this machine has none such."""
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
