"""Numba kernel of the equivariant network: local dipoles, and the derivative of e·ΣD, in one pass.

The formulas are those of :class:`ase_bec.models.EquivariantNetwork`, differentiated by hand. One
centre at a time: its density, its network and the derivatives of both, so that the functions of its
neighbours are made once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .kernels import (
    Harmonics,
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
from .kernels_perceptron import add_rows, dot_rows, mlp_backward, mlp_forward

__all__ = ["EquivariantTables", "equivariant_tables", "local_dipoles"]

Array = NDArray[Any]


class EquivariantTables(NamedTuple):
    """Constants of the kernel that do not depend on the weights."""

    cutoff: float
    gaussians: Array  # (K, 2): η, μ
    harmonics: Harmonics
    channels: int
    sizes: Array  # nodes of φ from input to output
    coupling: Array  # T of all degrees after one another, each [m', m, axis]


def equivariant_tables(
    cutoff: float, gaussians: Array, channels: int, sizes: tuple[int, ...], couplings: list[Array]
) -> EquivariantTables:
    """Constants for densities of degree ``len(couplings)``."""
    return EquivariantTables(
        cutoff,
        np.ascontiguousarray(gaussians),
        harmonic_constants(len(couplings)),
        channels,
        np.array(sizes, dtype=np.int64),
        np.concatenate([table.ravel() for table in couplings]),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def _power_spectrum(degree, b, out):  # type: ignore[no-untyped-def]
    """Σ_m b[m, q] b[m, p] for p >= q of every degree from one on."""
    at, channels = 0, b.shape[1]
    for l in range(1, degree + 1):  # noqa: E741
        for q in range(channels):
            row = out[at : at + channels - q]
            row[:] = 0.0
            for m in range(l * l, (l + 1) ** 2):
                left, right = b[m, q], b[m, q:]
                for p in range(row.size):
                    row[p] += left * right[p]
            at += row.size


@njit(cache=True, nogil=True, fastmath=fast)
def _power_spectrum_backward(degree, b, d_out, d_b):  # type: ignore[no-untyped-def]
    """Add to the derivative by b."""
    at, channels = 0, b.shape[1]
    for l in range(1, degree + 1):  # noqa: E741
        for q in range(channels):
            row = d_out[at : at + channels - q]
            for m in range(l * l, (l + 1) ** 2):
                left, right, d_right = b[m, q], b[m, q:], d_b[m, q:]
                total = left * 0
                for p in range(row.size):
                    total += row[p] * right[p]
                    d_right[p] += row[p] * left
                d_b[m, q] += total
            at += row.size


@njit(cache=True, nogil=True, fastmath=fast)
def _vectors(degree, b, along, above, out):  # type: ignore[no-untyped-def]
    """Vectors along e, out[(l, q, p)], and the upper channels coupled to e, above[lm, p]."""
    above[:] = 0.0
    at, table, channels = 0, 0, b.shape[1]
    for l in range(degree):  # noqa: E741
        low, n = l * l, 2 * l + 1
        for upper in range((l + 1) ** 2, (l + 2) ** 2):
            for m in range(low, low + n):
                factor, source, target = along[table], b[upper], above[m]
                table += 1
                if factor != 0.0:
                    for p in range(channels):
                        target[p] += factor * source[p]
        for q in range(channels):
            row = out[at : at + channels]
            row[:] = 0.0
            for m in range(low, low + n):
                left, right = b[m, q], above[m]
                for p in range(channels):
                    row[p] += left * right[p]
            at += channels


@njit(cache=True, nogil=True, fastmath=fast)
def _vectors_backward(degree, b, factors, coupling, along, above, sums, dipole, d_b):  # type: ignore[no-untyped-def]
    """dipole = Σ_c factors[c] V_c, and d_b += ∂(e·dipole)/∂b at fixed factors."""
    at, table, channels = 0, 0, b.shape[1]
    dipole[:] = 0.0
    for l in range(degree):  # noqa: E741
        low, n = l * l, 2 * l + 1
        sums[:n] = 0.0  # Σ_q factors[q, p] b[lm, q]
        for q in range(channels):
            row = factors[at : at + channels]
            for m in range(n):
                left, right, target = b[low + m, q], above[low + m], sums[m]
                total = left * 0
                for p in range(channels):
                    target[p] += left * row[p]
                    total += row[p] * right[p]
                d_b[low + m, q] += total
            at += channels
        for upper in range((l + 1) ** 2, (l + 2) ** 2):
            for m in range(n):
                source, other, d_other, factor = sums[m], b[upper], d_b[upper], along[table]
                t = coupling[3 * table : 3 * table + 3]
                table += 1
                if t[0] != 0.0 or t[1] != 0.0 or t[2] != 0.0:
                    total = factor * 0
                    for p in range(channels):
                        total += source[p] * other[p]
                        d_other[p] += factor * source[p]
                    for axis in range(3):
                        dipole[axis] += t[axis] * total


@njit(cache=True, nogil=True, fastmath=fast)
def _unpacked(t, numbers, n_elements):  # type: ignore[no-untyped-def]
    """Contraction, mean, inverse deviation, inverse size, limit and weights, each by element."""
    n_in, n_out, n_weights = t.sizes[0], t.sizes[-1], 0
    for k in range(t.sizes.size - 1):
        n_weights += t.sizes[k + 1] * (t.sizes[k] + 1)
    c = (numbers.size // n_elements - 2 * n_in - n_out - 1 - n_weights) * n_elements
    d, e = c + n_elements * n_in, c + 2 * n_elements * n_in
    f = e + n_elements * n_out
    g = f + n_elements
    shape = (n_elements, t.harmonics.degree + 1, t.channels, n_elements * t.gaussians.shape[0])
    return (
        numbers[:c].reshape(shape),
        numbers[c:d].reshape((n_elements, n_in)),
        (1 / numbers[d:e]).reshape((n_elements, n_in)),
        (1 / numbers[e:f]).reshape((n_elements, n_out)),
        numbers[f:g],
        numbers[g:].reshape((n_elements, n_weights)),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def _scratch(t, like, inputs):  # type: ignore[no-untyped-def]
    """Arrays of one centre's network: a, b, d_b, above, sums, x, d_x, slopes, factors, work."""
    dtype, degree, channels = like.dtype, t.harmonics.degree, t.channels
    entries, layers, widest = (degree + 1) ** 2, t.sizes.size, t.sizes.max()
    return (
        np.empty((entries, inputs), dtype),
        np.empty((entries, channels), dtype),
        np.empty((entries, channels), dtype),
        np.empty((degree * degree, channels), dtype),
        np.empty((2 * degree, channels), dtype),
        np.empty((layers, widest), dtype),
        np.empty((layers, widest), dtype),
        np.empty((layers, widest), dtype),
        np.empty(t.sizes[-1], dtype),
        np.empty((2, widest)),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def _network(t, parameters, s, along, moments, dipole, scratch):  # type: ignore[no-untyped-def]
    """Dipole (3,) from the moments [(e k), lm] of a centre of element s.

    The moments become ∂(e·dipole)/∂moments.
    """
    contraction, mean, scale, inverse_size, _, weights = parameters
    a, b, d_b, above, sums, x, d_x, slopes, factors, work = scratch
    degree, inputs, last = t.harmonics.degree, moments.shape[0], t.sizes.size - 1
    for f in range(inputs):
        for m in range(a.shape[0]):
            a[m, f] = moments[f, m]
    for l in range(degree + 1):  # noqa: E741
        for m in range(l * l, (l + 1) ** 2):
            dot_rows(contraction[s, l], a[m], b[m])
    x[0, :inputs] = a[0]
    _power_spectrum(degree, b, x[0, inputs:])
    for k in range(t.sizes[0]):
        x[0, k] = (x[0, k] - mean[s, k]) * scale[s, k]
    mlp_forward(t.sizes, weights[s], x, slopes, work)
    _vectors(degree, b, along, above, d_x[last])
    for k in range(t.sizes[last]):
        factors[k] = x[last, k] * inverse_size[s, k]
        d_x[last, k] *= inverse_size[s, k]
    mlp_backward(t.sizes, weights[s], slopes, d_x)
    for k in range(t.sizes[0]):
        d_x[0, k] *= scale[s, k]
    d_b[:] = 0.0
    _vectors_backward(degree, b, factors, t.coupling, along, above, sums, dipole, d_b)
    _power_spectrum_backward(degree, b, d_x[0, inputs:], d_b)
    a[:] = 0.0
    a[0] = d_x[0, :inputs]
    for l in range(degree + 1):  # noqa: E741
        for m in range(l * l, (l + 1) ** 2):
            add_rows(d_b[m], contraction[s, l], a[m])
    for f in range(inputs):
        for m in range(a.shape[0]):
            moments[f, m] = a[m, f]


@njit(cache=True, nogil=True, fastmath=fast)
def _bounded(dipole, limit, direction, effective):  # type: ignore[no-untyped-def]
    """Whether a dipole is beyond its limit; then bound it, and e·D' varies as effective·D."""
    size = np.sqrt(dipole[0] ** 2 + dipole[1] ** 2 + dipole[2] ** 2)
    if not size > limit:
        return False
    x = size / limit
    grown = np.tanh(x - 1)
    ratio, slope = (1 + grown) / x, 1 - grown**2
    along = (dipole[0] * direction[0] + dipole[1] * direction[1] + dipole[2] * direction[2]) / size
    for axis in range(3):
        effective[axis] = ratio * direction[axis] + (slope - ratio) * along * dipole[axis] / size
        dipole[axis] *= ratio
    return True


@njit(cache=True, nogil=True, fastmath=fast)
def _couplings_along(coupling, direction, along):  # type: ignore[no-untyped-def]
    """Coupling coefficients of the component along a direction."""
    along[:] = 0.0
    for k in range(coupling.size):
        along[k // 3] += coupling[k] * direction[k % 3]


@njit(cache=True, nogil=True, fastmath=fast)
def local_dipoles(  # type: ignore[no-untyped-def]
    vectors, species, first, centres, low, high, t, numbers, direction, dipoles, d_vectors
):
    """Dipoles of the centres low … high - 1, and ∂(e·Σ dipoles)/∂vectors added to ``d_vectors``.

    ``numbers``: contraction [element, l, q, (e k)], mean and deviation of the invariants, size of
    the vectors [element, …], limit of the dipole [element], and each element's weights and biases,
    layer after layer.
    ``direction``: e.
    """
    dtype, n_radial, entries = vectors.dtype, t.gaussians.shape[0], (t.harmonics.degree + 1) ** 2
    inputs = t.sizes[0] - t.harmonics.degree * t.channels * (t.channels + 1) // 2
    n_elements = inputs // n_radial
    along, turned_along = np.empty((2, t.coupling.size // 3), dtype)
    _couplings_along(t.coupling, direction, along)
    effective, unbounded = np.empty(3, dtype), np.empty(3, dtype)
    parameters, scratch = _unpacked(t, numbers, n_elements), _scratch(t, vectors, inputs)
    width = padded_width(first, low, high)
    pair, start = np.empty(width, np.int64), np.empty(n_elements + 1, np.int64)
    geometry, exponent = np.zeros((6, width)), np.empty((2, width))
    weights, slopes = np.empty((n_radial, width), dtype), np.empty((n_radial, width))
    q = np.zeros((t.harmonics.up.size, width), dtype)
    power = np.zeros((2 * t.harmonics.degree + 2, width), dtype)
    y, turned = np.empty((width, entries), dtype), np.empty((3, entries), dtype)
    d_weights, torque = np.empty((n_radial, width), dtype), np.zeros((3, width))
    moments, d_distance = np.empty((n_elements, n_radial, entries), dtype), np.empty(width)
    flat = moments.reshape((inputs, entries))
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, pair, start, geometry)
        gaussian_channels(t.gaussians, geometry, n, exponent, weights, slopes)
        harmonic_rows(t.harmonics, geometry, n, q, power, y)
        moments_forward(weights, y, start, moments)
        _network(t, parameters, centres[i], along, flat, dipoles[i], scratch)
        if _bounded(dipoles[i], parameters[4][centres[i]], direction, effective):  # seldom
            _couplings_along(t.coupling, effective, turned_along)
            moments_forward(weights, y, start, moments)
            _network(t, parameters, centres[i], turned_along, flat, unbounded, scratch)
        moments_backward(t.harmonics, moments, weights, y, start, turned, d_weights, torque)
        d_distance[:n] = 0.0
        for k in range(n_radial):
            for j in range(n):
                d_distance[j] += d_weights[k, j] * slopes[k, j]
        scatter(geometry, n, pair, d_distance, torque, d_vectors)
