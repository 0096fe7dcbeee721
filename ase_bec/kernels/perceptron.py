"""Numba kernels of a multilayer perceptron, many samples at a time.

Samples stand in lanes, the last dimension, so that loops over them vectorise.
"""

from __future__ import annotations

from math import log1p

from numba import njit

from ase_bec.kernels.moments import exponentials, fast

__all__ = ["LINEAR", "SILU", "SOFTPLUS", "TANH", "add_product", "add_transposed_product"]
__all__ += ["mlp_backward", "mlp_forward"]

LINEAR, TANH, SILU, SOFTPLUS = range(4)


@njit(cache=True, nogil=True, fastmath=fast)
def add_product(matrix, x, out):  # type: ignore[no-untyped-def]
    """out[o] += Σ_i matrix[o, i] x[i], four rows of x at a time."""
    size, lanes = matrix.shape[1], x.shape[1]
    for o in range(matrix.shape[0]):
        f, total, i = matrix[o], out[o], 0
        while i + 4 <= size:
            f0, f1, f2, f3 = f[i], f[i + 1], f[i + 2], f[i + 3]
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            for s in range(lanes):
                total[s] += f0 * x0[s] + f1 * x1[s] + f2 * x2[s] + f3 * x3[s]
            i += 4
        while i < size:
            f0, x0 = f[i], x[i]
            for s in range(lanes):
                total[s] += f0 * x0[s]
            i += 1


@njit(cache=True, nogil=True, fastmath=fast)
def add_transposed_product(matrix, x, out):  # type: ignore[no-untyped-def]
    """out[i] += Σ_o matrix[o, i] x[o], four rows of x at a time."""
    size, lanes = matrix.shape[0], x.shape[1]
    for i in range(matrix.shape[1]):
        total, o = out[i], 0
        while o + 4 <= size:
            f0, f1, f2, f3 = matrix[o, i], matrix[o + 1, i], matrix[o + 2, i], matrix[o + 3, i]
            x0, x1, x2, x3 = x[o], x[o + 1], x[o + 2], x[o + 3]
            for s in range(lanes):
                total[s] += f0 * x0[s] + f1 * x1[s] + f2 * x2[s] + f3 * x3[s]
            o += 4
        while o < size:
            f0, x0 = matrix[o, i], x[o]
            for s in range(lanes):
                total[s] += f0 * x0[s]
            o += 1


@njit(cache=True, nogil=True, fastmath=fast)
def _activate(kind, z, n, work, slope):  # type: ignore[no-untyped-def]
    """Replace n numbers z by f(z), and give f'(z); ``work``: (2, ≥ n) in double precision."""
    if kind == LINEAR:
        for k in range(n):
            slope[k] = 1.0
        return
    factor = 2.0 if kind == TANH else 1.0
    for k in range(n):
        work[0, k] = -factor * abs(z[k])
    exponentials(work[0], n, work[1])
    if kind == TANH:
        for k in range(n):
            size = (1.0 - work[0, k]) / (1.0 + work[0, k])
            z[k] = size if z[k] >= 0 else -size
            slope[k] = 1.0 - size * size
    else:
        for k in range(n):
            small = work[0, k] / (1.0 + work[0, k])  # σ(-|z|)
            sigma = 1.0 - small if z[k] >= 0 else small
            if kind == SILU:
                slope[k] = sigma + z[k] * sigma * (1.0 - sigma)
                z[k] *= sigma
            else:
                slope[k] = sigma
                z[k] = max(z[k], 0.0) + log1p(work[0, k])


@njit(cache=True, nogil=True, fastmath=fast)
def mlp_forward(sizes, activation, weights, x, slopes, work):  # type: ignore[no-untyped-def]
    """Values x[layer, node, lane] of every layer from x[0], and the activations' derivatives."""
    offset, lanes = 0, x.shape[2]
    for k in range(sizes.size - 1):
        n_in, n_out = sizes[k], sizes[k + 1]
        bias = offset + n_in * n_out
        for i in range(n_out):
            x[k + 1, i] = weights[bias + i]
        add_product(weights[offset:bias].reshape((n_out, n_in)), x[k], x[k + 1])
        if k + 2 < sizes.size:
            z = x[k + 1, :n_out].reshape(n_out * lanes)
            slope = slopes[k + 1, :n_out].reshape(n_out * lanes)
            _activate(activation, z, z.size, work, slope)
        offset = bias + n_out


@njit(cache=True, nogil=True, fastmath=fast)
def mlp_backward(sizes, weights, slopes, d_x):  # type: ignore[no-untyped-def]
    """Derivative by the input, d_x[0], from that by the output, d_x[-1]."""
    offset = weights.size
    for k in range(sizes.size - 2, -1, -1):
        n_in, n_out = sizes[k], sizes[k + 1]
        offset -= n_in * n_out + n_out
        if k + 2 < sizes.size:
            for i in range(n_out):
                d, slope = d_x[k + 1, i], slopes[k + 1, i]
                for s in range(d.size):
                    d[s] *= slope[s]
        d_x[k, :n_in] = 0.0
        matrix = weights[offset : offset + n_in * n_out].reshape((n_out, n_in))
        add_transposed_product(matrix, d_x[k + 1], d_x[k])
