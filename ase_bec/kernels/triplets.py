"""Numba kernels of the explicit sums over pairs of neighbours: values and hand-written derivatives.

The definition is that of :func:`~ase_bec.descriptors.triplets.triplet_features`. The arithmetic is
float64, also where vectors and features are float32.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ase_bec.kernels.moments import fast, gather, scatter
from ase_bec.kernels.triplet_rows import (
    G4,
    V2,
    TripletTables,
    factors,
    triplet_tables,
    weights,
    workspace,
)

__all__ = ["TripletTables", "triplet_backward", "triplet_forward", "triplet_tables"]


@njit(cache=True, nogil=True, fastmath=fast)
def triplet_forward(vectors, species, first, low, high, t, out):  # type: ignore[no-untyped-def]
    """Features out[i] (n_pairs, F) of the centres low … high - 1."""
    if high <= low:
        return
    w = workspace(t, first, low, high)
    tiny = 1.2e-7 if vectors.itemsize == 4 else 2.2e-16
    n_elements = t.pair_types.shape[0]
    total = np.empty(out.shape[1:])
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, w.pair, w.start, w.geometry)
        if t.kind != V2:
            weights(t, w, n)
        total[:] = 0.0
        for a in range(n_elements):
            for j in range(w.start[a], w.start[a + 1]):
                factors(t, w, j, n, tiny)
                for b in range(a, n_elements):
                    begin, end = max(w.start[b] - j - 1, 0), w.start[b + 1] - j - 1
                    _sum(t, w, begin, end, total[t.pair_types[a, b]])
        for a in range(n_elements):
            total[t.pair_types[a, a]] *= 2.0  # (j, k) and (k, j)
        out[i] = total


@njit(cache=True, nogil=True, fastmath=fast)
def _sum(t, w, begin, end, total):  # type: ignore[no-untyped-def]
    """Add the part begin … end - 1 of a row to the features total (F,)."""
    for q in range(total.size):
        angular = w.angular[t.power[q], begin:end]
        radial = w.radial[t.channel[q], begin:end]
        value = 0.0
        for k in range(end - begin):
            value += angular[k] * radial[k]
        total[q] += value


@njit(cache=True, nogil=True, fastmath=fast)
def triplet_backward(vectors, species, first, low, high, t, d_out, d_vectors):  # type: ignore[no-untyped-def]
    """Add Σ d_out ∂features/∂vectors of the centres low … high - 1 to ``d_vectors``."""
    if high <= low:
        return
    w = workspace(t, first, low, high)
    tiny = 1.2e-7 if vectors.itemsize == 4 else 2.2e-16
    n_elements = t.pair_types.shape[0]
    d = np.empty(t.channel.size)
    d_radial, d_cosine = np.empty_like(w.radial), np.empty_like(w.cosine)
    d_distance, d_height = np.empty_like(w.cosine), np.empty_like(w.cosine)
    torque = np.empty((3, w.cosine.size))
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, w.pair, w.start, w.geometry)
        if t.kind != V2:
            weights(t, w, n)
        d_distance[:n] = 0.0
        d_height[:n] = 0.0
        torque[:, :n] = 0.0
        for a in range(n_elements):
            for j in range(w.start[a], w.start[a + 1]):
                factors(t, w, j, n, tiny)
                d_radial[:, : n - j - 1] = 0.0
                d_cosine[: n - j - 1] = 0.0
                for b in range(a, n_elements):
                    d[:] = d_out[i, t.pair_types[a, b]]
                    if a == b:
                        d *= 2.0  # (j, k) and (k, j)
                    begin, end = max(w.start[b] - j - 1, 0), w.start[b + 1] - j - 1
                    _spread(t, w, d, begin, end, d_radial, d_cosine)
                _collect(t, w, j, n, d_radial, d_cosine, d_distance, d_height, torque)
        if t.kind == V2:
            for k in range(n):
                x, y, z, r = w.geometry[0, k], w.geometry[1, k], w.geometry[2, k], w.geometry[3, k]
                d_distance[k] += z * d_height[k]
                torque[0, k] += r * y * d_height[k]
                torque[1, k] -= r * x * d_height[k]
        scatter(w.geometry, n, w.pair, d_distance, torque, d_vectors)


@njit(cache=True, nogil=True, fastmath=fast)
def _spread(t, w, d, begin, end, d_radial, d_cosine):  # type: ignore[no-untyped-def]
    """Derivatives d (F,) by features, to those by radial factors and cosθ of a part of a row."""
    by_cosine = d_cosine[begin:end]
    for q in range(d.size):
        dq = d[q]
        angular = w.angular[t.power[q], begin:end]
        slope = w.angular_slope[t.power[q], begin:end]
        radial = w.radial[t.channel[q], begin:end]
        by_radial = d_radial[t.channel[q], begin:end]
        for k in range(end - begin):
            by_radial[k] += dq * angular[k]
            by_cosine[k] += dq * slope[k] * radial[k]


@njit(cache=True, nogil=True, fastmath=fast)
def _collect(t, w, j, n, d_radial, d_cosine, d_distance, d_height, torque):  # type: ignore[no-untyped-def]
    """The same of a whole row, to those by lengths, heights z, and torques û × ∂/∂û."""
    m, d_r, d_z = n - j - 1, d_distance[j + 1 : n], d_height[j + 1 : n]
    for c in range(t.radial.shape[0]):
        d, by_j, by_k, by_other = d_radial[c], w.by_j[c], w.by_k[c], w.by_other[c]
        total = 0.0
        for k in range(m):
            total += d[k] * by_j[k]
            d_r[k] += d[k] * by_k[k]
        d_distance[j] += total
        if t.kind == G4:
            for k in range(m):
                d_cosine[k] += d[k] * by_other[k]
        elif t.kind == V2:
            total = 0.0
            for k in range(m):
                total += d[k] * by_other[k]
                d_z[k] += d[k] * by_other[k]
            d_height[j] += total
    for axis in range(3):
        p, q = (axis + 1) % 3, (axis + 2) % 3
        up, uq, turn = w.geometry[p, j + 1 : n], w.geometry[q, j + 1 : n], torque[axis, j + 1 : n]
        up_j, uq_j = w.geometry[p, j], w.geometry[q, j]
        total = 0.0
        for k in range(m):
            along = d_cosine[k] * (up_j * uq[k] - uq_j * up[k])
            total += along
            turn[k] -= along
        torque[axis, j] += total
