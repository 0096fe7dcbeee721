"""The separable form of V2's Gaussian, and the exponential that kernels use."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from ase_bec.descriptors.separable import separable_gaussians
from ase_bec.descriptors.vector_functions import VectorFunctions
from ase_bec.kernels.moments import exponentials

CUTOFF = 7.0
PUBLISHED = tuple((eta, 7.0) for eta in (4e-4, 1e-3, 0.01, 0.03, 0.05, 0.09, 0.16, 0.3))


def expansion(gaussians, r: np.ndarray) -> np.ndarray:
    found = separable_gaussians(gaussians, CUTOFF)
    t = chebyshev.chebval(2 * r / CUTOFF - 1, found.chebyshev.T)  # [c, r]
    return np.einsum("cr,kcd,ds->krs", t, found.coupling, t)


@pytest.mark.parametrize(
    "gaussians",
    [PUBLISHED, ((0.0, 0.0),), ((3.0, 3.5), (0.1, 0.0)), ((20.0, 2.0),), ((1.0, 20.0),)],
)
def test_expansion_is_accurate_where_it_is_used(gaussians) -> None:
    r = np.linspace(0.0, CUTOFF, 301)
    weight = 0.5 * (np.cos(np.pi * r / CUTOFF) + 1)
    errors = weight[:, None] * weight * np.abs(expansion(gaussians, r) - kernels(gaussians, r))
    assert (errors.max(axis=(1, 2)) < 1e-13 * kernels(gaussians, r).max(axis=(1, 2))).all()


def kernels(gaussians, r: np.ndarray) -> np.ndarray:
    return np.array([np.exp(-eta * ((r[:, None] + r) / 2 - r_s) ** 2) for eta, r_s in gaussians])


def test_slopes_are_accurate_too() -> None:
    r = np.linspace(0.0, CUTOFF, 101)
    weight = 0.5 * (np.cos(np.pi * r / CUTOFF) + 1)
    weight = weight[:, None] * weight
    found = separable_gaussians(PUBLISHED, CUTOFF)
    slope = chebyshev.chebder(found.chebyshev, axis=1) * 2 / CUTOFF
    t = chebyshev.chebval(2 * r / CUTOFF - 1, found.chebyshev.T)
    dt = chebyshev.chebval(2 * r / CUTOFF - 1, slope.T)
    by_first = np.einsum("cr,kcd,ds->krs", dt, found.coupling, t)
    for k, (eta, r_s) in enumerate(PUBLISHED):
        mean = (r[:, None] + r) / 2
        expected = -eta * (mean - r_s) * np.exp(-eta * (mean - r_s) ** 2)
        assert (weight * np.abs(by_first[k] - expected)).max() < 1e-12


def test_common_functions_are_few() -> None:
    found = separable_gaussians(PUBLISHED, CUTOFF)
    assert found.chebyshev.shape[0] <= 16
    assert found.coupling.shape == (8, *2 * found.chebyshev.shape[:1])
    np.testing.assert_allclose(found.coupling, found.coupling.transpose(0, 2, 1), atol=1e-13)


def test_refuses_what_polynomials_do_not_resolve() -> None:
    message = r"`eta` of V2 must be resolvable on \[0, 7\.0\] Å, got 5000\.0"
    with pytest.raises(ValueError, match=message):
        separable_gaussians(((0.1, 3.0), (5000.0, 3.0)), CUTOFF)
    with pytest.raises(ValueError, match=message):
        VectorFunctions(1, CUTOFF, v2=[(5000.0, 2, 3.0, 0.0)])
    # Explicit sums need no expansion.
    VectorFunctions(1, CUTOFF, v2=[(5000.0, 2.5, 3.0, 0.0)])


@pytest.mark.parametrize("n", [0, 1, 7, 20011])
def test_exponentials(n) -> None:
    x = np.linspace(-700, 0, n)[::-1].copy() if n > 1 else np.full(n, -0.3)
    found, scratch = np.append(x, -1.0), np.empty(n + 1)
    exponentials(found, n, scratch)
    np.testing.assert_allclose(found[:n], np.exp(x), rtol=4e-16, atol=0)
    assert found[n] == -1.0


def test_exponentials_at_the_ends() -> None:
    found, scratch = np.array([0.0, -0.0, -1e-300, -701.0, -1e9, np.nan]), np.empty(6)
    exponentials(found, 5, scratch)
    assert found[:3].tolist() == [1.0, 1.0, 1.0]
    assert (found[3:5] >= 0).all()
    assert (found[3:5] < 1e-303).all()
