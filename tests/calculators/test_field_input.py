"""Bad input of fields: each row has its error, and no base calculation runs before it."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator
from field_examples import (
    FIELD,
    BornCalculator,
    CountingEMT,
    HalfKnownCharges,
    NoForces,
    neutral_charges,
    random_tensors,
    skewed_alloy,
)

from ase_bec.calculators.field import FieldCalculator

N = 8
GOOD = neutral_charges()
THREE_NUMBERS = r"`field` must be three finite numbers in V/Å, got "


def with_value(shape, index, value):
    array = np.ones(shape)
    array[index] = value
    return array


def without(*symbols):
    return {symbol: charge for symbol, charge in GOOD.items() if symbol not in symbols}


class FieldedEMT(EMT):
    electric_field = (0.0, 0.0, 0.1)


class AnsweringBadly(BornCalculator):
    def __init__(self, answer):
        super().__init__(SimpleNamespace(born_charges=lambda atoms: answer))


FIELDS = [
    (0.1, THREE_NUMBERS + "0.1"),
    ((0, 0.1), THREE_NUMBERS),
    ((0, 0, 0.1, 0), THREE_NUMBERS),
    ([[0, 0, 0.1]], THREE_NUMBERS),
    ((0, 0, np.nan), THREE_NUMBERS),
    ((0, np.inf, 0), THREE_NUMBERS),
    ((0, 0, 1j), THREE_NUMBERS),
    ((0, 0, True), THREE_NUMBERS),
    (np.array([True, False, False]), THREE_NUMBERS),
    (("0", "0", "0.1"), THREE_NUMBERS),
    ("0 0 0.1", THREE_NUMBERS),
    ((0, 0, None), THREE_NUMBERS + r"\(0, 0, None\)"),
    (None, THREE_NUMBERS + "None"),
    ({"z": 0.1}, THREE_NUMBERS),
    (lambda time: (0, 0), THREE_NUMBERS + r"\(0, 0\)"),
    (lambda time: None, THREE_NUMBERS + "None"),
]


@pytest.mark.parametrize(("value", "message"), FIELDS)
def test_bad_field(value, message):
    with pytest.raises(ValueError, match=message):
        FieldCalculator(EMT(), GOOD, field=value)
    calc = FieldCalculator(EMT(), GOOD, field=FIELD)
    with pytest.raises(ValueError, match=message):
        calc.field = value
    assert np.array_equal(calc.field, FIELD)
    assert not calc.time_dependent


# Rows: charges, error, message; refused when the calculator is made.
CHARGES = [
    (None, TypeError, "`charges` must be a dict per element, .* got NoneType"),
    (1.0, TypeError, "`charges` must be .* got float"),
    (NoForces, TypeError, "`charges` must be .* got NoForces"),
    ({}, ValueError, "at least one element, got an empty dict"),
    ({"Cu": 1, "Lx": 2}, ValueError, "keyed by chemical symbols, got 'Lx'"),
    ({29: 1}, ValueError, "keyed by chemical symbols, got 29"),
    ({"Cu": np.nan}, ValueError, r"`charges\['Cu'\]` must be a finite number .* got nan"),
    ({"Cu": [1, 2, 3]}, ValueError, r"finite \(3, 3\) array in e, got int64 of shape \(3,\)"),
    ({"Cu": "1"}, ValueError, r"`charges\['Cu'\]` must be a finite number .* got '1'"),
    ({"Cu": 1j}, ValueError, r"`charges\['Cu'\]` must be a finite number"),
    ({"Cu": True}, ValueError, r"`charges\['Cu'\]` must be a finite number .* got True"),
    ({"Cu": None}, ValueError, r"got NoneType"),
    (np.ones((N, 3)), ValueError, r"shape \(natoms, 3, 3\) in e, got float64 of shape \(8, 3\)"),
    (np.ones(N), ValueError, r"shape \(natoms, 3, 3\) in e, got float64 of shape \(8,\)"),
    ([[1], [1, 2]], ValueError, r"shape \(natoms, 3, 3\) in e, got a ragged list"),
    (np.ones((N, 3, 3)) * 1j, ValueError, r"shape \(natoms, 3, 3\) in e, got complex128"),
    (with_value((N, 3, 3), (2, 1, 0), np.nan), ValueError, "with values that are not finite"),
    (EMT(), ValueError, "`charges` must be a calculator with `born_effective_charges` .* got EMT"),
]


@pytest.mark.parametrize(("charges", "error", "message"), CHARGES)
def test_bad_charges(charges, error, message):
    with pytest.raises(error, match=message):
        FieldCalculator(EMT(), charges, field=FIELD)


# Rows: charges, keywords, message; refused with the atoms, before the base runs.
MISFITS = [
    (without("Au"), {}, "must have every element of the atoms, got none for Au"),
    (without("Au", "Al"), {"field": (0, 0, 0)}, "got none for Al, Au"),
    (np.ones((N + 1, 3, 3)), {}, "one tensor for each of the 8 atoms, got 9"),
    (dict.fromkeys(GOOD, 0), {}, r"`field` must be zero where every charge is zero, got \(0.03, "),
    (np.zeros((N, 3, 3)), {}, "`field` must be zero where every charge is zero"),
    (
        dict.fromkeys(GOOD, np.diag([1.0, 0, 0])),
        {"field": (0, 0, 0.1)},
        r"`field` must act on the charges, .* \(zero charges\); check `charges`",
    ),
    (
        AnsweringBadly(np.zeros((N, 3, 3))),
        {"energy": "none"},
        r"`field` must act on the charges, .* \(zero charges\)",
    ),
    (
        AnsweringBadly(np.ones((N, 9))),
        {"energy": "none"},
        r"must give a finite \(8, 3, 3\) array, got float64 of shape \(8, 9\) from AnsweringBadly",
    ),
    (AnsweringBadly(with_value((N, 3, 3), 0, np.nan)), {"energy": "none"}, "not finite"),
    (
        HalfKnownCharges(np.full((N, 3), np.inf)),
        {"energy": "none", "field": (0, 0, 0.1)},
        r"must give finite forces of shape \(8, 3\)",
    ),
    (HalfKnownCharges(np.ones((N, 3))), {"energy": "none"}, "must be along z for these charges"),
    (HalfKnownCharges(np.ones((N, 3))), {"energy": "none", "components": "diagonal"}, "along z"),
    ({**GOOD, "Al": 3.0}, {"net_force": "error"}, r"got a net charge of 1 e along the field"),
    (
        random_tensors(N),
        {"net_force": "error"},
        r"`charges` must sum to zero with net_force=\"error\", got a net charge of",
    ),
    (GOOD, {"reference": skewed_alloy()[::-1]}, "elements of the atoms in the same order"),
    (GOOD, {"reference": skewed_alloy()[:-1]}, "elements of the atoms in the same order"),
    (GOOD, {"reference": skewed_alloy() * (1, 1, 2)}, "`reference` must have the elements"),
    (
        GOOD,
        {"reference": Atoms(skewed_alloy(), cell=skewed_alloy().cell * 1.01)},
        "`reference` must have the cell and periodicity of the atoms",
    ),
    (GOOD, {"reference": Atoms(skewed_alloy(), pbc=False)}, "cell and periodicity"),
]


@pytest.mark.parametrize(("charges", "keywords", "message"), MISFITS)
def test_charges_that_do_not_fit_the_atoms(charges, keywords, message):
    base = CountingEMT()
    calc = FieldCalculator(base, charges, **{"field": FIELD, **keywords})
    with pytest.raises(ValueError, match=message):
        calc.get_forces(skewed_alloy())
    assert base.calculations == 0
    assert calc.results == {}
    assert calc.extras == {}


def test_only_net_force_is_no_field():
    copper = skewed_alloy()
    copper.symbols[:] = "Cu"
    calc = FieldCalculator(EMT(), {"Cu": 1}, field=FIELD)
    with pytest.raises(ValueError, match=r'all of it is net force\); net_force="keep"'):
        calc.get_forces(copper)
    kept = FieldCalculator(NoForces(), {"Cu": 1}, field=FIELD, net_force="keep", net_charge=8)
    assert kept.get_forces(copper) == pytest.approx(np.tile(FIELD, (8, 1)))


def test_positions_that_are_not_finite():
    atoms = skewed_alloy()
    atoms.positions[3, 1] = np.nan
    base = CountingEMT()
    with pytest.raises(ValueError, match="`positions` must be finite"):
        FieldCalculator(base, GOOD, field=FIELD).get_forces(atoms)
    assert base.calculations == 0


# Rows: keywords, error, message; refused when the calculator is made.
OPTIONS = [
    ({"energy": "Potential"}, ValueError, "`energy` must be one of 'potential', 'work', 'none'"),
    ({"energy": None}, ValueError, "`energy` must be one of .* got None"),
    ({"components": "offdiagonal"}, ValueError, "`components` must be one of None, 'diagonal'"),
    ({"net_force": True}, ValueError, "`net_force` must be one of 'remove', 'keep', 'error'"),
    ({"stress": "keep"}, ValueError, "`stress` must be one of 'error', 'zero-field', got 'keep'"),
    ({"work_tolerance": 0}, ValueError, "`work_tolerance` must be a positive energy in eV, got 0"),
    ({"energy": "work"}, ValueError, "`reference` must be the Atoms where the work integral"),
    ({"components": "diagonal"}, ValueError, '`energy` must be "work" or "none" with components'),
    ({"reference": np.zeros((8, 3))}, TypeError, "`reference` must be Atoms, got ndarray"),
    (
        {"charges": BornCalculator(None)},
        ValueError,
        '`energy` must be "work" or "none" for charges without a dipole',
    ),
    ({"calculator": None}, TypeError, "`calculator` must be an ASE calculator, got None"),
    ({"calculator": EMT}, TypeError, "`calculator` must be an ASE calculator, got the class EMT"),
    ({"calculator": "emt"}, TypeError, "`calculator` must be an ASE calculator, got 'emt'"),
    (
        {"calculator": FieldCalculator(EMT(), GOOD, field=(0, 0, 0))},
        ValueError,
        "`calculator` must not apply a field itself, got FieldCalculator",
    ),
    (
        {"calculator": SumCalculator([EMT(), FieldCalculator(EMT(), GOOD, field=(0, 0, 0))])},
        ValueError,
        "must not apply a field itself, got FieldCalculator",
    ),
    ({"calculator": FieldedEMT()}, ValueError, "got FieldedEMT with electric_field"),
    (
        {"calculator": LennardJones(efield=[0, 0, 0.2])},
        ValueError,
        r"got LennardJones with efield=\[0, 0, 0.2\]; set it to zero",
    ),
]


@pytest.mark.parametrize(("keywords", "error", "message"), OPTIONS)
def test_bad_options(keywords, error, message):
    arguments = {"calculator": EMT(), "charges": GOOD, "field": FIELD, **keywords}
    with pytest.raises(error, match=message):
        FieldCalculator(**arguments)


def test_a_field_set_on_the_base_later_is_refused():
    base = LennardJones()
    calc = FieldCalculator(base, GOOD, field=FIELD)
    base.set(efield=[0, 0, 0.2])
    with pytest.raises(ValueError, match="must not apply a field itself"):
        calc.get_forces(skewed_alloy())


# Rows: keywords, property, message; properties which are not defined in a field.
UNDEFINED = [
    ({}, "stress", 'use stress="zero-field" to have that of the base calculator'),
    ({}, "energies", "per-atom energies do not add up to the energy in a field"),
    ({"energy": "none"}, "energy", 'not defined with energy="none"; use energy="work"'),
    ({"energy": "none"}, "free_energy", 'not defined with energy="none"'),
    (
        {"energy": "none", "components": "diagonal"},
        "polarization",
        "not defined for charges without a dipole",
    ),
    ({}, "dipole", "dipole property not implemented"),
]


@pytest.mark.parametrize(("keywords", "name", "message"), UNDEFINED)
def test_undefined_properties(keywords, name, message):
    base = CountingEMT()
    calc = FieldCalculator(base, GOOD, field=FIELD, **keywords)
    with pytest.raises(PropertyNotImplementedError, match=message):
        calc.get_property(name, skewed_alloy())
    assert base.calculations == 0


def test_polarization_needs_a_volume():
    atoms = Atoms("CuAu", [(0, 0, 0), (2.5, 0, 0)])
    calc = FieldCalculator(EMT(), {"Cu": 1, "Au": -1}, field=FIELD)
    assert calc.get_forces(atoms).shape == (2, 3)
    with pytest.raises(PropertyNotImplementedError, match="needs a cell with a volume"):
        calc.get_property("polarization", atoms)


def test_parameters_that_would_have_no_effect_are_refused():
    calc = FieldCalculator(EMT(), GOOD, field=FIELD)
    with pytest.raises(TypeError, match="only `field` can be set, got charges"):
        calc.set(charges={"Cu": 2})
    with pytest.raises(ValueError, match="read-only"):
        calc.field[2] = 0.5


def test_first_call_needs_atoms():
    with pytest.raises(ValueError, match="`atoms` must be given in the first call"):
        FieldCalculator(EMT(), GOOD, field=FIELD).get_forces()
