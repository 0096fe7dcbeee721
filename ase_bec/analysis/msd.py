"""Mean square displacements, diffusion coefficients and drift of the elements."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ase_bec.analysis.correlations import square_displacement
from ase_bec.analysis.drift import common_motion
from ase_bec.analysis.statistics import Array, Estimate, block_slices, mean_rate
from ase_bec.analysis.trajectory import Integers, Trajectory
from ase_bec.plotting import axes_or_current

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CM2_PER_S = 0.1  # of 1 Å²/fs: 1e-16 cm² / 1e-15 s


@dataclass(frozen=True, eq=False)
class MeanSquareDisplacement:
    """Mean square displacement of each element along each direction.

    Attributes
    ----------
    times
        Time of displacement in fs, [lag].
    values
        In Å², of each element, [lag, 3]; their sum over the directions is the total.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import mean_square_displacement, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(4)]
    >>> for k, atoms in enumerate(frames):
    ...     atoms.positions[atoms.symbols == "Na", 2] += 0.1 * k
    >>> displacement = mean_square_displacement(read_trajectory(frames, timestep=2.0))
    >>> print(displacement.times)
    [0. 2. 4. 6.]
    >>> print(displacement.total("Na").round(4))
    [0.   0.01 0.04 0.09]
    """

    times: Array
    values: dict[str, Array]

    def total(self, element: str) -> Array:
        """Sum over the three directions in Å², [lag]."""
        found: Array = self.values[element].sum(axis=1)
        return found

    def plot(
        self,
        ax: Axes | None = None,
        elements: Iterable[str] | None = None,
        directions: bool = False,
        **style: Any,
    ) -> Axes:
        """Draw the displacements over time, in total or along each direction.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        elements
            Those to draw; all by default.
        directions
            Draw x, y and z separately.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = axes_or_current(ax)
        for element in self.values if elements is None else elements:
            if directions:
                for axis, name in enumerate("xyz"):
                    values = self.values[element][:, axis]
                    ax.plot(self.times / 1e3, values, label=f"{element} {name}", **style)
            else:
                ax.plot(self.times / 1e3, self.total(element), label=element, **style)
        ax.set_xlabel("Time (ps)")
        ax.set_ylabel("Mean square displacement (Å²)")
        return ax


def mean_square_displacement(
    trajectory: Trajectory,
    *,
    origins: Literal["all", "first"] = "all",
    remove_drift: bool = False,
    max_time: float | None = None,
) -> MeanSquareDisplacement:
    r"""Mean square displacement per element and direction.

    .. math:: M_\alpha(t) = \left\langle \frac{1}{N} \sum_{a=1}^{N}
              [r_{a\alpha}(t_0+t) - r_{a\alpha}(t_0)]^2 \right\rangle_{t_0}

    Parameters
    ----------
    trajectory
        With equally spaced frames.
    origins
        "all" averages over all time origins :math:`t_0`; "first" uses only the first frame, as
        figures in papers often do.
    remove_drift
        Subtract the mean drift velocity of each element first. In a field, the displacements
        about the drift are those of diffusion: :math:`M = 2 D t + (v t)^2`.
    max_time
        Longest time of displacement in fs; the whole trajectory by default.

    Returns
    -------
    MeanSquareDisplacement

    Raises
    ------
    ValueError
        If `origins` is unknown, or the frames are not equally spaced.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import mean_square_displacement, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(4)]
    >>> for k, atoms in enumerate(frames):
    ...     atoms.positions[atoms.symbols == "Na", 2] += 0.1 * k
    >>> trajectory = read_trajectory(frames, timestep=2.0)
    >>> print(mean_square_displacement(trajectory).values["Na"].round(4))
    [[0.   0.   0.  ]
     [0.   0.   0.01]
     [0.   0.   0.04]
     [0.   0.   0.09]]
    >>> about_drift = mean_square_displacement(trajectory, remove_drift=True)
    >>> print(about_drift.total("Na").round(4))
    [0. 0. 0. 0.]
    """
    if origins not in ("all", "first"):
        raise ValueError(f"`origins` must be all or first, got {origins!r}")
    lags = _lags(trajectory, max_time)
    values = {}
    for element in trajectory.elements:
        moves = _moves(trajectory, element, remove_drift)
        squares = square_displacement(moves) if origins == "all" else moves**2
        values[element] = squares[:lags].mean(axis=1)
    return MeanSquareDisplacement(np.arange(lags, dtype=float) * trajectory.interval, values)


