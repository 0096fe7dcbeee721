"""ASE's nudged elastic band with its images computed by workers, and its relaxation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep import NEB
from ase.optimize import FIRE
from numpy.typing import NDArray

from ase_bec.data.field_labels import field_labels, set_field_labels
from ase_bec.evaluation.evaluator import evaluate_together
from ase_bec.progress import progress_bar
from ase_bec.workflows.barriers.workers import Workers

Array = NDArray[np.float64]


class ElasticBand(NEB):
    """Band of copies of images, which keep the energies and forces that the workers computed.

    The forces of the band are ASE's, method "improvedtangent". ASE's own parallel band wants one
    process for each image; here any number of processes or threads shares them.

    Parameters
    ----------
    images
        With calculators; the ends are computed once.
    spring
        Force constant between images in eV/Å².
    workers
        Who computes.
    """

    def __init__(self, images: Sequence[Atoms], spring: float, workers: Workers) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            [image.copy() for image in images],
            k=spring,
            climb=False,
            method="improvedtangent",
            remove_rotation_and_translation=False,
        )
        self._workers = workers
        self._computed = list(images)
        self._known: Array | None = None

    def get_forces(self) -> Array:
        """Forces of the band on the atoms of the images between the ends in eV/Å."""
        self._evaluate()
        forces: Array = self._workers.agree(super().get_forces())  # type: ignore[no-untyped-call]
        return forces

    def largest_force(self) -> float:
        """Largest force of the band on an atom in eV/Å."""
        return float(np.linalg.norm(self.get_forces(), axis=1).max())

    def _evaluate(self) -> None:
        """Compute the images whose positions have changed."""
        positions = np.array([image.positions for image in self.images])
        if self._known is not None and np.array_equal(positions, self._known):
            return
        last = len(self.images) - 1
        todo = range(last + 1) if self._known is None else range(1, last)

        for k in todo:
            self._computed[k].positions[:] = positions[k]
        if self._workers.alone:
            images = [self._computed[k] for k in todo]
            able = [image for image in images if hasattr(image.calc, "jobs")]
            evaluate_together(job for image in able for job in image.calc.jobs(image))

        def compute(item: int) -> tuple[float, Array, dict[str, Any]]:
            image = self._computed[todo[item]]
            forces = image.get_forces(apply_constraint=False)
            return float(image.get_potential_energy()), forces, field_labels(image)

        computed = self._workers.share(compute, len(todo))
        for k, (energy, forces, labels) in zip(todo, computed, strict=True):
            image = self.images[k]
            image.calc = SinglePointCalculator(image, energy=energy, forces=forces)
            set_field_labels(image, labels)
        self._known = positions


class _Quiet(FIRE):
    """FIRE that writes no log and so asks for no energies, which may cost more than forces."""

    def log(self, *_: object) -> None:
        """Write nothing."""


def relax(
    what: Any, fmax: float, max_steps: int, after_step: Callable[[float], None]
) -> tuple[int, float]:
    """Relax a structure or a band; return the steps taken and the largest force in eV/Å."""
    optimizer = _Quiet(what, logfile=None)
    force = np.inf
    for _ in optimizer.irun(fmax=fmax, steps=max_steps):
        force = float(np.linalg.norm(what.get_forces(), axis=1).max())
        after_step(force)
    return int(optimizer.nsteps), force


class ForceBar:
    """Progress bar of a relaxation, whose number of steps nobody knows beforehand."""

    def __init__(self, title: str | None) -> None:
        self._bar = progress_bar(title, "step", shown=title is not None)

    def show(self, force: float, fmax: float) -> None:
        """Count a step and show its largest force."""
        self._bar.set_postfix_str(f"force {force:.3f} of {fmax:g} eV/Å", refresh=False)
        self._bar.update()

    def __enter__(self) -> ForceBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
