"""Numba kernels of a multilayer perceptron, some samples at a time."""

from __future__ import annotations

from numba import njit

from ase_bec.descriptors.kernels.moments import exponentials, fast

__all__ = ["add_rows", "dot_rows", "mlp_backward", "mlp_forward"]


@njit(cache=True, nogil=True, fastmath=fast)
def add_rows(factors, rows, n, out):  # type: ignore[no-untyped-def]
    """out[s] += Σ_i factors[s, i] rows[i] for n samples, four rows and two samples at a time."""
    size, width, i = rows.shape[0], rows.shape[1], 0
    while i + 4 <= size:
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for s in range(0, n - 1, 2):
            f, g, left, right = factors[s], factors[s + 1], out[s], out[s + 1]
            f0, f1, f2, f3 = f[i], f[i + 1], f[i + 2], f[i + 3]
            g0, g1, g2, g3 = g[i], g[i + 1], g[i + 2], g[i + 3]
            for k in range(width):
                left[k] += f0 * r0[k] + f1 * r1[k] + f2 * r2[k] + f3 * r3[k]
                right[k] += g0 * r0[k] + g1 * r1[k] + g2 * r2[k] + g3 * r3[k]
        if n % 2:
            f, left = factors[n - 1], out[n - 1]
            f0, f1, f2, f3 = f[i], f[i + 1], f[i + 2], f[i + 3]
            for k in range(width):
                left[k] += f0 * r0[k] + f1 * r1[k] + f2 * r2[k] + f3 * r3[k]
        i += 4
    while i < size:
        for s in range(n):
            f0, r0, left = factors[s, i], rows[i], out[s]
            for k in range(width):
                left[k] += f0 * r0[k]
        i += 1


@njit(cache=True, nogil=True, fastmath=fast)
def dot_rows(rows, x, n, out):  # type: ignore[no-untyped-def]
    """out[s, i] = rows[i]·x[s] for n samples, four rows and two samples at a time."""
    size, width, i = rows.shape[0], rows.shape[1], 0
    while i + 4 <= size:
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for s in range(0, n - 1, 2):
            x0, x1, left, right = x[s], x[s + 1], out[s], out[s + 1]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = x[0, 0] * 0
            for k in range(width):
                a0 += r0[k] * x0[k]
                a1 += r1[k] * x0[k]
                a2 += r2[k] * x0[k]
                a3 += r3[k] * x0[k]
                b0 += r0[k] * x1[k]
                b1 += r1[k] * x1[k]
                b2 += r2[k] * x1[k]
                b3 += r3[k] * x1[k]
            left[i], left[i + 1], left[i + 2], left[i + 3] = a0, a1, a2, a3
            right[i], right[i + 1], right[i + 2], right[i + 3] = b0, b1, b2, b3
        if n % 2:
            x0, left = x[n - 1], out[n - 1]
            a0 = a1 = a2 = a3 = x[0, 0] * 0
            for k in range(width):
                a0 += r0[k] * x0[k]
                a1 += r1[k] * x0[k]
                a2 += r2[k] * x0[k]
                a3 += r3[k] * x0[k]
            left[i], left[i + 1], left[i + 2], left[i + 3] = a0, a1, a2, a3
        i += 4
    while i < size:
        for s in range(n):
            r0, x0, a0 = rows[i], x[s], x[0, 0] * 0
            for k in range(width):
                a0 += r0[k] * x0[k]
            out[s, i] = a0
        i += 1


@njit(cache=True, nogil=True, fastmath=fast)
def _silu(z, n, work, slope):  # type: ignore[no-untyped-def]
    """Replace n numbers z by z σ(z); its derivative; ``work``: (2, ≥ n) in double precision."""
    for k in range(n):
        work[0, k] = -abs(z[k])
    exponentials(work[0], n, work[1])
    for k in range(n):
        small = work[0, k] / (1.0 + work[0, k])  # σ(-|z|)
        sigma = 1.0 - small if z[k] >= 0 else small
        slope[k] = sigma + z[k] * sigma * (1.0 - sigma)
        z[k] *= sigma


@njit(cache=True, nogil=True, fastmath=fast)
def mlp_forward(sizes, weights, n, x, slopes, work):  # type: ignore[no-untyped-def]
    """Values of every layer, x[layer, sample], from x[0], and the activations' derivatives."""
    offset = 0
    for k in range(sizes.size - 1):
        n_in, n_out = sizes[k], sizes[k + 1]
        bias = offset + n_in * n_out
        dot_rows(weights[offset:bias].reshape((n_out, n_in)), x[k], n, x[k + 1])
        for s in range(n):
            z = x[k + 1, s]
            for i in range(n_out):
                z[i] += weights[bias + i]
            if k + 2 < sizes.size:
                _silu(z, n_out, work, slopes[k + 1, s])
        offset = bias + n_out


@njit(cache=True, nogil=True, fastmath=fast)
def mlp_backward(sizes, weights, n, slopes, d_x):  # type: ignore[no-untyped-def]
    """Derivative by the input, d_x[0], from that by the output, d_x[-1]."""
    offset = weights.size
    for k in range(sizes.size - 2, -1, -1):
        n_in, n_out = sizes[k], sizes[k + 1]
        offset -= n_in * n_out + n_out
        for s in range(n):
            if k + 2 < sizes.size:
                for i in range(n_out):
                    d_x[k + 1, s, i] *= slopes[k + 1, s, i]
            for i in range(n_in):
                d_x[k, s, i] = 0.0
        matrix = weights[offset : offset + n_in * n_out].reshape((n_out, n_in))
        add_rows(d_x[k + 1], matrix, n, d_x[k])
