"""Numba kernels from atoms to the neighbourhood of a centre, and from its derivatives to forces."""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.kernels.moments import cosine_cutoffs, fast

__all__ = ["Structure", "gather_atoms", "neighbour_scratch", "scatter_forces"]

Array = NDArray[Any]


class Structure(NamedTuple):
    """One or several structures as arrays; see :class:`ase_bec.system.System`."""

    positions: Array  # (N, 3) float64
    cell: Array  # (B, 3, 3) float64
    batch: Array  # (N,)
    species: Array  # (N,)
    first: Array  # (N + 1,)
    neighbour: Array  # (E,)
    shift: Array  # (E, 3) int32


@njit(cache=True, nogil=True)
def neighbour_scratch(width):  # type: ignore[no-untyped-def]
    """Work arrays of `gather_atoms`."""
    return np.empty((4, width)), np.empty((2, width), np.int64)


@njit(cache=True, nogil=True, fastmath=fast)
def gather_atoms(s, i, cutoff, scratch, atom, start, geometry):  # type: ignore[no-untyped-def]
    """Neighbours of centre i within the cutoff, sorted by element; returns their number n.

    Fills ``atom[:n]``, ``start`` (neighbours of element e are ``start[e]:start[e + 1]``) and the
    rows x, y, z (unit vector), r, f_c, f_c' of ``geometry``. A neighbour at NaN counts as one, so
    that it shows in what is made of it.
    """
    vector, found = scratch
    cell, shift = s.cell[s.batch[i]], s.shift
    x0, y0, z0 = s.positions[i, 0], s.positions[i, 1], s.positions[i, 2]
    start[:] = 0
    squared, n = cutoff * cutoff, 0
    for p in range(s.first[i], s.first[i + 1]):
        j = s.neighbour[p]
        a, b, c = shift[p, 0], shift[p, 1], shift[p, 2]
        x, y, z = s.positions[j, 0] - x0, s.positions[j, 1] - y0, s.positions[j, 2] - z0
        if a != 0 or b != 0 or c != 0:
            x += a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
            y += a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1]
            z += a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2]
        r2 = x * x + y * y + z * z
        if not r2 >= squared:
            vector[0, n], vector[1, n], vector[2, n], vector[3, n] = x, y, z, r2
            found[0, n], found[1, n] = j, s.species[j]
            start[s.species[j] + 1] += 1
            n += 1
    for e in range(1, start.size):
        start[e] += start[e - 1]
    for p in range(n):
        e = found[1, p]
        k = start[e]
        start[e] += 1
        atom[k] = found[0, p]
        r = sqrt(vector[3, p])
        inverse = 1.0 / r
        geometry[0, k], geometry[1, k] = vector[0, p] * inverse, vector[1, p] * inverse
        geometry[2, k], geometry[3, k] = vector[2, p] * inverse, r
    for e in range(start.size - 1, 0, -1):
        start[e] = start[e - 1]
    start[0] = 0
    cosine_cutoffs(geometry[3], cutoff, n, geometry[4], geometry[5])
    return n


@njit(cache=True, nogil=True, fastmath=fast)
def scatter_forces(i, atom, n, geometry, d_distance, torque, forces, virial):  # type: ignore[no-untyped-def]
    """Take dE/dr û + torque × û / r, by each pair vector r, to forces and Σ r ⊗ ∂E/∂r."""
    fx = fy = fz = 0.0
    for j in range(n):
        x, y, z, r = geometry[0, j], geometry[1, j], geometry[2, j], geometry[3, j]
        tx, ty, tz = torque[0, j] / r, torque[1, j] / r, torque[2, j] / r
        d = d_distance[j]
        dx, dy, dz = d * x + ty * z - tz * y, d * y + tz * x - tx * z, d * z + tx * y - ty * x
        force = forces[atom[j]]
        force[0] -= dx
        force[1] -= dy
        force[2] -= dz
        fx += dx
        fy += dy
        fz += dz
        x, y, z = r * x, r * y, r * z
        virial[0, 0] += x * dx
        virial[0, 1] += x * dy
        virial[0, 2] += x * dz
        virial[1, 0] += y * dx
        virial[1, 1] += y * dy
        virial[1, 2] += y * dz
        virial[2, 0] += z * dx
        virial[2, 1] += z * dy
        virial[2, 2] += z * dz
    forces[i, 0] += fx
    forces[i, 1] += fy
    forces[i, 2] += fz
