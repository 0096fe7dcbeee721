"""Numba kernels of a multilayer perceptron, one sample at a time."""

from __future__ import annotations

from numba import njit

from .kernels import exponentials, fast

__all__ = ["add_rows", "dot_rows", "mlp_backward", "mlp_forward"]


@njit(cache=True, nogil=True, fastmath=fast)
def add_rows(factors, rows, out):  # type: ignore[no-untyped-def]
    """out += Σ_i factors[i] rows[i], four rows at a time."""
    i, n = 0, rows.shape[0]
    while i + 4 <= n:
        f0, f1, f2, f3 = factors[i], factors[i + 1], factors[i + 2], factors[i + 3]
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for k in range(out.size):
            out[k] += f0 * r0[k] + f1 * r1[k] + f2 * r2[k] + f3 * r3[k]
        i += 4
    while i < n:
        f0, r0 = factors[i], rows[i]
        for k in range(out.size):
            out[k] += f0 * r0[k]
        i += 1


@njit(cache=True, nogil=True, fastmath=fast)
def dot_rows(rows, x, out):  # type: ignore[no-untyped-def]
    """out[i] = rows[i]·x, four rows at a time."""
    i, n = 0, rows.shape[0]
    while i + 4 <= n:
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        s0 = s1 = s2 = s3 = x[0] * 0
        for k in range(x.size):
            s0 += r0[k] * x[k]
            s1 += r1[k] * x[k]
            s2 += r2[k] * x[k]
            s3 += r3[k] * x[k]
        out[i], out[i + 1], out[i + 2], out[i + 3] = s0, s1, s2, s3
        i += 4
    while i < n:
        r0, s0 = rows[i], x[0] * 0
        for k in range(x.size):
            s0 += r0[k] * x[k]
        out[i] = s0
        i += 1


@njit(cache=True, nogil=True, fastmath=fast)
def _silu(z, work, slope):  # type: ignore[no-untyped-def]
    """Replace z by z σ(z); its derivative; ``work``: (2, z.size) in double precision."""
    for k in range(z.size):
        work[0, k] = -abs(z[k])
    exponentials(work[0], z.size, work[1])
    for k in range(z.size):
        small = work[0, k] / (1.0 + work[0, k])  # σ(-|z|)
        sigma = 1.0 - small if z[k] >= 0 else small
        slope[k] = sigma + z[k] * sigma * (1.0 - sigma)
        z[k] *= sigma


@njit(cache=True, nogil=True, fastmath=fast)
def mlp_forward(sizes, weights, x, slopes, work):  # type: ignore[no-untyped-def]
    """Values of every layer, x[k], from x[0], and the activations' derivatives."""
    offset = 0
    for k in range(sizes.size - 1):
        n_in, n_out = sizes[k], sizes[k + 1]
        z, bias = x[k + 1, :n_out], offset + n_in * n_out
        dot_rows(weights[offset:bias].reshape((n_out, n_in)), x[k, :n_in], z)
        for i in range(n_out):
            z[i] += weights[bias + i]
        if k + 2 < sizes.size:
            _silu(z, work, slopes[k + 1])
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
                d_x[k + 1, i] *= slopes[k + 1, i]
        d_x[k, :n_in] = 0.0
        matrix = weights[offset : offset + n_in * n_out].reshape((n_out, n_in))
        add_rows(d_x[k + 1], matrix, d_x[k, :n_in])
