"""The net charge of a cell: never unsaid, doubted where it is hardly meant."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from field_examples import (
    FIELD,
    BornCalculator,
    CurledCharges,
    HalfKnownCharges,
    NoForces,
    PairCharges,
    neutral_charges,
    random_tensors,
    skewed_alloy,
)

from ase_bec.calculators.field import FieldCalculator
from ase_bec.data.net_charge import charge_text, unlikely_charge
from ase_bec.evaluation.field_response import FieldResponse
from ase_bec.models import EquivariantNetwork, PolarizationModel

GOOD = neutral_charges()  # of Cu4Au3Al: 0 e


def in_field(charges, **options):
    return FieldCalculator(NoForces(), charges, **{"field": FIELD, **options})


def charged(net_charge):
    return {**GOOD, "Al": GOOD["Al"] + net_charge}


def model(net_charge):
    network = EquivariantNetwork(3, 3.0, radial=3, degree=1, channels=2, hidden=(4,))
    elements = ("Cu", "Au", "Al")
    return PolarizationModel(
        elements, network, {symbol: charged(net_charge)[symbol] for symbol in elements}
    )


def array(net_charge):
    return random_tensors(8) + (net_charge - 1) / 8 * np.eye(3)


def one_row(net_charge):
    rows = array(net_charge)[:, 2]
    rows[0, 2] += net_charge - rows[:, 2].sum()
    return HalfKnownCharges(rows)


SOURCES = {
    "per element": lambda atoms, q: (charged(q), {}),
    "network-like": lambda atoms, q: (PairCharges(atoms, charged(q)), {}),
    "array": lambda atoms, q: (array(q), {}),
    "calculator": lambda atoms, q: (
        BornCalculator(PairCharges(atoms, charged(q))),
        {"energy": "none"},
    ),
    "calculator, work": lambda atoms, q: (
        BornCalculator(PairCharges(atoms, charged(q))),
        {"energy": "work", "reference": skewed_alloy(seed=4)},
    ),
    "diagonal": lambda atoms, q: (charged(q), {"energy": "none", "components": "diagonal"}),
    "one row known": lambda atoms, q: (
        one_row(q),
        {"energy": "none", "field": (0, 0, 0.1)},
    ),
    "model": lambda atoms, q: (model(q), {}),
}
EXACT = ("per element", "network-like", "calculator", "calculator, work", "diagonal", "model")


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("net_charge", [0.0, 1.0, -2.0])
def test_net_charges_that_may_be_meant_are_not_doubted(kind, net_charge):
    atoms = skewed_alloy()
    charges, options = SOURCES[kind](atoms, net_charge)
    calc = in_field(charges, **options)
    calc.get_forces(atoms)  # no warning, which would be an error here
    assert calc.extras["net_charge"] == pytest.approx(net_charge, abs=1e-9)


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize(
    ("net_charge", "reason"),
    [(63.0, r"\+63 e, which is more than 2 e"), (0.4, r"\+0.4 e, which is not a whole number")],
)
@pytest.mark.parametrize("net_force", ["remove", "keep"])
def test_unlikely_net_charges_are_said_once(kind, net_charge, reason, net_force):
    atoms = skewed_alloy()
    charges, options = SOURCES[kind](atoms, net_charge)
    calc = in_field(charges, net_force=net_force, **options)
    with pytest.warns(UserWarning, match=f"the charges of AlAu3Cu4 add up to {reason}"):
        calc.get_forces(atoms)
    for _ in range(3):
        atoms.positions[0, 0] += 0.01
        calc.get_forces(atoms)
    assert calc.extras["net_charge"] == pytest.approx(net_charge)
    meant = in_field(charges, net_force=net_force, net_charge=net_charge, **options)
    meant.get_forces(atoms)


@pytest.mark.parametrize("kind", EXACT)
def test_formal_charges_that_contradict_the_net_charge_are_refused(kind):
    atoms = skewed_alloy()
    charges, options = SOURCES[kind](atoms, 1.0)
    for given in (0.0, -1.0, 0.9, 63):
        calc = in_field(charges, net_charge=given, **options)
        with pytest.raises(
            ValueError, match=rf"must be the \+1 e that .* add up to, got [+-]{abs(given):g}:"
        ):
            calc.get_forces(atoms)
        assert calc.calculator.calculations == 0
        assert calc.results == {}
    in_field(charges, net_charge=1.004, **options).get_forces(atoms)


def test_computed_charges_may_miss_a_whole_number():
    """Sums of Born charges from a calculation or a fit carry its errors."""
    atoms = skewed_alloy()
    for given in (0.0, 0.3):
        in_field(array(0.2), net_charge=given).get_forces(atoms)
    for given in (-1.0, 1.0):
        with pytest.raises(ValueError, match=r"`net_charge` must be the \+0.2 e"):
            in_field(array(0.2), net_charge=given).get_forces(atoms)


def test_another_composition_is_looked_at_anew():
    atoms = skewed_alloy()
    calc = in_field(GOOD)
    calc.get_forces(atoms)
    calc.get_forces(atoms[:-1])  # -1 e
    with pytest.warns(UserWarning, match=r"AlAu3 add up to -4 e"):
        calc.get_forces(atoms[atoms.symbols.search("Al")] + atoms[atoms.symbols.search("Au")])
    calc = in_field(GOOD, net_charge=0)
    calc.get_forces(atoms)
    with pytest.raises(ValueError, match="`net_charge` must be the -1 e"):
        calc.get_forces(atoms[:-1])


def test_it_costs_one_tensor_for_a_composition():
    atoms = skewed_alloy()
    source = PairCharges(atoms, GOOD)
    calc = in_field(source)
    forces = FIELD * np.resize([1, -1], (len(atoms), 1))
    source.response = lambda atoms, field: FieldResponse(forces, 0.0, np.zeros(3))
    for _ in range(5):
        atoms.positions[0, 0] += 0.01
        calc.get_forces(atoms)
    assert source.calls == 1


def test_zero_field_doubts_nothing_and_asks_no_charges():
    source = PairCharges(skewed_alloy(), charged(63.0))
    calc = in_field(source, field=(0, 0, 0))
    calc.get_forces(skewed_alloy())
    assert source.calls == 0


def test_net_force_error_says_it_itself():
    calc = in_field(charged(0.4), net_force="error")
    with pytest.raises(ValueError, match=r"got a net charge of 0\.4 e"):
        calc.get_forces(skewed_alloy())


@pytest.mark.parametrize("value", [np.nan, np.inf, True])
def test_net_charges_of_no_use(value):
    with pytest.raises(ValueError, match="`net_charge` must be a finite charge in e, got"):
        in_field(GOOD, net_charge=value)


def test_curled_charges_have_none():
    atoms = skewed_alloy()
    calc = in_field(CurledCharges(atoms), energy="none", net_charge=0)
    calc.get_forces(atoms)
    assert calc.extras["net_charge"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("charge", "expected", "text"),
    [
        (0.0, None, "0 e"),
        (-1e-9, None, "0 e"),
        (-1.0, None, "-1 e"),
        (2.009, None, "+2.009 e"),
        (0.02, "whole", "+0.02 e"),
        (-2.98, "whole", "-2.98 e"),
        (3.0, "more than 2 e", "+3 e"),
    ],
)
def test_which_charges_are_unlikely(charge, expected, text):
    reason = unlikely_charge(charge)
    assert reason is None if expected is None else expected in reason
    assert charge_text(charge) == text


def test_a_lone_ion_may_be_charged():
    ion = Atoms("Cu", cell=[5, 5, 5], pbc=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        in_field({"Cu": 2}, net_force="keep").get_forces(ion)
