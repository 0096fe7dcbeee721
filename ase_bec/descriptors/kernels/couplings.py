"""Numba kernels of what channels B_q,lm of one centre give: their power spectrum, their vectors."""

from __future__ import annotations

from numba import njit

from ase_bec.descriptors.kernels.moments import fast

__all__ = ["couplings_along", "power_spectrum", "power_spectrum_backward"]
__all__ += ["vectors_along", "vectors_backward"]


@njit(cache=True, nogil=True, fastmath=fast)
def couplings_along(coupling, direction, along):  # type: ignore[no-untyped-def]
    """Coupling coefficients of the component along a direction."""
    along[:] = 0.0
    for k in range(coupling.size):
        along[k // 3] += coupling[k] * direction[k % 3]


@njit(cache=True, nogil=True, fastmath=fast)
def power_spectrum(degree, b, out):  # type: ignore[no-untyped-def]
    """Σ_m b[m, q] b[m, p] for p >= q of every degree from one on."""
    at, channels = 0, b.shape[1]
    for l in range(1, degree + 1):  # noqa: E741
        for q in range(channels):
            row = out[at : at + channels - q]
            for p in range(row.size):
                row[p] = 0.0
            for m in range(l * l, (l + 1) ** 2):
                left, right = b[m, q], b[m, q:]
                for p in range(row.size):
                    row[p] += left * right[p]
            at += row.size


@njit(cache=True, nogil=True, fastmath=fast)
def power_spectrum_backward(degree, b, d_out, d_b):  # type: ignore[no-untyped-def]
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
def vectors_along(degree, b, along, above, out):  # type: ignore[no-untyped-def]
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
            for p in range(channels):
                row[p] = 0.0
            for m in range(low, low + n):
                left, right = b[m, q], above[m]
                for p in range(channels):
                    row[p] += left * right[p]
            at += channels


@njit(cache=True, nogil=True, fastmath=fast)
def vectors_backward(degree, b, factors, coupling, along, above, sums, parts, dipole, d_b):  # type: ignore[no-untyped-def]
    """dipole = Σ_c factors[c] V_c, and d_b += ∂(e·dipole)/∂b at fixed factors."""
    at, table, channels = 0, 0, b.shape[1]
    parts[:] = 0.0  # of the dipole, by channel
    for l in range(degree):  # noqa: E741
        low, n = l * l, 2 * l + 1
        for m in range(n):
            left, right, d_left, target = b[low + m], above[low + m], d_b[low + m], sums[m]
            for p in range(channels):
                target[p] = 0.0  # Σ_q factors[q, p] b[lm, q]
            for q in range(channels):
                row = factors[at + q * channels : at + (q + 1) * channels]
                total = left[q] * 0
                for p in range(channels):
                    target[p] += left[q] * row[p]
                    total += row[p] * right[p]
                d_left[q] += total
        at += channels * channels
        for upper in range((l + 1) ** 2, (l + 2) ** 2):
            other, d_other = b[upper], d_b[upper]
            for m in range(n):
                source, factor = sums[m], along[table]
                x, y, z = coupling[3 * table], coupling[3 * table + 1], coupling[3 * table + 2]
                table += 1
                if x != 0.0 or y != 0.0 or z != 0.0:
                    for p in range(channels):
                        product = source[p] * other[p]
                        d_other[p] += factor * source[p]
                        parts[0, p] += x * product
                        parts[1, p] += y * product
                        parts[2, p] += z * product
    for axis in range(3):
        dipole[axis] = parts[axis].sum()
