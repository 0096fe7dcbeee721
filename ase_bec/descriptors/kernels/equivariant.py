"""Numba kernel of the equivariant network: local dipoles, and the derivative of e·ΣD, in one pass.

The formulas are those of :class:`ase_bec.models.EquivariantNetwork`, differentiated by hand: the
density of a centre, its network and the derivatives of both in one go, so that the functions of its
neighbours are made once. Centres of one element go through the network in blocks, so that its
weights are read from memory once for each block.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.descriptors.kernels.couplings import (
    couplings_along,
    power_spectrum,
    power_spectrum_backward,
    vectors_along,
    vectors_backward,
)
from ase_bec.descriptors.kernels.moments import (
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
from ase_bec.descriptors.kernels.perceptron import add_rows, dot_rows, mlp_backward, mlp_forward

__all__ = ["EquivariantTables", "equivariant_tables", "local_dipoles"]

Array = NDArray[Any]

BLOCK = 8  # centres of one element that go through the network together


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
    """Arrays of a block's network: a, b, d_b, above, sums, parts, x, d_x, …"""
    dtype, degree, channels = like.dtype, t.harmonics.degree, t.channels
    entries, layers, widest = (degree + 1) ** 2, t.sizes.size, t.sizes.max()
    return (
        np.empty((entries, inputs), dtype),
        np.empty((BLOCK, entries, channels), dtype),
        np.empty((entries, channels), dtype),
        np.empty((BLOCK, degree * degree, channels), dtype),
        np.empty((2 * degree, channels), dtype),
        np.empty((3, channels), dtype),
        np.empty((layers, BLOCK, widest), dtype),
        np.empty((layers, BLOCK, widest), dtype),
        np.empty((layers, BLOCK, widest), dtype),
        np.empty(t.sizes[-1], dtype),
        np.empty((2, widest)),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def _network(t, parameters, s, along, n, moments, dipoles, scratch):  # type: ignore[no-untyped-def]
    """Dipoles (n, 3) from the moments [(e k), lm] of n centres of element s.

    The moments become ∂(e·dipole)/∂moments.
    """
    contraction, mean, scale, inverse_size, _, weights = parameters
    a, b, d_b, above, sums, parts, x, d_x, slopes, factors, work = scratch
    degree, inputs, last = t.harmonics.degree, moments.shape[1], t.sizes.size - 1
    for c in range(n):
        _transpose(moments[c], a)
        for l in range(degree + 1):  # noqa: E741
            low, size = l * l, 2 * l + 1
            dot_rows(contraction[s, l], a[low:], size, b[c, low:])
        features = x[0, c]
        features[:inputs] = a[0]
        power_spectrum(degree, b[c], features[inputs:])
        for k in range(t.sizes[0]):
            features[k] = (features[k] - mean[s, k]) * scale[s, k]
        vectors_along(degree, b[c], along, above[c], d_x[last, c])
        for k in range(t.sizes[last]):
            d_x[last, c, k] *= inverse_size[s, k]
    mlp_forward(t.sizes, weights[s], n, x, slopes, work)
    mlp_backward(t.sizes, weights[s], n, slopes, d_x)
    for c in range(n):
        for k in range(t.sizes[last]):
            factors[k] = x[last, c, k] * inverse_size[s, k]
        slope = d_x[0, c]
        for k in range(t.sizes[0]):
            slope[k] *= scale[s, k]
        d_b[:] = 0.0
        vectors_backward(
            degree, b[c], factors, t.coupling, along, above[c], sums, parts, dipoles[c], d_b
        )
        power_spectrum_backward(degree, b[c], slope[inputs:], d_b)
        a[:] = 0.0
        a[0] = slope[:inputs]
        for l in range(degree + 1):  # noqa: E741
            low, size = l * l, 2 * l + 1
            add_rows(d_b[low:], contraction[s, l], size, a[low:])
        _transpose(a, moments[c])


@njit(cache=True, nogil=True, fastmath=fast)
def _transpose(rows, out):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[j, i] = rows[i, j]


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
def _neighbour_arrays(t, like, n_elements, width):  # type: ignore[no-untyped-def]
    """Arrays of a block's neighbours: pair, start, geometry, weights, slopes, y, moments, …"""
    dtype, n_radial, degree = like.dtype, t.gaussians.shape[0], t.harmonics.degree
    entries = (degree + 1) ** 2
    return (
        np.empty((BLOCK, width), np.int64),
        np.empty((BLOCK, n_elements + 1), np.int64),
        np.zeros((BLOCK, 6, width)),
        np.empty((BLOCK, n_radial, width), dtype),
        np.empty((BLOCK, n_radial, width)),
        np.empty((BLOCK, width, entries), dtype),
        np.empty((BLOCK, n_elements, n_radial, entries), dtype),
        np.empty((2, width)),
        np.zeros((t.harmonics.up.size, width), dtype),
        np.zeros((2 * degree + 2, width), dtype),
        np.empty((3, entries), dtype),
        np.empty((n_radial, width), dtype),
        np.zeros((3, width)),
        np.empty(width),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def _block(  # type: ignore[no-untyped-def]
    t, parameters, s, block, vectors, species, first, along, direction, arrays, scratch, out
):
    """Dipoles and derivatives, ``out``, of a block of centres of element s."""
    pair, start, geometry, weights, slopes, y, moments, exponent, q, power = arrays[:10]
    turned, d_weights, torque, d_distance = arrays[10:]
    (dipoles, d_vectors), limit = out, parameters[4][s]
    flat = moments.reshape((BLOCK, -1, moments.shape[3]))
    found, effective = np.empty((2, BLOCK, 3), vectors.dtype), np.empty(3, vectors.dtype)
    size = np.empty(BLOCK, np.int64)
    for c in range(block.size):
        low, high = first[block[c]], first[block[c] + 1]
        n = gather(vectors, species, low, high, t.cutoff, pair[c], start[c], geometry[c])
        gaussian_channels(t.gaussians, geometry[c], n, exponent, weights[c], slopes[c])
        harmonic_rows(t.harmonics, geometry[c], n, q, power, y[c])
        moments_forward(weights[c], y[c], start[c], moments[c])
        size[c] = n
    _network(t, parameters, s, along, block.size, flat, found[0], scratch)
    for c in range(block.size):
        n = size[c]
        if _bounded(found[0, c], limit, direction, effective):  # seldom
            turned_along = np.empty_like(along)
            couplings_along(t.coupling, effective, turned_along)
            moments_forward(weights[c], y[c], start[c], moments[c])
            _network(t, parameters, s, turned_along, 1, flat[c:], found[1], scratch)
        dipoles[block[c]] = found[0, c]
        moments_backward(
            t.harmonics, moments[c], weights[c], y[c], start[c], turned, d_weights, torque
        )
        d_distance[:n] = 0.0
        for k in range(d_weights.shape[0]):
            for j in range(n):
                d_distance[j] += d_weights[k, j] * slopes[c, k, j]
        scatter(geometry[c], n, pair[c], d_distance, torque, d_vectors)


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
    inputs = t.sizes[0] - t.harmonics.degree * t.channels * (t.channels + 1) // 2
    n_elements = inputs // t.gaussians.shape[0]
    along = np.empty(t.coupling.size // 3, vectors.dtype)
    couplings_along(t.coupling, direction, along)
    parameters, scratch = _unpacked(t, numbers, n_elements), _scratch(t, vectors, inputs)
    arrays = _neighbour_arrays(t, vectors, n_elements, padded_width(first, low, high))
    block, out = np.empty(BLOCK, np.int64), (dipoles, d_vectors)
    for s in range(n_elements):
        n = 0
        for i in range(low, high):
            if centres[i] == s:
                block[n] = i
                n += 1
            if n == BLOCK or (n > 0 and i == high - 1):
                _block(
                    t, parameters, s, block[:n], vectors, species, first, along, direction,
                    arrays, scratch, out,
                )  # fmt: skip
                n = 0
