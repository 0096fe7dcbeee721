"""The paper's network: the same for every axis, and what that does not make it."""

import numpy as np
import pytest
import torch
from ase import Atoms
from brute_force import brute_force_features
from descriptor_examples import seen_by, skewed
from polarization_examples import ELEMENTS, V1, V2, polarization_model, transformed, vaf
from scipy.spatial.transform import Rotation

import ase_bec
from ase_bec import VAFNetwork

both = pytest.mark.parametrize("training", [True, False], ids=["torch", "compiled"])


def dipoles(network: VAFNetwork, atoms: Atoms) -> np.ndarray:
    return network(seen_by(atoms, list(ELEMENTS), network.cutoff)[1]).detach().numpy()


@both
def test_component_is_that_along_z_of_the_turned_structure(training) -> None:
    network = vaf().train(training)
    found = dipoles(network, skewed())
    assert np.abs(found).max() > 0.05
    for axis in range(3):
        turn = np.roll(np.eye(3), 2 - axis, axis=0)  # brings the axis to z
        assert np.linalg.det(turn) == pytest.approx(1)
        assert turn @ np.eye(3)[axis] == pytest.approx([0, 0, 1])
        turned = dipoles(network, transformed(skewed(), turn))
        np.testing.assert_allclose(turned[:, 2], found[:, axis], rtol=0, atol=1e-12)
        _, nb = seen_by(skewed(), list(ELEMENTS), network.cutoff)
        np.testing.assert_array_equal(network.component(nb, axis).detach(), found[:, axis])


def test_features_along_each_axis_by_brute_force() -> None:
    network = vaf()
    _, nb = seen_by(skewed(), list(ELEMENTS), network.cutoff)
    for axis in range(3):
        turned = transformed(skewed(), np.roll(np.eye(3), 2 - axis, axis=0))
        parts = [
            brute_force_features(turned, ELEMENTS, 4.2, kind, rows).reshape(7, -1)
            for kind, rows in (("V1", V1), ("V2", V2))
        ]
        found = network.features(nb, axis).detach().numpy()
        np.testing.assert_allclose(found, np.hstack(parts), rtol=0, atol=1e-10)


def test_rotation_about_an_axis_leaves_its_component() -> None:
    network = vaf()
    before = dipoles(network, skewed())
    for axis in range(3):
        rotation = Rotation.from_rotvec(0.7 * np.eye(3)[axis]).as_matrix()
        after = dipoles(network, transformed(skewed(), rotation))
        np.testing.assert_allclose(after[:, axis], before[:, axis], rtol=0, atol=1e-12)


def test_cyclic_exchange_of_axes_is_exact_and_a_general_rotation_is_not() -> None:
    """What it is: covariant under exchange of the axes, not under rotations; not even inversion."""
    network = vaf()
    before = dipoles(network, skewed())
    cyclic = np.roll(np.eye(3), 1, axis=0)
    np.testing.assert_allclose(
        dipoles(network, transformed(skewed(), cyclic)), before @ cyclic.T, rtol=0, atol=1e-12
    )
    scale = np.abs(before).max()
    for matrix in (Rotation.from_rotvec([0.4, -1.3, 2.1]).as_matrix(), -np.eye(3)):
        after = dipoles(network, transformed(skewed(), matrix))
        assert np.abs(after - before @ matrix.T).max() > 0.05 * scale


def test_a_linear_network_without_bias_is_equivariant() -> None:
    """So the nonlinearity is what breaks it, and not the features."""
    network = vaf(activation="linear")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    before = dipoles(network, skewed())
    for matrix in (Rotation.from_rotvec([0.4, -1.3, 2.1]).as_matrix(), -np.eye(3)):
        after = dipoles(network, transformed(skewed(), matrix))
        np.testing.assert_allclose(after, before @ matrix.T, atol=1e-11)


def test_supercell_permutation_and_images() -> None:
    network = vaf()
    expected = dipoles(network, skewed())
    moved = skewed()
    moved.positions += [1.1, -20.3, 0.7]
    moved.positions[2] += [1, -2, 1] @ moved.cell.array
    order = [4, 0, 6, 2, 1, 5, 3]
    np.testing.assert_allclose(dipoles(network, moved[order]), expected[order], atol=1e-12)
    repeated = dipoles(network, skewed() * (1, 2, 1))
    np.testing.assert_allclose(repeated, np.tile(expected, (2, 1)), atol=1e-12)


def test_derivatives_of_the_torch_implementation() -> None:
    network = vaf(hidden=(3,)).train().requires_grad_(False)
    _, nb = seen_by(skewed(), list(ELEMENTS), 4.2)
    nb = nb._replace(
        species=nb.species[:1],
        first=torch.tensor([0, 4]),
        neighbour_species=nb.neighbour_species[:4],
    )
    vectors = (0.8 * nb.vectors[:4]).requires_grad_()

    def dipole(x: torch.Tensor) -> torch.Tensor:
        return network(nb._replace(vectors=x))

    assert torch.autograd.gradcheck(dipole, vectors)
    assert torch.autograd.gradgradcheck(dipole, vectors, atol=1e-6)


@both
def test_single_precision(training) -> None:
    network = vaf().train(training)
    expected = dipoles(network, skewed())
    _, nb = seen_by(skewed(), list(ELEMENTS), 4.2, torch.float32)
    found = network.float()(nb)
    assert found.dtype == torch.float32
    assert np.abs(found.detach().numpy() - expected).max() < 1e-4 * np.abs(expected).max()


def test_configuration_and_file_make_the_network_again(tmp_path) -> None:
    network = vaf(activation="silu")
    other = VAFNetwork(3, **network.config())
    assert other.config() == network.config()
    other.load_state_dict(network.state_dict())
    np.testing.assert_array_equal(dipoles(other.eval(), skewed()), dipoles(network, skewed()))
    polarization_model(network).save(tmp_path / "model.pt")
    found = ase_bec.load(tmp_path / "model.pt")
    np.testing.assert_array_equal(dipoles(found.network, skewed()), dipoles(network, skewed()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"v1": (), "v2": ()}, "`v1` and `v2` must hold a function, got none"),
        ({"v1": [(0.1, 0.2, 1)]}, "`v1` must have rows of 2 numbers"),
        ({"v2": [(0.1, 0.2, 1, 0)]}, "`v2` must have ζ >= 1, got 0.2"),
        ({"cutoff": -1.0}, "`cutoff` must be positive"),
        ({"hidden": (4, 0)}, "`sizes` must be two or more positive numbers"),
        ({"activation": "sine"}, "`activation` must be one of .*, got 'sine'"),
        ({"n_elements": 0}, "`n_elements` must be 1 or more, got 0"),
    ],
)
def test_refuses_bad_arguments(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        VAFNetwork(**{"n_elements": 3, "cutoff": 4.0, "v1": V1, "v2": V2, **arguments})
