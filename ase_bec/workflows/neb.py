"""Migration paths by the nudged elastic band, in a field or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep import NEB
from ase.optimize import FIRE
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from ase_bec.paths import unwrap_images
from ase_bec.workflows.progress import step_bar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Observer = Callable[[Sequence[Atoms]], None]

_ROUGH = 5.0  # the band is first brought to this many times the final force, without climbing


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

    def plot(self, ax: Axes | None = None, label: str | None = None, **style: Any) -> Axes:
        """Draw images and interpolated energies above the initial image.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        label
            For the legend.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.gca()
        s, energy = self.curve()
        (line,) = ax.plot(s, energy - self.energies[0], label=label, **style)
        ax.plot(self.coordinate, self.energies - self.energies[0], "o", color=line.get_color())
        ax.set_xlabel("Path length (Å)")
        ax.set_ylabel("Enthalpy above the initial image (eV)")
        return ax


def interpolate_path(initial: Atoms, final: Atoms, images: int) -> list[Atoms]:
    """Lay images on the straight line between two structures.

    The final structure is first put on the branch of the initial one: each of its atoms is
    shifted by lattice vectors to where it is nearest.

    Parameters
    ----------
    initial, final
        The same atoms in the same order, in the same cell.
    images
        Number of images between the two.

    Returns
    -------
    list of Atoms
        ``images + 2`` structures without calculators.

    Raises
    ------
    ValueError
        If the structures do not belong together or are the same, or `images` is not positive.
    """
    if images < 1:
        raise ValueError(f"`images` must be at least 1, got {images}")
    first, last = unwrap_images([initial, final])
    way = last.positions - first.positions
    if np.abs(way).max() < 1e-3:
        raise ValueError("`final` must differ from `initial`, got the same positions")
    band = [first.copy() for _ in range(images + 2)]
    for k, image in enumerate(band):
        image.positions += way * k / (images + 1)
    band[-1].positions[:] = last.positions
    return band


def find_path(
    band: Sequence[Atoms],
    calculator: Callable[[], Calculator],
    *,
    climb: bool = True,
    fmax: float = 0.02,
    max_steps: int = 1000,
    relax_ends: bool = False,
    spring: float = 0.1,
    observer: Observer | None = None,
    progress: str | None = None,
) -> MigrationPath:
    """Relax a band of images to the minimum-energy path with ASE's NEB.

    For the path in a field, start from the images of the path without.

    Parameters
    ----------
    band
        Three or more images, from :func:`interpolate_path` or from another path. They are put
        on one branch and copied.
    calculator
        Makes the calculator of one image; called once for each, since an image keeps its
        results. Calculators may share a base calculator or a model.
    climb
        Let the highest image climb to the saddle point, once the band is roughly relaxed.
    fmax
        Largest force on an atom in eV/Å, of ends and band, at which to stop.
    max_steps
        Largest number of steps of the band, and of each end.
    relax_ends
        Relax the two ends first; the images between move along.
    spring
        Force constant between images in eV/Å².
    observer
        Called with the images after every step of the band.
    progress
        Title of a progress bar on standard error; None for no bar.

    Raises
    ------
    TypeError
        If `calculator` is not callable.
    ValueError
        If there are fewer than three images, they do not belong together, or `fmax`,
        `max_steps` or `spring` is not positive.

    References
    ----------
    G. Henkelman, B. P. Uberuaga, H. Jónsson, J. Chem. Phys. 113, 9901 and 9978 (2000).
    """
    if not callable(calculator):
        raise TypeError(
            "`calculator` must be a function that makes a calculator for one image, got "
            f"{type(calculator).__name__}"
        )
    for name, value in {"fmax": fmax, "max_steps": max_steps, "spring": spring}.items():
        if not 0 < value < np.inf:
            raise ValueError(f"`{name}` must be positive, got {value}")
    images = unwrap_images(band)
    if len(images) < 3:
        raise ValueError(f"`band` must hold at least three images, got {len(images)}")
    for image in images:
        image.calc = calculator()
    if relax_ends:
        _relax_ends(images, fmax, max_steps, progress)

    neb = NEB(
        images,
        k=spring,
        climb=False,
        method="improvedtangent",
        remove_rotation_and_translation=False,
        allow_shared_calculator=False,
    )
    with _Bar(progress) as bar:

        def after_step(force: float) -> None:
            bar.show(force, fmax)
            if observer is not None:
                observer(images)

        steps, force = _relax(neb, _ROUGH * fmax if climb else fmax, max_steps, after_step)
        if climb and steps < max_steps:
            neb.climb = True
            climbing, force = _relax(neb, fmax, max_steps - steps, after_step)
            steps += climbing
    return _result(images, force <= fmax and neb.climb == climb, force, steps)


def _relax_ends(images: list[Atoms], fmax: float, max_steps: int, progress: str | None) -> None:
    """Relax first and last image; displace those between in proportion."""
    ends = (images[0], images[-1])
    before = [end.get_positions() for end in ends]
    for end, name in zip(ends, ("initial", "final"), strict=True):
        with _Bar(progress and f"{progress}, {name} structure") as bar:
            _relax(end, fmax, max_steps, partial(bar.show, fmax=fmax))
    moves = [end.positions - old for end, old in zip(ends, before, strict=True)]
    for k, image in enumerate(images[1:-1], start=1):
        fraction = k / (len(images) - 1)
        image.positions += (1 - fraction) * moves[0] + fraction * moves[1]


class _Quiet(FIRE):
    """FIRE that writes no log and so asks for no energies, which may cost more than forces."""

    def log(self, *_: object) -> None:
        """Write nothing."""


def _relax(
    what: Any, fmax: float, max_steps: int, after_step: Callable[[float], None]
) -> tuple[int, float]:
    """Relax a structure or a band; return the steps taken and the largest force."""
    optimizer = _Quiet(what, logfile=None)
    force = np.inf
    for _ in optimizer.irun(fmax=fmax, steps=max_steps):
        force = float(np.linalg.norm(what.get_forces(), axis=1).max())
        after_step(force)
    return int(optimizer.nsteps), force


class _Bar:
    """Progress bar of a relaxation, whose number of steps nobody knows beforehand."""

    def __init__(self, title: str | None) -> None:
        self._bar = step_bar(title, shown=title is not None)

    def show(self, force: float, fmax: float) -> None:
        self._bar.set_postfix_str(f"force {force:.3f} of {fmax:g} eV/Å", refresh=False)
        self._bar.update()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _result(images: Sequence[Atoms], converged: bool, fmax: float, steps: int) -> MigrationPath:
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
