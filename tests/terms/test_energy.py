"""Networks of symmetry functions, and the potential made of one, as functions of structures."""

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import seen_by, skewed
from model_examples import ELEMENTS, FUNCTIONS, potential, total_energy
from scipy.spatial.transform import Rotation

from ase_bec import NeuralNetworkPotential
from ase_bec.terms.species import species_of

both = pytest.mark.parametrize("training", [True, False], ids=["torch", "compiled"])


@both
def test_invariances(training) -> None:
    model = potential().train(training)
    expected = total_energy(model, skewed())
    moved = skewed()
    moved.translate([3.0, -50.0, 0.1])
    moved.positions[3] += moved.cell[0] - 2 * moved.cell[1]
    turned = skewed()
    rotation = Rotation.from_rotvec([0.3, 2.0, -0.4]).as_matrix() @ np.diag([1, 1, -1])
    turned.set_cell(turned.cell.array @ rotation.T)
    turned.set_positions(turned.positions @ rotation.T)
    for atoms in (moved, turned, skewed()[[4, 0, 6, 2, 1, 5, 3]]):
        assert total_energy(model, atoms) == pytest.approx(expected, abs=1e-11)
    assert total_energy(model, skewed() * (2, 1, 2)) == pytest.approx(4 * expected, abs=1e-10)


def test_energy_is_that_of_scaled_features_through_networks() -> None:
    network = potential().network
    _, nb = seen_by(skewed(), list(ELEMENTS), 4.2)
    features = network.descriptor(nb)
    for atom, energy in enumerate(network(nb)):
        s = int(nb.species[atom])
        low, high = network.scaling.low[s], network.scaling.high[s]
        scaled = 2 * (features[atom] - low) / (high - low) - 1
        expected = network.networks.networks[s](scaled)[0] + (-1.0, 2.0, 0.5)[s]
        assert energy.item() == pytest.approx(expected.item(), abs=1e-12)


def test_derivatives() -> None:
    network = potential().network.train().requires_grad_(False)
    _, nb = seen_by(skewed(), list(ELEMENTS), 4.2)
    nb = nb._replace(
        species=nb.species[:1],
        first=torch.tensor([0, 6]),
        neighbour_species=nb.neighbour_species[:6],
    )
    vectors = (0.8 * nb.vectors[:6]).requires_grad_()

    def energy(x: torch.Tensor) -> torch.Tensor:
        return network(nb._replace(vectors=x))

    assert torch.autograd.gradcheck(energy, vectors)
    assert torch.autograd.gradgradcheck(energy, vectors, atol=1e-6)


def test_forces_can_be_trained() -> None:
    """A loss of forces has derivatives by the weights, right to first order."""
    network = potential().network.train()
    _, nb = seen_by(skewed(), list(ELEMENTS), 4.2)
    parameters = list(network.parameters())

    def loss() -> torch.Tensor:
        vectors = nb.vectors.clone().requires_grad_()
        energy = network(nb._replace(vectors=vectors)).sum()
        (slope,) = torch.autograd.grad(energy, vectors, create_graph=True)
        return slope.square().sum()

    slopes = torch.autograd.grad(loss(), parameters, allow_unused=True)
    weight, slope = parameters[0], slopes[0]
    assert slope is not None
    step, values = 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            weight[2, 3] += sign * step
        values.append(loss().item())
        with torch.no_grad():
            weight[2, 3] -= sign * step
    assert slope[2, 3].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6)


def test_isolated_atom_has_the_energy_of_no_features() -> None:
    model = potential()
    nothing = torch.zeros(1, model.network.descriptor.n_features, dtype=torch.float64)
    for s, element in enumerate(ELEMENTS):
        expected = model.network.from_features(nothing, torch.tensor([s])).item()
        assert total_energy(model, Atoms(element)) == pytest.approx(expected, abs=1e-14)


def test_configuration_makes_the_model_again() -> None:
    model = potential(activation="silu", metadata={"note": "α", "numbers": [1, 2.5]})
    other = NeuralNetworkPotential(**model.config(), metadata=model.metadata)
    other.load_state_dict(model.state_dict())
    assert other.eval().config() == model.config()
    assert total_energy(other, skewed()) == total_energy(model, skewed())
    assert model.numbers == [3, 15, 8]


def test_elements_may_come_from_numpy() -> None:
    model = NeuralNetworkPotential(np.unique(skewed().get_chemical_symbols()), 3.0, g2=[(0.1, 0)])
    assert model.elements == ("Li", "O", "P")
    assert all(type(element) is str for element in model.elements)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"elements": "LiPO"}, "`elements` must be a sequence of symbols, got the string 'LiPO'"),
        ({"elements": []}, r"`elements` must be different chemical symbols, got \[\]"),
        ({"elements": ["Li", "Li"]}, r"`elements` must be different chemical symbols, got \['Li'"),
        ({"elements": ["Li", "Xx"]}, r"`elements` must be different chemical symbols, .*'Xx'"),
        ({"elements": ["X"]}, "`elements` must be different chemical symbols"),
        ({"g2": (), "g5": (), "g4": ()}, "`g2`, `g5` and `g4` must hold a function, got none"),
        ({"g5": [(0.1, 0.2, 1)]}, "`g5` must have ζ >= 1, got 0.2"),
        ({"cutoff": -1.0}, "`cutoff` must be positive"),
        ({"hidden": (4, 0)}, "`sizes` must be two or more positive numbers"),
        ({"activation": "sine"}, "`activation` must be one of .*, got 'sine'"),
        ({"offsets": [1.0]}, "`offsets` must have 3 energies, got 1"),
        (
            {"scaling": (torch.zeros(3, 5), torch.ones(3, 5))},
            r"`scaling` must have the shape \(3, 30\), got \(3, 5\)",
        ),
        (
            {"scaling": (torch.zeros(3, 30), torch.ones(3, 4))},
            r"`low` and `high` must have one shape",
        ),
    ],
)
def test_refuses_bad_arguments(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralNetworkPotential(**{"elements": ELEMENTS, "cutoff": 4.0, **FUNCTIONS, **arguments})


def test_unknown_elements_are_named() -> None:
    numbers = torch.tensor([3, 11, 8, 19])
    with pytest.raises(ValueError, match="knows the elements Li, P, O, got atoms of K, Na: use"):
        species_of(numbers, ELEMENTS)
    assert species_of(torch.tensor([8, 3, 15]), ELEMENTS).tolist() == [2, 0, 1]
