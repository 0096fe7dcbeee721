"""Numba kernels of the factors of explicit angular functions, and their tables.

Every function of :func:`~ase_bec.descriptors.triplets.triplet_features` is

    2^(1-ζ) (1 + α cosθ + β sinθ)^ζ · R,

with (α, β) = (λ, 0) for G4 and G5 and (cosθ_s, sinθ_s) for V2, and R depends on r_j, r_k and

- G5: nothing else;
- G4: cosθ, through r_jk² = r_j² + r_k² - 2 r_j r_k cosθ;
- V2: z_j + z_k.

Functions share the factors they have in common. A row holds, for one neighbour j of a centre, the
values for all its neighbours k > j. Rows are cut out as views: only loops from zero vectorise.
"""

from __future__ import annotations

from math import factorial, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ase_bec.descriptors.tables import element_pairs
from ase_bec.descriptors.triplets import TRIPLET_COLUMNS
from ase_bec.kernels.moments import exponentials, fast

__all__ = ["G4", "G5", "V2", "TripletTables", "factors", "triplet_tables", "weights", "workspace"]

Array = NDArray[Any]

G4, G5, V2 = 4, 5, 2

# Taylor coefficients of cos(x) and sin(x)/x in x², to 1e-17 for x <= pi/2.
_COSINE = np.array([(-1.0) ** n / factorial(2 * n) for n in range(12)])
_SINE = np.array([(-1.0) ** n / factorial(2 * n + 1) for n in range(12)])


class TripletTables(NamedTuple):
    """Functions of one kind, sorted into the factors they share.

    Attributes
    ----------
    kind : int
        `G4`, `G5` or `V2`.
    cutoff : float
        R_c in Å.
    pair_types : ndarray, (n_elements, n_elements)
        Index of each pair of elements.
    radial : ndarray, (C, 2)
        Distinct (η, R_s).
    angular : ndarray, (P, 3)
        Distinct (ζ, α, β).
    bent : bool
        Whether any β is not zero.
    channel, power : ndarray, (F,)
        Row of `radial` and of `angular` of each function.
    """

    kind: int
    cutoff: float
    pair_types: Array
    radial: Array
    angular: Array
    bent: bool
    channel: Array
    power: Array


def triplet_tables(
    n_elements: int, cutoff: float, functions: Array | tuple[tuple[float, ...], ...], kind: str
) -> TripletTables:
    """Constants for functions given as rows with the columns of `TRIPLET_COLUMNS`."""
    rows = np.array(functions, dtype=float).reshape(-1, len(TRIPLET_COLUMNS[kind]))
    zero = np.zeros(len(rows))
    if kind == "V2":
        radial = np.column_stack([rows[:, 0], rows[:, 2]])
        alpha, beta = np.cos(rows[:, 3]), np.sin(rows[:, 3])
    else:
        radial = np.column_stack([rows[:, 0], zero])
        alpha, beta = rows[:, 2], zero
    angular = np.column_stack([rows[:, 1], alpha, beta])
    radial, channel = np.unique(radial, axis=0, return_inverse=True)
    angular, power = np.unique(angular, axis=0, return_inverse=True)
    pair_types = np.empty((n_elements, n_elements), dtype=np.int64)
    for index, (a, b) in enumerate(element_pairs(n_elements)):
        pair_types[a, b] = pair_types[b, a] = index
    return TripletTables(
        {"G4": G4, "G5": G5, "V2": V2}[kind],
        float(cutoff),
        pair_types,
        radial,
        angular,
        bool(beta.any()),
        channel.reshape(-1).astype(np.int64),
        power.reshape(-1).astype(np.int64),
    )


class Workspace(NamedTuple):
    """Neighbours of a centre, and a row; two dimensions mean one line per factor."""

    pair: Array
    start: Array  # (n_elements + 1,)
    geometry: Array  # (6, .): unit vector, r, f_c, f_c'
    weight: Array  # (C, .): exp(-η r²) f_c and its derivative, G4 and G5
    weight_slope: Array
    cosine: Array  # from here on rows
    sine: Array
    squared: Array  # r_jk²
    near: Array  # f_c(r_jk) and its derivative by r_jk²
    near_slope: Array
    angular: Array  # (P, .): angular factors and their derivatives by cosθ
    angular_slope: Array
    radial: Array  # (C, .): R, its derivatives by r_j, r_k, and by cosθ (G4) or z_j and z_k (V2)
    by_j: Array
    by_k: Array
    by_other: Array
    scratch: Array


