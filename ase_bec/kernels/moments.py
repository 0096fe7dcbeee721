"""Numba kernels shared by the descriptors: geometry, harmonics, moments and their backward pass.

One centre at a time, its neighbours sorted by element. Everything is serial and releases the
interpreter lock; threads work on separate ranges of centres. Arrays that index neighbours hold at
least as many entries as the largest neighbourhood.
"""

from __future__ import annotations

from math import exp, factorial, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.descriptors.harmonics import harmonic_tables

__all__ = [
    "EVEN",
    "cosine_cutoffs",
    "even_channels",
    "exponentials",
    "gather",
    "harmonic_constants",
    "harmonic_rows",
    "moments_backward",
    "moments_forward",
]
__all__ += ["Harmonics", "padded_width", "scatter"]

Array = NDArray[Any]

# No nnan/ninf: NaN in a position must stay NaN.
fast = {"contract", "reassoc", "nsz", "arcp"}

_MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer kept in the low bits
_MAGIC_BITS = 0x4338000000000000
_ODD = tuple((-1) ** k / factorial(2 * k + 1) for k in range(11, -1, -1))  # sin(u)/u in u²
_EVEN = tuple((-1) ** k / factorial(2 * k) for k in range(11, -1, -1))  # cos(u)
EVEN = 24  # more steps from the middle would lose digits
_LN2_HIGH, _LN2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6


@njit(cache=True, nogil=True, fastmath={"contract"})
def exponentials(x: Array, n: int, scratch: Array) -> None:
    """Replace the first n entries of x (float64, <= 0) by exp(x), to 3e-16 relative.

    A polynomial on |r| <= ln2/2 times a power of two: unlike calls of exp, loops that vectorise.
    """
    for j in range(n):
        scratch[j] = max(x[j], -700.0) * 1.4426950408889634 + _MAGIC
    bits = scratch.view(np.int64)
    for j in range(n):
        k = scratch[j] - _MAGIC
        r = max(x[j], -700.0) - k * _LN2_HIGH - k * _LN2_LOW
        p = 1.0 / 6227020800.0
        p = p * r + 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        x[j] = p * r + 1.0
    for j in range(n):
        bits[j] = (bits[j] - _MAGIC_BITS + 1023) << 52
    for j in range(n):
        x[j] *= scratch[j]


@njit(cache=True, nogil=True)
def padded_width(first: Array, low: int, high: int) -> int:
    """Largest number of pairs of the centres low … high - 1, rounded up to a multiple of eight."""
    width = 1
    for i in range(low, high):
        width = max(width, first[i + 1] - first[i])
    return (width + 7) // 8 * 8


@njit(cache=True, nogil=True, fastmath=fast)
def gather(
    vectors: Array,
    species: Array,
    low: int,
    high: int,
    cutoff: float,
    pair: Array,
    start: Array,
    geometry: Array,
) -> int:
    """Neighbours of one centre within the cutoff, sorted by element; returns their number n.

    A neighbour at NaN counts as one, so that it shows in the features.

    Fills ``pair[:n]`` (index of the pair), ``start`` (neighbours of element e are
    ``start[e]:start[e + 1]``) and the rows x, y, z (unit vector), r, f_c, f_c' of ``geometry``.
    """
    start[:] = 0
    squared = cutoff * cutoff
    for p in range(low, high):
        if not vectors[p, 0] ** 2 + vectors[p, 1] ** 2 + vectors[p, 2] ** 2 >= squared:
            start[species[p] + 1] += 1
    for e in range(1, start.size):
        start[e] += start[e - 1]
    n = start[-1]
    for p in range(low, high):
        if not vectors[p, 0] ** 2 + vectors[p, 1] ** 2 + vectors[p, 2] ** 2 >= squared:
            pair[start[species[p]]] = p
            start[species[p]] += 1
    for e in range(start.size - 1, 0, -1):
        start[e] = start[e - 1]
    start[0] = 0
    for j in range(n):
        x, y, z = vectors[pair[j], 0], vectors[pair[j], 1], vectors[pair[j], 2]
        r = sqrt(x * x + y * y + z * z)
        geometry[0, j], geometry[1, j], geometry[2, j] = x / r, y / r, z / r
        geometry[3, j] = r
    cosine_cutoffs(geometry[3], cutoff, n, geometry[4], geometry[5])
    return int(n)


@njit(cache=True, nogil=True, fastmath={"contract"})
def cosine_cutoffs(r: Array, cutoff: float, n: int, value: Array, slope: Array) -> None:
    """f_c = ½ cos(πr/R_c) + ½ and its derivative for n distances up to R_c.

    Series about R_c/2, to rounding: unlike calls of cos and sin, a loop that vectorises.
    """
    for j in range(n):
        u = pi * (r[j] / cutoff - 0.5)
        square = u * u
        odd, even = _ODD[0], _EVEN[0]
        for k in range(1, len(_ODD)):
            odd = odd * square + _ODD[k]
            even = even * square + _EVEN[k]
        value[j] = 0.5 - 0.5 * u * odd
        slope[j] = -0.5 * pi / cutoff * even


