"""A relaxed band of images: energies, barriers, curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from ase_bec.plotting import axes_or_current

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MigrationPath:
    """A relaxed band of images.

    Attributes
    ----------
    images
        Structures from the initial to the final one, each on its neighbour's branch, with
        energy and forces.
    energies
        Enthalpy H of each image in eV, [image].
    coordinate
        Length of the path up to each image in Å, [image], through unwrapped positions of all
        atoms.
    slopes
        dH/ds = −F·dr/ds of each image in eV/Å, [image].
    converged
        Whether the largest force of the band fell to the one asked for.
    fmax
        Largest force on an atom of the band in eV/Å.
    steps
        Steps that the band took.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import find_path, interpolate_path
    >>> initial = bulk("Cu", cubic=True) * (2, 2, 2)
    >>> vacancy = initial.pop(0).position
    >>> final = initial.copy()
    >>> final.positions[0] = vacancy  # a neighbour has hopped
    >>> path = find_path(interpolate_path(initial, final, images=1), EMT, fmax=0.1)
    >>> path.highest, path.converged
    (1, True)
    >>> s, energy = path.curve(points=101)
    >>> print(f"{path.forward_barrier:.2f} eV; {path.backward_barrier:.2f} eV back")
    0.77 eV; 0.77 eV back
    """

    images: tuple[Atoms, ...]
    energies: Array
    coordinate: Array
    slopes: Array
    converged: bool
    fmax: float
    steps: int

    @property
    def highest(self) -> int:
        """Index of the highest image."""
        return int(np.argmax(self.energies))

    @property
    def forward_barrier(self) -> float:
        """Energy of the highest image above the initial one in eV, not interpolated.

        It is the energy of the saddle point where the band was climbing, else a lower bound.
        """
        return float(self.energies.max() - self.energies[0])

    @property
    def backward_barrier(self) -> float:
        """Energy of the highest image above the final one in eV, not interpolated."""
        return float(self.energies.max() - self.energies[-1])

    def curve(self, points: int = 401) -> tuple[Array, Array]:
        """Interpolate the energy by cubic pieces through energies and slopes of the images.

        Returns
        -------
        s, H : ndarray, shape (points,)
            Path length in Å and enthalpy in eV.
        """
        s = np.linspace(0.0, self.coordinate[-1], points)
        return s, CubicHermiteSpline(self.coordinate, self.energies, self.slopes)(s)

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw images and interpolated energies above the initial image.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = axes_or_current(ax)
        s, energy = self.curve()
        (line,) = ax.plot(s, energy - self.energies[0], **style)
        ax.plot(self.coordinate, self.energies - self.energies[0], "o", color=line.get_color())
        ax.set_xlabel("Path length (Å)")
        ax.set_ylabel("Enthalpy above the initial image (eV)")
        return ax


def migration_path(
    images: Sequence[Atoms], converged: bool, fmax: float, steps: int
) -> MigrationPath:
    """Make a path of images that have energies and forces.

    Examples
    --------
    >>> from ase.calculators.emt import EMT
    >>> from ase.build import molecule
    >>> from ase_bec.workflows import migration_path
    >>> images = [molecule("N2", calculator=EMT()) for _ in range(3)]
    >>> for k, image in enumerate(images):
    ...     image.set_distance(0, 1, 1.0 + 0.1 * k)
    ...     energy = image.get_potential_energy()
    >>> path = migration_path(images, converged=False, fmax=float("nan"), steps=0)
    >>> print(path.coordinate.round(3))
    [0.    0.071 0.141]
    """
    positions = np.array([image.positions for image in images])
    lengths = np.linalg.norm(np.diff(positions, axis=0).reshape(len(images) - 1, -1), axis=1)
    coordinate = np.concatenate([[0.0], np.cumsum(lengths)])
    tangents = np.gradient(positions, coordinate, axis=0)
    tangents /= np.linalg.norm(tangents, axis=(1, 2), keepdims=True)
    energies = np.array([image.get_potential_energy() for image in images])
    slopes = [-np.vdot(i.get_forces(), t) for i, t in zip(images, tangents, strict=True)]
    frozen = []
    for image, energy in zip(images, energies, strict=True):
        copy = image.copy()
        forces = image.get_forces(apply_constraint=False)
        copy.calc = SinglePointCalculator(copy, energy=float(energy), forces=forces)
        frozen.append(copy)
    return MigrationPath(
        tuple(frozen), energies, coordinate, np.array(slopes), converged, fmax, steps
    )
