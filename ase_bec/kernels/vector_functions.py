"""Numba kernels of V1 and V2 along z: values and hand-written derivatives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.descriptors.separable import SeparableGaussians
from ase_bec.descriptors.tables import VectorPlan, element_pairs
from ase_bec.kernels.moments import (
    Harmonics,
    exponentials,
    fast,
    gather,
    harmonic_constants,
    harmonic_rows,
    moments_backward,
    moments_forward,
    padded_width,
    scatter,
)
from ase_bec.kernels.symmetry_functions import spread_over_entries

__all__ = ["VectorTables", "vector_backward", "vector_forward", "vector_tables"]

Array = NDArray[Any]


class VectorTables(NamedTuple):
    """Constants of the kernels; see `VectorPlan`.

    Channels 0 … R-1 of the moments are w_c = t_c(r) f_c(r), R … 2R-1 are z w_c.
    """

    cutoff: float
    gradient_factor: float  # on the radial derivative of the Gaussians
    pairs: Array  # (n_pairs, 2)
    v1: Array  # (F1, 2)
    gaussians: Array  # (K, 2)
    chebyshev: Array  # (R, degree + 1)
    coupling: Array  # (K, R, R)
    spread: Array  # (P, entries lm)
    extent: Array  # (P,)
    kernel: Array
    power: Array
    harmonics: Harmonics


def vector_tables(
    n_elements: int,
    cutoff: float,
    v1: tuple[tuple[float, ...], ...],
    plan: VectorPlan | None,
    slope: float,
) -> VectorTables:
    """Constants for V1 rows (η, R_s) and a plan of V2."""
    if plan is None:
        none = np.zeros(0, dtype=np.int64)
        radial = SeparableGaussians(np.zeros((0, 2)), np.zeros((0, 0, 0)))
        plan = VectorPlan(0, np.zeros((0, 2)), radial, np.zeros((0, 1)), none, none)
    spread, extent = spread_over_entries(plan.legendre)
    return VectorTables(
        cutoff,
        slope,
        element_pairs(n_elements),
        np.array(v1, dtype=float).reshape(-1, 2),
        plan.gaussians,
        plan.radial.chebyshev,
        plan.radial.coupling,
        spread,
        extent,
        plan.kernel,
        plan.power,
        harmonic_constants(plan.degree),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def _v1_forward(t, geometry, start, n, scratch, out):  # type: ignore[no-untyped-def]
    """out[e * F1 + f] = Σ_{j of e} z/r exp[-η(r - R_s)²] f_c."""
    for f in range(t.v1.shape[0]):
        _gaussian(geometry, n, t.v1[f, 0], t.v1[f, 1], scratch)
        for e in range(start.size - 1):
            total = 0.0
            for j in range(start[e], start[e + 1]):
                total += scratch[0, j] * geometry[4, j] * geometry[2, j]
            out[e * t.v1.shape[0] + f] = total


@njit(cache=True, nogil=True, fastmath=fast)
def _v1_backward(t, geometry, start, n, scratch, d_out, d_distance, d_unit_z):  # type: ignore[no-untyped-def]
    for f in range(t.v1.shape[0]):
        eta, centre = t.v1[f, 0], t.v1[f, 1]
        _gaussian(geometry, n, eta, centre, scratch)
        for e in range(start.size - 1):
            d = d_out[e * t.v1.shape[0] + f]
            for j in range(start[e], start[e + 1]):
                inner = -2.0 * eta * (geometry[3, j] - centre) * geometry[4, j] + geometry[5, j]
                d_distance[j] += d * scratch[0, j] * inner * geometry[2, j]
                d_unit_z[j] += d * scratch[0, j] * geometry[4, j]


@njit(cache=True, nogil=True, fastmath=fast)
def _gaussian(geometry, n, eta, centre, scratch):  # type: ignore[no-untyped-def]
    for j in range(n):
        scratch[0, j] = -eta * (geometry[3, j] - centre) ** 2
    exponentials(scratch[0], n, scratch[1])


@njit(cache=True, nogil=True, fastmath=fast)
def _channels(t, geometry, n, terms, weights, slopes):  # type: ignore[no-untyped-def]
    """w_c = t_c f_c, z w_c, and dw_c/dr with the factor on t_c'."""
    n_terms, n_radial = t.chebyshev.shape[1], t.chebyshev.shape[0]
    value, slope = terms[0], terms[1]  # T_k and dT_k/dr
    for j in range(n):
        value[0, j], slope[0, j] = 1.0, 0.0
        value[1, j], slope[1, j] = 2.0 * geometry[3, j] / t.cutoff - 1.0, 2.0 / t.cutoff
    for k in range(2, n_terms):
        for j in range(n):
            value[k, j] = 2.0 * value[1, j] * value[k - 1, j] - value[k - 2, j]
        for j in range(n):
            inner = 2.0 * value[1, j] * slope[k - 1, j] - slope[k - 2, j]
            slope[k, j] = inner + 2.0 * slope[1, j] * value[k - 1, j]
    for c in range(n_radial):
        total, derivative = terms[2, 0], terms[2, 1]
        total[:n] = 0.0
        derivative[:n] = 0.0
        for k in range(n_terms):
            factor, row, row_slope = t.chebyshev[c, k], value[k], slope[k]
            for j in range(n):
                total[j] += factor * row[j]
            for j in range(n):
                derivative[j] += factor * row_slope[j]
        for j in range(n):
            weights[c, j] = total[j] * geometry[4, j]
            weights[n_radial + c, j] = weights[c, j] * geometry[3, j] * geometry[2, j]
            inner = t.gradient_factor * derivative[j] * geometry[4, j]
            slopes[c, j] = inner + total[j] * geometry[5, j]


