"""Numba kernels of the neighbour density: values and hand-written derivatives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.kernels.moments import (
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

__all__ = ["DensityTables", "density_backward", "density_forward", "density_tables"]


class DensityTables(NamedTuple):
    """Constants of the kernels."""

    cutoff: float
    gaussians: NDArray[Any]  # (K, 2), rows (η, μ)
    harmonics: Harmonics


def density_tables(cutoff: float, gaussians: NDArray[Any], degree: int) -> DensityTables:
    """Constants of a density in given radial functions."""
    return DensityTables(cutoff, gaussians, harmonic_constants(degree))


@njit(cache=True, nogil=True, fastmath=fast)
def density_forward(vectors, species, first, low, high, t, out):  # type: ignore[no-untyped-def]
    """Density out[i] (n_elements, K, M) of the centres low … high - 1."""
    dtype, n_channels = vectors.dtype, t.gaussians.shape[0]
    width = padded_width(first, low, high)
    pair, start = np.empty(width, np.int64), np.empty(out.shape[1] + 1, np.int64)
    geometry, scratch = np.zeros((6, width)), np.empty((2, width))
    weights, slopes = np.empty((n_channels, width), dtype), np.empty((n_channels, width))
    q = np.zeros((t.harmonics.up.size, width), dtype)
    power = np.zeros((2 * t.harmonics.degree + 2, width), dtype)
    y = np.empty((width, out.shape[3]), dtype)
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, pair, start, geometry)
        gaussian_channels(t.gaussians, geometry, n, scratch, weights, slopes)
        harmonic_rows(t.harmonics, geometry, n, q, power, y)
        moments_forward(weights, y, start, out[i])


@njit(cache=True, nogil=True, fastmath=fast)
def density_backward(vectors, species, first, low, high, t, d_out, d_vectors):  # type: ignore[no-untyped-def]
    """Add Σ d_out ∂density/∂vectors of the centres low … high - 1 to ``d_vectors``."""
    dtype, n_channels, entries = vectors.dtype, t.gaussians.shape[0], d_out.shape[3]
    width = padded_width(first, low, high)
    pair, start = np.empty(width, np.int64), np.empty(d_out.shape[1] + 1, np.int64)
    geometry, scratch = np.zeros((6, width)), np.empty((2, width))
    weights, slopes = np.empty((n_channels, width), dtype), np.empty((n_channels, width))
    q = np.zeros((t.harmonics.up.size, width), dtype)
    power = np.zeros((2 * t.harmonics.degree + 2, width), dtype)
    y, turned = np.empty((width, entries), dtype), np.empty((3, entries), dtype)
    d_weights, torque = np.zeros((n_channels, width), dtype), np.zeros((3, width))
    d_distance = np.empty(width)
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, pair, start, geometry)
        gaussian_channels(t.gaussians, geometry, n, scratch, weights, slopes)
        harmonic_rows(t.harmonics, geometry, n, q, power, y)
        moments_backward(t.harmonics, d_out[i], weights, y, start, turned, d_weights, torque)
        d_distance[:n] = 0.0
        for c in range(n_channels):
            for j in range(n):
                d_distance[j] += d_weights[c, j] * slopes[c, j]
        scatter(geometry, n, pair, d_distance, torque, d_vectors)
