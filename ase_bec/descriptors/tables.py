"""Plans of the moment path: function tables arranged into dense arrays, made once.

A moment of centre i is A[e, c, lm] = Σ_j w_c(r_ij) Y_lm(r̂_ij) over its neighbours j of element e.
Every angular function with an integer exponent is a contraction of two moments, minus the term
j = k where both elements are the same. The plans serve both implementations alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from ase_bec.descriptors.harmonics import angular_power_coefficients
from ase_bec.descriptors.separable import SeparableGaussians, separable_gaussians

__all__ = ["LARGEST_MOMENT_DEGREE", "AngularPlan", "VectorPlan", "angular_plan", "element_pairs"]
__all__ += ["has_moments", "vector_plan"]

LARGEST_MOMENT_DEGREE = 32  # beyond it (degree + 1)^2 harmonics cost more than explicit triplets

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def element_pairs(n_elements: int) -> Integers:
    """Unordered pairs of element indices a <= b, (n_pairs, 2), in the order of the features."""
    return np.array(list(combinations_with_replacement(range(n_elements), 2)), dtype=np.int64)


def has_moments(zeta: float) -> bool:
    """Whether a function with this exponent is a polynomial that the moment path can carry."""
    return float(zeta).is_integer() and 1 <= zeta <= LARGEST_MOMENT_DEGREE


@dataclass(frozen=True)
class AngularPlan:
    """G5 functions on common moments.

    Attributes
    ----------
    degree : int
        Largest ζ.
    eta : ndarray, (C,)
        Distinct widths: the radial channels w_c = exp(-η_c r²) f_c(r).
    legendre : ndarray, (P, degree + 1)
        Coefficients of each distinct (ζ, λ).
    self_term : ndarray, (P,)
        Value of the angular factor at θ = 0.
    channel, power : ndarray, (F,)
        Of each function, the index of its η and of its (ζ, λ).
    """

    degree: int
    eta: Array
    legendre: Array
    self_term: Array
    channel: Integers
    power: Integers


def angular_plan(functions: tuple[tuple[float, float, float], ...]) -> AngularPlan:
    """Plan for rows (η, ζ, λ)."""
    etas = sorted({row[0] for row in functions})
    powers = sorted({(int(row[1]), row[2]) for row in functions})
    degree = max(zeta for zeta, _ in powers)
    return AngularPlan(
        degree,
        np.array(etas),
        np.array([angular_power_coefficients(zeta, lam, degree) for zeta, lam in powers]),
        np.array([2.0 ** (1 - zeta) * (1 + lam) ** zeta for zeta, lam in powers]),
        np.array([etas.index(row[0]) for row in functions]),
        np.array([powers.index((int(row[1]), row[2])) for row in functions]),
    )


@dataclass(frozen=True)
class VectorPlan:
    """V2 functions (θ_s = 0) along z on common moments.

    Attributes
    ----------
    degree : int
        Largest ζ.
    gaussians : ndarray, (K, 2)
        Distinct (η, R_s).
    radial : SeparableGaussians
        Radial channels and how each Gaussian couples them.
    legendre : ndarray, (P, degree + 1)
        Coefficients of each distinct ζ.
    kernel, power : ndarray, (F,)
        Of each function, the index of its Gaussian and of its ζ.
    """

    degree: int
    gaussians: Array
    radial: SeparableGaussians
    legendre: Array
    kernel: Integers
    power: Integers


def vector_plan(
    functions: tuple[tuple[float, float, float, float], ...], cutoff: float
) -> VectorPlan:
    """Plan for rows (η, ζ, R_s, θ_s = 0)."""
    gaussians = sorted({(row[0], row[2]) for row in functions})
    zetas = sorted({int(row[1]) for row in functions})
    degree = max(zetas)
    return VectorPlan(
        degree,
        np.array(gaussians),
        separable_gaussians(tuple(gaussians), cutoff),
        np.array([angular_power_coefficients(zeta, 1.0, degree) for zeta in zetas]),
        np.array([gaussians.index((row[0], row[2])) for row in functions]),
        np.array([zetas.index(int(row[1])) for row in functions]),
    )
