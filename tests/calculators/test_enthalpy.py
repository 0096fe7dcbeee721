"""H = U − E·D and its forces: finite differences, closed forms, branches, charged cells."""

import numpy as np
import pytest
from ase.calculators.emt import EMT
from field_examples import (
    FIELD,
    BornCalculator,
    CountingEMT,
    CurledCharges,
    HalfKnownCharges,
    NoForces,
    PairCharges,
    neutral_charges,
    numerical_forces,
    random_tensors,
    skewed_alloy,
)

from ase_bec.calculators.field import FieldCalculator

CHARGED = {"Cu": 1.0, "Au": -2.0, "Al": 3.0}  # Q = +1
TENSORS = dict(zip(("Cu", "Au", "Al"), random_tensors(3), strict=True))
_SUM = 4 * TENSORS["Cu"] + 3 * TENSORS["Au"] + TENSORS["Al"]
TENSORS["Al"] += (1 - np.trace(_SUM) / 3) * np.eye(3)  # mean Q = +1, no sum rule


def charge_kinds(atoms):
    return {
        "neutral species": neutral_charges(),
        "charged species": CHARGED,
        "species tensors": TENSORS,
        "array": random_tensors(len(atoms)),
        "network-like": PairCharges(atoms, neutral_charges()),
        "charged network-like": PairCharges(atoms, CHARGED),
    }


KINDS = tuple(charge_kinds(skewed_alloy()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net_force", ["remove", "keep"])
def test_forces_are_the_gradient_of_the_enthalpy(kind, net_force):
    atoms = skewed_alloy()
    atoms.calc = FieldCalculator(EMT(), charge_kinds(atoms)[kind], field=FIELD, net_force=net_force)
    assert np.abs(atoms.get_forces() - numerical_forces(atoms)).max() < 1e-6


def test_neutral_charges_with_net_force_error_are_conservative():
    atoms = skewed_alloy()
    atoms.calc = FieldCalculator(EMT(), neutral_charges(), field=FIELD, net_force="error")
    assert np.abs(atoms.get_forces() - numerical_forces(atoms)).max() < 1e-6


def test_first_index_is_the_field_and_second_the_displacement():
    atoms = skewed_alloy()
    tensors = random_tensors(len(atoms))
    calc = FieldCalculator(NoForces(), tensors, field=FIELD, net_force="keep")
    forces = calc.get_forces(atoms)
    for a in range(len(atoms)):
        for j in range(3):
            direct = sum(FIELD[i] * tensors[a][i][j] for i in range(3))
            assert forces[a, j] == pytest.approx(direct, abs=1e-14)


def test_positive_charges_are_pushed_along_the_field():
    atoms = skewed_alloy()
    forces = FieldCalculator(NoForces(), neutral_charges(), field=FIELD).get_forces(atoms)
    for atom, force in zip(atoms, forces, strict=True):
        assert force == pytest.approx(neutral_charges()[atom.symbol] * FIELD, abs=1e-14)


def test_energy_of_constant_charges_is_the_closed_form():
    atoms = skewed_alloy()
    reference = skewed_alloy(seed=9)
    tensors = random_tensors(len(atoms))
    calc = FieldCalculator(NoForces(), tensors, field=FIELD, reference=reference, net_force="keep")
    moved = atoms.positions - reference.positions
    dipole = sum(tensors[a] @ moved[a] for a in range(len(atoms)))
    assert calc.get_potential_energy(atoms) == pytest.approx(-FIELD @ dipole, abs=1e-12)
    assert calc.get_potential_energy(reference) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_reference_shifts_energy_by_its_own_and_changes_no_force(kind):
    atoms, reference = skewed_alloy(), skewed_alloy(seed=9)
    charges = charge_kinds(atoms)[kind]
    free = FieldCalculator(NoForces(), charges, field=FIELD)
    tied = FieldCalculator(NoForces(), charges, field=FIELD, reference=reference)
    difference = free.get_potential_energy(atoms) - free.get_potential_energy(reference)
    assert tied.get_potential_energy(atoms) == pytest.approx(difference, abs=1e-11)
    assert np.array_equal(tied.get_forces(atoms), free.get_forces(atoms))


@pytest.mark.parametrize("net_force", ["remove", "keep"])
def test_reimaging_changes_no_force_and_energy_by_the_quantum(net_force):
    charges = neutral_charges() if net_force == "remove" else CHARGED
    atoms = skewed_alloy()
    source = PairCharges(atoms, charges)
    calc = FieldCalculator(EMT(), source, field=FIELD, net_force=net_force)
    energy, forces = calc.get_potential_energy(atoms), calc.get_forces(atoms)
    for a, shift in ((0, (1, 0, 0)), (3, (-1, 2, 1)), (6, (0, 0, -3))):
        moved = atoms.copy()
        lattice_vector = np.array(shift) @ atoms.cell.array
        moved.positions[a] += lattice_vector
        assert np.abs(calc.get_forces(moved) - forces).max() < 1e-10
        quantum = -charges[atoms.symbols[a]] * FIELD @ lattice_vector
        assert calc.get_potential_energy(moved) - energy == pytest.approx(quantum, abs=1e-10)


def test_removed_net_force_is_shared_by_mass_and_nothing_else_changes():
    atoms = skewed_alloy()
    keep = FieldCalculator(NoForces(), CHARGED, field=FIELD, net_force="keep").get_forces(atoms)
    gone = FieldCalculator(NoForces(), CHARGED, field=FIELD).get_forces(atoms)
    assert keep.sum(axis=0) == pytest.approx(FIELD, abs=1e-14)  # Q = 1
    assert gone.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-14)
    acceleration = (keep - gone) / atoms.get_masses()[:, None]
    assert np.abs(acceleration - acceleration[0]).max() < 1e-15


def test_rotating_atoms_field_and_charges_rotates_forces():
    atoms = skewed_alloy()
    tensors = random_tensors(len(atoms))
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ rotation.T)
    turned.positions[:] = atoms.positions @ rotation.T
    turned_tensors = np.einsum("ip,apq,jq->aij", rotation, tensors, rotation)
    here = FieldCalculator(EMT(), tensors, field=FIELD)
    there = FieldCalculator(EMT(), turned_tensors, field=rotation @ FIELD)
    assert there.get_forces(turned) == pytest.approx(here.get_forces(atoms) @ rotation.T, abs=1e-9)
    assert there.get_potential_energy(turned) == pytest.approx(
        here.get_potential_energy(atoms), abs=1e-9
    )


