"""Work of a force field along straight lines in configuration space."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from numpy.typing import NDArray

Array = NDArray[np.float64]

TOLERANCE = 1e-5  # eV
INTERVALS = (4, 8, 16, 32, 64, 128, 256, 512)


def straight_line_work(
    forces: Callable[[Atoms], Array], start: Atoms, end: Atoms, tolerance: float = TOLERANCE
) -> float:
    """Integrate a force along the straight line between two configurations.

    W = ∫_0^1 F(r_s + t·u)·u dt with u = r_e − r_s, by Clenshaw–Curtis quadrature, whose points
    are doubled, reusing the earlier ones, until the result converges. The error falls
    faster than any power of the number of points for smooth forces, and as its square where a
    force has kinks, as Born charges do at the cutoff of cosine-cut descriptors.

    Parameters
    ----------
    forces : callable
        Atoms to forces (natoms, 3) in eV/Å.
    start, end : Atoms
        End points with the same atoms in the same order, both on unwrapped positions: the line is
        drawn between the positions as they are. Everything but the positions is taken from `end`.
    tolerance : float
        Largest change in eV at the last doubling, and a quarter of that at the one before, so
        that one small change by coincidence does not end it.

    Returns
    -------
    float
        Work in eV.

    Raises
    ------
    CalculationFailed
        If 513 points are not enough.

    References
    ----------
    L. N. Trefethen, SIAM Review 50, 67 (2008).
    """
    displacement = end.positions - start.positions
    if not displacement.any():
        return 0.0
    point = end.copy()

    def power(fraction: float) -> float:
        point.positions[:] = start.positions + fraction * displacement
        return float(np.vdot(forces(point), displacement))

    powers: dict[float, float] = {}
    work = change = np.inf
    for intervals in INTERVALS:
        for fraction in _points(intervals):
            if fraction not in powers:
                powers[fraction] = power(fraction)
        before, previous = change, work
        work = float(_weights(intervals) @ [powers[fraction] for fraction in _points(intervals)])
        change = abs(work - previous)
        if max(change, before / 4) <= tolerance:
            return work
    raise CalculationFailed(
        f"the work along the line must converge to {tolerance:g} eV, got a change of {change:.1e} "
        f"eV at {INTERVALS[-1]} intervals; give a larger tolerance or a closer `reference`"
    )


@cache
def _points(intervals: int) -> tuple[float, ...]:
    """Points ½ (1 − cos(πk/n)), taken from the finest set so that coarser ones are among them."""
    stride = INTERVALS[-1] // intervals
    k = np.arange(0, INTERVALS[-1] + 1, stride)
    return tuple((0.5 * (1.0 - np.cos(np.pi * k / INTERVALS[-1]))).tolist())


@cache
def _weights(intervals: int) -> Array:
    """Clenshaw–Curtis weights on [0, 1] for an even number of intervals, (n + 1,)."""
    k = np.arange(intervals + 1)[:, None]
    j = np.arange(1, intervals // 2 + 1)[None, :]
    factors = np.where(2 * j == intervals, 1.0, 2.0) / (4.0 * j**2 - 1.0)
    weights = 1.0 - np.sum(factors * np.cos(2 * np.pi * j * k / intervals), axis=1)
    weights[[0, -1]] *= 0.5
    result: Array = weights / intervals
    return result
