r"""Real spherical harmonics as polynomials of a unit vector, and what is built on them.

Y_lm is scaled so that :math:`\sum_m Y_{lm}(u) Y_{lm}(v) = P_l(u\cdot v)`. With
:math:`Q_l^m(z) = N_{lm}\, d^m P_l/dz^m` it is

.. math:: Y_{l,\pm m}(x, y, z) = Q_l^m(z)\, \{\mathrm{Re}, \mathrm{Im}\}\,(x + iy)^m ,

so that :math:`\partial_z Q_l^m = (N_{lm}/N_{l,m+1})\, Q_l^{m+1}`, no angle is ever taken and
nothing is singular at the poles. The (L+1)^2 entries are stored degree after degree, in each the
real parts of m = 0 … l, then the imaginary parts of m = 1 … l, so that all entries up to a lower
degree come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial, sqrt

import numpy as np
import torch
from numpy.polynomial import Legendre, Polynomial
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["HarmonicTables", "angular_power_coefficients", "harmonic_tables", "harmonics"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HarmonicTables:
    """Constants of the recursions up to degree L; entry (l, m >= 0) stands at l(l+1)/2 + m.

    Attributes
    ----------
    degree : int
        L.
    up, back : ndarray, ((L+1)(L+2)/2,)
        Q_l^m = up z Q_{l-1}^m - back Q_{l-2}^m for m < l.
    start : ndarray, (L+1,)
        Q_m^m, a constant.
    recursion : ndarray, ((L+1)^2,) int64
        Which Q_l^m each entry Y contains.
    power : ndarray, ((L+1)^2,) int64
        And which power: m for Re (x+iy)^m, L + 1 + m for Im.
    partner, turn : ndarray, (3, (L+1)^2, 2)
        (u × ∇)_i Y[k] = Σ_n turn[i, k, n] Y[partner[i, k, n]].
    """

    degree: int
    up: Array
    back: Array
    start: Array
    recursion: NDArray[np.int64]
    power: NDArray[np.int64]
    partner: NDArray[np.int64]
    turn: Array


@lru_cache(maxsize=32)
def harmonic_tables(degree: int) -> HarmonicTables:
    """Tables for all degrees up to ``degree``."""

    def norm(l: int, m: int) -> float:  # noqa: E741
        return sqrt((2 if m else 1) * factorial(l - m) / factorial(l + m))

    order = [(l, m) for l in range(degree + 1) for m in range(l + 1)]  # noqa: E741
    up, back = np.zeros(len(order)), np.zeros(len(order))
    for k, (l, m) in enumerate(order):  # noqa: E741
        if l > m:
            up[k] = (2 * l - 1) / (l - m) * norm(l, m) / norm(l - 1, m)
        if l > m + 1:
            back[k] = (l + m - 1) / (l - m) * norm(l, m) / norm(l - 2, m)
    start = [norm(m, m) * float(np.prod(np.arange(1.0, 2 * m, 2))) for m in range(degree + 1)]
    entries = [  # (l, m, is imaginary)
        (l, m, imaginary)
        for l in range(degree + 1)  # noqa: E741
        for imaginary in (False, True)
        for m in range(imaginary, l + 1)
    ]
    recursion = np.array([l * (l + 1) // 2 + m for l, m, _ in entries])  # noqa: E741
    power = np.array([m + imaginary * (degree + 1) for _, m, imaginary in entries])
    return HarmonicTables(degree, up, back, np.array(start), recursion, power, *_rotations(degree))


def _rotations(degree: int) -> tuple[NDArray[np.int64], Array]:
    """The operators u × ∇ on the real harmonics, at most two entries a row."""
    partner = np.zeros((3, (degree + 1) ** 2, 2), dtype=np.int64)
    turn = np.zeros((3, (degree + 1) ** 2, 2))
    for l in range(degree + 1):  # noqa: E741
        m = np.arange(-l, l + 1)
        raising = np.diag(np.sqrt(l * (l + 1) - m[:-1] * m[1:]), -1)  # J+ |m> = … |m+1>
        momentum = ((raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(m))
        real = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)  # Y[k] = Σ_m real[k, m] |m>
        real[0, l] = 1
        for n in range(1, l + 1):
            real[n, l + n], real[n, l - n] = (-1) ** n / sqrt(2), 1 / sqrt(2)
            real[l + n, l + n], real[l + n, l - n] = (-1) ** n / sqrt(2) / 1j, -1 / sqrt(2) / 1j
        for i, operator in enumerate(momentum):  # u × ∇ = iJ; operators act on the kets
            matrix = (real @ (1j * operator).T @ real.conj().T).real
            for k, row in enumerate(matrix):
                columns = np.flatnonzero(np.abs(row) > 1e-12)
                partner[i, l * l + k, : len(columns)] = l * l + columns
                turn[i, l * l + k, : len(columns)] = row[columns]
    return partner, turn


def angular_power_coefficients(zeta: int, lam: float, degree: int) -> Array:
    r"""Legendre coefficients of :math:`2^{1-\zeta}(1+\lambda c)^\zeta`, shape (degree + 1,).

    Parameters
    ----------
    zeta : int
        Exponent, at most ``degree``.
    lam : float
        λ.
    degree : int
        Highest Legendre polynomial kept.
    """
    powers = [2.0 ** (1 - zeta) * comb(zeta, n) * lam**n for n in range(zeta + 1)]
    coefficients = Polynomial(powers).convert(kind=Legendre).coef  # none for trailing zeros
    out = np.zeros(degree + 1)
    out[: len(coefficients)] = coefficients
    return out


def harmonics(u: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics of unit vectors.

    Parameters
    ----------
    u : Tensor, (..., 3)
        Unit vectors. The result is a polynomial of their components, so that derivatives are
        those of the polynomial; the caller's normalisation projects them on the sphere.
    degree : int
        L.

    Returns
    -------
    Tensor, (..., (L+1)^2)
    """
    tables = harmonic_tables(degree)
    x, y, z = u.unbind(-1)
    cosine, sine = torch.ones_like(x), torch.zeros_like(x)
    real: dict[tuple[int, int], Tensor] = {}
    imaginary: dict[tuple[int, int], Tensor] = {}
    for m in range(degree + 1):
        before, q = torch.zeros_like(z), torch.full_like(z, tables.start[m])
        for l in range(m, degree + 1):  # noqa: E741
            if l > m:
                k = l * (l + 1) // 2 + m
                before, q = q, tables.up[k] * z * q - tables.back[k] * before
            real[l, m] = q * cosine
            imaginary[l, m] = q * sine
        cosine, sine = cosine * x - sine * y, cosine * y + sine * x
    out: list[Tensor] = []
    for l in range(degree + 1):  # noqa: E741
        out += [real[l, m] for m in range(l + 1)] + [imaginary[l, m] for m in range(1, l + 1)]
    return torch.stack(out, dim=-1)