def test_cycle_of_one_ion_through_the_cell_costs_its_charge_times_the_potential_drop():
    atoms = skewed_alloy()
    calc = FieldCalculator(EMT(), PairCharges(atoms, neutral_charges()), field=FIELD)
    cycled = atoms.copy()
    cycled.positions[0] += atoms.cell[1]
    difference = calc.get_potential_energy(cycled) - calc.get_potential_energy(atoms)
    assert -difference == pytest.approx(1.0 * FIELD @ atoms.cell[1], abs=1e-9)


def test_zero_field_gives_the_base_calculator_and_asks_no_charges():
    atoms = skewed_alloy()
    source = PairCharges(atoms, neutral_charges())
    calc = FieldCalculator(EMT(), source, field=(0, 0, 0))
    plain = EMT()
    assert calc.get_potential_energy(atoms) == plain.get_potential_energy(atoms)
    assert np.array_equal(calc.get_forces(atoms), plain.get_forces(atoms))
    assert np.array_equal(calc.get_stress(atoms), plain.get_stress(atoms))
    assert np.array_equal(calc.get_potential_energies(atoms), plain.get_potential_energies(atoms))
    assert source.calls == 0


def test_charges_known_for_one_axis_serve_a_field_along_it():
    atoms = skewed_alloy()
    rows = random_tensors(len(atoms))[:, 2]
    calc = FieldCalculator(
        EMT(),
        HalfKnownCharges(rows),
        field=(0, 0, 0.1),
        energy="none",
        net_charge=rows[:, 2].sum(),
    )
    share = atoms.get_masses() / atoms.get_masses().sum()
    expected = 0.1 * (rows - share[:, None] * rows.sum(axis=0))
    assert calc.get_forces(atoms) == pytest.approx(EMT().get_forces(atoms) + expected, abs=1e-12)
    charges = calc.get_property("born_effective_charges", atoms)
    assert np.isnan(charges[:, :2]).all()
    assert 0.1 * charges[:, 2] == pytest.approx(expected, abs=1e-12)
    assert calc.extras["net_charge"] == pytest.approx(rows.sum(axis=0)[2])


@pytest.mark.parametrize("wrapped", [False, True])
def test_diagonal_keeps_the_diagonal_only(wrapped):
    atoms = skewed_alloy()
    source = CurledCharges(atoms)
    charges = BornCalculator(source) if wrapped else source
    calc = FieldCalculator(
        NoForces(), charges, field=FIELD, energy="none", components="diagonal", net_force="keep"
    )
    full = source.born_charges(atoms)
    expected = [[FIELD[i] * z[i, i] for i in range(3)] for z in full]
    assert calc.get_forces(atoms) == pytest.approx(np.array(expected), abs=1e-14)


def test_diagonal_of_charges_known_for_one_axis():
    atoms = skewed_alloy()
    rows = random_tensors(len(atoms))[:, 2]
    calc = FieldCalculator(
        NoForces(),
        HalfKnownCharges(rows),
        field=(0, 0, -0.1),
        energy="none",
        components="diagonal",
        net_force="keep",
        net_charge=rows[:, 2].sum(),
    )
    forces = calc.get_forces(atoms)
    assert forces[:, 2] == pytest.approx(-0.1 * rows[:, 2], abs=1e-14)
    assert not forces[:, :2].any()


def test_base_runs_once_per_configuration_whatever_the_field():
    atoms = skewed_alloy()
    base = CountingEMT()
    calc = FieldCalculator(base, neutral_charges(), field=FIELD)
    atoms.calc = calc
    for field in (FIELD, 2 * FIELD, (0, 0, 0), FIELD):
        calc.field = field
        atoms.get_forces()
        atoms.get_potential_energy()
        atoms.get_potential_energy(force_consistent=True)
        calc.get_property("born_effective_charges", atoms)
    assert base.calculations == 1
    atoms.positions[0, 0] += 0.01
    atoms.get_forces()
    assert base.calculations == 2
