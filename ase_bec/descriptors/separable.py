r"""Separable form of the radial factor of V2.

The vector function V2 couples two neighbour distances through a Gaussian of their mean,

.. math:: E_\eta(r, r') = \exp[-\eta((r + r')/2 - R_s)^2] ,

smooth on [0, R_c]^2, so a few functions t_c(r), the same for every (η, R_s), carry them all:

.. math:: E_k(r, r') = \sum_{cd} C^k_{cd}\, t_c(r)\, t_d(r') .

The t_c are combinations of Chebyshev polynomials, found by a singular value decomposition of the
Chebyshev coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

__all__ = ["SeparableGaussians", "separable_gaussians"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SeparableGaussians:
    """Common radial functions of several Gaussians of the mean distance.

    Attributes
    ----------
    chebyshev : ndarray, (n_functions, degree + 1)
        Chebyshev coefficients of t_c in the variable 2r/R_c - 1.
    coupling : ndarray, (n_gaussians, n_functions, n_functions)
        C^k, symmetric.
    """

    chebyshev: Array
    coupling: Array


@lru_cache(maxsize=32)
def separable_gaussians(
    gaussians: tuple[tuple[float, float], ...], cutoff: float, tolerance: float = 1e-14
) -> SeparableGaussians:
    r"""Expand :math:`E_k(r, r')` for each (η, R_s).

    Parameters
    ----------
    gaussians : tuple of (η in Å^-2, R_s in Å)
    cutoff : float
        R_c in Å.
    tolerance : float
        Singular values below this part of the largest are dropped. The error of the expansion,
        times f_c(r) f_c(r'), is of this order relative to each kernel's largest value.

    Raises
    ------
    ValueError
        If 200 polynomials do not resolve a Gaussian on [0, R_c].
    """
    r, values, transform = _sample(gaussians, cutoff)
    values /= np.abs(values).max(axis=(1, 2), keepdims=True)
    weight = np.cos(np.pi * r / cutoff) / 2 + 0.5  # what multiplies t_c wherever it is used
    sides = np.concatenate([*(values * weight)], axis=1)
    left, size, right = np.linalg.svd(weight[:, None] * sides, full_matrices=False)
    kept = size > tolerance * size[0]
    functions = sides @ right[kept].T / size[kept]  # [r, c], weight * functions is orthonormal
    project = left[:, kept] * weight[:, None]
    coupling = project.T @ _kernels(gaussians, r) @ project
    return SeparableGaussians((transform @ functions).T.copy(), coupling)


def _kernels(gaussians: tuple[tuple[float, float], ...], r: Array) -> Array:
    """E_k(r, r') on a grid, (n_gaussians, n, n)."""
    eta, centre = (column[:, None, None] for column in np.array(gaussians, dtype=float).T)
    return np.asarray(np.exp(-eta * ((r[:, None] + r) / 2 - centre) ** 2))


def _sample(
    gaussians: tuple[tuple[float, float], ...], cutoff: float
) -> tuple[Array, Array, Array]:
    """Chebyshev nodes that resolve every kernel, the kernels there, values to coefficients."""
    for n in (24, 32, 48, 72, 120, 200):
        nodes = np.cos(np.pi * (np.arange(n) + 0.5) / n)
        r = (nodes + 1) * cutoff / 2
        values = _kernels(gaussians, r)
        transform: Array = np.linalg.inv(chebyshev.chebvander(nodes, n - 1)).astype(np.float64)
        found = np.abs(transform @ values @ transform.T)
        tail = np.maximum(found[:, -3:].max((1, 2)), found[:, :, -3:].max((1, 2)))
        if np.all(tail < 1e-14 * found.max(axis=(1, 2))):
            return r, values, transform
    raise ValueError(
        f"`eta` of V2 must be resolvable on [0, {cutoff}] Å, got {max(g[0] for g in gaussians)} "
        "1/Å²: use a smaller eta"
    )
