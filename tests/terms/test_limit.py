"""Dipoles beyond those of the training data are bounded, and that is said."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from descriptor_examples import seen_by, skewed
from polarization_examples import ELEMENTS, along, equivariant, polarization_model
from training_examples import crystals, polarization_task

from ase_bec import PolarizationModel
from ase_bec.evaluation.evaluate import evaluate
from ase_bec.terms.equivariant import UNLIMITED, _bounded
from ase_bec.terms.model import Model

DIRECTION = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)


def limited(factor: float):
    """A network whose limits are the dipoles' median times a factor, and what it sees."""
    network = equivariant()
    atoms = skewed() * (2, 1, 2)
    atoms.rattle(0.1, seed=2)
    system, nb = seen_by(atoms, list(ELEMENTS), network.cutoff)
    free = network(nb).detach()
    sizes = free.norm(dim=1)
    for element in range(3):
        network.limit[element] = factor * sizes[nb.species == element].median()
    return network, system, nb.species, free


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
    network, system, species, free = limited(factor)
    beyond = free.norm(dim=1) > network.limit[species]
    assert 0.3 < beyond.double().mean() <= 1
    assert network.rule(torch.device("cpu")) is not None
    found = along(network, system, DIRECTION)
    network.train()
    expected = along(network, system, DIRECTION)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    assert (found[0].norm(dim=1) < 2 * network.limit[species]).all()
    np.testing.assert_allclose(found[0][~beyond], free[~beyond], rtol=0, atol=1e-12)


def test_no_limit_is_no_limit() -> None:
    network, system, _, free = limited(1.0)
    network.limit.fill_(UNLIMITED)
    with torch.no_grad():
        network.size /= 1e9
    for training in (False, True):
        network.train(training)
        found, _ = along(network, system, DIRECTION)
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
    message = "7 of 7 atoms have an environment outside the range.*: Born charges may be wrong"
    for first in (PolarizationModel.dipole, PolarizationModel.born_charges):
        model = polarization_model(limited(0.2)[0])
        atoms = skewed()
        with pytest.warns(UserWarning, match=message):
            first(model, atoms)
        atoms.rattle(0.01)
        model.dipole(atoms)  # a warning would be an error
        model.born_charges(atoms)
        polarization_model(equivariant()).dipole(atoms)


def test_how_far_outside_is_the_dipole_over_its_limit() -> None:
    network, system, species, _ = limited(0.2)
    for training in (False, True):
        found = evaluate(Model(ELEMENTS, [network.train(training)]), system)
        dipoles, _ = along(network, system, DIRECTION)
        expected = dipoles.norm(dim=1) / network.limit[species]
        assert (expected > 1).sum() > 5
        np.testing.assert_allclose(found.outside, expected, rtol=1e-12)
    network.limit.fill_(UNLIMITED)
    assert not evaluate(Model(ELEMENTS, [network]), system).outside.any()


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
