"""Numba kernel of the equivariant network: local dipoles, and the derivative of e·ΣD, in one pass.

The formulas are those of :class:`~ase_bec.terms.equivariant.EquivariantNetwork`, differentiated by
hand: the density of a centre, its network and the derivatives of both in one go, so that the
functions of its neighbours are made once. Centres of one element go through the network in blocks,
side by side, so that loops over them vectorise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.kernels.couplings import (
    couplings_along,
    power_spectrum,
    power_spectrum_backward,
    vectors_along,
    vectors_backward,
)
from ase_bec.kernels.moments import (
    EVEN,
    Harmonics,
    even_channels,
    fast,
    gaussian_channels,
    harmonic_constants,
    harmonic_rows,
    moments_backward,
    moments_forward,
    padded_width,
)
from ase_bec.kernels.perceptron import (
    SILU,
    add_product,
    add_transposed_product,
    mlp_backward,
    mlp_forward,
)
from ase_bec.kernels.structure import gather_atoms, neighbour_scratch, scatter_forces

__all__ = ["EquivariantTables", "equivariant_tables", "local_dipoles"]

Array = NDArray[Any]

BLOCK = 32  # centres of one element that go through the network together


class EquivariantTables(NamedTuple):
    """Constants of the kernel that do not depend on the weights."""

    cutoff: float
    gaussians: Array  # (K, 2): η, μ; evenly spaced, of one η
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
def _network_arrays(t, like, inputs):  # type: ignore[no-untyped-def]
    """Arrays of a block's network, centres in lanes: density, b, d_b, above, sums, …"""
    dtype, degree, channels = like.dtype, t.harmonics.degree, t.channels
    entries, layers, widest = (degree + 1) ** 2, t.sizes.size, t.sizes.max()
    return (
        np.zeros((entries, inputs, BLOCK), dtype),
        np.zeros((entries, channels, BLOCK), dtype),
        np.zeros((entries, channels, BLOCK), dtype),
        np.zeros((degree * degree, channels, BLOCK), dtype),
        np.zeros((2 * degree, channels, BLOCK), dtype),
        np.zeros(BLOCK, dtype),
        np.zeros((layers, widest, BLOCK), dtype),
        np.zeros((layers, widest, BLOCK), dtype),
        np.zeros((layers, widest, BLOCK), dtype),
        np.zeros((2, widest * BLOCK)),
        np.zeros((3, BLOCK), dtype),
        np.zeros((t.coupling.size // 3, BLOCK), dtype),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def _scale_rows(x, shift, scale, n):  # type: ignore[no-untyped-def]
    """x[k] = (x[k] - shift[k]) scale[k] of n rows."""
    for k in range(n):
        row, less, factor = x[k], shift[k], scale[k]
        for s in range(row.size):
            row[s] = (row[s] - less) * factor


@njit(cache=True, nogil=True, fastmath=fast)
def _network(t, parameters, s, directions, arrays):  # type: ignore[no-untyped-def]
    """Dipoles, the last but one of ``arrays``, of a block of centres of element s.

    The density, the first, becomes ∂(e·dipole)/∂density.
    """
    contraction, mean, scale, inverse_size, _, weights = parameters
    density, b, d_b, above, sums, product, x, d_x, slopes, work, dipoles, along = arrays
    degree, inputs, last = t.harmonics.degree, density.shape[1], t.sizes.size - 1
    features, outputs, none = t.sizes[0], t.sizes[last], np.zeros(t.sizes.max(), density.dtype)
    couplings_along(t.coupling, directions, along)
    b[:] = 0.0
    for m in range(density.shape[0]):
        add_product(contraction[s, int(np.sqrt(m))], density[m], b[m])
    x[0, :inputs] = density[0]
    power_spectrum(degree, b, x[0, inputs:])
    _scale_rows(x[0], mean[s], scale[s], features)
    vectors_along(degree, t.coupling, b, along, above, d_x[last])
    _scale_rows(d_x[last], none, inverse_size[s], outputs)
    mlp_forward(t.sizes, SILU, weights[s], x, slopes, work)
    mlp_backward(t.sizes, weights[s], slopes, d_x)
    _scale_rows(x[last], none, inverse_size[s], outputs)
    _scale_rows(d_x[0], none, scale[s], features)
    d_b[:] = 0.0
    vectors_backward(degree, b, x[last], t.coupling, along, above, sums, product, dipoles, d_b)
    power_spectrum_backward(degree, b, d_x[0, inputs:], d_b)
    density[:] = 0.0
    density[0] = d_x[0, :inputs]
    for m in range(density.shape[0]):
        add_transposed_product(contraction[s, int(np.sqrt(m))], d_b[m], density[m])


@njit(cache=True, nogil=True, fastmath=fast)
def _to_lanes(moments, n, density):  # type: ignore[no-untyped-def]
    """density[lm, (e k), c] = moments[c, (e k), lm] of n centres."""
    for c in range(n):
        for i in range(moments.shape[1]):
            for m in range(moments.shape[2]):
                density[m, i, c] = moments[c, i, m]


@njit(cache=True, nogil=True, fastmath=fast)
def _from_lane(density, lane, moments):  # type: ignore[no-untyped-def]
    for i in range(moments.shape[0]):
        for m in range(moments.shape[1]):
            moments[i, m] = density[m, i, lane]


@njit(cache=True, nogil=True, fastmath=fast)
def _bounded(dipole, limit, direction):  # type: ignore[no-untyped-def]
    """Whether a dipole is beyond its limit; then bound it, and e·D' varies as direction·D."""
    size = np.sqrt(dipole[0] ** 2 + dipole[1] ** 2 + dipole[2] ** 2)
    if not size > limit:
        return False
    x = size / limit
    grown = np.tanh(x - 1)
    ratio, slope = (1 + grown) / x, 1 - grown**2
    along = (dipole[0] * direction[0] + dipole[1] * direction[1] + dipole[2] * direction[2]) / size
    for axis in range(3):
        direction[axis] = ratio * direction[axis] + (slope - ratio) * along * dipole[axis] / size
        dipole[axis] *= ratio
    return True


@njit(cache=True, nogil=True, fastmath=fast)
def _neighbour_arrays(t, like, n_elements, width):  # type: ignore[no-untyped-def]
    """Arrays of a block's neighbours: atom, start, geometry, weights, slopes, y, moments, …"""
    dtype, degree, n_radial = like.dtype, t.harmonics.degree, t.gaussians.shape[0]
    entries = (degree + 1) ** 2
    return (
        np.empty((BLOCK, width), np.int64),
        np.empty((BLOCK, n_elements + 1), np.int64),
        np.zeros((BLOCK, 6, width)),
        np.empty((BLOCK, n_radial, width), dtype),
        np.empty((BLOCK, n_radial, width)),
        np.empty((BLOCK, width, entries), dtype),
        np.empty((BLOCK, n_elements, n_radial, entries), dtype),
        np.empty((4, width)),
        np.zeros((t.harmonics.up.size, width), dtype),
        np.zeros((2 * degree + 2, width), dtype),
        np.empty((n_elements, n_radial, entries), dtype),
        np.empty((3, entries), dtype),
        np.empty((n_radial, width), dtype),
        np.zeros((3, width)),
        np.empty(width),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def _block(t, parameters, s, block, at, search, directions, arrays, network, out):  # type: ignore[no-untyped-def]
    """Dipoles and derivatives, ``out``, of a block of centres of element s."""
    atom, start, geometry, weights, slopes, y, moments, exponent, q, power = arrays[:10]
    dipoles, outside, forces, virial = out
    flat, size = moments.reshape((BLOCK, -1, moments.shape[3])), np.empty(BLOCK, np.int64)
    for c in range(block.size):
        n = gather_atoms(at, block[c], t.cutoff, search, atom[c], start[c], geometry[c])
        if t.gaussians.shape[0] <= EVEN:
            even_channels(t.gaussians, geometry[c], n, exponent, weights[c], slopes[c])
        else:
            gaussian_channels(t.gaussians, geometry[c], n, exponent, weights[c], slopes[c])
        harmonic_rows(t.harmonics, geometry[c], n, q, power, y[c])
        moments_forward(weights[c], y[c], start[c], moments[c])
        size[c] = n
    for k in range(directions.shape[0]):
        _dipoles(t, parameters, s, block, at.batch, flat, directions[k], network, dipoles, outside)
        for c in range(block.size):
            virial_of = virial[k, at.batch[block[c]]]
            _backward(t, block[c], c, size[c], arrays, network[0], forces[k], virial_of)


@njit(cache=True, nogil=True, fastmath=fast)
def _dipoles(t, parameters, s, block, batch, moments, directions, network, dipoles, outside):  # type: ignore[no-untyped-def]
    """Dipoles of a block; the density, first of ``network``, becomes ∂(e·dipole)/∂density."""
    found, along = network[10], np.zeros((3, BLOCK), moments.dtype)
    for c in range(block.size):
        for axis in range(3):
            along[axis, c] = directions[batch[block[c]], axis]
    _to_lanes(moments, block.size, network[0])
    _network(t, parameters, s, along, network)
    beyond, limit = False, parameters[4][s]
    for c in range(block.size):
        dipole = dipoles[block[c]]
        for axis in range(3):
            dipole[axis] = found[axis, c]
        beyond = _bounded(dipole, limit, along[:, c]) or beyond
        outside[block[c]] = np.sqrt((dipole**2).sum()) / limit
    if beyond:  # seldom
        _to_lanes(moments, block.size, network[0])
        _network(t, parameters, s, along, network)


@njit(cache=True, nogil=True, fastmath=fast)
def _backward(t, i, c, n, arrays, density, forces, virial):  # type: ignore[no-untyped-def]
    """Forces and virial of centre i, in lane c, from ∂(e·dipole)/∂density."""
    atom, start, geometry, weights, slopes, y = arrays[:6]
    d_moments, turned, d_weights, torque, d_distance = arrays[10:]
    _from_lane(density, c, d_moments.reshape((-1, d_moments.shape[2])))
    moments_backward(t.harmonics, d_moments, weights[c], y[c], start[c], turned, d_weights, torque)
    d_distance[:n] = 0.0
    for k in range(d_weights.shape[0]):
        for j in range(n):
            d_distance[j] += d_weights[k, j] * slopes[c, k, j]
    scatter_forces(i, atom[c], n, geometry[c], d_distance, torque, forces, virial)


@njit(cache=True, nogil=True, fastmath=fast)
def local_dipoles(at, low, high, t, numbers, directions, dipoles, outside, forces, virial):  # type: ignore[no-untyped-def]
    """Dipoles of the centres low … high - 1; forces and virials of e·ΣD for each e, by structure.

    ``numbers``: contraction [element, l, q, (e k)], mean and deviation of the invariants, size of
    the vectors [element, …], limit of the dipole [element], and each element's weights and biases,
    layer after layer. ``directions``: e [k, structure]. ``outside``: size of each dipole over its
    limit. Derivatives go to ``forces`` [k, atom] and ``virial`` [k, structure].
    """
    inputs = t.sizes[0] - t.harmonics.degree * t.channels * (t.channels + 1) // 2
    n_elements = inputs // t.gaussians.shape[0]
    parameters, network = _unpacked(t, numbers, n_elements), _network_arrays(t, numbers, inputs)
    width = padded_width(at.first, low, high)
    arrays, search = _neighbour_arrays(t, numbers, n_elements, width), neighbour_scratch(width)
    block, out = np.empty(BLOCK, np.int64), (dipoles, outside, forces, virial)
    for s in range(n_elements):
        n = 0
        for i in range(low, high):
            if at.species[i] == s:
                block[n] = i
                n += 1
            if n == BLOCK or (n > 0 and i == high - 1):
                _block(t, parameters, s, block[:n], at, search, directions, arrays, network, out)
                n = 0
