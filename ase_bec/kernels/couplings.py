"""Numba kernels of what channels B_q,lm give: their power spectrum, their vectors.

Centres stand in lanes, the last dimension: B is b[lm, q, lane].
"""

from __future__ import annotations

from numba import njit

from ase_bec.kernels.moments import fast

__all__ = ["couplings_along", "power_spectrum", "power_spectrum_backward"]
__all__ += ["vectors_along", "vectors_backward"]


@njit(cache=True, nogil=True, fastmath=fast, inline="always")
def _add_scaled(factor, x, out):  # type: ignore[no-untyped-def]
    """out += factor x, lane by lane."""
    for s in range(out.size):
        out[s] += factor[s] * x[s]


@njit(cache=True, nogil=True, fastmath=fast)
def couplings_along(coupling, directions, along):  # type: ignore[no-untyped-def]
    """Coupling coefficients along[k, lane] of the component along directions[axis, lane]."""
    for k in range(along.shape[0]):
        x, y, z, row = coupling[3 * k], coupling[3 * k + 1], coupling[3 * k + 2], along[k]
        for s in range(row.size):
            row[s] = x * directions[0, s] + y * directions[1, s] + z * directions[2, s]


@njit(cache=True, nogil=True, fastmath=fast)
def power_spectrum(degree, b, out):  # type: ignore[no-untyped-def]
    """Σ_m b[m, q] b[m, p] for p >= q of every degree from one on."""
    at, channels = 0, b.shape[1]
    for l in range(1, degree + 1):  # noqa: E741
        for q in range(channels):
            for p in range(q, channels):
                out[at] = 0.0
                for m in range(l * l, (l + 1) ** 2):
                    _add_scaled(b[m, q], b[m, p], out[at])
                at += 1


@njit(cache=True, nogil=True, fastmath=fast)
def power_spectrum_backward(degree, b, d_out, d_b):  # type: ignore[no-untyped-def]
    """Add to the derivative by b."""
    at, channels = 0, b.shape[1]
    for l in range(1, degree + 1):  # noqa: E741
        for q in range(channels):
            for p in range(q, channels):
                for m in range(l * l, (l + 1) ** 2):
                    _add_scaled(d_out[at], b[m, p], d_b[m, q])
                    _add_scaled(d_out[at], b[m, q], d_b[m, p])
                at += 1


@njit(cache=True, nogil=True, fastmath=fast)
def vectors_along(degree, coupling, b, along, above, out):  # type: ignore[no-untyped-def]
    """Vectors along e, out[(l, q, p)], and the upper channels coupled to e, above[lm, p]."""
    above[:] = 0.0
    at, table, channels = 0, 0, b.shape[1]
    for l in range(degree):  # noqa: E741
        low, n = l * l, 2 * l + 1
        for upper in range((l + 1) ** 2, (l + 2) ** 2):
            for m in range(low, low + n):
                if _coupled(coupling, table):
                    for p in range(channels):
                        _add_scaled(along[table], b[upper, p], above[m, p])
                table += 1
        for q in range(channels):
            for p in range(channels):
                out[at] = 0.0
                for m in range(low, low + n):
                    _add_scaled(b[m, q], above[m, p], out[at])
                at += 1


@njit(cache=True, nogil=True, fastmath=fast)
def _coupled(coupling, table):  # type: ignore[no-untyped-def]
    x, y, z = coupling[3 * table], coupling[3 * table + 1], coupling[3 * table + 2]
    return x != 0.0 or y != 0.0 or z != 0.0


@njit(cache=True, nogil=True, fastmath=fast)
def vectors_backward(degree, b, factors, coupling, along, above, sums, product, dipoles, d_b):  # type: ignore[no-untyped-def]
    """dipoles[axis] = Σ_c factors[c] V_c, and d_b += ∂(e·dipole)/∂b at fixed factors."""
    at, table, channels = 0, 0, b.shape[1]
    dipoles[:] = 0.0
    for l in range(degree):  # noqa: E741
        low, n = l * l, 2 * l + 1
        sums[:n] = 0.0  # Σ_q factors[q, p] b[lm, q]
        for q in range(channels):
            for p in range(channels):
                for m in range(n):
                    _add_scaled(factors[at], b[low + m, q], sums[m, p])
                    _add_scaled(factors[at], above[low + m, p], d_b[low + m, q])
                at += 1
        for upper in range((l + 1) ** 2, (l + 2) ** 2):
            for m in range(n):
                if _coupled(coupling, table):
                    product[:] = 0.0
                    for p in range(channels):
                        _add_scaled(sums[m, p], b[upper, p], product)
                        _add_scaled(along[table], sums[m, p], d_b[upper, p])
                    for axis in range(3):
                        factor, row = coupling[3 * table + axis], dipoles[axis]
                        for s in range(row.size):
                            row[s] += factor * product[s]
                table += 1
