"""Numba kernel of the core repulsion."""

from __future__ import annotations

from math import sqrt

from numba import njit

__all__ = ["core_repulsion"]


@njit(cache=True, nogil=True)
def core_repulsion(at, low, high, closest, strength, energies, outside, forces, virial):  # type: ignore[no-untyped-def]
    """Half of Σ K (d - r)³ over neighbours nearer than d, of the centres low … high - 1."""
    furthest = closest.max()
    for i in range(low, high):
        cell, here, energy = at.cell[at.batch[i]], at.positions[i], 0.0
        for p in range(at.first[i], at.first[i + 1]):
            j = at.neighbour[p]
            a, b, c = at.shift[p, 0], at.shift[p, 1], at.shift[p, 2]
            x = at.positions[j, 0] - here[0] + a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
            y = at.positions[j, 1] - here[1] + a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1]
            z = at.positions[j, 2] - here[2] + a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2]
            squared = x * x + y * y + z * z
            if squared >= furthest * furthest:
                continue
            distance = sqrt(squared)
            depth = closest[at.species[i], at.species[j]] - distance
            if depth <= 0.0:  # NaN must show
                continue
            energy += strength / 2 * depth**3
            slope = -1.5 * strength * depth**2 / distance
            vector = (x, y, z)
            for k in range(3):
                forces[j, k] -= slope * vector[k]
                forces[i, k] += slope * vector[k]
                for m in range(3):
                    virial[at.batch[i], m, k] += vector[m] * slope * vector[k]
        energies[i] = energy
