"""Motion of the whole structure, which is not diffusion of its elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ase_bec.analysis.statistics import Array, Estimate, mean_rate
from ase_bec.analysis.trajectory import Trajectory

__all__ = ["CommonMotion", "common_motion"]

_ALIKE = 0.25  # of the square of the common way, that an element's centre may move apart from it
_BY_CHANCE = 5.0  # times that of atoms that move on their own
_M_PER_S = 1e5  # of 1 Å/fs


@dataclass(frozen=True, eq=False)
class CommonMotion:
    """How the centre of mass moves where all elements move with it.

    Attributes
    ----------
    velocity
        Mean velocity of the centre of mass in Å/fs.
    way
        Its root mean square displacement in Å.
    time
        Time of that displacement in fs.
    shares
        For each element, the part of the mean square displacement in that time that is common.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import common_motion, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(9)]
    >>> for k, atoms in enumerate(frames):
    ...     atoms.positions[:, 0] += 0.05 * k
    >>> motion = common_motion(read_trajectory(frames, timestep=10.0), time=40.0)
    >>> round(motion.way, 3), motion.time  # Å in fs
    (0.2, 40.0)
    >>> print(f"{1e5 * motion.velocity.values[0]:.0f} m/s")
    500 m/s
    """

    velocity: Estimate
    way: float
    time: float
    shares: dict[str, float]

    def __str__(self) -> str:
        """Describe it with its numbers."""
        mean = self.velocity.scaled(_M_PER_S)
        drift = ", ".join(str(mean.component(axis)) for axis in range(3))
        parts = ", ".join(f"{100 * share:.3g} % of {name}" for name, share in self.shares.items())
        return (
            f"all elements move together: their centre of mass drifts at ({drift}) m/s along "
            f"x, y, z and moves by {self.way:.3g} Å (rms) in {self.time / 1e3:g} ps, which is "
            f"{parts} of their mean square displacement"
        )


def common_motion(
    trajectory: Trajectory, time: float, *, blocks: int = 5, remove_drift: bool = False
) -> CommonMotion | None:
    r"""Find out whether the structure moves as a whole, by a drift or at random.

    It does if the centre of each element moves with the centre of mass, which itself moves further
    than independent atoms would make it, by five times
    :math:`\sum_s N_s m_s^2 \langle |\Delta\mathbf r'|^2\rangle_s / M^2` (mean squares, from the
    centre of mass). Diffusion coefficients are then those of the whole body; take the trajectory
    relative to its centre of mass
    (:meth:`~ase_bec.analysis.trajectory.Trajectory.relative_to`). Ions of a single element driven
    by a field are exempt.

    Parameters
    ----------
    trajectory
        With equally spaced frames.
    time
        Time of displacement in fs; half of the trajectory is checked too.
    blocks
        Number of blocks of time that give the uncertainty of the velocity.
    remove_drift
        Check the motion left after subtracting the mean drift of each element.

    Returns
    -------
    CommonMotion
        None if there is no such motion.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import common_motion, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(9)]
    >>> for k, atoms in enumerate(frames):
    ...     atoms.positions[:, 0] += 0.05 * k
    >>> drifting = read_trajectory(frames, timestep=10.0)
    >>> shares = common_motion(drifting, 40.0).shares
    >>> {element: round(share, 3) for element, share in shares.items()}
    {'Na': 1.0, 'Cl': 1.0}
    >>> common_motion(drifting.relative_to(), 40.0) is None
    True
    """
    driven = trajectory.field is not None and bool(np.any(trajectory.field))
    if len(trajectory) < 3 or len(trajectory.numbers) < 2:
        return None
    if driven and len(trajectory.elements) == 1:
        return None
    weights = trajectory.masses / trajectory.masses.sum()
    path = np.einsum("a,tax->tx", weights, trajectory.positions)
    centre = _about_drift(trajectory, path) if remove_drift else path
    for lag in _lags(trajectory, time):
        shares = _shares(trajectory, centre, lag, remove_drift)
        if shares:
            velocity = mean_rate(trajectory.times, path, min(blocks, len(trajectory) - 1))
            way = float(np.sqrt(_mean_square(centre, lag)))
            return CommonMotion(velocity, way, lag * trajectory.interval, shares)
    return None


def _lags(trajectory: Trajectory, time: float) -> list[int]:
    """Frames in the time given, and in half the trajectory, where a slow drift shows."""
    half = len(trajectory) // 2
    return sorted({min(max(round(time / trajectory.interval), 1), half), half})


def _shares(
    trajectory: Trajectory, centre: Array, lag: int, remove_drift: bool
) -> dict[str, float]:
    """Part of each element's mean square displacement that all share; none where it is none."""
    common = _mean_square(centre, lag)
    by_chance, shares = 0.0, {}
    for element in trajectory.elements:
        atoms = trajectory.indices(element)
        moves = trajectory.positions[:, atoms]
        moves = (_about_drift(trajectory, moves) if remove_drift else moves) - centre[:, None]
        own = _mean_square(moves, lag)
        if _mean_square(moves.mean(axis=1), lag) > _ALIKE * common:
            return {}
        weights = trajectory.masses[atoms] / trajectory.masses.sum()
        by_chance += float((weights**2).sum()) * own
        shares[element] = common / (common + own) if common else 0.0
    significant = common > _BY_CHANCE * by_chance and np.sqrt(common) > _rounding(trajectory)
    return shares if significant else {}


def _mean_square(series: Array, lag: int) -> float:
    """Mean over frames and atoms of the square of the displacement in some frames."""
    steps = series[lag:] - series[:-lag]
    return float((steps**2).sum(axis=-1).mean())


def _about_drift(trajectory: Trajectory, series: Array) -> Array:
    """A path, or those of an element's atoms, without the mean drift."""
    part = (trajectory.times - trajectory.times[0]) / trajectory.duration
    way = series[-1] - series[0]
    way = way if series.ndim == 2 else way.mean(axis=0)
    found: Array = series - (part[:, None] * way).reshape(-1, *([1] * (series.ndim - 2)), 3)
    return found


def _rounding(trajectory: Trajectory) -> float:
    """Way in Å that rounding alone may make."""
    return 1e-9 * (1 + float(np.abs(trajectory.positions).max()))