@dataclass(frozen=True, eq=False)
class Diffusion:
    """Diffusion coefficient of an element.

    Attributes
    ----------
    element
        Chemical symbol.
    atoms
        Number of its atoms.
    coefficient
        D along x, y and z in Å²/fs; its mean is the isotropic coefficient.
    window
        First and last time of displacement of the fit in fs.

    Examples
    --------
    >>> import numpy as np
    >>> from ase import Atoms
    >>> from ase_bec.analysis import diffusion, read_trajectory
    >>> steps = 0.1 * np.random.default_rng(0).standard_normal((500, 20, 3))
    >>> frames = [Atoms("Li20", p, cell=[9, 9, 9], pbc=True) for p in steps.cumsum(axis=0)]
    >>> trajectory = read_trajectory(frames, timestep=10.0)
    >>> found = diffusion(trajectory, "Li", window=(20.0, 200.0))
    >>> found.element, found.atoms, found.window
    ('Li', 20, (20.0, 200.0))
    >>> print(found.in_cm2_per_s().mean())  # the walk has 5.0e-5
    (5.00 ± 0.35)e-5
    """

    element: str
    atoms: int
    coefficient: Estimate
    window: tuple[float, float]

    def in_cm2_per_s(self) -> Estimate:
        """Return D in cm²/s (1 Å²/fs = 0.1 cm²/s)."""
        return self.coefficient.scaled(CM2_PER_S)


def diffusion(
    trajectory: Trajectory,
    element: str,
    window: tuple[float, float],
    *,
    blocks: int | None = 5,
    remove_drift: bool = False,
) -> Diffusion:
    r"""Diffusion coefficient from the slope of the mean square displacement.

    .. math:: M_\alpha(t) = 2 D_\alpha t + \mathrm{const}

    by least squares over the times of the window, which should begin after the vibrations and end
    well before the length of a block. The mean square displacement is averaged over all time
    origins.

    Parameters
    ----------
    trajectory
        With equally spaced frames.
    element
        Chemical symbol.
    window
        First and last time of displacement in fs.
    blocks
        Number of blocks of time whose coefficients give the uncertainty. None treats the atoms as
        independent instead; ions that hop in turn through a shared vacancy are not.
    remove_drift
        Subtract the element's mean drift first: needed in a field. The drift is measured on the
        same ions, so that D comes out too small by about a fraction 1/(number of ions).

    Warns
    -----
    UserWarning
        If all elements move together (:func:`~ase_bec.analysis.drift.common_motion`): D is
        then that of the structure as a whole.

    Raises
    ------
    ValueError
        If the window does not lie within the trajectory, or within a block, or holds fewer than
        two times, or the frames are not equally spaced.

    Examples
    --------
    >>> import numpy as np
    >>> from ase import Atoms
    >>> from ase_bec.analysis import diffusion, read_trajectory
    >>> steps = 0.1 * np.random.default_rng(0).standard_normal((500, 20, 3))
    >>> frames = [Atoms("Li20", p, cell=[9, 9, 9], pbc=True) for p in steps.cumsum(axis=0)]
    >>> trajectory = read_trajectory(frames, timestep=10.0)
    >>> found = diffusion(trajectory, "Li", window=(20.0, 200.0))
    >>> print(f"{found.coefficient.mean().value:.4f} Å²/fs")  # the walk has 0.1²/(2 · 10)
    0.0005 Å²/fs
    """
    moves = _moves(trajectory, element, remove_drift)  # [frame, atom, 3]
    common = common_motion(trajectory, window[1], blocks=blocks or 5, remove_drift=remove_drift)
    if common is not None:
        warnings.warn(
            f"{common}: D is that of the whole; take positions relative to the centre of mass, "
            "`trajectory.relative_to()`",
            stacklevel=2,
        )
    slopes = displacement_slopes(moves, trajectory.interval, window)
    if blocks is None:
        if moves.shape[1] < 2:
            raise ValueError(f"`blocks` must be given for a single atom of {element}, got None")
        samples = slopes
    else:
        samples = block_slopes(moves, trajectory.interval, window, blocks).mean(axis=1)
    found = Estimate(slopes.mean(axis=0) / 2, samples / 2)
    return Diffusion(element, moves.shape[1], found, window)