@njit(cache=True, nogil=True)
def workspace(t, first, low, high):  # type: ignore[no-untyped-def]
    """Room for the largest neighbourhood of the centres low … high - 1."""
    width = max(int((first[low + 1 : high + 1] - first[low:high]).max()), 1)
    n_radial, n_angular = t.radial.shape[0], t.angular.shape[0]
    return Workspace(
        np.empty(width, np.int64),
        np.empty(t.pair_types.shape[0] + 1, np.int64),
        np.empty((6, width)),
        np.empty((n_radial, width)),
        np.empty((n_radial, width)),
        np.empty(width),
        np.zeros(width),
        np.empty(width),
        np.empty(width),
        np.empty(width),
        np.empty((n_angular, width)),
        np.empty((n_angular, width)),
        np.empty((n_radial, width)),
        np.empty((n_radial, width)),
        np.empty((n_radial, width)),
        np.empty((n_radial, width)),
        np.empty(width),
    )


@njit(cache=True, nogil=True, fastmath=fast)
def weights(t, w, n):  # type: ignore[no-untyped-def]
    """exp(-η r²) f_c(r) of all n neighbours (G4 and G5)."""
    r, f, f_slope = w.geometry[3], w.geometry[4], w.geometry[5]
    for c in range(t.radial.shape[0]):
        eta, value, slope = t.radial[c, 0], w.weight[c], w.weight_slope[c]
        for k in range(n):
            value[k] = -eta * r[k] * r[k]
        exponentials(value, n, w.scratch)
        for k in range(n):
            slope[k] = value[k] * (f_slope[k] - 2.0 * eta * r[k] * f[k])
            value[k] *= f[k]


@njit(cache=True, nogil=True, fastmath=fast)
def factors(t, w, j, n, tiny):  # type: ignore[no-untyped-def]
    """Angular and radial factors of the neighbours j + 1 … n - 1 with j."""
    _angles(t, w, j, n, tiny)
    _angular(t, w, n - j - 1)
    if t.kind == G4:
        _between(t, w, j, n)
    for c in range(t.radial.shape[0]):
        if t.kind == G5:
            _separate(w, c, j, n)
        elif t.kind == G4:
            _coupled(t, w, c, j, n)
        else:
            _vector(t, w, c, j, n)


@njit(cache=True, nogil=True, fastmath=fast)
def _angles(t, w, j, n, tiny):  # type: ignore[no-untyped-def]
    """cosθ and sinθ; a sine below √tiny is lost in rounding and becomes zero."""
    m, cosine, sine = n - j - 1, w.cosine, w.sine
    x, y, z = w.geometry[0, j + 1 : n], w.geometry[1, j + 1 : n], w.geometry[2, j + 1 : n]
    xj, yj, zj = w.geometry[0, j], w.geometry[1, j], w.geometry[2, j]
    for k in range(m):
        cosine[k] = xj * x[k] + yj * y[k] + zj * z[k]
    if t.bent:
        for k in range(m):
            a, b, c = yj * z[k] - zj * y[k], zj * x[k] - xj * z[k], xj * y[k] - yj * x[k]
            squared = a * a + b * b + c * c
            sine[k] = sqrt(squared) if squared > tiny else 0.0


@njit(cache=True, nogil=True, fastmath=fast)
def _angular(t, w, m):  # type: ignore[no-untyped-def]
    """Angular factors and their derivatives by cosθ; where sinθ is zero, so is its derivative."""
    cosine, sine, base = w.cosine, w.sine, w.scratch
    for p in range(t.angular.shape[0]):
        zeta, alpha, beta = t.angular[p, 0], t.angular[p, 1], t.angular[p, 2]
        scale = 2.0 ** (1.0 - zeta)
        value, slope = w.angular[p], w.angular_slope[p]
        for k in range(m):
            value[k] = max(1.0 + alpha * cosine[k] + beta * sine[k], 0.0)
            base[k] = value[k]
        _raise(base, m, zeta - 1.0, slope)
        for k in range(m):
            value[k] *= scale * slope[k]
            slope[k] *= scale * zeta
        if beta == 0.0:
            for k in range(m):
                slope[k] *= alpha
        else:
            for k in range(m):
                cotangent = cosine[k] / sine[k] if sine[k] > 0.0 else 0.0
                slope[k] *= alpha - beta * cotangent


@njit(cache=True, nogil=True, fastmath=fast)
def _raise(base, m, exponent, result):  # type: ignore[no-untyped-def]
    """result = base**exponent for base >= 0; base is lost."""
    n = int(exponent)
    if n != exponent or n > 64:
        for k in range(m):
            result[k] = base[k] ** exponent
        return
    for k in range(m):
        result[k] = 1.0
    while n > 0:
        if n & 1:
            for k in range(m):
                result[k] *= base[k]
        n >>= 1
        if n:
            for k in range(m):
                base[k] *= base[k]


