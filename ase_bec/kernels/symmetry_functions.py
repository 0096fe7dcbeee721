"""Numba kernels of G2 and G5: values and hand-written derivatives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.descriptors.tables import AngularPlan, element_pairs
from ase_bec.kernels.moments import (
    Harmonics,
    exponentials,
    fast,
    gather,
    gaussian_channels,
    harmonic_constants,
    harmonic_rows,
    moments_backward,
    moments_forward,
    padded_width,
    scatter,
)

__all__ = ["SymmetryTables", "symmetry_backward", "symmetry_forward", "symmetry_tables"]
__all__ += ["by_distance", "g2_backward", "g2_forward", "g2_gaussians", "g5_backward", "g5_forward"]

Array = NDArray[Any]


class SymmetryTables(NamedTuple):
    """Constants of the kernels; see `AngularPlan` and `HarmonicTables`."""

    cutoff: float
    pairs: Array  # (n_pairs, 2)
    g2: Array  # (F2, 2)
    gaussians: Array  # (C, 2), rows (η, 0)
    spread: Array  # (P, (degree + 1)^2), Legendre coefficients over the entries lm
    extent: Array  # (P,), entries lm that each power needs
    self_term: Array
    channel: Array
    power: Array
    harmonics: Harmonics


def spread_over_entries(legendre: NDArray[np.float64]) -> tuple[Array, Array]:
    """Coefficients by entry lm, and how many leading entries are not zero, for each power."""
    degrees = np.arange(legendre.shape[1])
    spread = np.repeat(legendre, 2 * degrees + 1, axis=1)
    extent = [(int(np.flatnonzero(row).max()) + 1) ** 2 for row in legendre]
    return np.ascontiguousarray(spread), np.array(extent, dtype=np.int64)


def symmetry_tables(
    n_elements: int, cutoff: float, g2: tuple[tuple[float, ...], ...], plan: AngularPlan | None
) -> SymmetryTables:
    """Constants for G2 rows (η, R_s) and a plan of G5."""
    if plan is None:
        nothing, none = np.zeros(0), np.zeros(0, dtype=np.int64)
        plan = AngularPlan(0, nothing, np.zeros((0, 1)), nothing, none, none)
    spread, extent = spread_over_entries(plan.legendre)
    return SymmetryTables(
        cutoff,
        element_pairs(n_elements),
        np.array(g2, dtype=float).reshape(-1, 2),
        np.column_stack([plan.eta, np.zeros_like(plan.eta)]),
        spread,
        extent,
        plan.self_term,
        plan.channel,
        plan.power,
        harmonic_constants(plan.degree),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def g2_gaussians(t, geometry, n, scratch, gauss):  # type: ignore[no-untyped-def]
    """gauss[f, j] = exp[-η(r - R_s)²]."""
    for f in range(t.g2.shape[0]):
        eta, centre, row = t.g2[f, 0], t.g2[f, 1], gauss[f]
        for j in range(n):
            row[j] = -eta * (geometry[3, j] - centre) ** 2
        exponentials(row, n, scratch)


@njit(cache=True, nogil=True, fastmath=fast)
def g2_forward(t, geometry, start, gauss, out):  # type: ignore[no-untyped-def]
    """out[e * F2 + f] = Σ_{j of e} gauss f_c."""
    n_g2 = t.g2.shape[0]
    for f in range(n_g2):
        row = gauss[f]
        for e in range(start.size - 1):
            total = 0.0
            for j in range(start[e], start[e + 1]):
                total += row[j] * geometry[4, j]
            out[e * n_g2 + f] = total


@njit(cache=True, nogil=True, fastmath=fast)
def g2_backward(t, geometry, start, gauss, d_out, d_distance):  # type: ignore[no-untyped-def]
    """Add to the derivative by the distances."""
    n_g2 = t.g2.shape[0]
    for f in range(n_g2):
        eta, centre, row = t.g2[f, 0], t.g2[f, 1], gauss[f]
        for e in range(start.size - 1):
            d = d_out[e * n_g2 + f]
            for j in range(start[e], start[e + 1]):
                inner = -2.0 * eta * (geometry[3, j] - centre) * geometry[4, j]
                d_distance[j] += d * row[j] * (inner + geometry[5, j])


@njit(cache=True, nogil=True, fastmath=fast)
def g5_forward(t, a, weights, start, values, out):  # type: ignore[no-untyped-def]
    """out[pair * F5 + f] from the moments a[e, c, lm]."""
    n_channels, n_powers, n_g5 = t.gaussians.shape[0], t.extent.size, t.channel.size
    for pair in range(t.pairs.shape[0]):
        first, second = t.pairs[pair]
        for c in range(n_channels):
            own = 0.0
            if first == second:
                for j in range(start[first], start[first + 1]):
                    own += weights[c, j] ** 2
            left, right = a[first, c], a[second, c]
            for p in range(n_powers):
                row = t.spread[p]
                total = 0.0
                for k in range(t.extent[p]):
                    total += row[k] * left[k] * right[k]
                values[c, p] = total - t.self_term[p] * own
        for f in range(n_g5):
            out[pair * n_g5 + f] = values[t.channel[f], t.power[f]]


@njit(cache=True, nogil=True, fastmath=fast)
def g5_backward(t, a, d_out, values, d_spread, d_a, d_own):  # type: ignore[no-untyped-def]
    """Derivatives by the moments, and by Σ_j w_c² of each element."""
    n_channels, n_powers, n_g5 = t.gaussians.shape[0], t.extent.size, t.channel.size
    d_a[:] = 0.0
    d_own[:] = 0.0
    for pair in range(t.pairs.shape[0]):
        first, second = t.pairs[pair]
        values[:] = 0.0
        for f in range(n_g5):
            values[t.channel[f], t.power[f]] += d_out[pair * n_g5 + f]
        for c in range(n_channels):
            for k in range(d_spread.size):
                d_spread[k] = 0.0
            for p in range(n_powers):
                d, row = values[c, p], t.spread[p]
                for k in range(t.extent[p]):
                    d_spread[k] += d * row[k]
                if first == second:
                    d_own[first, c] -= d * t.self_term[p]
            left, right, d_left, d_right = a[first, c], a[second, c], d_a[first, c], d_a[second, c]
            for k in range(d_spread.size):
                d_left[k] += d_spread[k] * right[k]
            for k in range(d_spread.size):
                d_right[k] += d_spread[k] * left[k]


@njit(cache=True, nogil=True, fastmath=fast)
def by_distance(start, d_weights, d_own, weights, slopes, d_distance):  # type: ignore[no-untyped-def]
    """Add the derivative through weights w_c and through Σ_j w_c² of each element."""
    for e in range(start.size - 1):
        for c in range(weights.shape[0]):
            for j in range(start[e], start[e + 1]):
                d = d_weights[c, j] + 2.0 * d_own[e, c] * weights[c, j]
                d_distance[j] += d * slopes[c, j]


@njit(cache=True, nogil=True, fastmath=fast)
def symmetry_forward(vectors, species, first, low, high, t, a, out):  # type: ignore[no-untyped-def]
    """Features out[i] and moments a[i] of the centres low … high - 1."""
    dtype, n_elements, n_channels = vectors.dtype, a.shape[1], t.gaussians.shape[0]
    width = padded_width(first, low, high)
    pair, start = np.empty(width, np.int64), np.empty(n_elements + 1, np.int64)
    geometry, scratch = np.zeros((6, width)), np.empty((2, width))
    gauss = np.empty((t.g2.shape[0], width))
    weights, slopes = np.empty((n_channels, width), dtype), np.empty((n_channels, width))
    q = np.zeros((t.harmonics.up.size, width), dtype)
    power = np.zeros((2 * t.harmonics.degree + 2, width), dtype)
    y, values = np.empty((width, a.shape[3]), dtype), np.empty((n_channels, t.extent.size))
    n_radial = t.g2.shape[0] * n_elements
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, pair, start, geometry)
        g2_gaussians(t, geometry, n, scratch[1], gauss)
        g2_forward(t, geometry, start, gauss, out[i, :n_radial])
        if n_channels:
            gaussian_channels(t.gaussians, geometry, n, scratch, weights, slopes)
            harmonic_rows(t.harmonics, geometry, n, q, power, y)
            moments_forward(weights, y, start, a[i])
            g5_forward(t, a[i], weights, start, values, out[i, n_radial:])


@njit(cache=True, nogil=True, fastmath=fast)
def symmetry_backward(vectors, species, first, low, high, t, a, d_out, d_vectors):  # type: ignore[no-untyped-def]
    """Add Σ d_out ∂features/∂vectors of the centres low … high - 1 to ``d_vectors``."""
    dtype, n_elements, n_channels = vectors.dtype, a.shape[1], t.gaussians.shape[0]
    width, entries = padded_width(first, low, high), a.shape[3]
    pair, start = np.empty(width, np.int64), np.empty(n_elements + 1, np.int64)
    geometry, scratch = np.zeros((6, width)), np.empty((2, width))
    gauss = np.empty((t.g2.shape[0], width))
    weights, slopes = np.empty((n_channels, width), dtype), np.empty((n_channels, width))
    q = np.zeros((t.harmonics.up.size, width), dtype)
    power = np.zeros((2 * t.harmonics.degree + 2, width), dtype)
    y, values = np.empty((width, entries), dtype), np.empty((n_channels, t.extent.size))
    d_spread, turned = np.empty(entries), np.empty((3, entries), dtype)
    d_a, d_own = np.empty(a.shape[1:], dtype), np.empty((n_elements, n_channels))
    d_weights, torque = np.empty((n_channels, width), dtype), np.zeros((3, width))
    d_distance = np.empty(width)
    n_radial = t.g2.shape[0] * n_elements
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, pair, start, geometry)
        d_distance[:n] = 0.0
        g2_gaussians(t, geometry, n, scratch[1], gauss)
        g2_backward(t, geometry, start, gauss, d_out[i, :n_radial], d_distance)
        if n_channels:
            gaussian_channels(t.gaussians, geometry, n, scratch, weights, slopes)
            harmonic_rows(t.harmonics, geometry, n, q, power, y)
            g5_backward(t, a[i], d_out[i, n_radial:], values, d_spread, d_a, d_own)
            moments_backward(t.harmonics, d_a, weights, y, start, turned, d_weights, torque)
            by_distance(start, d_weights, d_own, weights, slopes, d_distance)
        scatter(geometry, n, pair, d_distance, torque, d_vectors)