def displacement_slopes(series: Array, interval: float, window: tuple[float, float]) -> Array:
    """Slopes of the square displacement of series in a window of times, [...].

    Parameters
    ----------
    series
        At equal intervals, [frame, ...].
    interval
        From frame to frame in fs.
    window
        First and last time of displacement in fs.

    Raises
    ------
    ValueError
        As :func:`diffusion`.
    """
    lags = _window_lags(window, interval, len(series))
    squares = square_displacement(series)[lags]
    times = lags * interval - (lags * interval).mean()
    found: Array = np.tensordot(times, squares, axes=1) / (times @ times)
    return found


def block_slopes(series: Array, interval: float, window: tuple[float, float], blocks: int) -> Array:
    """Slopes as :func:`displacement_slopes` in each of several blocks of time, [block, ...]."""
    parts = block_slices(len(series), blocks)
    length = parts[0].stop - parts[0].start
    if window[1] > (length - 1) * interval:
        raise ValueError(
            f"`window` must end within a block of {(length - 1) * interval:g} fs, got "
            f"{window[1]:g} fs: take fewer blocks or a shorter window"
        )
    return np.array([displacement_slopes(series[part], interval, window) for part in parts])


def drift_velocity(trajectory: Trajectory, element: str, blocks: int = 10) -> Estimate:
    r"""Mean drift velocity of an element in Å/fs, along x, y and z.

    .. math:: \mathbf v = \frac{1}{NT} \sum_{a=1}^{N} [\mathbf r_a(T) - \mathbf r_a(0)]

    Its uncertainty comes from blocks of time, which should be longer than the rests of an ion
    between hops.

    Raises
    ------
    ValueError
        If there is no such element, or fewer frames than blocks.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import drift_velocity, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(21)]
    >>> for k, atoms in enumerate(frames):
    ...     atoms.positions[atoms.symbols == "Na", 2] += 0.01 * k
    >>> drift = drift_velocity(read_trajectory(frames, timestep=2.0), "Na")
    >>> print(f"{drift.along([0, 0, 1]).value:.4f} Å/fs")
    0.0050 Å/fs
    """
    centre = trajectory.positions[:, trajectory.indices(element)].mean(axis=1)
    return mean_rate(trajectory.times, centre, blocks)


def _moves(trajectory: Trajectory, element: str, remove_drift: bool) -> Array:
    """Displacements of an element's atoms from the first frame, [frame, atom, 3]."""
    positions = trajectory.positions[:, trajectory.indices(element)]
    moves: Array = positions - positions[0]
    if remove_drift:
        elapsed = trajectory.times - trajectory.times[0]
        velocity = moves[-1].mean(axis=0) / trajectory.duration
        moves = moves - (elapsed[:, None] * velocity)[:, None]
    return moves


def _lags(trajectory: Trajectory, max_time: float | None) -> int:
    interval = trajectory.interval
    if max_time is None:
        return len(trajectory)
    if not interval <= max_time:
        raise ValueError(f"`max_time` must be at least {interval:g} fs, got {max_time:g}")
    return min(len(trajectory), int(max_time / interval + 1e-6) + 1)


def _window_lags(window: tuple[float, float], interval: float, frames: int) -> Integers:
    first, last = window
    lags = np.arange(frames, dtype=np.int64)
    inside = lags[(lags * interval >= first - 1e-6) & (lags * interval <= last + 1e-6)]
    if not 0 <= first < last <= (frames - 1) * interval + 1e-6 or len(inside) < 2:
        raise ValueError(
            "`window` must hold at least two times of displacement within the "
            f"{(frames - 1) * interval:g} fs of the frames, {interval:g} fs apart, got "
            f"{first:g} to {last:g} fs"
        )
    return inside
