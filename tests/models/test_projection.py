"""The compiled pass through an equivariant network against torch's differentiation of it."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase_bec.models.projection import dipoles_along
from descriptor_examples import seen_by, skewed
from polarization_examples import ELEMENTS, equivariant, polarization_model, vaf

from ase_bec.descriptors import compiled
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.models import projection

DIRECTION = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)


def structure() -> Atoms:
    atoms = skewed() * (2, 1, 2)
    atoms.rattle(0.1, seed=2)
    return atoms


def both(network, nb: Neighbourhoods, direction=DIRECTION) -> list[tuple[np.ndarray, np.ndarray]]:
    """Dipoles and slope, compiled and by torch."""
    found = []
    for training in (False, True):
        network.train(training)
        pair = dipoles_along(network, network.numbers(), nb, direction.to(nb.vectors))
        found.append(tuple(x.numpy() for x in pair))
    network.eval()
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"radial": 5, "channels": 3, "hidden": (8,)},
        {"radial": 6, "channels": 8, "hidden": (48, 33), "degree": 3},
        {"radial": 3, "channels": 1, "hidden": (), "degree": 1},
        {"radial": 4, "channels": 5, "hidden": (7, 6, 5), "degree": 5},
    ],
)
def test_equals_torch(options) -> None:
    network = equivariant(**options)
    nb = seen_by(structure(), list(ELEMENTS), network.cutoff + 0.5)[1]
    (dipoles, slope), (expected, derivative) = both(network, nb)
    assert np.abs(expected).max() > 0.05
    assert np.abs(derivative).max() > 0.01
    np.testing.assert_allclose(dipoles, expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(slope, derivative, rtol=0, atol=1e-11)


@pytest.mark.parametrize("axis", range(3))
def test_equals_torch_along_each_axis(axis) -> None:
    network = equivariant(channels=4)
    nb = seen_by(structure(), list(ELEMENTS), network.cutoff)[1]
    (_, slope), (_, derivative) = both(network, nb, torch.eye(3)[axis].double())
    np.testing.assert_allclose(slope, derivative, rtol=0, atol=1e-11)


def test_equals_torch_in_single_precision() -> None:
    network = equivariant().float()
    nb = seen_by(structure(), list(ELEMENTS), network.cutoff)[1]
    nb = nb._replace(vectors=nb.vectors.float())
    (dipoles, slope), (expected, derivative) = both(network, nb)
    assert dipoles.dtype == slope.dtype == np.float32
    np.testing.assert_allclose(dipoles, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(slope, derivative, rtol=0, atol=1e-4 * np.abs(derivative).max())


def test_large_arguments_of_the_activation() -> None:
    """Where exp(-z) would overflow, and where SiLU is its argument."""
    network = equivariant()
    with torch.no_grad():
        for parameter in network.networks.parameters():
            parameter *= 300
    nb = seen_by(structure(), list(ELEMENTS), network.cutoff)[1]
    (dipoles, slope), (expected, derivative) = both(network, nb)
    np.testing.assert_allclose(dipoles, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(slope, derivative, rtol=0, atol=1e-12 * np.abs(derivative).max())


def test_atoms_without_neighbours() -> None:
    network = equivariant()
    nb = seen_by(Atoms("LiP", positions=[(0, 0, 0), (0, 0, 4.4)]), list(ELEMENTS), 5.0)[1]
    (dipoles, slope), (expected, derivative) = both(network, nb)
    assert not expected.any()
    np.testing.assert_array_equal(dipoles, expected)
    np.testing.assert_array_equal(slope, derivative)


def test_threads_give_the_same_bits(two_threads) -> None:
    network = equivariant()
    nb = seen_by(structure(), list(ELEMENTS), network.cutoff)[1]
    shared = dipoles_along(network, network.numbers(), nb, DIRECTION)
    torch.set_num_threads(1)
    alone = dipoles_along(network, network.numbers(), nb, DIRECTION)
    assert len(nb.species) >= 16  # enough for two threads
    assert torch.equal(shared[0], alone[0])
    assert torch.equal(shared[1], alone[1])


def test_positions_that_are_no_numbers_show() -> None:
    network = equivariant()
    nb = seen_by(structure(), list(ELEMENTS), network.cutoff)[1]
    vectors = nb.vectors.clone()
    vectors[3, 1] = torch.nan
    dipoles, slope = dipoles_along(
        network, network.numbers(), nb._replace(vectors=vectors), DIRECTION
    )
    assert dipoles.isnan().any()
    assert slope.isnan().any()


@pytest.fixture
def kernel_calls(monkeypatch) -> list[object]:
    calls: list[object] = []

    def counted(*arguments):
        calls.append(arguments)
        return compiled.compiled_dipoles(*arguments)

    monkeypatch.setattr(projection, "compiled_dipoles", counted)
    return calls


def test_the_kernel_serves_what_it_knows_and_torch_the_rest(kernel_calls, monkeypatch) -> None:
    def calls_of(network) -> int:
        kernel_calls.clear()
        polarization_model(network).field_forces(skewed(), np.array([0.1, 0.2, -0.3]))
        return len(kernel_calls)

    assert calls_of(equivariant()) == 1
    assert calls_of(vaf()) == 0
    other = equivariant()
    other.networks[1][1] = torch.nn.Tanh()
    assert calls_of(other) == 0

    class Own(type(other)):
        pass

    own = equivariant()
    own.__class__ = Own
    assert calls_of(own) == 0
    monkeypatch.setattr(compiled, "HAS_NUMBA", False)
    assert calls_of(equivariant()) == 0
