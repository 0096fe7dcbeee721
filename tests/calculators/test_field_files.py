"""Field calculators in ASE's files, in sums, and copied."""

import copy
import json
import pickle

import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.fd import FiniteDifferenceCalculator
from ase.calculators.mixing import MixedCalculator, SumCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import Trajectory, read, write
from field_examples import (
    FIELD,
    CurledCharges,
    NoForces,
    PairCharges,
    neutral_charges,
    skewed_alloy,
)

from ase_bec.calculators.field import FieldCalculator

CALLS = {
    "nothing": lambda atoms: None,
    "energy": lambda atoms: atoms.get_potential_energy(),
    "free energy": lambda atoms: atoms.get_potential_energy(force_consistent=True),
    "forces": lambda atoms: atoms.get_forces(),
    "stress": lambda atoms: atoms.get_stress(),
    "Born charges": lambda atoms: atoms.calc.get_property("born_effective_charges", atoms),
    "polarization": lambda atoms: atoms.calc.get_property("polarization", atoms),
    "all": lambda atoms: [CALLS[name](atoms) for name in list(CALLS)[1:7]],
    "properties": lambda atoms: atoms.get_properties(["energy", "born_effective_charges"]),
}


def calculators():
    atoms = skewed_alloy()
    return {
        "species": FieldCalculator(EMT(), neutral_charges(), FIELD, stress="zero-field"),
        "network-like": FieldCalculator(
            EMT(), PairCharges(atoms, neutral_charges()), FIELD, stress="zero-field"
        ),
        "function": FieldCalculator(
            EMT(), neutral_charges(), lambda time: (0, 0, 0.1), stress="zero-field"
        ),
        "zero field": FieldCalculator(EMT(), neutral_charges(), (0, 0, 0)),
    }


@pytest.mark.parametrize("kind", calculators())
@pytest.mark.parametrize("call", CALLS)
def test_files_can_be_written_after_every_call(kind, call, tmp_path):
    atoms = skewed_alloy()
    calc = calculators()[kind]
    atoms.calc = calc
    CALLS[call](atoms)
    kept = {name: np.array(value) for name, value in calc.results.items()}
    assert not {"born_effective_charges", "polarization"} & set(kept)
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        trajectory.write(atoms)
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    with connect(tmp_path / "a.db") as database:
        database.write(atoms)
    for name in ("a.traj", "a.xyz", "a.db"):
        back = read(tmp_path / name)
        results = back.calc.results if back.calc else {}
        missing = set(kept) - set(results)
        assert missing <= ({"energies"} if name == "a.db" else set()), name  # ASE's db has none
        for key, value in kept.items():
            if key in missing:
                continue
            assert results[key] == pytest.approx(value, abs=1e-7), (name, key)
    assert json.loads(json.dumps(calc.todict()))["field"] == list(calc.field)


def test_files_can_be_written_where_the_energy_is_refused(tmp_path):
    atoms = skewed_alloy()
    atoms.calc = FieldCalculator(EMT(), CurledCharges(atoms), FIELD, energy="none")
    forces = atoms.get_forces()
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        trajectory.write(atoms)
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    connect(tmp_path / "a.db").write(atoms)
    for name in ("a.traj", "a.xyz", "a.db"):
        back = read(tmp_path / name)
        assert back.get_forces() == pytest.approx(forces, abs=1e-7)
        assert "energy" not in back.calc.results


def test_stale_results_are_not_written(tmp_path):
    atoms = skewed_alloy()
    atoms.calc = FieldCalculator(EMT(), neutral_charges(), FIELD)
    atoms.get_forces()
    atoms.positions[0] += 0.1
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        trajectory.write(atoms)
    assert not read(tmp_path / "a.traj").calc.results
    assert atoms.calc.get_property("energy", atoms, allow_calculation=False) is None


