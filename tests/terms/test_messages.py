"""Messages between neighbours; what all polarization models share is tested with them."""

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import seen_by, skewed
from polarization_examples import ELEMENTS, message_passing, polarization_model

import ase_bec
from ase_bec import MessagePassingNetwork
from ase_bec.descriptors.harmonics import harmonics
from ase_bec.descriptors.neighbourhoods import chunks
from ase_bec.training.tasks.density import density_geometry


def dipoles(network: MessagePassingNetwork, atoms: Atoms) -> np.ndarray:
    return network(seen_by(atoms, list(ELEMENTS), network.cutoff)[1]).detach().numpy()


def test_second_density_is_the_sum_over_neighbours() -> None:
    """Over all images within the cutoff, one at a time; and as training makes it."""
    network, atoms = message_passing(), skewed()
    system, nb = seen_by(atoms, list(ELEMENTS), network.cutoff + 0.5)
    with torch.no_grad():
        density, second = network.densities(nb)
        sent = network.sent(density, nb.species)
    expected = torch.zeros_like(second)
    for i, j, r in zip(system.centre, system.neighbour, nb.vectors, strict=True):
        d = r.norm()
        if d < network.cutoff:
            eta, mu = torch.as_tensor(network.density.gaussians).T
            cut = (torch.cos(torch.pi * d / network.cutoff) + 1) / 2
            radial = torch.exp(-eta * (d - mu) ** 2) * cut
            y = harmonics(r / d, network.dipoles.degree)
            expected[i] += sent[j][:, None, None] * radial[:, None] * y
    assert expected.abs().max() > 0.1
    assert sent.std() > 0.05
    np.testing.assert_allclose(second, expected, rtol=0, atol=1e-11)
    exact, _ = seen_by(atoms, list(ELEMENTS), network.cutoff)
    geometry = density_geometry(network.density, exact, nb.species)
    np.testing.assert_allclose(geometry.second_density(sent), expected, rtol=0, atol=1e-11)


def test_sees_as_far_as_two_cutoffs() -> None:
    network = message_passing()
    near, far = 0.9 * network.cutoff, 1.8 * network.cutoff
    chain = Atoms("LiOP", [(0, 0, 0), (0.1, 0, near), (0, 0.2, far)])
    before = dipoles(network, chain)[0]
    chain.positions[2] += (0.1, 0.2, -0.1)
    moved = dipoles(network, chain)[0]
    assert np.abs(moved - before).max() > 1e-6
    chain.positions[2] += (0, 0, 0.3 * network.cutoff)
    gone = dipoles(network, chain)[0]
    np.testing.assert_allclose(gone, dipoles(network, chain[:2])[0], atol=1e-14)


def test_messages_stay_bounded() -> None:
    """Far from the training, too: atoms much too near make no charges of thousands of e."""
    network = message_passing()
    with torch.no_grad():
        for parameter in network.messages.parameters():
            parameter *= 50
    atoms = skewed()
    atoms.set_cell(atoms.cell.array * 0.7, scale_atoms=True)
    nb = seen_by(atoms, list(ELEMENTS), network.cutoff)[1]
    sent = network.sent(network.density(nb), nb.species)
    assert sent.abs().max() > 0.99
    assert sent.abs().max() <= 1


def test_needs_the_whole_structure() -> None:
    network, atoms = message_passing(), skewed() * (2, 1, 1)
    system, nb = seen_by(atoms, list(ELEMENTS), network.cutoff)
    _, part = next(iter(chunks(system, nb.species, chunk=5)))
    with pytest.raises(ValueError, match="all atoms of the structure"):
        network(part)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="`messages` must be 1 or more, got 0"):
        MessagePassingNetwork(2, messages=0)


def test_can_be_made_again_from_its_settings(tmp_path) -> None:
    network = message_passing(hidden=(9, 6), messages=3)
    other = MessagePassingNetwork(3, **network.config())
    assert other.state_dict().keys() == network.state_dict().keys()
    model = polarization_model(network)
    model.save(tmp_path / "model.pt")
    again = ase_bec.load(tmp_path / "model.pt")
    np.testing.assert_array_equal(again.born_charges(skewed()), model.born_charges(skewed()))
