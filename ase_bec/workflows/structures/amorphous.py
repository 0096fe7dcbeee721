"""Amorphous structures by melting and quenching, as one run that can be resumed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.io.trajectory import Trajectory as Frames
from ase.optimize import FIRE

from ase_bec.analysis.structure import RadialDistribution, radial_distribution
from ase_bec.analysis.trajectory import Trajectory
from ase_bec.atomic_files import atomic_path
from ase_bec.locks import locked
from ase_bec.workflows.dynamics.limits import UnphysicalStructure
from ase_bec.workflows.dynamics.md import MDRun, run_md
from ase_bec.workflows.dynamics.record import last_frame, read_head
from ase_bec.workflows.structures.bonds import (
    Bonds,
    count_bonds,
    require_apart,
    require_temperature,
)
from ase_bec.workflows.structures.melt_folder import FINAL, RUN, begin_folder
from ase_bec.workflows.structures.melt_settings import MeltQuenchSettings
from ase_bec.workflows.structures.packing import density_of, scaled_to_density
from ase_bec.workflows.structures.walls import Walls, wall_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HOTTEST = 3.0  # of the melt temperature: beyond, the forces cannot be right
_SOFTEN = 1.0  # eV/Å, largest force to begin with
_SOFTEN_STEPS = 200
_RANGE = 6.0  # Å, of the radial distribution


@dataclass(frozen=True, eq=False)
class AmorphousStructure:
    """Result of a melt-quench run.

    Attributes
    ----------
    atoms
        The structure at the end, relaxed if that was asked for, on unwrapped positions.
    run
        How far the dynamics have come; if not completed, they were interrupted, and the structure
        is that of the last frame.
    converged
        Whether the relaxation, if any, has reached its largest force.
    bonds
        Neighbours within 1.3 of the sum of covalent radii, for each pair of elements.
    distribution
        Radial distribution functions over the time at the final temperature.
    moved
        Root mean square displacement of each element in the melt, in Å, up to its end. Where one
        has moved by less than about half the distance between its atoms, the structure still
        remembers the one that it started from.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import MeltQuenchSettings, melt_quench
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> settings = MeltQuenchSettings(
    ...     melt_temperature=900.0, melt_time=20.0, quench_rate=30000.0, anneal_time=20.0, fmax=None
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     found = melt_quench(atoms, folder, settings)
    >>> found.run.completed, round(found.density, 2)
    (True, 8.97)
    >>> sorted(found.moved), sorted(found.bonds)
    (['Cu'], [('Cu', 'Cu')])
    """

    atoms: Atoms
    run: MDRun
    converged: bool
    bonds: dict[tuple[str, str], Bonds]
    distribution: RadialDistribution
    moved: dict[str, float]

    @property
    def density(self) -> float:
        """Density in g/cm³."""
        return density_of(self.atoms)

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the radial distribution functions.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = self.distribution.plot(ax, **style)
        ax.legend(frameon=False, fontsize="small")
        return ax


def melt_quench(
    atoms: Atoms,
    folder: str | Path,
    settings: MeltQuenchSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> AmorphousStructure:
    """Melt a structure, quench it at a constant rate, anneal it and relax its positions.

    Cell and positions are scaled to the density; forces above 1 eV/Å are relaxed first, for at
    most 200 steps. One run of :func:`run_md` at constant cell follows, with the temperature of a
    Langevin thermostat on straight lines, and a relaxation. The folder gets ``run.traj`` with its
    table ``run.csv``, ``final.traj`` and ``settings.json``.

    Killed at any moment and called again with ``resume=True`` it ends, bit for bit, at the same
    structure (under the conditions of `run_md`).

    Many potentials have false minima among structures that they were not made for. So the dynamics
    run with :class:`Walls`, which the relaxation and the final structure do not have; and
    they stop if two atoms come closer than half the sum of their covalent radii, the
    temperature exceeds three times that of the melt, or a limit of the settings is passed.

    Parameters
    ----------
    atoms
        Crystal, or random structure (:func:`random_structure`), with its calculator; left
        unchanged.
    folder
        Where to write; created if necessary.
    settings
        Temperatures, times and density.
    resume
        Continue what is in the folder, from nothing at all to a finished run.
    overwrite
        Replace it.
    progress
        Show a progress bar on standard error.

    Raises
    ------
    FileExistsError
        If the folder has a run and neither `resume` nor `overwrite` is set.
    ValueError
        If the structure cannot be used, or another run writes to the folder; on resuming, if the
        structure, the calculator or a setting is not that of the folder, or a frame is damaged.
    UnphysicalStructure
        If atoms come too close to each other or get too hot, or the run becomes unphysical in
        another way.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import MeltQuenchSettings, melt_quench
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> settings = MeltQuenchSettings(
    ...     melt_temperature=900.0, melt_time=20.0, quench_rate=30000.0, anneal_time=20.0, fmax=None
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     found = melt_quench(atoms, Path(folder) / "glass", settings)
    ...     print(sorted(path.name for path in Path(folder).glob("glass/[a-z]*")))
    ['final.traj', 'run.csv', 'run.traj', 'settings.json']
    >>> found.run.completed
    True
    """
    folder = Path(folder)
    start = atoms.copy() if settings.density is None else scaled_to_density(atoms, settings.density)
    if start.cell.rank < 3 or not start.pbc.all():
        raise ValueError("`atoms` must be periodic in three directions, got fewer")
    if atoms.calc is None:
        raise ValueError("`atoms` must have a calculator, got none")
    start.calc = Walls(atoms.calc)
    path, final = folder / RUN, folder / FINAL
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder, again=True):
        begin_folder(folder, start, settings, resume, overwrite)
        run = _dynamics(start, path, settings, progress)
        if run.completed and not final.exists():
            start.calc = atoms.calc
            _finish(start, final, settings)
    return _results(run, path, final, settings)


def _dynamics(start: Atoms, path: Path, settings: MeltQuenchSettings, progress: bool) -> MDRun:
    """Melt, quench and anneal, from the softened start or from where an earlier run has come to."""
    resumed = path.exists()
    if resumed and last_frame(path) is not None:
        softened = read_head(path).atoms
        start.positions, start.arrays["momenta"] = softened.positions, softened.get_momenta()
    else:
        FIRE(start, logfile=None).run(fmax=_SOFTEN, steps=_SOFTEN_STEPS)

    def check(frame: Atoms) -> None:
        require_apart(frame)
        require_temperature(frame, _HOTTEST * settings.melt_temperature)

    return run_md(
        start,
        path,
        settings.dynamics(),
        settings.duration,
        resume=resumed,
        progress=progress,
        check=check,
    )


def _results(
    run: MDRun, path: Path, final: Path, settings: MeltQuenchSettings
) -> AmorphousStructure:
    """Read what there is, the structure at the end or the last frame of the run."""
    with Frames(final if final.exists() else path) as frames:
        end: Atoms = frames[-1]
    forces = end.get_forces(apply_constraint=False)
    converged = settings.fmax is None or bool(
        np.linalg.norm(forces, axis=1).max() < settings.fmax * (1 + 1e-9)
    )
    return AmorphousStructure(
        end,
        run,
        converged,
        count_bonds(end),
        _distribution(path, settings),
        _moved(path, settings),
    )


def _finish(atoms: Atoms, final: Path, settings: MeltQuenchSettings) -> None:
    """Relax the positions and write the structure in one atomic step."""
    atoms.set_constraint()
    if settings.fmax is not None:
        atoms.set_momenta(np.zeros((len(atoms), 3)))
        FIRE(atoms, logfile=None).run(fmax=settings.fmax, steps=settings.max_steps)
    require_apart(atoms)
    if wall_energy(atoms)[0] > 0:
        raise UnphysicalStructure(
            "the final structure has ions within the walls: the potential brings them closer "
            "than such ions come in solids"
        )
    atoms.get_potential_energy()
    atoms.get_forces()
    with atomic_path(final) as temporary, Frames(temporary, "w") as frames:
        frames.write(atoms)


def _moved(path: Path, settings: MeltQuenchSettings) -> dict[str, float]:
    """Root mean square displacements up to the end of the melt."""
    with Frames(path) as frames:
        molten = int(settings.melt_time / (settings.timestep * settings.interval))
        first, last = frames[0], frames[min(molten, len(frames) - 1)]
    squares = ((last.positions - first.positions) ** 2).sum(axis=1)
    elements = dict.fromkeys(first.get_chemical_symbols())
    return {a: float(np.sqrt(squares[first.symbols == a].mean())) for a in elements}


def _distribution(path: Path, settings: MeltQuenchSettings) -> RadialDistribution:
    """Average over the frames at the final temperature, at least the last two."""
    interval = settings.timestep * settings.interval
    with Frames(path) as frames:
        annealed = int((settings.melt_time + settings.quench_time) / interval)
        first = max(0, min(annealed, len(frames) - 2))
        chosen = [frames[k] for k in range(first, len(frames))]
    chosen = chosen if len(chosen) > 1 else chosen * 2
    trajectory = Trajectory(
        times=np.arange(len(chosen), dtype=np.float64) * interval,
        positions=np.array([frame.positions for frame in chosen]),
        numbers=chosen[0].numbers,
        masses=chosen[0].get_masses(),
        cell=chosen[0].cell.array,
        pbc=chosen[0].pbc,
    )
    return radial_distribution(trajectory, _RANGE)