@njit(cache=True, nogil=True, fastmath=fast)
def _between(t, w, j, n):  # type: ignore[no-untyped-def]
    """r_jk², f_c(r_jk) and its derivative by r_jk²."""
    m, r, rj = n - j - 1, w.geometry[3, j + 1 : n], w.geometry[3, j]
    reach = t.cutoff * t.cutoff
    scale = 0.25 * pi * pi / reach
    for k in range(m):
        squared = max(rj * rj + r[k] * r[k] - 2.0 * rj * r[k] * w.cosine[k], 0.0)
        w.squared[k] = squared
        x = scale * min(squared, reach)  # (π r_jk / 2 R_c)²; f_c is the square of its cosine
        cosine, sine = _COSINE[11], _SINE[11]
        for power in range(10, -1, -1):
            cosine = cosine * x + _COSINE[power]
            sine = sine * x + _SINE[power]
        inside = 1.0 if squared < reach else 0.0
        w.near[k] = inside * cosine * cosine
        w.near_slope[k] = -inside * scale * cosine * sine


@njit(cache=True, nogil=True, fastmath=fast)
def _separate(w, c, j, n):  # type: ignore[no-untyped-def]
    """R of G5."""
    weight, slope = w.weight[c, j + 1 : n], w.weight_slope[c, j + 1 : n]
    weight_j, slope_j = w.weight[c, j], w.weight_slope[c, j]
    value, by_j, by_k = w.radial[c], w.by_j[c], w.by_k[c]
    for k in range(n - j - 1):
        value[k] = weight_j * weight[k]
        by_j[k] = slope_j * weight[k]
        by_k[k] = weight_j * slope[k]


@njit(cache=True, nogil=True, fastmath=fast)
def _coupled(t, w, c, j, n):  # type: ignore[no-untyped-def]
    """R of G4."""
    m, r, rj, eta = n - j - 1, w.geometry[3, j + 1 : n], w.geometry[3, j], t.radial[c, 0]
    weight, slope = w.weight[c, j + 1 : n], w.weight_slope[c, j + 1 : n]
    weight_j, slope_j = w.weight[c, j], w.weight_slope[c, j]
    value, by_j, by_k, by_cosine = w.radial[c], w.by_j[c], w.by_k[c], w.by_other[c]
    cosine, squared, near, near_slope = w.cosine, w.squared, w.near, w.near_slope
    for k in range(m):
        value[k] = -eta * squared[k]
    exponentials(value, m, w.scratch)
    for k in range(m):
        by_cosine[k] = 2.0 * weight_j * weight[k] * value[k] * (near_slope[k] - eta * near[k])
        value[k] *= near[k]
    for k in range(m):
        by_j[k] = slope_j * weight[k] * value[k] + by_cosine[k] * (rj - r[k] * cosine[k])
        by_k[k] = weight_j * slope[k] * value[k] + by_cosine[k] * (r[k] - rj * cosine[k])
    for k in range(m):
        value[k] *= weight_j * weight[k]
        by_cosine[k] *= -rj * r[k]


@njit(cache=True, nogil=True, fastmath=fast)
def _vector(t, w, c, j, n):  # type: ignore[no-untyped-def]
    """R of V2."""
    m, eta, r_s = n - j - 1, t.radial[c, 0], t.radial[c, 1]
    z, r = w.geometry[2, j + 1 : n], w.geometry[3, j + 1 : n]
    f, f_slope = w.geometry[4, j + 1 : n], w.geometry[5, j + 1 : n]
    rj, fj, fj_slope = w.geometry[3, j], w.geometry[4, j], w.geometry[5, j]
    zj = rj * w.geometry[2, j]
    value, by_j, by_k, by_z = w.radial[c], w.by_j[c], w.by_k[c], w.by_other[c]
    for k in range(m):
        value[k] = -eta * (0.5 * (rj + r[k]) - r_s) ** 2
    exponentials(value, m, w.scratch)
    for k in range(m):
        by_z[k] = value[k] * fj * f[k]
        value[k] *= zj + r[k] * z[k]
    for k in range(m):
        slope = -eta * (0.5 * (rj + r[k]) - r_s)
        by_j[k] = value[k] * f[k] * (slope * fj + fj_slope)
        by_k[k] = value[k] * fj * (slope * f[k] + f_slope[k])
        value[k] *= fj * f[k]
