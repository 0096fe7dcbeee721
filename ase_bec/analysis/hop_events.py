"""Hops of mobile ions between sites, and the charge they carry."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.geometry import complete_cell, minkowski_reduce
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from ase_bec.analysis.statistics import Array
from ase_bec.analysis.trajectory import Integers, Trajectory
from ase_bec.directions import unit_vector
from ase_bec.plotting import axes_or_current

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SAME_SITE = 1e-3  # Å; images of one site are further apart


@dataclass(frozen=True, eq=False)
class Hops:
    """Hops in order of time.

    Attributes
    ----------
    times
        Of the first frame at the new site in fs, [hop].
    ions
        Index of the atom, [hop].
    origins, targets
        Index of the sites left and reached, [hop].
    vectors
        From one to the other in Å, unwrapped, [hop, 3].
    start
        Site of each ion in the first frame, [ion].
    duration
        Length of the trajectory in fs.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.analysis import find_hops, read_trajectory
    >>> frames = [Atoms("Li", [[0, 0, z]], cell=[6, 6, 6], pbc=True) for z in (0, 0.4, 1.9, 2.0)]
    >>> trajectory = read_trajectory(frames, timestep=10.0)
    >>> hops = find_hops(trajectory, "Li", sites=[[0, 0, 0], [0, 0, 2]])
    >>> len(hops), hops.counts([0, 0, 1])  # one along z, none against it
    (1, (1, 0))
    >>> print(hops.dipole(trajectory.times, charge=1.0)[:, 2])
    [0. 0. 2. 2.]
    """

    times: Array
    ions: Integers
    origins: Integers
    targets: Integers
    vectors: Array
    start: Integers
    duration: float

    def __len__(self) -> int:
        return len(self.times)

    @property
    def rate(self) -> float:
        """Hops per ion and fs."""
        return len(self) / (len(self.start) * self.duration)

    def counts(self, direction: ArrayLike, shortest: float = 0.5) -> tuple[int, int]:
        """Count the hops along a direction and those against it.

        Parameters
        ----------
        direction
            Such as that of the field.
        shortest
            Shorter displacements along or against it, in Å, are not counted.
        """
        way = self.vectors @ unit_vector(direction)
        return int((way > shortest).sum()), int((way < -shortest).sum())

    def dipole(self, times: ArrayLike, charge: float) -> Array:
        r"""Charge carried by the hops up to each time, [frame, 3], in e·Å.

        .. math:: \Delta\mathbf D_\mathrm{hops}(t) = q \sum_{\mathrm{hops}\,h,\,t_h \le t}
                  \Delta\mathbf r_h

        It follows the dipole ΔD(t) of formal charges up to vibrations, and that of the whole
        polarization if each hop carries the formal charge of the ion.

        Parameters
        ----------
        times
            In fs, [frame].
        charge
            Of an ion in e.
        """
        carried = np.concatenate([np.zeros((1, 3)), np.cumsum(self.vectors, axis=0)])
        count = np.searchsorted(self.times, np.asarray(times, dtype=float) + 1e-9)
        found: Array = charge * carried[count]
        return found

    def plot(self, ax: Axes | None = None, direction: ArrayLike = (0, 0, 1), **style: Any) -> Axes:
        """Draw the displacement of each hop along a direction over time.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        direction
            Such as that of the field.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = axes_or_current(ax)
        way = self.vectors @ unit_vector(direction)
        ax.plot(self.times / 1e3, way, **{"marker": "o", "linestyle": "none", **style})
        ax.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
        ax.set_xlabel("Time (ps)")
        ax.set_ylabel("Hop along the direction (Å)")
        return ax


def initial_sites(
    trajectory: Trajectory, element: str, vacancies: ArrayLike | None = None, frames: int = 1
) -> Array:
    """Sites in Å, [site, 3]: the initial positions of the ions, and the vacancies.

    Parameters
    ----------
    trajectory
        The trajectory.
    element
        Of the mobile ions.
    vacancies
        Positions of empty sites in Å, [vacancy, 3].
    frames
        Average the positions over this many first frames.

    Raises
    ------
    ValueError
        If `frames` or the shape of `vacancies` is wrong.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.analysis import initial_sites, read_trajectory
    >>> frames = [Atoms("Li", [[0, 0, z]], cell=[6, 6, 6], pbc=True) for z in (0.0, 0.2)]
    >>> trajectory = read_trajectory(frames, timestep=10.0)
    >>> print(initial_sites(trajectory, "Li", vacancies=[[0, 0, 2]], frames=2))
    [[0.  0.  0.1]
     [0.  0.  2. ]]
    """
    if not 1 <= frames <= len(trajectory):
        raise ValueError(f"`frames` must be from 1 to {len(trajectory)}, got {frames}")
    sites: Array = trajectory.positions[:frames, trajectory.indices(element)].mean(axis=0)
    if vacancies is None:
        return sites
    return np.concatenate([sites, _positions("vacancies", vacancies)])


