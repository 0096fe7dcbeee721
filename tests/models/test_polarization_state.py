"""A polarization model answers by its numbers of now; its copies stand alone."""

import copy
import io
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import skewed
from polarization_examples import CHANGES, NETWORKS, polarization_model

from ase_bec import PolarizationModel

networks = pytest.mark.parametrize("network", list(NETWORKS))


def answers(model: PolarizationModel, atoms: Atoms) -> list[np.ndarray]:
    return [model.dipole(atoms), model.born_charges(atoms)]


def check_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_parameters_is_seen(change: Callable[[PolarizationModel], None]) -> None:
    """After training, or loading others, nothing of before is served."""
    model, fresh = polarization_model(), polarization_model()
    before = answers(model, skewed())
    change(model)
    change(fresh)
    expected = answers(fresh, skewed())
    assert all(np.abs(a - b).max() > 1e-9 for a, b in zip(before, expected, strict=True))
    check_equal(answers(model, skewed()), expected)
    other = polarization_model()
    other.dipole(skewed())
    change(other)
    np.testing.assert_allclose(other.dipole(skewed()), expected[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_asking_changes_nothing_of_the_model(training) -> None:
    """Not its mode, nor what is to be trained of it."""
    model = polarization_model().train(training)
    chosen = list(model.parameters())
    chosen[0].requires_grad_(False)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    answers(model, skewed())
    assert model.training == model.network.training == training
    assert [p.requires_grad for p in chosen] == [False, *[True] * (len(chosen) - 1)]
    assert all(p is q for p, q in zip(chosen, model.parameters(), strict=True))
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    assert all(p.grad is None for p in chosen)


def saved(model: PolarizationModel) -> PolarizationModel:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    found = torch.load(file, weights_only=False)
    assert isinstance(found, PolarizationModel)
    return found


@networks
@pytest.mark.parametrize(
    "make", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), saved]
)
def test_copies_answer_the_same_and_stand_alone(network, make) -> None:
    model = polarization_model(network)
    expected = answers(model, skewed())
    other = make(model)
    check_equal(answers(other, skewed()), expected)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter *= 0.9
    assert np.abs(answers(other, skewed())[0] - expected[0]).max() > 1e-6
    check_equal(answers(model, skewed()), expected)


def test_copies_take_only_the_model_along() -> None:
    model = polarization_model()
    size = len(pickle.dumps(model))
    answers(model, skewed() * (3, 3, 3))
    assert len(pickle.dumps(model)) == size
