"""Work of a force field along straight lines in configuration space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

Array = NDArray[np.float64]

ORDERS = (4, 8, 16, 32, 64, 128)


def straight_line_work(
    forces: Callable[[Atoms], Array], start: Atoms, end: Atoms, tolerance: float = 1e-7
) -> float:
    """Integrate a force along the straight line between two configurations.

    W = ∫_0^1 F(r_s + t·u)·u dt with u = r_e − r_s, by Gauss–Legendre quadrature whose order is
    doubled until the result stands.

    Parameters
    ----------
    forces : callable
        Atoms to forces (natoms, 3) in eV/Å.
    start, end : Atoms
        End points with the same atoms in the same order, both on unwrapped positions: the line is
        drawn between the positions as they are. Everything but the positions is taken from `end`.
    tolerance : float
        Largest change in eV between the last two orders.

    Returns
    -------
    float
        Work in eV.

    Raises
    ------
    CalculationFailed
        If 128 points are not enough.
    """
    displacement = end.positions - start.positions
    if not displacement.any():
        return 0.0
    point = end.copy()
    previous = np.inf
    change = np.inf
    for order in ORDERS:
        nodes, weights = leggauss(order)
        work = 0.0
        for node, weight in zip(0.5 * (nodes + 1.0), 0.5 * weights, strict=True):
            point.positions[:] = start.positions + node * displacement
            work += float(weight * np.vdot(forces(point), displacement))
        change = abs(work - previous)
        if change <= tolerance:
            return work
        previous = work
    raise CalculationFailed(
        f"the work along the line must converge to {tolerance:g} eV, got a change of "
        f"{change:.1e} eV at {ORDERS[-1]} points; give a nearer `reference`, or finer steps"
    )
