"""Fields too large for a model of linear response: doubted from 1 V/Å, refused from 10."""

import numpy as np
import pytest
from field_examples import FIELD, NoForces, neutral_charges, skewed_alloy

from ase_bec.calculators.field import FieldCalculator
from ase_bec.calculators.waveforms import PulseField, RampField, SineField

DIRECTION = FIELD / np.linalg.norm(FIELD)
WAVES = {
    "sine": lambda amplitude: SineField(amplitude, 100.0),
    "pulse": lambda amplitude: PulseField(amplitude, 1e4, 10.0, 7.0),
    "ramp": lambda amplitude: RampField(amplitude, 50.0, 10.0),
}


def in_field(field, **options):
    return FieldCalculator(NoForces(), neutral_charges(), field, **options)


@pytest.mark.parametrize("size", [10.0, 11.0, 1e6, 1e300])
def test_fields_from_10_are_refused(size):
    message = r"`field` must be smaller than 10 V/Å, got \[.*\] V/Å, which is .*MV/cm"
    with pytest.raises(ValueError, match=message):
        in_field(size * DIRECTION)
    calc = in_field(FIELD)
    with pytest.raises(ValueError, match=message):
        calc.field = size * DIRECTION
    assert np.array_equal(calc.field, FIELD)


@pytest.mark.parametrize("size", [1.0, 3.0, 9.99])
def test_fields_from_1_are_doubted_once(size):
    field = 1.000001 * size * DIRECTION
    with pytest.warns(UserWarning, match=f"`field` is {size:.4g} V/Å"):
        calc = in_field(field)
    calc.get_forces(skewed_alloy())  # no warning, which would be an error here
    calc.field = -field
    calc = in_field(0.999 * DIRECTION)
    with pytest.warns(UserWarning, match="`field` is"):
        calc.field = 1.000001 * size * DIRECTION


def test_a_limit_of_ones_own():
    for field in (5.0 * DIRECTION, 50.0 * DIRECTION):
        in_field(field, field_limit=100.0).get_forces(skewed_alloy())
    in_field(1e6 * DIRECTION, field_limit=np.inf)
    with pytest.raises(ValueError, match=r"`field` must be smaller than 0\.05 V/Å"):
        in_field(0.06 * DIRECTION, field_limit=0.05)


@pytest.mark.parametrize("limit", [0, -1.0, np.nan, True])
def test_limits_of_no_use(limit):
    with pytest.raises(ValueError, match="`field_limit` must be a positive field in V/Å, got"):
        in_field(FIELD, field_limit=limit)


@pytest.mark.parametrize("kind", WAVES)
def test_waves_are_judged_by_their_amplitude_before_they_come(kind):
    wave = WAVES[kind]
    with pytest.raises(ValueError, match="`field` must be smaller than 10 V/Å"):
        in_field(wave(tuple(12.0 * DIRECTION)))
    with pytest.warns(UserWarning, match="`field` is 2 V/Å"):
        in_field(wave(tuple(2.0 * DIRECTION)))
    calc = in_field(FIELD)
    with pytest.raises(ValueError, match="`field` must be smaller than 10 V/Å"):
        calc.field = wave(tuple(12.0 * DIRECTION))
    assert not calc.time_dependent
    assert np.array_equal(calc.field, FIELD)


def test_other_functions_are_judged_when_they_come():
    calc = in_field(lambda time: 0.4 * time * DIRECTION)
    atoms = skewed_alloy()
    calc.get_forces(atoms)
    with pytest.warns(UserWarning, match="`field` is 2 V/Å"):
        calc.time = 5.0
    with pytest.raises(ValueError, match="`field` must be smaller than 10 V/Å"):
        calc.time = 25.0
    assert calc.time == 5.0
    assert np.linalg.norm(calc.field) == pytest.approx(2.0)


def test_an_amplitude_that_is_no_vector_is_no_field():
    def wave(time):
        return 0.01 * DIRECTION

    wave.amplitude = 1e6
    in_field(wave)
