"""Numba kernels of the neighbour density: moments of Gaussian channels, and their derivative."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

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

__all__ = ["DensityTables", "density_backward", "density_forward", "density_tables"]

Array = NDArray[Any]


class DensityTables(NamedTuple):
    """Constants of the kernels."""

    cutoff: float
    gaussians: Array  # (K, 2): η, μ
    harmonics: Harmonics


def density_tables(cutoff: float, gaussians: Array, degree: int) -> DensityTables:
    """Constants for radial functions exp[-η(r-μ)²] f_c."""
    return DensityTables(cutoff, np.ascontiguousarray(gaussians), harmonic_constants(degree))


@njit(cache=True, nogil=True, fastmath=fast)
def density_forward(vectors, species, first, low, high, t, out):  # type: ignore[no-untyped-def]
    """Moments out[i, e, k, lm] of the centres low … high - 1."""
    dtype, n_elements, n_radial = vectors.dtype, out.shape[1], out.shape[2]
    width = padded_width(first, low, high)
    pair, start = np.empty(width, np.int64), np.empty(n_elements + 1, np.int64)
    geometry, scratch = np.zeros((6, width)), np.empty((2, width))
    weights, slopes = np.empty((n_radial, width), dtype), np.empty((n_radial, width))
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
    """Add Σ d_out ∂moments/∂vectors of the centres low … high - 1 to ``d_vectors``."""
    dtype, n_elements, n_radial = vectors.dtype, d_out.shape[1], d_out.shape[2]
    width, entries = padded_width(first, low, high), d_out.shape[3]
    pair, start = np.empty(width, np.int64), np.empty(n_elements + 1, np.int64)
    geometry, scratch = np.zeros((6, width)), np.empty((2, width))
    weights, slopes = np.empty((n_radial, width), dtype), np.empty((n_radial, width))
    q = np.zeros((t.harmonics.up.size, width), dtype)
    power = np.zeros((2 * t.harmonics.degree + 2, width), dtype)
    y, turned = np.empty((width, entries), dtype), np.empty((3, entries), dtype)
    d_weights, torque = np.empty((n_radial, width), dtype), np.zeros((3, width))
    d_distance = np.empty(width)
    for i in range(low, high):
        n = gather(vectors, species, first[i], first[i + 1], t.cutoff, pair, start, geometry)
        gaussian_channels(t.gaussians, geometry, n, scratch, weights, slopes)
        harmonic_rows(t.harmonics, geometry, n, q, power, y)
        moments_backward(t.harmonics, d_out[i], weights, y, start, turned, d_weights, torque)
        d_distance[:n] = 0.0
        for k in range(n_radial):
            for j in range(n):
                d_distance[j] += d_weights[k, j] * slopes[k, j]
        scatter(geometry, n, pair, d_distance, torque, d_vectors)
