"""Trajectories of which everything is known."""

from typing import Any

import numpy as np
from ase import units
from ase.data import atomic_masses, atomic_numbers

from ase_bec.analysis import Trajectory
from ase_bec.analysis.trajectory import Array

SKEWED = np.array([[7.0, 0.3, 0.0], [3.1, 6.2, -0.4], [-2.0, 1.1, 8.0]])


def trajectory(
    times: Array, positions: Array, symbols: list[str], cell: Any = 10.0, **more: Any
) -> Trajectory:
    """Trajectory in a periodic cell, cubic for a number."""
    numbers = np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.int64)
    return Trajectory(
        times=np.asarray(times, dtype=float),
        positions=positions,
        numbers=numbers,
        masses=atomic_masses[numbers],
        cell=np.eye(3) * cell if np.ndim(cell) == 0 else np.asarray(cell),
        pbc=np.ones(3, dtype=bool),
        **more,
    )


def brownian(
    seed: int, diffusion: Any, drift: Any = (0, 0, 0), frames: int = 2000, atoms: int = 100
) -> Trajectory:
    """Independent Li ions with diffusion coefficients (Å²/fs) and drift (Å/fs) per direction."""
    rng = np.random.default_rng(seed)
    interval = 10.0
    width = np.sqrt(2 * np.asarray(diffusion) * interval)
    steps = rng.standard_normal((frames, atoms, 3)) * width + np.asarray(drift) * interval
    steps[0] = rng.uniform(0, 10, (atoms, 3))
    return trajectory(np.arange(frames) * interval, steps.cumsum(axis=0), ["Li"] * atoms)


def ornstein_uhlenbeck(
    seed: int, friction: float, temperature: float, frames: int, atoms: int, interval: float
) -> Trajectory:
    """Independent Li ions under Langevin friction (1/fs), by the exact joint law of a step.

    D = kT/(m γ), velocity correlation kT/m exp(−γt).
    """
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    thermal = units.kB * temperature / atomic_masses[3] * units.fs**2  # kT/m in (Å/fs)²
    decay = np.exp(-friction * interval)
    var_v = thermal * (1 - decay**2)
    var_x = thermal / friction**2 * (2 * friction * interval - 3 + 4 * decay - decay**2)
    both = thermal / friction * (1 - decay) ** 2
    kicks = rng.multivariate_normal([0, 0], [[var_v, both], [both, var_x]], (frames, atoms, 3))
    kicks[0, ..., 0] = np.sqrt(thermal) * rng.standard_normal((atoms, 3))
    velocities = lfilter([1.0], [1.0, -decay], kicks[..., 0], axis=0)
    steps = velocities[:-1] * (1 - decay) / friction + kicks[1:, ..., 1]
    positions = np.concatenate([np.zeros((1, atoms, 3)), steps.cumsum(axis=0)])
    times = np.arange(frames) * interval
    return trajectory(times, positions, ["Li"] * atoms, velocities=velocities)