@njit(cache=True, nogil=True, fastmath=fast)
def gaussian_channels(
    table: Array, geometry: Array, n: int, scratch: Array, weights: Array, slopes: Array
) -> None:
    """w_c = exp[-η_c(r-μ_c)²] f_c of n neighbours and its derivative by r; rows (η, μ)."""
    for c in range(table.shape[0]):
        eta, centre = table[c]
        for j in range(n):
            scratch[0, j] = -eta * (geometry[3, j] - centre) ** 2
        exponentials(scratch[0], n, scratch[1])
        for j in range(n):
            weights[c, j] = scratch[0, j] * geometry[4, j]
            inner = -2.0 * eta * (geometry[3, j] - centre) * geometry[4, j]
            slopes[c, j] = scratch[0, j] * (inner + geometry[5, j])


@njit(cache=True, nogil=True, fastmath=fast)
def even_channels(
    table: Array, geometry: Array, n: int, scratch: Array, weights: Array, slopes: Array
) -> None:
    """As `gaussian_channels`, for up to `EVEN` evenly spaced μ_c of one η, from two exponentials.

    From the middle one, m, outwards: g_{c±1} = g_c exp[±2ηs(r-μ_m)] exp[-ηs²(1 ± 2(c-m))].
    ``scratch``: (4, ≥ n). The slopes hold g until the end.
    """
    count, middle, eta = table.shape[0], table.shape[0] // 2, table[0, 0]
    centre, step = table[middle, 1], table[1, 1] - table[0, 1]
    up, down, g = scratch[0], scratch[1], slopes[middle]
    for j in range(n):
        away = geometry[3, j] - centre
        up[j] = -2.0 * eta * step * abs(away)
        scratch[2, j] = -eta * away * away
    exponentials(up, n, scratch[3])
    exponentials(scratch[2], n, scratch[3])
    for j in range(n):
        g[j], small = scratch[2, j], up[j]
        large = 1.0 / small
        right = geometry[3, j] >= centre
        up[j], down[j] = (large, small) if right else (small, large)
    for c in range(middle, count - 1):
        factor, here, there = exp(-eta * step**2 * (2 * (c - middle) + 1)), slopes[c], slopes[c + 1]
        for j in range(n):
            there[j] = here[j] * up[j] * factor
    for c in range(middle, 0, -1):
        factor, here, there = exp(-eta * step**2 * (2 * (middle - c) + 1)), slopes[c], slopes[c - 1]
        for j in range(n):
            there[j] = here[j] * down[j] * factor
    for c in range(count):
        slope, weight, mu = slopes[c], weights[c], table[c, 1]
        for j in range(n):
            inner = -2.0 * eta * (geometry[3, j] - mu) * geometry[4, j]
            weight[j] = slope[j] * geometry[4, j]
            slope[j] *= inner + geometry[5, j]


class Harmonics(NamedTuple):
    """Constants of `harmonic_rows` and `moments_backward`; see `HarmonicTables`."""

    degree: int
    up: Array
    back: Array
    start: Array
    recursion: Array
    power: Array
    partner: Array
    turn: Array


def harmonic_constants(degree: int) -> Harmonics:
    """Constants for the harmonics up to a degree."""
    t = harmonic_tables(degree)
    return Harmonics(degree, t.up, t.back, t.start, t.recursion, t.power, t.partner, t.turn)