@njit(cache=True, nogil=True, fastmath=fast)
def _own_terms(t, geometry, start, n, scratch, own):  # type: ignore[no-untyped-def]
    """own[e, k] = 4 Σ_{j of e} z E_k(r, r) f_c², the terms j = k."""
    for k in range(t.gaussians.shape[0]):
        _gaussian(geometry, n, t.gaussians[k, 0], t.gaussians[k, 1], scratch)
        for e in range(start.size - 1):
            total = 0.0
            for j in range(start[e], start[e + 1]):
                z = geometry[3, j] * geometry[2, j]
                total += scratch[0, j] * geometry[4, j] ** 2 * z
            own[e, k] = 4.0 * total


@njit(cache=True, nogil=True, fastmath=fast)
def _own_terms_backward(t, geometry, start, n, scratch, d_own, d_distance, d_z):  # type: ignore[no-untyped-def]
    for k in range(t.gaussians.shape[0]):
        eta, centre = t.gaussians[k, 0], t.gaussians[k, 1]
        _gaussian(geometry, n, eta, centre, scratch)
        for e in range(start.size - 1):
            d = 4.0 * d_own[e, k]
            for j in range(start[e], start[e + 1]):
                f, z = geometry[4, j], geometry[3, j] * geometry[2, j]
                inner = -2.0 * t.gradient_factor * eta * (geometry[3, j] - centre)
                d_distance[j] += d * scratch[0, j] * z * f * (inner * f + 2.0 * geometry[5, j])
                d_z[j] += d * scratch[0, j] * f * f


