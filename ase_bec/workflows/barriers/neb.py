"""Migration paths by the nudged elastic band, in a field or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from ase_bec.data.field_labels import remove_field_labels
from ase_bec.paths import unwrap_images
from ase_bec.workflows.barriers.elastic_band import ElasticBand, ForceBar, relax
from ase_bec.workflows.barriers.matching import match_ions, warn_of_ends
from ase_bec.workflows.barriers.migration import MigrationPath, migration_path
from ase_bec.workflows.barriers.workers import Workers

__all__ = ["MigrationPath", "find_path", "interpolate_path", "match_ions"]

Array = NDArray[np.float64]
Observer = Callable[[Sequence[Atoms]], None]

_ROUGH = 5.0  # the band is first brought to this many times the final force, without climbing


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

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.workflows import interpolate_path
    >>> initial = Atoms("Li", [[0, 0, 3.5]], cell=[4, 4, 4], pbc=True)
    >>> final = Atoms("Li", [[0, 0, 0.5]], cell=[4, 4, 4], pbc=True)
    >>> band = interpolate_path(initial, final, images=1)
    >>> [round(float(image.positions[0, 2]), 6) for image in band]  # through the boundary
    [3.5, 4.0, 4.5]
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
    threads: int = 1,
    world: Any = None,
    check_ends: bool = True,
) -> MigrationPath:
    """Relax a band of images to the minimum-energy path with ASE's NEB.

    For the path in a field, start from the images of the path without it.

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
        Largest force on an atom in eV/Å, for ends and band, at which to stop.
    max_steps
        Largest number of steps of the band, and of each end.
    relax_ends
        Relax the two ends first; the images between move along.
    spring
        Force constant between images in eV/Å².
    observer
        Called with the images, which have energies and forces, after every step of the band; with
        several processes, only in the first. `BandWriter` is one.
    progress
        Title of a progress bar on standard error; None for no bar.
    threads
        Threads that compute images at a time. Calculators that share a base calculator or charges
        take turns.
    world
        Communicator such as ``ase.parallel.world`` (load mpi4py first) whose processes, all
        making this call, share the images, so that there is work for as many as there are images
        between the ends. None computes all images in this process.
    check_ends
        Warn if ions of one element seem to be permuted between the ends, which `match_ions` undoes,
        or if several ions move far.

    Raises
    ------
    TypeError
        If `calculator` is not callable.
    ValueError
        If there are fewer than three images, they do not belong together, or `fmax`,
        `max_steps`, `spring` or `threads` is not positive.

    References
    ----------
    G. Henkelman, B. P. Uberuaga, H. Jónsson, J. Chem. Phys. 113, 9901 and 9978 (2000).

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
    >>> path.converged
    True
    >>> print(f"{path.forward_barrier:.2f} eV")
    0.77 eV
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
    if check_ends:
        warn_of_ends(images[0], images[-1])
    workers = Workers(threads, world)
    progress = progress if workers.first else None
    for image in images:
        remove_field_labels(image)
        image.calc = calculator()
    if relax_ends:
        _relax_ends(images, fmax, max_steps, progress, workers)

    neb = ElasticBand(images, spring, workers)
    with ForceBar(progress) as bar:

        def after_step(force: float) -> None:
            bar.show(force, fmax)
            if observer is not None and workers.first:
                observer(neb.images)

        steps, force = 0, np.inf
        neb.climb = climb
        if climb and neb.largest_force() > _ROUGH * fmax:
            neb.climb = False
            steps, force = relax(neb, _ROUGH * fmax, max_steps, after_step)
        if steps < max_steps:
            neb.climb = climb
            more, force = relax(neb, fmax, max_steps - steps, after_step)
            steps += more
    return migration_path(neb.images, force <= fmax and neb.climb == climb, force, steps)


def _relax_ends(
    images: list[Atoms], fmax: float, max_steps: int, progress: str | None, workers: Workers
) -> None:
    """Relax first and last image; displace those between in proportion."""
    ends = (images[0], images[-1])
    before = [end.get_positions() for end in ends]

    def relaxed(k: int) -> Array:
        with ForceBar(progress and f"{progress}, {('initial', 'final')[k]} structure") as bar:
            relax(ends[k], fmax, max_steps, partial(bar.show, fmax=fmax))
        return np.array(ends[k].positions)

    moves = []
    for end, old, new in zip(ends, before, workers.share(relaxed, 2), strict=True):
        end.positions[:] = new
        moves.append(new - old)
    for k, image in enumerate(images[1:-1], start=1):
        fraction = k / (len(images) - 1)
        image.positions += (1 - fraction) * moves[0] + fraction * moves[1]