def test_get_properties_gives_what_get_property_gives():
    atoms = skewed_alloy()
    atoms.calc = calc = FieldCalculator(EMT(), neutral_charges(), FIELD)
    names = ["energy", "free_energy", "forces", "born_effective_charges", "polarization"]
    together = atoms.get_properties(names)
    for name in names:
        assert together[name] == pytest.approx(calc.get_property(name, atoms))
    with pytest.raises(PropertyNotImplementedError, match="zero-field"):
        atoms.get_properties(["forces", "stress"])


def test_results_make_a_single_point_calculator():
    atoms = skewed_alloy()
    atoms.calc = FieldCalculator(EMT(), neutral_charges(), FIELD)
    forces = atoms.get_forces()
    frozen = atoms.copy()
    frozen.calc = SinglePointCalculator(frozen, **atoms.calc.results)
    assert np.array_equal(frozen.get_forces(), forces)
    assert frozen.get_potential_energy() == atoms.get_potential_energy()


def test_sums_and_mixtures_of_calculators():
    atoms = skewed_alloy()
    field = FieldCalculator(NoForces(), neutral_charges(), FIELD)
    whole = FieldCalculator(EMT(), neutral_charges(), FIELD)
    for combined, weight in (
        (SumCalculator([EMT(), field]), 1.0),
        (MixedCalculator(EMT(), field, 1.0, 0.5), 0.5),
    ):
        atoms.calc = combined
        expected = EMT().get_forces(atoms)
        expected += weight * (whole.get_forces(atoms) - expected)
        assert atoms.get_forces() == pytest.approx(expected, abs=1e-12)
        energy = EMT().get_potential_energy(atoms)
        energy += weight * (whole.get_potential_energy(atoms) - energy)
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-12)


def test_over_a_sum_of_calculators():
    atoms = skewed_alloy()
    over = FieldCalculator(SumCalculator([EMT(), NoForces()]), neutral_charges(), FIELD)
    plain = FieldCalculator(EMT(), neutral_charges(), FIELD)
    assert over.get_forces(atoms) == pytest.approx(plain.get_forces(atoms), abs=1e-12)
    assert over.get_potential_energy(atoms) == pytest.approx(plain.get_potential_energy(atoms))
    assert not over.results.keys() - plain.results.keys()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda calc: pickle.loads(pickle.dumps(calc))])
@pytest.mark.parametrize("used", [False, True])
def test_copies_are_independent(copied, used):
    atoms = skewed_alloy()
    calc = FieldCalculator(NoForces(), PairCharges(atoms, neutral_charges()), FIELD)
    if used:
        calc.get_forces(atoms)
        calc.get_property("polarization", atoms)
    twin = copied(calc)
    assert twin.calculator is not calc.calculator
    assert np.array_equal(twin.get_forces(atoms), calc.get_forces(atoms))
    calc.field = (0, 0, 0)
    assert np.array_equal(twin.field, FIELD)
    assert not np.array_equal(twin.get_forces(atoms), calc.get_forces(atoms))
    with pytest.raises(ValueError, match="read-only"):
        twin.field[0] = 1.0
    assert twin.calculator.calculations == 1


def test_numerical_derivatives_of_ase():
    atoms = skewed_alloy()
    calc = FieldCalculator(EMT(), neutral_charges(), FIELD)
    numerical = FiniteDifferenceCalculator(calc, eps_disp=1e-4, eps_strain=None)
    with pytest.raises(PropertyNotImplementedError, match="zero-field"):
        numerical.get_forces(atoms)
    stressed = FieldCalculator(EMT(), neutral_charges(), FIELD, stress="zero-field")
    numerical = FiniteDifferenceCalculator(stressed, eps_disp=1e-4, eps_strain=None)
    assert numerical.get_forces(atoms) == pytest.approx(calc.get_forces(atoms), abs=1e-6)
    atoms.calc = calc
    with pytest.deprecated_call():
        old = calc.calculate_numerical_forces(atoms, d=1e-4)
    assert old == pytest.approx(calc.get_forces(atoms), abs=1e-6)
