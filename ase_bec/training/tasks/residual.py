"""Training on what fixed terms leave: labels less theirs, and the sum as the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from ase_bec.data import Frame
from ase_bec.evaluation.evaluate import evaluate
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.terms.term import Term
from ase_bec.training.tasks.task import Errors, Loss, Task

__all__ = ["ResidualTask"]


class ResidualTask:
    """Task whose model has further terms, which are not trained.

    Their energies, forces and stress are taken off the labels. So the errors of the trained rest
    are those of the sum, which is saved.

    Parameters
    ----------
    task : Task
        Of the rest.
    terms : sequence of Term
        Fixed ones that do not feel a field.
    """

    def __init__(self, task: Task[Any], terms: Sequence[Term]) -> None:
        self.task = task
        rest: Model = task.model
        self.labels, self.units = task.labels, task.units
        self.model = Model(rest.elements, [*rest.terms, *terms], rest.metadata)
        self._fixed = Model(rest.elements, terms).eval()

    @property
    def network(self) -> nn.Module:
        """That of the rest."""
        return self.task.network

    def prepare(self, frame: Frame) -> Any:
        """Tensors of one frame for the rest."""
        system = System.from_atoms(frame.atoms, max(self._fixed.cutoff, 1e-3))
        found = evaluate(self._fixed, system)
        energy, forces, stress = frame.energy, frame.forces, frame.stress
        if energy is not None:
            energy = energy - float(found.energy[0])
        if forces is not None:
            forces = forces - found.forces.numpy()
        if stress is not None:
            stress = stress - found.virial[0].numpy() / frame.atoms.get_volume()
        return self.task.prepare(replace(frame, energy=energy, forces=forces, stress=stress))

    def start(self, samples: Sequence[Any]) -> None:
        """Fit scales of the rest."""
        self.task.start(samples)

    def finish(self, samples: Sequence[Any]) -> None:
        """Note what the rest knows."""
        self.task.finish(samples)

    def loss(self, samples: Sequence[Any], normals: Tensor | None) -> Loss:
        """Loss of each sample."""
        return self.task.loss(samples, normals)

    def errors(self, samples: Sequence[Any]) -> Errors:
        """Errors of the sum."""
        return self.task.errors(samples)

    def score(self, errors: Errors) -> float:
        """The mean loss that these errors amount to."""
        return self.task.score(errors)
