"""Dipoles beyond those of the training data are bounded, and that is said."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from ase_bec.models.projection import dipoles_along
from descriptor_examples import seen_by, skewed
from polarization_examples import ELEMENTS, equivariant, polarization_model
from training_examples import crystals, polarization_task

from ase_bec.terms.equivariant import UNLIMITED, _bounded

DIRECTION = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)


def limited(factor: float):
    """A network whose limits are the dipoles' median times a factor, and what it sees."""
    network = equivariant()
    atoms = skewed() * (2, 1, 2)
    atoms.rattle(0.1, seed=2)
    nb = seen_by(atoms, list(ELEMENTS), network.cutoff)[1]
    free = network(nb).detach()
    sizes = free.norm(dim=1)
    for element in range(3):
        network.limit[element] = factor * sizes[nb.species == element].median()
    return network, nb, free


def test_length_grows_to_twice_the_limit_with_two_continuous_derivatives() -> None:
    x = torch.linspace(0.5, 8.0, 20001, dtype=torch.float64)
    unit = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3
    vectors = 0.7 * x[:, None] * unit
    bounded = _bounded(vectors, torch.full_like(x, 0.7))
    lengths = bounded @ unit / 0.7
    assert torch.allclose(bounded, 0.7 * lengths[:, None] * unit)
    assert torch.equal(bounded[x <= 1], vectors[x <= 1])
    assert lengths.max() < 2
    assert lengths[-1] == pytest.approx(2, abs=1e-5)
    h = float(x[1] - x[0])
    slope = torch.diff(lengths) / h
    assert (slope > 0).all()
    assert torch.diff(slope).abs().max() < 2 * h  # no jump
    assert torch.diff(torch.diff(slope)).abs().max() < 3 * h**2  # nor one of the second derivative


@pytest.mark.parametrize("factor", [0.2, 1.0])
def test_compiled_path_equals_torch_beyond_the_limits(factor: float) -> None:
    network, nb, free = limited(factor)
    beyond = free.norm(dim=1) > network.limit[nb.species]
    assert 0.3 < beyond.double().mean() <= 1
    found = dipoles_along(network, network.numbers(), nb, DIRECTION)
    network.train()
    expected = dipoles_along(network, network.numbers(), nb, DIRECTION)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    assert (found[0].norm(dim=1) < 2 * network.limit[nb.species]).all()
    np.testing.assert_allclose(found[0][~beyond], free[~beyond], rtol=0, atol=1e-12)


def test_no_limit_is_no_limit() -> None:
    network, nb, free = limited(1.0)
    network.limit.fill_(UNLIMITED)
    with torch.no_grad():
        network.size /= 1e9
    for training in (False, True):
        network.train(training)
        found, _ = dipoles_along(network, network.numbers(), nb, DIRECTION)
        np.testing.assert_allclose(found, 1e9 * free, rtol=1e-9, atol=0)
    assert float(found.norm(dim=1).max()) > 10 * UNLIMITED


def test_derivative_beyond_the_limits() -> None:
    model = polarization_model(limited(0.5)[0])
    atoms = skewed()
    atoms.rattle(0.1, seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        charges = model.born_charges(atoms)
        for a, j in ((0, 0), (3, 1), (5, 2)):
            h, dipoles = 1e-5, []
            for step in (h, -h):
                moved = atoms.copy()
                moved.positions[a, j] += step
                dipoles.append(model.dipole(moved))
            slope = (dipoles[0] - dipoles[1]) / (2 * h)
            np.testing.assert_allclose(charges[a, :, j], slope, atol=1e-7)


def test_says_once_that_it_is_beyond() -> None:
    model = polarization_model(limited(0.2)[0])
    atoms = skewed()
    with pytest.warns(UserWarning, match="local dipole beyond those that the polarization model"):
        model.dipole(atoms)
    atoms.rattle(0.01)
    model.dipole(atoms)  # a warning would be an error
    polarization_model(equivariant()).dipole(atoms)


def test_training_sets_the_limits() -> None:
    task = polarization_task("equivariant")
    samples = [task.prepare(frame) for frame in crystals(4)]
    network = task.model.network
    network.limit.fill_(1e-3)  # of an earlier training
    task.start(samples)
    assert (network.limit == UNLIMITED).all()
    with torch.no_grad():
        for parameter in network.networks.parameters():
            parameter += 0.1
    density = torch.cat([s.geometry.density for s in samples])
    species = torch.cat([s.geometry.species for s in samples])
    sizes = network.from_density(density, species).detach().norm(dim=1)
    task.finish(samples)
    for element in range(2):
        largest = float(sizes[species == element].max())
        assert float(network.limit[element]) == pytest.approx(1.5 * largest, rel=1e-9)
