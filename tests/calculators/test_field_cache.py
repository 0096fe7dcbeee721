"""What a field calculator keeps, and when it lets go."""

from itertools import product

import numpy as np
import pytest
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from field_examples import (
    FIELD,
    BornCalculator,
    CountingEMT,
    NoForces,
    PairCharges,
    neutral_charges,
    random_tensors,
    skewed_alloy,
)

from ase_bec.calculators.field import FieldCalculator


def in_field(base, charges=None, field=FIELD, **options):
    return FieldCalculator(
        base, neutral_charges() if charges is None else charges, field=field, **options
    )


def test_a_new_field_takes_effect_at_once():
    atoms = skewed_alloy()
    calc = in_field(EMT(), field_limit=2.0)
    atoms.calc = calc
    for field in (FIELD, (0, 0, 0.2), (0.0, 0.0, 0.0), [1, 0, 0]):
        calc.field = field
        fresh = in_field(EMT(), field=field, field_limit=2.0)
        assert np.array_equal(atoms.get_forces(), fresh.get_forces(atoms))
        assert atoms.get_potential_energy() == fresh.get_potential_energy(atoms)
        assert calc.extras["field_energy"] == fresh.extras["field_energy"]
        assert np.array_equal(calc.field, field)


def test_set_field_is_the_setter():
    calc = in_field(EMT())
    calc.get_forces(skewed_alloy())
    calc.set(field=(0, 0, 0.2))
    assert calc.results == {}
    assert np.array_equal(calc.field, (0, 0, 0.2))


def test_the_same_field_again_keeps_the_results():
    atoms = skewed_alloy()
    source = PairCharges(atoms, neutral_charges())
    calc = in_field(EMT(), source)
    calc.get_forces(atoms)
    calls = source.calls
    calc.field = FIELD.copy()
    calc.get_forces(atoms)
    assert source.calls == calls


@pytest.mark.parametrize("change", ["positions", "cell", "numbers", "pbc"])
def test_a_change_of_the_atoms_is_seen(change):
    atoms = skewed_alloy()
    calc = in_field(EMT())
    calc.get_forces(atoms)
    calc.get_property("polarization", atoms)
    if change == "positions":
        atoms.positions[2] += 0.1
    elif change == "cell":
        atoms.set_cell(atoms.cell.array * 1.02)
    elif change == "numbers":
        atoms.symbols[0] = "Al"
    else:
        atoms.pbc = (True, True, False)
    fresh = in_field(EMT())
    assert np.array_equal(calc.get_forces(atoms), fresh.get_forces(atoms))
    for name in ("polarization", "born_effective_charges"):
        assert np.array_equal(calc.get_property(name, atoms), fresh.get_property(name, atoms))
    assert calc.get_potential_energy(atoms) == fresh.get_potential_energy(atoms)


def test_properties_asked_for_out_of_order_belong_to_their_atoms():
    first, second = skewed_alloy(seed=1), skewed_alloy(seed=2)
    source = PairCharges(first, neutral_charges())
    calc = in_field(EMT(), source)
    forces = calc.get_forces(first)
    charges = calc.get_property("born_effective_charges", second)
    assert np.array_equal(calc.get_forces(first), forces)
    calc.get_property("polarization", second)
    fresh = in_field(EMT(), source)
    assert np.array_equal(calc.get_forces(second), fresh.get_forces(second))
    assert charges == pytest.approx(fresh.get_property("born_effective_charges", second))


def test_a_change_of_the_parameters_of_the_base_is_seen():
    atoms = skewed_alloy()
    base = LennardJones(sigma=2.0, rc=5.0)
    calc = in_field(base)
    before = calc.get_forces(atoms)
    base.set(sigma=2.2)
    base.reset()
    assert np.abs(calc.get_forces(atoms) - before).max() > 0.1
    fresh = in_field(LennardJones(sigma=2.2, rc=5.0))
    assert np.array_equal(calc.get_forces(atoms), fresh.get_forces(atoms))


def test_reset_reaches_what_is_kept_of_the_base():
    atoms = skewed_alloy()
    base = CountingEMT()
    calc = in_field(base)
    calc.get_forces(atoms)
    calc.reset()
    assert calc.extras == {}
    base.reset()
    calc.get_forces(atoms)
    assert base.calculations == 2


class Failing(CountingEMT):
    fails = False

    def calculate(self, *args, **kwargs):
        if self.fails:
            raise CalculationFailed("the base failed")
        super().calculate(*args, **kwargs)


def test_a_failure_leaves_no_results_behind():
    atoms = skewed_alloy()
    base = Failing()
    calc = in_field(base)
    good = calc.get_forces(atoms)
    base.fails = True
    moved = atoms.copy()
    moved.positions[0] += 0.3
    with pytest.raises(CalculationFailed, match="the base failed"):
        calc.calculate(moved, ["energy"], all_changes)
    assert calc.extras == {}
    for _ in range(2):
        with pytest.raises(CalculationFailed, match="the base failed"):
            calc.get_forces(moved)
        assert calc.results == {}
        assert calc.extras == {}
    base.fails = False
    base.reset()
    assert np.array_equal(calc.get_forces(atoms), good)
    assert np.array_equal(calc.get_forces(moved), in_field(EMT()).get_forces(moved))


