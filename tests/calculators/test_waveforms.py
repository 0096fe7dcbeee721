"""Fields as functions of time: closed forms, plain values, checked input."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from field_examples import NoForces

from ase_bec.calculators.field import FieldCalculator
from ase_bec.calculators.waveforms import PulseField, RampField, SineField

A = (0.1, -0.2, 0.05)
FUNCTIONS = (
    SineField(A, period=80.0, phase=0.3),
    PulseField(A, centre=30.0, width=8.0, period=20.0),
    RampField(A, start=10.0, duration=40.0),
)


def test_sine() -> None:
    wave = SineField(A, period=80.0)
    assert np.array_equal(wave(0.0), np.zeros(3))
    assert wave(20.0) == pytest.approx(A)
    assert wave(60.0) == pytest.approx(-np.array(A))
    assert replace(wave, phase=np.pi / 2)(0.0) == pytest.approx(A)
    assert replace(wave, phase=0.4)(7.0) == pytest.approx(wave(7.0 + 0.4 / (2 * np.pi) * 80.0))


def test_pulse_has_its_area_and_carrier() -> None:
    pulse = PulseField(A, centre=100.0, width=10.0)
    times = np.arange(0.0, 200.0, 0.5)
    fields = np.array([pulse(t) for t in times])
    area = fields.sum(axis=0) * 0.5
    assert area == pytest.approx(np.array(A) * 10.0 * np.sqrt(2 * np.pi), rel=1e-10)
    assert pulse(100.0) == pytest.approx(A)
    assert pulse(100.0 + 10.0 * np.sqrt(2 * np.log(2))) == pytest.approx(np.array(A) / 2)
    with_carrier = replace(pulse, period=25.0)
    for t in (95.0, 100.0, 113.0):
        expected = pulse(t) * np.cos(2 * np.pi * (t - 100.0) / 25.0)
        assert with_carrier(t) == pytest.approx(expected)


def test_ramp_and_step() -> None:
    ramp = RampField(A, start=10.0, duration=40.0)
    for time, fraction in ((-5.0, 0), (10.0, 0), (20.0, 0.25), (50.0, 1), (1e6, 1)):
        assert ramp(time) == pytest.approx(fraction * np.array(A))
    step = RampField(A, start=10.0)
    assert np.array_equal(step(np.nextafter(10.0, 0)), np.zeros(3))
    assert step(10.0) == pytest.approx(A)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: type(f).__name__)
def test_functions_are_plain_values(function: SineField | PulseField | RampField) -> None:
    assert pickle.loads(pickle.dumps(function)) == function
    assert eval(repr(function)) == function
    arrays = replace(function, amplitude=np.array(A))
    assert arrays == function
    assert hash(arrays) == hash(function)
    calc = FieldCalculator(NoForces(), {"Cu": 1.0}, function)
    calc.time = 17.0
    assert np.array_equal(calc.field, function(17.0))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (SineField, ((0, 0), 10.0), "`amplitude` must be three finite numbers"),
        (SineField, ((0, 0, np.nan), 10.0), "`amplitude` must be three finite numbers"),
        (SineField, (A, 0.0), "`period` must be a positive time in fs, got 0.0"),
        (SineField, (A, 10.0, np.inf), "`phase` must be finite"),
        (PulseField, (A, np.nan, 10.0), "`centre` must be finite"),
        (PulseField, (A, 0.0, -1.0), "`width` must be a positive time"),
        (PulseField, (A, 0.0, 1.0, 0.0), "`period` must be a positive time"),
        (RampField, (A, np.inf), "`start` must be finite"),
        (RampField, (A, 0.0, -1.0), "`duration` must be a time in fs from 0"),
    ],
)
def test_bad_input(kind: type, arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(*arguments)