def find_hops(
    trajectory: Trajectory, element: str, sites: ArrayLike, *, fraction: float = 0.4
) -> Hops:
    r"""Hops of the ions of an element between sites.

    Each ion starts at the site nearest to it in the first frame. It has hopped to another site once
    it is nearest to that one and closer than `fraction` of the distance between the two,

    .. math:: |\mathbf r - \mathbf R_\mathrm{new}| < f\,|\mathbf R_\mathrm{new} -
              \mathbf R_\mathrm{old}|

    so that an ion which vibrates on the ridge between the two (f = 0.5) is not counted again and
    again. A hop to another image of the same site counts. Sites may hold several ions.

    Parameters
    ----------
    trajectory
        With unwrapped positions, in the frame of the sites.
    element
        Of the mobile ions.
    sites
        Positions in the cell, wrapped or not, in Å, [site, 3].
    fraction
        f, below 0.5.

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 0.5, or sites coincide.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.analysis import find_hops, read_trajectory
    >>> frames = [Atoms("Li", [[0, 0, z]], cell=[6, 6, 6], pbc=True) for z in (0, 0.4, 1.9, 2.0)]
    >>> trajectory = read_trajectory(frames, timestep=10.0)
    >>> hops = find_hops(trajectory, "Li", sites=[[0, 0, 0], [0, 0, 2]])
    >>> print(hops.times, hops.origins, hops.targets, hops.vectors)
    [20.] [0] [1] [[0. 0. 2.]]
    """
    if not 0 < fraction < 0.5:
        raise ValueError(f"`fraction` must be between 0 and 0.5, got {fraction}")
    ions = trajectory.indices(element)
    positions = trajectory.positions[:, ions]  # [frame, ion, 3]
    nearest, places = _nearest(positions, _positions("sites", sites), trajectory)
    away = np.linalg.norm(positions - places, axis=2)  # [frame, ion]
    site, home = nearest[0].copy(), places[0].copy()
    rows: list[tuple[float, int, int, int]] = []
    vectors: list[Array] = []
    for frame in range(1, len(trajectory)):
        step = places[frame] - home
        length = np.linalg.norm(step, axis=1)
        for k in np.flatnonzero((length > _SAME_SITE) & (away[frame] < fraction * length)):
            target = int(nearest[frame, k])
            rows.append((float(trajectory.times[frame]), int(ions[k]), int(site[k]), target))
            vectors.append(step[k])
            site[k], home[k] = target, places[frame, k]
    times, who, origins, targets = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Hops(
        np.array(times, dtype=float),
        np.array(who, dtype=np.int64),
        np.array(origins, dtype=np.int64),
        np.array(targets, dtype=np.int64),
        np.array(vectors).reshape(-1, 3),
        nearest[0],
        trajectory.duration,
    )


def _nearest(positions: Array, sites: Array, trajectory: Trajectory) -> tuple[Integers, Array]:
    """Index, [...], and unwrapped position in Å, [..., 3], of the site nearest to each position.

    In a Minkowski-reduced cell, positions and sites wrapped into it are at most two cells from
    their nearest images.
    """
    pbc = trajectory.pbc
    cell, _ = minkowski_reduce(complete_cell(trajectory.cell), pbc)
    inverse = np.linalg.inv(cell)

    def wrapped(points: Array) -> Array:
        found: Array = points - np.where(pbc, np.floor(points @ inverse), 0.0) @ cell
        return found

    inside = wrapped(sites)
    shifts = np.array(list(product(*((-2, -1, 0, 1, 2) if p else (0,) for p in pbc)))) @ cell
    images = (shifts[:, None] + inside).reshape(-1, 3)  # [shift × site, 3]
    tree = cKDTree(images)
    close = tree.query_pairs(_SAME_SITE)
    if close:
        a, b = (int(k) % len(sites) for k in min(close))
        raise ValueError(f"`sites` must be apart from one another, got {a} and {b} at one place")
    flat = positions.reshape(-1, 3)
    home = wrapped(flat)
    _, index = tree.query(home)
    places = images[index] + (flat - home)
    nearest: Integers = np.asarray(index % len(sites), dtype=np.int64)
    return nearest.reshape(positions.shape[:-1]), places.reshape(positions.shape)


def _positions(name: str, values: ArrayLike) -> Array:
    found = np.asarray(values, dtype=float)
    if found.ndim != 2 or found.shape[1] != 3 or not len(found) or not np.isfinite(found).all():
        raise ValueError(f"`{name}` must be finite, [site, 3], got the shape {found.shape}")
    return found
