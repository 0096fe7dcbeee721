"""Charges of atoms as a property, at rest and in a field."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.lj import LennardJones
from ase.md.verlet import VelocityVerlet
from split_examples import ELEMENTS, monoclinic, split_charges

from ase_bec import FieldCalculator, NNPCalculator
from ase_bec.terms.model import Model
from ase_bec.terms.repulsion import CoreRepulsion

FIELD = (0.02, -0.03, 0.05)


def model(at_rest: bool) -> Model:
    """Cores that repel each other, and charges."""
    repulsion = CoreRepulsion(2)
    repulsion.closest[:] = 2.6
    return Model(ELEMENTS, [repulsion, split_charges(at_rest=at_rest)]).eval()


@pytest.mark.parametrize("at_rest", [True, False])
def test_charges_respond(at_rest: bool) -> None:
    atoms, m = monoclinic(0.1), model(at_rest)
    atoms.calc = NNPCalculator(m)
    at_zero = atoms.get_charges()
    assert at_zero.sum() == pytest.approx(0, abs=1e-10)
    assert "charges" in atoms.calc.implemented_properties
    in_field = atoms.copy()
    in_field.calc = FieldCalculator(NNPCalculator(m), charges=m, field=FIELD)
    found = in_field.calc.get_property("charges", in_field)
    assert np.abs(found - at_zero).max() > 1e-4
    in_field.calc.field = (0, 0, 0)
    assert in_field.calc.get_property("charges", in_field) == pytest.approx(at_zero, abs=1e-10)
    assert in_field.get_potential_energy() == pytest.approx(atoms.get_potential_energy())
    in_field.calc.field = -np.array(FIELD)
    other = in_field.calc.get_property("charges", in_field)
    assert (found + other) / 2 == pytest.approx(at_zero, abs=1e-10)


@pytest.mark.parametrize("at_rest", [True, False])
def test_energy_and_forces_in_a_field(at_rest: bool) -> None:
    atoms, m, step = monoclinic(0.1), model(at_rest), 1e-4
    atoms.calc = FieldCalculator(NNPCalculator(m), charges=m, field=FIELD)
    forces = atoms.get_forces()
    charges = atoms.calc.get_property("born_effective_charges", atoms)
    for atom, axis in ((0, 0), (5, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = atoms.calc
            ends.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx((ends[1] - ends[0]) / (2 * step), abs=1e-6)
    delta = 1e-3
    pair = []
    for sign in (1, -1):
        atoms.calc.field = np.array(FIELD) + sign * delta * np.eye(3)[1]
        pair.append(atoms.get_forces())
    assert charges[:, 1] == pytest.approx((pair[0] - pair[1]) / (2 * delta), abs=1e-7)


def test_dipole_is_that_in_the_field() -> None:
    atoms, m = monoclinic(0.1), model(False)
    calc = FieldCalculator(NNPCalculator(m), charges=m, field=FIELD)
    at_field = calc.get_property("polarization", atoms)
    calc.field = (0, 0, 0)
    rest = calc.get_property("polarization", atoms)
    assert np.abs(at_field - rest).max() > 1e-6


def test_charges_that_do_not_respond_are_refused() -> None:
    atoms = monoclinic(0.1)
    calc = FieldCalculator(NNPCalculator(model(True)), {"Hf": 4, "O": -2}, field=FIELD)
    with pytest.raises(PropertyNotImplementedError, match="charges respond to a field"):
        calc.get_property("charges", atoms)
    calc.field = (0, 0, 0)
    expected = NNPCalculator(model(True)).get_property("charges", atoms)
    assert calc.get_property("charges", atoms) == pytest.approx(expected)
    plain = FieldCalculator(LennardJones(), {"Hf": 4, "O": -2}, field=FIELD)
    assert "charges" not in plain.implemented_properties


def test_energy_is_conserved_in_a_field() -> None:
    atoms, m = monoclinic(0.02), model(True)
    atoms.calc = FieldCalculator(NNPCalculator(m), charges=m, field=FIELD)
    momenta = np.random.default_rng(0).normal(size=(12, 3))
    atoms.set_momenta(momenta * np.sqrt(atoms.get_masses() * 100 * units.kB)[:, None])
    drift = []
    for dt in (0.2, 0.1):
        moving = atoms.copy()
        moving.calc = atoms.calc
        dynamics = VelocityVerlet(moving, dt * units.fs)
        start, worst = moving.get_total_energy(), 0.0
        for _ in range(round(15 / dt)):
            dynamics.run(1)
            worst = max(worst, abs(moving.get_total_energy() - start) / len(moving))
        drift.append(worst)
    assert drift[1] < 0.3 * drift[0]  # of second order in the step: nothing but Verlet's own
