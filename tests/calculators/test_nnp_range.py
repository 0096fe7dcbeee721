"""Environments outside the range of a model's scaling: said once, counted always."""

import warnings

import pytest
from ase import Atoms
from descriptor_examples import seen_by, skewed
from model_examples import potential

from ase_bec import NNPCalculator


def squeezed() -> Atoms:
    atoms = skewed()
    atoms.set_cell(0.8 * atoms.cell, scale_atoms=True)
    return atoms


def test_extrapolation_is_said_once_and_counted_always() -> None:
    atoms = squeezed()
    atoms.calc = NNPCalculator(potential(margin=0.0))
    message = r"7 of 7 atoms have an environment outside the range.*`extras` counts"
    with pytest.warns(UserWarning, match=message):
        atoms.get_potential_energy()
    assert atoms.calc.extras["outside"] == 7
    atoms.positions[0] += 0.01
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.get_potential_energy()
    assert atoms.calc.extras["outside"] == 7
    atoms.set_cell(skewed().cell, scale_atoms=True)
    atoms.positions[:] = skewed().positions
    atoms.get_potential_energy()
    assert atoms.calc.extras["outside"] == 0


def test_extrapolation_of_any_member_counts() -> None:
    calc = NNPCalculator([potential(0, margin=9), potential(1, margin=0.0)])
    with pytest.warns(UserWarning, match="7 of 7 atoms"):
        calc.get_potential_energy(squeezed())
    assert NNPCalculator(potential(margin=9)).get_potential_energy(squeezed())


def test_atoms_outside_are_counted() -> None:
    model = potential(margin=0.0)
    atoms = skewed()
    atoms.positions[0] += [0.5, -0.3, 0.2]
    features = model.network.descriptor(seen_by(atoms, ["Li", "P", "O"], model.cutoff)[1]).numpy()
    scaling = model.network.scaling
    low, high = scaling.low[0].numpy(), scaling.high[0].numpy()  # one for all here
    width = high - low
    beyond = (features < low - 0.1 * width) | (features > high + 0.1 * width)
    expected = int(beyond.any(axis=1).sum())
    assert 0 < expected < 7
    calc = NNPCalculator(model)
    with pytest.warns(UserWarning, match=f"{expected} of 7 atoms"):
        calc.get_potential_energy(atoms)
    assert calc.extras["outside"] == expected


def test_warning_as_error_leaves_no_wrong_result() -> None:
    atoms = squeezed()
    calc = atoms.calc = NNPCalculator(potential(margin=0.0))
    with pytest.raises(UserWarning, match="outside the range"):
        atoms.get_forces()
    assert calc.results == {}
    reference = NNPCalculator(potential(margin=9))
    assert atoms.get_forces().shape == reference.get_forces(atoms).shape