def test_a_failing_function_of_time_keeps_the_field():
    calc = in_field(EMT(), field=lambda time: (0, 0, 0.1 if time < 1 else np.nan))
    with pytest.raises(ValueError, match="`field` must be three finite numbers"):
        calc.time = 2.0
    assert calc.time == 0.0
    assert np.array_equal(calc.field, (0, 0, 0.1))


def test_implemented_properties_belong_to_the_instance():
    calc = in_field(EMT())
    assert "born_effective_charges" in calc.implemented_properties
    assert "born_effective_charges" not in EMT.implemented_properties
    assert FieldCalculator.implemented_properties == Calculator.implemented_properties == []
    assert {"energies", "stress", "polarization"} <= set(calc.implemented_properties)


def test_returned_arrays_are_copies():
    atoms = skewed_alloy()
    base = EMT()
    calc = in_field(base)
    forces = calc.get_forces(atoms)
    charges = calc.get_property("born_effective_charges", atoms)
    calc.get_forces(atoms)[:] = 0
    calc.extras["field_forces"][:] = 0
    calc.get_property("born_effective_charges", atoms)[:] = 0
    assert np.array_equal(calc.get_forces(atoms), forces)
    assert np.array_equal(calc.get_property("born_effective_charges", atoms), charges)
    assert calc.extras["field_forces"].any()
    assert np.array_equal(base.get_forces(atoms), EMT().get_forces(atoms))


class Peculiar(Calculator):
    """Single precision, arrays for numbers, a (3, 3) stress, and properties unknown to ASE."""

    implemented_properties = ("energy", "forces", "stress", "node_energy")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {
            "energy": np.array([-3.5], dtype=np.float32),
            "free_energy": np.float32(-3.75),
            "forces": np.zeros((len(atoms), 3), dtype=np.float32),
            "stress": np.arange(9.0).reshape(3, 3),
            "node_energy": np.zeros(len(atoms)),
        }


def test_answers_of_peculiar_calculators_are_coerced():
    atoms = skewed_alloy()
    calc = in_field(Peculiar(), stress="zero-field")
    atoms.calc = calc
    assert type(atoms.get_potential_energy()) is float
    assert calc.get_forces(atoms).dtype == np.float64
    assert calc.get_stress(atoms).tolist() == [0.0, 4.0, 8.0, 6.0, 4.0, 2.0]
    assert set(calc.results) == {"energy", "free_energy", "forces", "stress"}
    field_energy = calc.extras["field_energy"]
    assert atoms.get_potential_energy() == -3.5 + field_energy
    assert atoms.get_potential_energy(force_consistent=True) == -3.75 + field_energy


def test_stress_without_field_is_given_on_request():
    atoms = skewed_alloy()
    calc = in_field(EMT(), stress="zero-field")
    assert np.array_equal(calc.get_stress(atoms), EMT().get_stress(atoms))


def test_free_energy_is_there_for_bases_without():
    atoms = skewed_alloy()
    atoms.calc = in_field(NoForces())
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_extras_measure_the_sum_rule():
    atoms = skewed_alloy()
    calc = in_field(EMT(), {**neutral_charges(), "Al": 3.0})
    assert calc.extras == {}
    calc.get_forces(atoms)
    assert calc.extras["net_charge"] == pytest.approx(1.0)
    assert calc.extras["sum_rule_residual"] == pytest.approx(0.0, abs=1e-14)
    charges = np.zeros((8, 3, 3))
    charges[1] = [[0.5, 0.2, 0], [0, 0.5, 0], [0, 0, 0.8]]
    skewed = in_field(EMT(), charges, net_charge=0.6)
    skewed.get_forces(atoms)
    assert skewed.extras["net_charge"] == pytest.approx(0.6)
    assert skewed.extras["sum_rule_residual"] == pytest.approx(0.2)
    assert skewed.extras["field_forces"].sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-14)


def test_born_charges_are_the_field_derivative_of_the_forces():
    atoms = skewed_alloy()
    charged = {**neutral_charges(), "Al": 3.0}
    for options in ({}, {"net_force": "keep"}, {"energy": "none", "components": "diagonal"}):
        calc = in_field(NoForces(), PairCharges(atoms, charged), field_limit=2.0, **options)
        charges = calc.get_property("born_effective_charges", atoms)
        for i in range(3):
            calc.field = np.eye(3)[i]
            assert charges[:, i] == pytest.approx(calc.get_forces(atoms), abs=1e-12)


def test_energy_is_minus_volume_times_field_and_polarization():
    atoms, reference = skewed_alloy(), skewed_alloy(seed=4)
    charged = {**neutral_charges(), "Al": 3.0}
    sources = (PairCharges(atoms, charged), random_tensors(len(atoms)))
    choices = ({}, {"net_force": "keep"}, {"reference": reference})
    for source, options in product(sources, choices):
        calc = in_field(NoForces(), source, **options)
        polarization = calc.get_property("polarization", atoms)
        expected = -atoms.get_volume() * FIELD @ polarization
        assert calc.get_potential_energy(atoms) == pytest.approx(expected, abs=1e-11)


def test_charges_of_a_calculator_are_computed_once_per_configuration():
    atoms = skewed_alloy()
    charges = BornCalculator(PairCharges(atoms, neutral_charges()))
    calc = in_field(EMT(), charges, energy="none")
    calc.get_forces(atoms)
    calc.field = 2 * FIELD
    calc.get_forces(atoms)
    calc.get_property("born_effective_charges", atoms)
    assert calc.extras["net_charge"] == pytest.approx(0.0, abs=1e-12)
    assert charges.calculations == 1