@njit(cache=True, nogil=True, fastmath=fast)
def _v2_forward(t, a, own, product, values, out):  # type: ignore[no-untyped-def]
    """out[pair * F2 + f] from the moments a[e, channel, lm]."""
    n_radial, n_v2 = t.chebyshev.shape[0], t.kernel.size
    for pair in range(t.pairs.shape[0]):
        first, second = t.pairs[pair]
        for p in range(t.extent.size):
            row, extent = t.spread[p], t.extent[p]
            for c in range(n_radial):
                for d in range(n_radial):
                    left, right = a[first, n_radial + c], a[second, d]
                    total = 0.0
                    for x in range(extent):
                        total += row[x] * left[x] * right[x]
                    left, right = a[second, n_radial + c], a[first, d]
                    for x in range(extent):
                        total += row[x] * left[x] * right[x]
                    product[c, d] = total
            for k in range(t.gaussians.shape[0]):
                total = -own[first, k] if first == second else 0.0
                for c in range(n_radial):
                    for d in range(n_radial):
                        total += t.coupling[k, c, d] * product[c, d]
                values[k, p] = total
        for f in range(n_v2):
            out[pair * n_v2 + f] = values[t.kernel[f], t.power[f]]


@njit(cache=True, nogil=True, fastmath=fast)
def _v2_backward(t, a, d_out, values, product, line, d_a, d_own):  # type: ignore[no-untyped-def]
    """Derivatives by the moments, and by the terms j = k."""
    n_v2 = t.kernel.size
    d_a[:] = 0.0
    d_own[:] = 0.0
    for pair in range(t.pairs.shape[0]):
        first, second = t.pairs[pair]
        values[:] = 0.0
        for f in range(n_v2):
            values[t.kernel[f], t.power[f]] += d_out[pair * n_v2 + f]
        for p in range(t.extent.size):
            product[:] = 0.0
            for k in range(t.gaussians.shape[0]):
                product += values[k, p] * t.coupling[k]
                if first == second:
                    d_own[first, k] -= values[k, p]
            row = t.spread[p, : t.extent[p]]
            if first == second:
                product *= 2.0
            _couple(product, row, a[first], a[second], line, d_a[first], d_a[second])
            if first != second:
                _couple(product, row, a[second], a[first], line, d_a[second], d_a[first])


@njit(cache=True, nogil=True, fastmath=fast)
def _couple(product, row, a, b, line, d_a, d_b):  # type: ignore[no-untyped-def]
    """Backward of Σ_cd product[c, d] Σ_x row[x] a[R + c, x] b[d, x] (product is symmetric)."""
    n = product.shape[0]
    for c in range(n):
        for side in range(2):
            source = b if side == 0 else a[n:]
            line[: row.size] = 0.0
            d = 0
            while d + 4 <= n:
                g0, g1 = product[c, d], product[c, d + 1]
                g2, g3 = product[c, d + 2], product[c, d + 3]
                s0, s1, s2, s3 = source[d], source[d + 1], source[d + 2], source[d + 3]
                for x in range(row.size):
                    line[x] += g0 * s0[x] + g1 * s1[x] + g2 * s2[x] + g3 * s3[x]
                d += 4
            while d < n:
                g0, s0 = product[c, d], source[d]
                for x in range(row.size):
                    line[x] += g0 * s0[x]
                d += 1
            target = d_a[n + c] if side == 0 else d_b[c]
            for x in range(row.size):
                target[x] += row[x] * line[x]


@njit(cache=True, nogil=True, fastmath=fast)
def vector_forward(vectors, species, first, low, high, t, a, out):  # type: ignore[no-untyped-def]
    """Features out[i] and moments a[i] of the centres low … high - 1."""
    dtype, n_elements, n_radial = vectors.dtype, a.shape[1], t.chebyshev.shape[0]
    width, n_kernels = padded_width(first, low, high), t.gaussians.shape[0]
    pair, start = np.empty(width, np.int64), np.empty(n_elements + 1, np.int64)
    geometry, scratch = np.zeros((6, width)), np.empty((2, width))
    terms = np.empty((3, t.chebyshev.shape[1], width))
    weights, slopes = np.empty((2 * n_radial, width), dtype), np.empty((n_radial, width))
    q = np.zeros((t.harmonics.up.size, width), dtype)
    power = np.zeros((2 * t.harmonics.degree + 2, width), dtype)
    y, own = np.empty((width, a.shape[3]), dtype), np.empty((n_elements, n_kernels))
    product, values = np.empty((n_radial, n_radial)), np.empty((n_kernels, t.extent.size))
    n_v1 = t.v1.shape[0] * n_elements
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, pair, start, geometry)
        _v1_forward(t, geometry, start, n, scratch, out[i, :n_v1])
        if n_kernels:
            _channels(t, geometry, n, terms, weights, slopes)
            harmonic_rows(t.harmonics, geometry, n, q, power, y)
            moments_forward(weights, y, start, a[i])
            _own_terms(t, geometry, start, n, scratch, own)
            _v2_forward(t, a[i], own, product, values, out[i, n_v1:])