@njit(cache=True, nogil=True, fastmath=fast)
def harmonic_rows(h: Harmonics, geometry: Array, n: int, q: Array, power: Array, y: Array) -> None:
    """Harmonics of n unit vectors, y[j, lm].

    Recursions run over all neighbours at once, in rows of q (Q_l^m) and power (Re, Im of
    (x + iy)^m); the products are then written neighbour by neighbour, eight at a time. All three
    hold a multiple of eight neighbours.
    """
    x, s, z = geometry[0], geometry[1], geometry[2]
    one = h.degree + 1
    power[0, :n] = 1.0
    power[one, :n] = 0.0
    for m in range(1, h.degree + 1):
        real, imaginary, before, beside = power[m], power[one + m], power[m - 1], power[one + m - 1]
        for j in range(n):
            real[j] = before[j] * x[j] - beside[j] * s[j]
        for j in range(n):
            imaginary[j] = before[j] * s[j] + beside[j] * x[j]
    for m in range(h.degree + 1):
        q[m * (m + 1) // 2 + m, :n] = h.start[m]
        for l in range(m + 1, h.degree + 1):  # noqa: E741
            k = l * (l + 1) // 2 + m
            row, lower, up, back = q[k], q[k - l], h.up[k], h.back[k]
            if l == m + 1:
                for j in range(n):
                    row[j] = up * z[j] * lower[j]
            else:
                lowest = q[k - 2 * l + 1]
                for j in range(n):
                    row[j] = up * z[j] * lower[j] - back * lowest[j]
    for j in range(0, n, 8):
        y0, y1, y2, y3 = y[j], y[j + 1], y[j + 2], y[j + 3]
        y4, y5, y6, y7 = y[j + 4], y[j + 5], y[j + 6], y[j + 7]
        for k in range(h.power.size):
            a, b = q[h.recursion[k]], power[h.power[k]]
            y0[k], y1[k] = a[j] * b[j], a[j + 1] * b[j + 1]
            y2[k], y3[k] = a[j + 2] * b[j + 2], a[j + 3] * b[j + 3]
            y4[k], y5[k] = a[j + 4] * b[j + 4], a[j + 5] * b[j + 5]
            y6[k], y7[k] = a[j + 6] * b[j + 6], a[j + 7] * b[j + 7]


@njit(cache=True, nogil=True, fastmath=fast)
def moments_forward(weights: Array, y: Array, start: Array, moments: Array) -> None:
    """moments[e, c] = Σ_{j of e} weights[c, j] y[j], four neighbours at a time."""
    for e in range(start.size - 1):
        for c in range(weights.shape[0]):
            row, w = moments[e, c], weights[c]
            for k in range(row.size):
                row[k] = 0.0
            j = start[e]
            while j + 4 <= start[e + 1]:
                w0, w1, w2, w3 = w[j], w[j + 1], w[j + 2], w[j + 3]
                y0, y1, y2, y3 = y[j], y[j + 1], y[j + 2], y[j + 3]
                for k in range(row.size):
                    row[k] += w0 * y0[k] + w1 * y1[k] + w2 * y2[k] + w3 * y3[k]
                j += 4
            while j < start[e + 1]:
                w0, y0 = w[j], y[j]
                for k in range(row.size):
                    row[k] += w0 * y0[k]
                j += 1


@njit(cache=True, nogil=True, fastmath=fast)
def moments_backward(
    h: Harmonics,
    d_moments: Array,
    weights: Array,
    y: Array,
    start: Array,
    turned: Array,
    d_weights: Array,
    torque: Array,
) -> None:
    """Derivatives by the weights (C, n), and torque = û × ∂/∂û (3, n).

    The operators û × ∇ only mix harmonics of one degree, so they act on the derivatives by the
    moments, once for each element and channel, and no derivative of a harmonic is ever made.
    ``turned``: (3, (L+1)^2) scratch.
    """
    torque[:] = 0.0
    t0, t1, t2, long = turned[0], turned[1], turned[2], y.shape[1] >= 64
    for e in range(start.size - 1):
        if start[e] == start[e + 1]:
            continue
        for c in range(weights.shape[0]):
            row, w, d_w = d_moments[e, c], weights[c], d_weights[c]
            for i in range(3):
                out, partner, turn = turned[i], h.partner[i], h.turn[i]
                for k in range(row.size):  # the operators are antisymmetric
                    out[k] = -turn[k, 0] * row[partner[k, 0]] - turn[k, 1] * row[partner[k, 1]]
            j = start[e]
            while long and j + 2 <= start[e + 1]:  # what is loaded serves two neighbours
                y0, y1 = y[j], y[j + 1]
                total = a0 = a1 = a2 = rest = b0 = b1 = b2 = w[j] * 0
                for k in range(row.size):
                    total += row[k] * y0[k]
                    a0 += t0[k] * y0[k]
                    a1 += t1[k] * y0[k]
                    a2 += t2[k] * y0[k]
                    rest += row[k] * y1[k]
                    b0 += t0[k] * y1[k]
                    b1 += t1[k] * y1[k]
                    b2 += t2[k] * y1[k]
                d_w[j], d_w[j + 1] = total, rest
                torque[0, j] += w[j] * a0
                torque[1, j] += w[j] * a1
                torque[2, j] += w[j] * a2
                torque[0, j + 1] += w[j + 1] * b0
                torque[1, j + 1] += w[j + 1] * b1
                torque[2, j + 1] += w[j + 1] * b2
                j += 2
            while j < start[e + 1]:
                y0 = y[j]
                total = a0 = a1 = a2 = w[j] * 0
                for k in range(row.size):
                    total += row[k] * y0[k]
                    a0 += t0[k] * y0[k]
                    a1 += t1[k] * y0[k]
                    a2 += t2[k] * y0[k]
                d_w[j] = total
                torque[0, j] += w[j] * a0
                torque[1, j] += w[j] * a1
                torque[2, j] += w[j] * a2
                j += 1


@njit(cache=True, nogil=True, fastmath=fast)
def scatter(
    geometry: Array, n: int, pair: Array, d_distance: Array, torque: Array, d_vectors: Array
) -> None:
    """Add dE/dr û + torque × û / r to the pairs' rows of ``d_vectors``."""
    for j in range(n):
        x, y, z, r = geometry[0, j], geometry[1, j], geometry[2, j], geometry[3, j]
        tx, ty, tz = torque[0, j] / r, torque[1, j] / r, torque[2, j] / r
        out, d = d_vectors[pair[j]], d_distance[j]
        out[0] += d * x + ty * z - tz * y
        out[1] += d * y + tz * x - tx * z
        out[2] += d * z + tx * y - ty * x
