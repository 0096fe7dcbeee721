import numpy as np
import pytest
import torch

from ase_bec.networks import ACTIVATIONS, ElementNetworks, mlp

CLOSED_FORMS = {
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "linear": lambda x: x,
}


def test_every_activation_is_known_here() -> None:
    assert set(CLOSED_FORMS) == set(ACTIVATIONS)


@pytest.mark.parametrize("activation", CLOSED_FORMS)
@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 5, 4, 2)])
def test_network_in_closed_form(activation, sizes) -> None:
    torch.manual_seed(0)
    network = mlp(sizes, activation).double()
    x = torch.randn(7, 3, dtype=torch.float64)
    values = x.numpy()
    layers = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    assert len(layers) == len(sizes) - 1
    for k, layer in enumerate(layers):
        if k:
            values = CLOSED_FORMS[activation](values)
        values = values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(network(x).detach(), values, rtol=0, atol=1e-14)


def test_each_centre_goes_through_the_network_of_its_element() -> None:
    torch.manual_seed(0)
    networks = ElementNetworks(3, (4, 5, 1)).double()
    features = torch.randn(6, 4, dtype=torch.float64)
    species = torch.tensor([2, 0, 2, 0, 2, 2])  # none of element 1
    found = networks(features, species)
    assert found.shape == (6,)
    for k in range(6):
        alone = networks.networks[species[k]](features[k])
        torch.testing.assert_close(found[k], alone[0], rtol=0, atol=1e-15)
    found.sum().backward()
    used = [next(network.parameters()).grad is not None for network in networks.networks]
    assert used == [True, False, True]
    assert networks(features[:0], species[:0]).shape == (0,)


def test_gradients() -> None:
    torch.manual_seed(0)
    networks = ElementNetworks(2, (3, 4, 1), "silu").double()
    features = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    species = torch.tensor([0, 1, 1, 0])
    assert torch.autograd.gradcheck(lambda x: networks(x, species), features)
    assert torch.autograd.gradgradcheck(lambda x: networks(x, species), features)


@pytest.mark.parametrize(
    ("sizes", "activation", "message"),
    [
        ((3, 4, 1), "relu6", r"`activation` must be one of \['linear', .*\], got 'relu6'"),
        ((3,), "tanh", r"`sizes` must be two or more positive numbers, got \(3,\)"),
        ((3, 0, 1), "tanh", r"`sizes` must be two or more positive numbers, got \(3, 0, 1\)"),
    ],
)
def test_refuses_bad_networks(sizes, activation, message) -> None:
    with pytest.raises(ValueError, match=message):
        mlp(sizes, activation)


def test_element_networks_end_with_one_output() -> None:
    with pytest.raises(ValueError, match="`sizes` must end with one output, got 2"):
        ElementNetworks(2, (3, 4, 2))