@njit(cache=True, nogil=True, fastmath=fast)
def vector_backward(vectors, species, first, low, high, t, a, d_out, d_vectors):  # type: ignore[no-untyped-def]
    """Add Σ d_out ∂features/∂vectors of the centres low … high - 1 to ``d_vectors``.

    ``a`` holds the moments of the forward pass, or those of no centre: then they are made here.
    """
    dtype, n_elements, n_radial = vectors.dtype, a.shape[1], t.chebyshev.shape[0]
    width, n_kernels = padded_width(first, low, high), t.gaussians.shape[0]
    pair, start = np.empty(width, np.int64), np.empty(n_elements + 1, np.int64)
    geometry, scratch = np.zeros((6, width)), np.empty((2, width))
    terms = np.empty((3, t.chebyshev.shape[1], width))
    weights, slopes = np.empty((2 * n_radial, width), dtype), np.empty((n_radial, width))
    q = np.zeros((t.harmonics.up.size, width), dtype)
    power = np.zeros((2 * t.harmonics.degree + 2, width), dtype)
    y, turned = np.empty((width, a.shape[3]), dtype), np.empty((3, a.shape[3]), dtype)
    d_own, line = np.empty((n_elements, n_kernels)), np.empty(a.shape[3])
    product, values = np.empty((n_radial, n_radial)), np.empty((n_kernels, t.extent.size))
    d_a, d_weights = np.empty(a.shape[1:], dtype), np.empty((2 * n_radial, width), dtype)
    fresh = np.empty_like(d_a)
    torque, d_distance, d_z = np.zeros((3, width)), np.empty(width), np.empty(width)
    d_unit_z, n_v1 = np.empty(width), t.v1.shape[0] * n_elements
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, pair, start, geometry)
        d_distance[:n] = 0.0
        d_z[:n] = 0.0
        d_unit_z[:n] = 0.0
        _v1_backward(t, geometry, start, n, scratch, d_out[i, :n_v1], d_distance, d_unit_z)
        if n_kernels:
            _channels(t, geometry, n, terms, weights, slopes)
            harmonic_rows(t.harmonics, geometry, n, q, power, y)
            if a.shape[0] == 0:
                moments_forward(weights, y, start, fresh)
            kept = a[i] if a.shape[0] else fresh
            _v2_backward(t, kept, d_out[i, n_v1:], values, product, line, d_a, d_own)
            moments_backward(t.harmonics, d_a, weights, y, start, turned, d_weights, torque)
            _own_terms_backward(t, geometry, start, n, scratch, d_own, d_distance, d_z)
            for c in range(n_radial):
                for j in range(n):
                    z = geometry[3, j] * geometry[2, j]
                    d = d_weights[c, j] + z * d_weights[n_radial + c, j]
                    d_distance[j] += d * slopes[c, j]
                    d_z[j] += d_weights[n_radial + c, j] * weights[c, j]
        for j in range(n):  # z = r û_z, and û_z itself, turn with û
            x, s, z, r = geometry[0, j], geometry[1, j], geometry[2, j], geometry[3, j]
            d_distance[j] += d_z[j] * z
            torque[0, j] += (d_unit_z[j] + d_z[j] * r) * s
            torque[1, j] -= (d_unit_z[j] + d_z[j] * r) * x
        scatter(geometry, n, pair, d_distance, torque, d_vectors)
        torque[:] = 0.0
