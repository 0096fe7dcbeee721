"""Numba kernel of a network of symmetry functions: atomic energies, forces and virial in one pass.

The formulas are those of :class:`ase_bec.terms.energy.NetworkEnergy`. The functions of a centre's
neighbours are made once, for values and derivatives alike. Centres of one element go through the
network in blocks, so that its weights are read from memory once for each block.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.kernels.moments import (
    fast,
    gaussian_channels,
    harmonic_rows,
    moments_backward,
    moments_forward,
    padded_width,
)
from ase_bec.kernels.perceptron import mlp_backward, mlp_forward
from ase_bec.kernels.structure import gather_atoms, neighbour_scratch, scatter_forces
from ase_bec.kernels.symmetry_functions import (
    SymmetryTables,
    by_distance,
    g2_backward,
    g2_forward,
    g2_gaussians,
    g5_backward,
    g5_forward,
)

__all__ = ["NetworkTables", "network_energies"]

Array = NDArray[Any]

BLOCK = 16  # centres of one element that go through the network together, at most
_BLOCK_BYTES = 1 << 20  # of harmonics that a block may keep


class NetworkTables(NamedTuple):
    """Constants of the kernel, those of the networks by element."""

    functions: SymmetryTables
    sizes: Array  # nodes from input to output
    activation: int
    factor: Array  # (n_elements, F), of the scaling x = factor G - offset
    offset: Array
    low: Array  # (n_elements, F), range of the training data
    high: Array
    margin: Array  # (n_elements, F), inverse: how far out of it counts as one
    weights: Array  # (n_elements, …), weights and biases, layer after layer
    energies: Array  # (n_elements,), E⁰


@njit(cache=True, nogil=True, fastmath=fast)
def _scratch(t, n_elements, width, like):  # type: ignore[no-untyped-def]
    """Arrays of a block: of the neighbours of each centre, of its network, and of one centre."""
    f, dtype = t.functions, like.dtype
    n_channels, entries = f.gaussians.shape[0], (f.harmonics.degree + 1) ** 2
    block = max(1, min(BLOCK, _BLOCK_BYTES // (width * entries * like.itemsize)))
    layers, widest, degree = t.sizes.size, t.sizes.max(), f.harmonics.degree
    of_neighbours = (
        np.empty((block, width), np.int64),
        np.empty((block, n_elements + 1), np.int64),
        np.zeros((block, 6, width)),
        np.empty((block, f.g2.shape[0], width)),
        np.empty((block, n_channels, width), dtype),
        np.empty((block, n_channels, width)),
        np.empty((block, width, entries), dtype),
        np.empty((block, n_elements, n_channels, entries), dtype),
        np.empty(block, np.int64),
    )
    of_network = (
        np.zeros((layers, widest, block), dtype),
        np.zeros((layers, widest, block), dtype),
        np.zeros((layers, widest, block), dtype),
        np.zeros((2, widest * block)),
        np.empty(t.sizes[0]),
    )
    of_centre = (
        np.empty((2, width)),
        np.zeros((f.harmonics.up.size, width), dtype),
        np.zeros((2 * degree + 2, width), dtype),
        np.empty((n_channels, f.extent.size)),
        np.empty(entries),
        np.empty((3, entries), dtype),
        np.empty((n_elements, n_channels, entries), dtype),
        np.empty((n_elements, n_channels)),
        np.empty((n_channels, width), dtype),
        np.zeros((3, width)),
        np.empty(width),
    )
    return of_neighbours, of_network, of_centre


@njit(cache=True, nogil=True, fastmath=fast)
def _outside(t, s, features):  # type: ignore[no-untyped-def]
    """How far the furthest feature lies out of its range, in units of the margin."""
    furthest = 0.0
    for k in range(features.size):
        beyond = max(t.low[s, k] - features[k], features[k] - t.high[s, k]) * t.margin[s, k]
        furthest = max(furthest, beyond)
    return furthest


@njit(cache=True, nogil=True, fastmath=fast)
def _block(t, s, block, at, search, work, energies, outside, forces, virial):  # type: ignore[no-untyped-def]
    """Energies and derivatives of a block of centres of element s."""
    f = t.functions
    (atom, start, geometry, gauss, weights, slopes, y, a, size), network, centre = work
    x, d_x, mlp_slopes, mlp_work, features = network
    scratch, q, power, values, d_spread, turned, d_a, d_own, d_weights, torque, d_distance = centre
    n_channels, n_radial = f.gaussians.shape[0], f.g2.shape[0] * (start.shape[1] - 1)
    for c in range(block.size):
        i = block[c]
        n = gather_atoms(at, i, f.cutoff, search, atom[c], start[c], geometry[c])
        size[c] = n
        g2_gaussians(f, geometry[c], n, scratch[1], gauss[c])
        g2_forward(f, geometry[c], start[c], gauss[c], features[:n_radial])
        if n_channels:
            gaussian_channels(f.gaussians, geometry[c], n, scratch, weights[c], slopes[c])
            harmonic_rows(f.harmonics, geometry[c], n, q, power, y[c])
            moments_forward(weights[c], y[c], start[c], a[c])
            g5_forward(f, a[c], weights[c], start[c], values, features[n_radial:])
        outside[i] = _outside(t, s, features)
        for k in range(features.size):
            x[0, k, c] = features[k] * t.factor[s, k] - t.offset[s, k]
        d_x[t.sizes.size - 1, 0, c] = 1.0
    mlp_forward(t.sizes, t.activation, t.weights[s], x, mlp_slopes, mlp_work)
    mlp_backward(t.sizes, t.weights[s], mlp_slopes, d_x)
    for c in range(block.size):
        i, n = block[c], size[c]
        energies[i] = x[t.sizes.size - 1, 0, c] + t.energies[s]
        for k in range(features.size):
            features[k] = d_x[0, k, c] * t.factor[s, k]
        d_distance[:n] = 0.0
        g2_backward(f, geometry[c], start[c], gauss[c], features[:n_radial], d_distance)
        if n_channels:
            g5_backward(f, a[c], features[n_radial:], values, d_spread, d_a, d_own)
            moments_backward(
                f.harmonics, d_a, weights[c], y[c], start[c], turned, d_weights, torque
            )
            by_distance(start[c], d_weights, d_own, weights[c], slopes[c], d_distance)
        scatter_forces(i, atom[c], n, geometry[c], d_distance, torque, forces, virial[at.batch[i]])


@njit(cache=True, nogil=True, fastmath=fast)
def network_energies(at, low, high, t, energies, outside, forces, virial):  # type: ignore[no-untyped-def]
    """Energies of the centres low … high - 1; their derivatives go to forces and virial."""
    width = padded_width(at.first, low, high)
    work, search = _scratch(t, t.weights.shape[0], width, t.weights), neighbour_scratch(width)
    size = work[0][8].size
    block = np.empty(size, np.int64)
    for s in range(t.weights.shape[0]):
        n = 0
        for i in range(low, high):
            if at.species[i] == s:
                block[n] = i
                n += 1
            if n == size or (n > 0 and i == high - 1):
                _block(t, s, block[:n], at, search, work, energies, outside, forces, virial)
                n = 0
