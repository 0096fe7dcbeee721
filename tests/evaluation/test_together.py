"""Structures that share a model go through it at once, and the answers are those of each alone."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from contract_examples import structure
from model_examples import potential
from polarization_examples import polarization_model

from ase_bec import FieldCalculator, NNPCalculator
from ase_bec.calculators.charges import as_charge_source
from ase_bec.evaluation import evaluator
from ase_bec.evaluation.evaluator import evaluate_together

FIELD = (0.02, -0.05, 0.03)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of structures of every evaluation."""
    counted: list[int] = []
    whole = evaluator.FrozenModel.response

    def response(self, system, field):
        counted.append(system.n_structures)
        return whole(self, system, field)

    monkeypatch.setattr(evaluator.FrozenModel, "response", response)
    return counted


def images(shared_source: bool):
    base, source = NNPCalculator(potential()), as_charge_source(polarization_model())
    found = []
    for seed in range(4):
        atoms = structure(seed)
        charges = source if shared_source else deepcopy(source)
        atoms.calc = FieldCalculator(deepcopy(base), charges, FIELD)
        found.append(atoms)
    return found


@pytest.mark.parametrize("shared_source", [True, False])
def test_images_of_one_model_are_evaluated_once(calls: list[int], shared_source: bool) -> None:
    band = images(shared_source)
    evaluate_together(job for image in band for job in image.calc.jobs(image))
    assert calls == [4, 4]
    forces = [image.get_forces() for image in band]
    energies = [image.get_potential_energy() for image in band]
    assert calls == [4, 4]
    for alone, f, e in zip(images(shared_source), forces, energies, strict=True):
        assert f == pytest.approx(alone.get_forces(), abs=1e-12)
        assert e == pytest.approx(alone.get_potential_energy(), abs=1e-11)


def test_nothing_is_evaluated_twice(calls: list[int]) -> None:
    band = images(True)
    for _ in range(2):
        evaluate_together(job for image in band for job in image.calc.jobs(image))
    assert calls == [4, 4]
    band[2].positions[0, 0] += 0.01
    evaluate_together(job for image in band for job in image.calc.jobs(image))
    assert calls == [4, 4, 4, 4]
    expected = band[2].copy()
    expected.calc = images(True)[0].calc
    assert np.array_equal(band[2].get_forces(), band[2].get_forces())
    assert band[2].get_forces() == pytest.approx(expected.get_forces(), abs=1e-12)


def test_one_structure_alone_is_left_to_its_calculator(calls: list[int]) -> None:
    (image, *_) = images(True)
    evaluate_together(image.calc.jobs(image))
    assert calls == []
