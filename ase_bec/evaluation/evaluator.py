"""From atoms to numbers: the owner of neighbour lists, kept results and warnings."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.evaluation.charges import atomic_charges
from ase_bec.evaluation.evaluate import Response, born_charges
from ase_bec.evaluation.frozen import FrozenModel, device_of, dtype_of
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.terms.species import species_of
from ase_bec.verlet import NeighbourList

__all__ = ["Evaluator", "Job", "Values", "evaluate_together"]

Array = NDArray[np.float64]

_BATCH = 4096  # atoms that are evaluated at once, unless one structure has more


class Values(NamedTuple):
    """A model's answer for one structure of n atoms; see :class:`Response`.

    Examples
    --------
    >>> from ase_bec import load
    >>> from ase_bec.evaluation.evaluator import Evaluator
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> evaluator = Evaluator(load("li3po4-nnp"), "energies and forces")
    >>> frames = [beta_lithium_phosphate(), beta_lithium_phosphate((2, 1, 1))]
    >>> [round(values.energy / len(values.energies), 1) for [values] in evaluator.batch(frames)]
    [-6.3, -6.3]
    """

    energies: Array  # (n,) eV
    forces: Array  # (n, 3) eV/Å
    virial: Array  # (3, 3) eV
    dipole: Array  # (3,) e·Å
    outside: Array  # (n,)

    @property
    def energy(self) -> float:
        """Sum of the energies in eV."""
        return float(self.energies.sum())


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


def _kept(atoms: Atoms, field: Array, values: list[Values]) -> _Kept:
    cell, pbc = atoms.cell.array.copy(), atoms.pbc.copy()
    return _Kept(atoms.numbers.copy(), atoms.positions.copy(), cell, pbc, field, values)


class Evaluator:
    """Evaluates models on atoms.

    It owns frozen copies: moving or training a model afterwards does not change results. Threads
    may share an evaluator; stored results are replaced as a whole.

    Parameters
    ----------
    models : Model or sequence of them
        Evaluated together, on one neighbour list.
    concern : str
        Which results the warning about the range of the models names.
    device : str or torch.device, optional
        Where to compute; the CPU if not given.
    dtype : torch.dtype or str, optional
        ``float64`` or ``float32``; that of each model if not given.
    skin : float
        Thickness in Å of the shell beyond the cutoff in which neighbours are kept between calls.

    Raises
    ------
    ValueError
        If the device does not exist, or the dtype is neither.

    Examples
    --------
    >>> from ase_bec import load
    >>> from ase_bec.evaluation.evaluator import Evaluator
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> evaluator = Evaluator(load("li3po4-nnp"), "energies and forces")
    >>> [values] = evaluator.values(beta_lithium_phosphate())
    >>> round(values.energy / 16, 1), values.forces.shape
    (-6.3, (16, 3))
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
        self.members = [FrozenModel(model, self.device, self.dtype) for model in members]
        self.cutoff = max(max(model.cutoff for model in self.models), 1e-3)
        self._neighbours = NeighbourList(self.cutoff, skin, self.device)
        self._concern = concern
        self._kept: tuple[_Kept, ...] = ()
        self.warned = False  #: whether the warning about the range of the models was shown

    def __getstate__(self) -> dict[str, Any]:
        """Without stored results, which copies do not need."""
        neighbours = NeighbourList(self.cutoff, self._neighbours.skin, self.device)
        return {**self.__dict__, "_kept": (), "_neighbours": neighbours}

    @property
    def models(self) -> list[Model]:
        """The frozen models."""
        return [member.model for member in self.members]

    @property
    def neighbour_builds(self) -> int:
        """How many times the neighbour list was built."""
        return self._neighbours.builds

    def check_elements(self, atoms: Atoms) -> None:
        """Raise ValueError if a model doesn't know an element of the atoms."""
        if not any(np.array_equal(kept.numbers, atoms.numbers) for kept in self._kept):
            for model in self.models:
                species_of(torch.as_tensor(atoms.numbers), model.elements)

    def values(self, atoms: Atoms, field: Array | None = None) -> list[Values]:
        """Answer of each model for a structure in a field (3,) in V/Å; the last one is kept.

        Raises
        ------
        TypeError, ValueError
            For unknown elements and invalid structures.
        """
        vector = np.zeros(3) if field is None else np.array(field, dtype=float)
        found = self._found(atoms, vector)
        if found is None:
            system = self._neighbours.update(atoms)
            given = None if field is None else torch.tensor(vector, device=self.device)
            found = [self._split(m.response(system, given), system)[0] for m in self.members]
            self._kept = (_kept(atoms, vector, found),)
            self._warn(found)
        return found

    def knows(self, atoms: Atoms, field: Array) -> bool:
        """Whether the answer for a structure in a field is kept."""
        return self._found(atoms, field) is not None

    def keep(self, found: Iterable[_Kept]) -> None:
        """Keep answers that were computed elsewhere, in place of others."""
        self._kept = tuple(found)

    def _found(self, atoms: Atoms, field: Array) -> list[Values] | None:
        for kept in self._kept:
            if not np.any(kept.field != field) and kept.serves(atoms):
                return kept.values
        return None

    def last(self, atoms: Atoms) -> list[Values] | None:
        """The last answer for these atoms, in any field; None if there is none."""
        return next((kept.values for kept in self._kept if kept.serves(atoms)), None)

    def batch(self, frames: Sequence[Atoms], fields: Array | None = None) -> Iterator[list[Values]]:
        """Answer of each model for each of many structures, evaluated many at once.

        Parameters
        ----------
        frames : sequence of Atoms
            Of any sizes and cells.
        fields : ndarray, (frames, 3), optional
            Field of each frame in V/Å; none by default.
        """
        start = 0
        for some in _portions(frames):
            system = System.from_atoms(some, self.cutoff, self.device)
            given = None
            if fields is not None:
                given = torch.tensor(fields[start : start + len(some)], device=self.device)
            parts = [self._split(m.response(system, given), system) for m in self.members]
            start += len(some)
            for found in zip(*parts, strict=True):
                self._warn(found)
                yield list(found)

    def born_charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Z[a, i, j] in e, (n, 3, 3), [field, displacement], mean over the models."""
        if not self.warned and self.last(atoms) is None:
            self.values(atoms, field)  # warns if necessary
        system = self._neighbours.update(atoms)
        return self._mean_charges(system, field)

    def charges(self, atoms: Atoms, field: Array | None = None) -> Array:
        """Charges of atoms in a field, (n,) in e, mean over the models."""
        system = self._neighbours.update(atoms)
        given = None if field is None else torch.as_tensor(np.array(field, dtype=np.float64))
        found = [atomic_charges(model, system, given) for model in self.models]
        return _numpy(torch.stack(found).mean(dim=0))

    def batch_born_charges(self, frames: Sequence[Atoms]) -> Iterator[Array]:
        """Born charges of each of many structures, evaluated many at once."""
        for some in _portions(frames):
            system = System.from_atoms(some, self.cutoff, self.device)
            ends = np.cumsum([len(atoms) for atoms in some])[:-1]
            yield from np.split(self._mean_charges(system, None), ends)

    def _mean_charges(self, system: System, field: Array | None) -> Array:
        given = None if field is None else torch.tensor(field, dtype=torch.float64)
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
        """Warn once if a structure is outside the range of a model."""
        if self.warned:
            return
        suspect = np.max([values.outside for values in found], axis=0) > 1
        if suspect.any():
            self.warned = True
            warnings.warn(
                f"{suspect.sum()} of {len(suspect)} atoms have an environment outside the range "
                f"that the model was made for: {self._concern} may be wrong there (shown once; "
                "`extras` keeps count)",
                stacklevel=2,
            )


def _portions(frames: Sequence[Atoms]) -> Iterator[Sequence[Atoms]]:
    """Consecutive frames, in portions that are evaluated at once."""
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


class Job(NamedTuple):
    """A structure that an evaluator will be asked for, and the field.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec import load
    >>> from ase_bec.evaluation.evaluator import Evaluator, Job
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> evaluator = Evaluator(load("li3po4-nnp"), "energies and forces")
    >>> job = Job(evaluator, beta_lithium_phosphate(), np.zeros(3))
    >>> job.evaluator.knows(job.atoms, job.field)
    False
    """

    evaluator: Evaluator
    atoms: Atoms
    field: Array


def evaluate_together(jobs: Iterable[Job]) -> None:
    """Evaluate structures that share models together.

    Each evaluator keeps its answers, which :meth:`Evaluator.values` then returns.

    Parameters
    ----------
    jobs : iterable of Job
        For example those of the images of a band.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec import load
    >>> from ase_bec.evaluation.evaluator import Evaluator, Job, evaluate_together
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> images = [beta_lithium_phosphate() for _ in range(3)]
    >>> for k, image in enumerate(images):
    ...     image.positions[0, 0] += 0.1 * k
    >>> evaluator = Evaluator(load("li3po4-nnp"), "energies and forces")
    >>> evaluate_together(Job(evaluator, image, np.zeros(3)) for image in images)
    >>> all(evaluator.knows(image, np.zeros(3)) for image in images)
    True
    """
    shared: dict[tuple[int, ...], list[Job]] = {}
    for job in jobs:
        shared.setdefault(tuple(id(m) for m in job.evaluator.members), []).append(job)
    for some in shared.values():
        if len(some) > 1 and not all(job.evaluator.knows(job.atoms, job.field) for job in some):
            frames, fields = [job.atoms for job in some], np.array([job.field for job in some])
            kept: dict[Evaluator, list[_Kept]] = {}
            for job, values in zip(some, some[0].evaluator.batch(frames, fields), strict=True):
                kept.setdefault(job.evaluator, []).append(_kept(job.atoms, job.field, values))
            for evaluator, found in kept.items():
                evaluator.keep(found)
