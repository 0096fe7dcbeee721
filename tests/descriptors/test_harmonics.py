import numpy as np
import pytest
import torch
from numpy.polynomial import legendre
from scipy.special import eval_legendre

from ase_bec.descriptors.harmonics import (
    angular_power_coefficients,
    harmonic_tables,
    harmonics,
)
from ase_bec.descriptors.moments import by_degree
from ase_bec.kernels.moments import harmonic_constants, harmonic_rows

DEGREE = 16


def directions(n: int = 40) -> torch.Tensor:
    """Unit vectors, the poles and the axes among them."""
    axes = np.vstack([np.eye(3), -np.eye(3)])
    some = np.random.default_rng(0).normal(size=(n, 3))
    return torch.tensor(np.vstack([axes, some / np.linalg.norm(some, axis=1)[:, None]]))


def test_addition_theorem() -> None:
    u = directions()
    y = harmonics(u, DEGREE)
    assert y.shape == (len(u), (DEGREE + 1) ** 2)
    cosine = (u @ u.T).clamp(-1, 1)
    for degree in range(DEGREE + 1):
        block = y[:, degree**2 : (degree + 1) ** 2]
        expected = eval_legendre(degree, cosine.numpy())
        # P_l itself moves by l (l + 1) / 2 times the rounding of the cosine.
        np.testing.assert_allclose(block @ block.T, expected, rtol=0, atol=1e-13)


def test_lowest_harmonics_in_closed_form() -> None:
    x, y, z = u = directions().T
    expected = [
        torch.ones_like(x), z, x, y,
        (3 * z**2 - 1) / 2, 3**0.5 * x * z, 3**0.5 * (x**2 - y**2) / 2,
        3**0.5 * y * z, 3**0.5 * x * y,
    ]  # fmt: skip
    torch.testing.assert_close(harmonics(u.T, 2), torch.stack(expected, dim=1))


def test_lower_degrees_come_first() -> None:
    u = directions()
    torch.testing.assert_close(harmonics(u, 6)[:, :16], harmonics(u, 3), rtol=0, atol=0)
    assert (harmonics(u, 0) == 1).all()


def test_rotation_operators_match_autograd() -> None:
    """(u × ∇)_i Y from the tables and from derivatives of the polynomials."""
    u = directions().requires_grad_()
    y = harmonics(u, 7)
    tables = harmonic_tables(7)
    for k in range(y.shape[1]):
        (slope,) = torch.autograd.grad(y[:, k].sum(), u, retain_graph=True, materialize_grads=True)
        expected = torch.linalg.cross(u, slope).detach()
        for i in range(3):
            found = y[:, tables.partner[i, k]].detach() @ torch.tensor(tables.turn[i, k])
            torch.testing.assert_close(found, expected[:, i], rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [0, 1, 8, 13])
def test_compiled_harmonics(dtype, n) -> None:
    u = directions(20)[-n:] if n else directions()[:0]
    h, width = harmonic_constants(DEGREE), 16
    geometry = np.full((6, width), np.nan)
    geometry[:3, :n] = u.T
    q, power = np.zeros((h.up.size, width), dtype), np.zeros((2 * DEGREE + 2, width), dtype)
    y = np.zeros((width, (DEGREE + 1) ** 2), dtype)
    harmonic_rows(h, geometry, n, q, power, y)
    tolerance = 1e-13 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(y[:n], harmonics(u, DEGREE), rtol=0, atol=tolerance)


@pytest.mark.parametrize("lam", [1, -1, 0, 0.7, -0.3])
@pytest.mark.parametrize("zeta", [1, 2, 3, 16, 32])
def test_angular_power_in_legendre_polynomials(zeta, lam) -> None:
    cosine = np.linspace(-1, 1, 101)
    found = angular_power_coefficients(zeta, lam, 33)
    assert found.shape == (34,)
    expected = 2.0 ** (1 - zeta) * (1 + lam * cosine) ** zeta
    np.testing.assert_allclose(
        legendre.legval(cosine, found), expected, rtol=0, atol=1e-14 * expected.max()
    )


def test_coefficients_spread_over_the_entries_of_a_degree() -> None:
    spread = by_degree(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert spread.T.tolist() == [[1.0] + 3 * [2.0] + 5 * [3.0], [4.0] + 3 * [5.0] + 5 * [6.0]]
