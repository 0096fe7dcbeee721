"""The bundled HfO2: errors on frames held back, response, dynamics in a field."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE
from data_examples import shared
from split_examples import monoclinic

import ase_bec
from ase_bec import FieldCalculator, NNPCalculator
from ase_bec.calculators.model_charges import ModelCharges
from ase_bec.data import read_dataset
from ase_bec.data.frame import COULOMB
from ase_bec.evaluation.evaluate import polarizability
from ase_bec.system import System
from ase_bec.training.evaluation import errors_of, evaluate

FIELD = np.array([0.02, -0.01, 0.05])


@pytest.fixture(scope="module")
def frames():
    return read_dataset(shared("hfo2_bader", "hfo2.xyz"))


@pytest.mark.filterwarnings("ignore:.*outside the range")
def test_errors_on_frames_held_back(frames) -> None:
    model = ase_bec.load("hfo2")
    errors = {}
    for comparison in evaluate(model, frames[-128::16]):
        errors |= errors_of(comparison)
    assert errors["q"]["mae"] < 7.0e-3
    assert errors["energy"]["mae"] < 2.5e-3
    assert errors["forces"]["mae"] < 0.100
    known = model.metadata["errors"]["test"]
    assert errors["q"]["mae"] == pytest.approx(known["q"]["mae"], rel=0.1)
    assert errors["forces"]["mae"] == pytest.approx(known["forces"]["mae"], rel=0.1)


def test_born_charges_of_rutile_without_any_label_of_them() -> None:
    crystals = read_dataset(shared("crystals_1520", "crystals.xyz"))
    (rutile,) = (f for f in crystals if set(f.atoms.symbols) == {"Hf", "O"})
    label = rutile.born_effective_charges
    found = ModelCharges(ase_bec.load("hfo2")).born_charges(rutile.atoms)
    formal = np.where(rutile.atoms.numbers == 72, 4.0, -2.0)[:, None, None] * np.eye(3)
    rmse = [np.sqrt(((z - label) ** 2).mean()) for z in (found, formal)]
    assert rmse[0] < 0.35
    assert rmse[1] > 0.8
    assert found.sum(axis=0) == pytest.approx(np.zeros((3, 3)), abs=1e-10)


def test_epsilon_of_the_monoclinic_crystal() -> None:
    """The literature has 4.2 (films) to 5.2 (first principles); 4.9 was in the loss."""
    atoms, model = monoclinic(), ase_bec.load("hfo2").in_field()
    alpha = polarizability(model, System.from_atoms(atoms, model.cutoff))[0].numpy()
    epsilon = np.eye(3) + 4 * np.pi * COULOMB * alpha / atoms.get_volume()
    assert np.trace(epsilon) / 3 == pytest.approx(4.9, rel=0.1)


@pytest.mark.filterwarnings("ignore:.*outside the range")
def test_energy_is_conserved_in_a_field(frames) -> None:
    atoms = frames[700].atoms.copy()
    calc = FieldCalculator(NNPCalculator("hfo2"), charges="hfo2", field=FIELD)
    atoms.calc = calc
    momenta = np.random.default_rng(0).normal(size=(96, 3))
    atoms.set_momenta(momenta * np.sqrt(atoms.get_masses() * 600 * units.kB)[:, None])
    start, worst = atoms.get_total_energy(), 0.0
    dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    for _ in range(8):
        dynamics.run(5)
        worst = max(worst, abs(atoms.get_total_energy() - start) / 96)
    assert worst < 2e-4  # of the step; it is of second order


@pytest.mark.filterwarnings("ignore:.*outside the range")
def test_it_relaxes_and_charges_follow_the_field(frames) -> None:
    atoms = frames[0].atoms.copy()
    atoms.calc = FieldCalculator(NNPCalculator("hfo2"), charges="hfo2", field=FIELD)
    before = atoms.get_potential_energy()
    FIRE(atoms, logfile=None).run(steps=5)
    assert atoms.get_potential_energy() < before
    charges = atoms.calc.get_property("charges", atoms)
    atoms.calc.field = (0, 0, 0)
    change = charges - atoms.calc.get_property("charges", atoms)
    assert 1e-3 < np.abs(change).max() < 0.5
    assert charges.sum() == pytest.approx(0, abs=1e-9)
