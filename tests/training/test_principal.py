"""Layers trained along the principal axes of their inputs."""

import numpy as np
import pytest
import torch
from torch import nn

from ase_bec.networks import ElementNetworks
from ase_bec.training.tasks.principal import PrincipalLinear, along_principal_axes, as_linear


def inputs(n: int = 400, size: int = 5) -> torch.Tensor:
    """Correlated numbers with very different spreads, off centre."""
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(size, size))
    spreads = 10.0 ** -np.arange(size)
    return torch.as_tensor(rng.normal(size=(n, size)) * spreads @ mixing + rng.normal(size=size))


def layer(seed: int = 0, size: int = 5) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(size, 3).double()


def test_inputs_become_uncorrelated_and_small_ones_are_not_blown_up() -> None:
    x = inputs()
    found = PrincipalLinear(layer(), x)
    turned = (x - found.mean) @ found.axes
    covariance = turned.T @ turned / len(x)
    spread = covariance.diagonal().sqrt()
    np.testing.assert_allclose(covariance, torch.diag(spread**2), atol=1e-10)
    largest = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))[-1].sqrt()
    np.testing.assert_allclose(spread[-1], 1, rtol=1e-10)
    assert 0.1 < largest < 100
    assert spread[0] < 0.01  # 1e-4 of the largest, divided by a tenth of it
    assert (spread < 1 + 1e-10).all()


def test_is_a_linear_layer_of_the_inputs() -> None:
    x = inputs()
    found = PrincipalLinear(layer(), x)
    with torch.no_grad():
        found.bias += 0.3
        np.testing.assert_allclose(found.linear()(x), found(x), atol=1e-12)
        np.testing.assert_allclose(found(x).mean(dim=0), found.bias, atol=1e-12)


def test_a_trained_layer_goes_on_giving_what_it_gives() -> None:
    x, trained = inputs(), layer(4)
    found = PrincipalLinear(trained, x, trained=True)
    with torch.no_grad():
        np.testing.assert_allclose(found(x), trained(x), atol=1e-10)
        np.testing.assert_allclose(found.linear().weight, trained.weight, atol=1e-10)
        np.testing.assert_allclose(found.linear().bias, trained.bias, atol=1e-10)
        fresh = PrincipalLinear(trained, x)
        assert (fresh(x) - trained(x)).abs().max() > 0.1


def test_inputs_that_never_vary() -> None:
    x = torch.full((10, 5), 0.7, dtype=torch.float64)
    for trained in (False, True):
        found = PrincipalLinear(layer(), x, trained)
        assert found(x + 1).isfinite().all()


@pytest.mark.parametrize("hidden", [(4,), ()])
def test_networks_by_element(hidden: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    networks = ElementNetworks(3, (5, *hidden, 1)).double()
    x, species = inputs(), torch.arange(400) % 2  # none of the third element
    before = networks(x, species).detach()
    along_principal_axes(networks.networks, x, species, trained=True)
    assert [type(n[0]).__name__ for n in networks.networks] == [*["PrincipalLinear"] * 2, "Linear"]
    np.testing.assert_allclose(networks(x, species).detach(), before, atol=1e-10)
    means = [n[0].mean for n in networks.networks[:2]]
    assert (means[0] - means[1]).abs().max() > 1e-3  # each from its own element
    as_linear(networks.networks)
    assert all(type(n[0]) is nn.Linear for n in networks.networks)
    np.testing.assert_allclose(networks(x, species).detach(), before, atol=1e-10)


def test_descends_where_a_plain_layer_gets_nowhere() -> None:
    """A target that depends on a direction of little spread, steps of one length for all."""
    x = inputs(size=4)
    direction = torch.linalg.eigh(torch.cov(x.T))[1][:, -2]
    y = (x - x.mean(dim=0)) @ direction * 3
    wrong = []
    for turned in (False, True):
        torch.manual_seed(0)
        plain = nn.Linear(4, 1).double()
        model = PrincipalLinear(plain, x) if turned else plain
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(300):
            optimiser.zero_grad()
            loss = ((model(x)[:, 0] - y) ** 2).mean()
            loss.backward()
            optimiser.step()
        wrong.append(loss.item())
    assert wrong[1] < 0.1 * wrong[0]
