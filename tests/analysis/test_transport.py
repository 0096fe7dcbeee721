"""Mobility and conductivity of particles whose laws are known in closed form."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from ase import Atoms, units
from scipy import constants
from trajectory_examples import SKEWED, brownian, ornstein_uhlenbeck, trajectory

from ase_bec.analysis import (
    Value,
    current,
    current_of_dipole,
    diffusion,
    dipole,
    drift_velocity,
    einstein_helfand,
    einstein_mobility,
    field_conductivity,
    green_kubo,
    haven_ratio,
    mobility,
    nernst_einstein,
    transported,
)
from ase_bec.analysis.transport import S_PER_M

matplotlib.use("Agg")
VOLUME, TEMPERATURE = 1500.0, 800.0
KT = units.kB * TEMPERATURE
FIELD = np.array([0.0, -0.03, 0.04])
FRICTION = 0.02  # 1/fs


def agrees(found: Value, exact: float, precision: float) -> bool:
    """Whether the value is right within its error, and the error as small as it should be."""
    return abs(found.value - exact) < 4 * found.error and found.error < precision * abs(exact)


def test_unit_of_conductivity() -> None:
    # 1 e²/(eV Å fs) through Coulomb, joule, metre and second
    assert pytest.approx(constants.e**2 / (constants.eV * 1e-10 * 1e-15)) == S_PER_M
    assert pytest.approx(1.602177e6, rel=1e-6) == S_PER_M


def test_driven_brownian_ions() -> None:
    d = 2e-3
    mu = 2 * d / KT  # of ions of charge 2
    given = brownian(7, [d] * 3, mu * FIELD, frames=6000)
    drift = drift_velocity(given, "Li")
    found = diffusion(given, "Li", (50.0, 300.0), remove_drift=True)
    measured = mobility(drift, FIELD)
    einstein = einstein_mobility(found, 2.0, TEMPERATURE)
    along = einstein_mobility(found, 2.0, TEMPERATURE, FIELD)
    assert agrees(measured, mu, 0.05)
    assert agrees(einstein, mu, 0.02)
    assert agrees(along, mu, 0.02)
    assert along.value != einstein.value
    assert agrees(haven_ratio(einstein, measured), 1.0, 0.05)
    assert mobility(drift, -FIELD).value == pytest.approx(-measured.value)


def test_conductivities_of_driven_brownian_ions() -> None:
    d, charges = 2e-3, {"Li": 2.0}
    drift = 2 * d / KT * FIELD
    exact = S_PER_M * 100 * 4 * d / (VOLUME * KT)
    given = brownian(8, [d] * 3, drift, frames=10000)
    found = diffusion(given, "Li", (50.0, 300.0), remove_drift=True)
    assert agrees(nernst_einstein([found], charges, VOLUME, TEMPERATURE), exact, 0.02)
    moment = dipole(given, charges)
    assert agrees(field_conductivity(given.times, moment, VOLUME, FIELD), exact, 0.05)
    collective = einstein_helfand(
        given.times, moment, VOLUME, TEMPERATURE, (20.0, 100.0), remove_drift=True
    )
    assert agrees(collective.mean(), exact, 0.08)
    biased = einstein_helfand(given.times, moment, VOLUME, TEMPERATURE, (20.0, 100.0))
    assert biased.component(2).value > 1.5 * exact  # unless the drift is taken off
    assert biased.component(0).value == pytest.approx(exact, rel=0.2)


def test_two_elements_add_and_need_their_charges() -> None:
    given = brownian(9, [1e-3] * 3, atoms=4)
    given.numbers[2:] = 9
    each = [diffusion(given, element, (50.0, 300.0)) for element in ("Li", "F")]
    both = nernst_einstein(each, {"Li": 1.0, "F": -3.0}, VOLUME, TEMPERATURE)
    by_hand = sum(
        2 * q**2 * found.coefficient.values.mean() for q, found in zip((1, 3), each, strict=True)
    )
    assert both.value == pytest.approx(S_PER_M * by_hand / (VOLUME * KT))
    along = nernst_einstein(each[:1], {"Li": 1.0}, VOLUME, TEMPERATURE, [0, -3.0, 4.0])
    d = each[0].coefficient
    assert along.value == pytest.approx(
        S_PER_M * 2 * (0.36 * d.values[1] + 0.64 * d.values[2]) / (VOLUME * KT)
    )
    samples = 0.36 * d.samples[:, 1] + 0.64 * d.samples[:, 2]
    assert along.error / along.value == pytest.approx(
        samples.std(ddof=1) / np.sqrt(5) / d.tensor_along([0, -3, 4]).value
    )
    with pytest.raises(ValueError, match="`charges` must have one for F"):
        nernst_einstein(each, {"Li": 1.0}, VOLUME, TEMPERATURE)


@pytest.fixture(scope="module")
def langevin() -> SimpleNamespace:
    given = ornstein_uhlenbeck(10, FRICTION, TEMPERATURE, 40000, 10, 5.0)
    mass = given.masses[0]
    d = KT / mass * units.fs**2 / FRICTION
    sigma = S_PER_M * 10 * d / (VOLUME * KT)
    return SimpleNamespace(given=given, d=d, sigma=sigma)


def test_langevin_diffusion_is_einstein(langevin: SimpleNamespace) -> None:
    assert langevin.given.temperatures.mean() == pytest.approx(TEMPERATURE, rel=0.01)
    found = diffusion(langevin.given, "Li", (300.0, 800.0))
    assert agrees(found.coefficient.mean(), langevin.d, 0.05)


def test_green_kubo_is_einstein_is_closed_form(langevin: SimpleNamespace) -> None:
    given, charges = langevin.given, {"Li": 1.0}
    flow = current(given, charges)
    found = green_kubo(given.times, flow, VOLUME, TEMPERATURE, 400.0, blocks=8)
    assert agrees(found.at(400.0).mean(), langevin.sigma, 0.06)
    early = found.at(50.0).mean()
    assert agrees(early, langevin.sigma * (1 - np.exp(-1)), 0.04)
    c0 = 10 * KT / given.masses[0] * units.fs**2
    assert found.correlation[[0, 10]].mean(axis=1) == pytest.approx([c0, c0 * np.exp(-1)], rel=0.06)
    moment = dipole(given, charges)
    einstein = einstein_helfand(given.times, moment, VOLUME, TEMPERATURE, (300.0, 600.0))
    assert agrees(einstein.mean(), langevin.sigma, 0.1)
    shifted = green_kubo(
        given.times, flow + 1.0, VOLUME, TEMPERATURE, 400.0, blocks=8, remove_mean=True
    )
    assert shifted.conductivity == pytest.approx(found.conductivity, rel=0.05, abs=1e3)


def test_green_kubo_plot(langevin: SimpleNamespace) -> None:
    from matplotlib.figure import Figure

    flow = current(langevin.given, {"Li": 1.0})
    found = green_kubo(langevin.given.times, flow, VOLUME, TEMPERATURE, 400.0)
    axes = found.plot(Figure().subplots())
    assert axes.lines[0].get_xdata()[-1] == pytest.approx(0.4)
    assert axes.lines[0].get_ydata() == pytest.approx(found.conductivity.mean(axis=1) / 100)


class Waves:
    """Dipole Σ q r + A sin(k·r), whose charges Z = q·1 + (A ⊗ k) cos(k·r) are not symmetric."""

    amplitude = np.array([0.7, -0.2, 0.4])
    wave = 2 * np.pi * np.linalg.inv(SKEWED) @ np.array([1.0, 2.0, -1.0])
    charge = np.array([1.0, -1.0])

    def dipole(self, atoms: Atoms) -> np.ndarray:
        waves = np.sin(atoms.positions @ self.wave).sum()
        return self.charge @ atoms.positions + self.amplitude * waves

    def born_charges(self, atoms: Atoms) -> np.ndarray:
        slopes = np.cos(atoms.positions @ self.wave)
        return self.charge[:, None, None] * np.eye(3) + np.einsum(
            "i,j,a->aij", self.amplitude, self.wave, slopes
        )


def test_current_carries_the_change_of_dipole() -> None:
    times = np.linspace(0, 100, 801)
    phase = times[:, None, None] * np.array([[0.05, 0.11, 0.07], [0.09, 0.04, 0.06]])
    drift = np.array([[0.3, -0.1, 0.2], [0.0, 0.2, -0.1]])  # across several cells
    positions = np.sin(phase) + times[:, None, None] * drift
    rates = np.array([[0.05, 0.11, 0.07], [0.09, 0.04, 0.06]]) * np.cos(phase) + drift
    given = trajectory(times, positions, ["Li", "F"], SKEWED, velocities=rates)
    model = Waves()
    moment, flow = dipole(given, model), current(given, model)
    assert np.abs(moment[-1] - moment[0]).max() > 20
    assert transported(times, flow) == pytest.approx(moment - moment[0], abs=2e-3)
    assert current_of_dipole(times, moment)[1:-1] == pytest.approx(flow[1:-1], abs=3e-3)
    formal = {"Li": 1.0, "F": -1.0}
    assert transported(times, current(given, formal)) == pytest.approx(
        dipole(given, formal) - dipole(given, formal)[0], abs=1e-4
    )


def test_field_comes_first_in_born_charges() -> None:
    charges = np.zeros((2, 3, 3))
    charges[1, 0, 2] = 3.0  # displacement along z, dipole along x
    v = np.array([[[1.0, 1, 1], [0.1, 0.2, 0.5]]] * 2)
    given = trajectory(np.arange(2.0), v, ["Li", "F"], velocities=v)
    assert current(given, charges)[0] == pytest.approx([1.5, 0, 0])
    assert dipole(given, charges)[0] == pytest.approx([1.5, 0, 0])


def test_recorded_dipole() -> None:
    recorded = np.arange(6.0).reshape(2, 3)
    given = trajectory(np.arange(2.0), np.zeros((2, 1, 3)), ["Li"], dipole=recorded)
    assert dipole(given) is recorded


def test_bad_input() -> None:
    given = brownian(0, [1e-3] * 3, frames=100, atoms=2)
    flow = np.zeros((100, 3))
    drift = drift_velocity(given, "Li")
    for call, words in {
        lambda: dipole(given): "`charges` must be given",
        lambda: dipole(given, np.zeros((3, 3, 3))): "of the shape",
        lambda: current(given, {"Li": 1}): "must have velocities",
        lambda: mobility(drift, (0, 0, 0)): "`field` must not be zero",
        lambda: field_conductivity(given.times, flow, -1.0, FIELD): "`volume`",
        lambda: einstein_helfand(given.times, flow, 1.0, 0.0, (10, 50)): "`temperature`",
        lambda: einstein_helfand(given.times, flow, 1.0, 1.0, (10, 500)): "within a block",
        lambda: green_kubo(given.times, flow, 1.0, 1.0, 500.0): "`max_time`",
        lambda: green_kubo(given.times, flow, 1.0, 1.0, 100.0).at(200.0): "`time`",
        lambda: haven_ratio(Value(1, 1), Value(0, 1)): "`measured`",
        lambda: current_of_dipole([0, 1], np.zeros((2, 3))): "three frames",
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="`charges` must be a dict"):
        dipole(given, 1.0)
    moving = trajectory(np.arange(2.0), flow[:2, None], ["Li"], velocities=flow[:2, None])
    with pytest.raises(TypeError, match="method `born_charges`"):
        current(moving, "model")
