"""Time-dependent fields: the field of each frame's time, in every integrator."""

import copy
import pickle

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.emt import EMT
from ase.calculators.loggingcalc import LoggingCalculator
from ase.calculators.mixing import SumCalculator
from ase.io import read
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from field_examples import FIELD, CountingEMT, NoForces, neutral_charges, skewed_alloy

from ase_bec.calculators.field import FieldCalculator
from ase_bec.calculators.schedule import attach_field

DT = 0.5  # fs


def wave(time):
    return (0.0, 0.02 * np.sin(0.3 * time), 0.1 * np.cos(0.2 * time))


def from_rest(time):
    return (0.0, 0.0, 0.1 * np.sin(0.2 * time))


def free_ion(function):
    atoms = Atoms("Cu", positions=[(1.0, 2.0, 3.0)], cell=(5, 6, 7), pbc=True)
    atoms.calc = FieldCalculator(NoForces(), {"Cu": 2.0}, field=function, net_force="keep")
    return atoms


@pytest.mark.parametrize("function", [wave, from_rest])
@pytest.mark.parametrize("start", [0.0, 12.0])
def test_verlet_kicks_with_the_fields_at_both_ends_of_each_step(function, start):
    """A free ion follows the closed recursion, also where it does not move in the first step."""
    atoms = free_ion(function)
    dyn = VelocityVerlet(atoms, DT * units.fs)
    attach_field(dyn, atoms.calc, start=start)
    mass, dt = atoms.get_masses()[0], DT * units.fs
    position, momentum = atoms.positions[0].copy(), np.zeros(3)
    for n in range(8):
        now, later = (2.0 * np.array(function(start + (n + k) * DT)) for k in (0, 1))
        position = position + dt * (momentum + 0.5 * dt * now) / mass
        momentum = momentum + 0.5 * dt * (now + later)
        dyn.run(1)
        assert atoms.positions[0] == pytest.approx(position, abs=1e-13)
        assert atoms.get_momenta()[0] == pytest.approx(momentum, abs=1e-13)


def integrators(atoms):
    return {
        "verlet": lambda: VelocityVerlet(atoms, DT * units.fs),
        "langevin": lambda: Langevin(
            atoms,
            DT * units.fs,
            temperature_K=300,
            friction=0.01,
            fixcm=False,
            rng=np.random.default_rng(1),
        ),
        "nose-hoover": lambda: NoseHooverChainNVT(
            atoms, DT * units.fs, temperature_K=300, tdamp=50 * units.fs
        ),
    }


@pytest.mark.parametrize("name", integrators(None))
def test_every_frame_is_in_the_field_of_its_time(name, tmp_path):
    atoms = skewed_alloy()
    base = CountingEMT()
    calc = FieldCalculator(base, neutral_charges(), field=wave)
    atoms.calc = calc
    dyn = integrators(atoms)[name]()
    times = []

    def observe():
        times.append(dyn.get_time() / units.fs)
        assert calc.time == pytest.approx(times[-1], abs=1e-12)
        assert np.array_equal(calc.field, wave(calc.time))
        fresh = FieldCalculator(EMT(), neutral_charges(), field=wave(times[-1]))
        assert atoms.get_forces() == pytest.approx(fresh.get_forces(atoms), abs=1e-12)
        assert atoms.get_potential_energy() == pytest.approx(
            fresh.get_potential_energy(atoms), abs=1e-12
        )

    dyn.attach(observe)
    attach_field(dyn, calc)
    dyn.run(3)
    dyn.run(3)
    assert times == pytest.approx(np.arange(7) * DT)
    assert base.calculations == 7
    assert "get_forces" not in vars(atoms)


def test_each_step_uses_the_fields_of_its_two_ends(monkeypatch):
    """Every integrator asks first for F(r_n, t_n), then only for F(r_(n+1), t_(n+1))."""
    for name in integrators(None):
        atoms = skewed_alloy()
        calc = FieldCalculator(EMT(), neutral_charges(), field=wave)
        atoms.calc = calc
        dyn = integrators(atoms)[name]()
        attach_field(dyn, calc)
        asked = []
        get_property = calc.get_property

        def spy(name, *args, _asked=asked, _calc=calc, _get=get_property, **kwargs):
            _asked.append(_calc.time)
            return _get(name, *args, **kwargs)

        dyn.run(1)
        monkeypatch.setattr(calc, "get_property", spy)
        dyn.step()
        assert asked == pytest.approx([DT, 2 * DT]), name


def test_a_step_that_brings_its_first_forces_asks_at_its_end_only():
    """As integrators do that keep the forces of the step before."""
    atoms = skewed_alloy()
    calc = FieldCalculator(EMT(), neutral_charges(), field=wave)
    atoms.calc = calc
    dyn = VelocityVerlet(atoms, DT * units.fs)
    attach_field(dyn, calc)
    forces = dyn.step(atoms.get_forces())
    fresh = FieldCalculator(EMT(), neutral_charges(), field=wave(DT))
    assert forces == pytest.approx(fresh.get_forces(atoms), abs=1e-12)


def test_the_trajectory_holds_the_energies_of_its_times(tmp_path):
    atoms = skewed_alloy()
    calc = FieldCalculator(EMT(), neutral_charges(), field=wave)
    atoms.calc = calc
    dyn = VelocityVerlet(atoms, DT * units.fs, trajectory=str(tmp_path / "run.traj"))
    attach_field(dyn, calc)
    dyn.run(4)
    frames = read(tmp_path / "run.traj", ":")
    assert len(frames) == 5
    for n, frame in enumerate(frames):
        fresh = FieldCalculator(EMT(), neutral_charges(), field=wave(n * DT))
        assert frame.get_potential_energy() == pytest.approx(fresh.get_potential_energy(frame))
        assert frame.calc.parameters["field"] == pytest.approx(wave(n * DT))


def test_slow_switching_on_does_work_on_the_enthalpy():
    """dH/dt at fixed positions is −D·dE/dt: K + H changes by the integral of that."""
    atoms = skewed_alloy()
    calc = FieldCalculator(
        EMT(), neutral_charges(), field=lambda time: FIELD * min(time / 50.0, 1.0)
    )
    atoms.calc = calc
    dyn = VelocityVerlet(atoms, DT * units.fs)
    attach_field(dyn, calc)
    totals, dipoles = [], []
    for _ in dyn.irun(100):
        totals.append(atoms.get_total_energy())
        dipoles.append(calc.get_property("polarization", atoms) * atoms.get_volume())
    rate = -np.array(dipoles) @ FIELD / 50.0
    work = np.sum((rate[1:] + rate[:-1]) / 2) * DT
    assert totals[-1] - totals[0] == pytest.approx(work, abs=2e-4)
    assert abs(work) > 0.01


def test_a_function_is_taken_at_time_zero_before_it_is_attached():
    calc = FieldCalculator(EMT(), neutral_charges(), field=wave)
    assert calc.time_dependent
    assert np.array_equal(calc.field, wave(0.0))
    calc.time = 3.0
    assert np.array_equal(calc.field, wave(3.0))
    calc.field = FIELD
    assert not calc.time_dependent
    calc.time = 5.0
    assert np.array_equal(calc.field, FIELD)
    calc.field = wave
    assert np.array_equal(calc.field, wave(5.0))


def test_copies_keep_the_field_of_their_moment():
    atoms = free_ion(wave)
    dyn = VelocityVerlet(atoms, DT * units.fs)
    attach_field(dyn, atoms.calc)
    dyn.run(3)
    for twin in (copy.deepcopy(atoms.calc), pickle.loads(pickle.dumps(atoms.calc))):
        dyn.run(1)
        assert np.array_equal(twin.field, wave(3 * DT)) or twin.time < dyn.get_time() / units.fs
        assert twin.time == pytest.approx(3 * DT)


@pytest.mark.parametrize("bad", [(0, 0), (0, 0, np.nan), None])
def test_bad_values_of_the_function_stop_the_run(bad):
    atoms = free_ion(lambda time: (0, 0, 0.1) if time < 1.2 else bad)
    dyn = VelocityVerlet(atoms, DT * units.fs)
    attach_field(dyn, atoms.calc)
    with pytest.raises(ValueError, match="`field` must be three finite numbers in V/Å"):
        dyn.run(10)
    assert dyn.nsteps == 2
    assert "get_forces" not in vars(atoms)


def verlet(calc):
    atoms = skewed_alloy()
    atoms.calc = calc
    return VelocityVerlet(atoms, DT * units.fs)


def test_wrong_arguments_of_attach_field():
    calc = FieldCalculator(EMT(), neutral_charges(), field=wave)
    constant = FieldCalculator(EMT(), neutral_charges(), field=FIELD)
    with pytest.raises(TypeError, match=r"`dyn` must be molecular dynamics .* got BFGS"):
        attach_field(BFGS(verlet(calc).atoms, logfile=None), calc)
    with pytest.raises(TypeError, match="must be a FieldCalculator, got EMT"):
        attach_field(verlet(calc), EMT())
    with pytest.raises(ValueError, match="must have a callable of the time in fs"):
        attach_field(verlet(constant), constant)
    with pytest.raises(ValueError, match="must be the one of the atoms of `dyn`"):
        attach_field(verlet(constant), calc)
    with pytest.raises(ValueError, match="`start` must be a finite time in fs, got nan"):
        attach_field(verlet(calc), calc, start=np.nan)


def test_a_field_calculator_that_the_atoms_do_not_use_is_refused():
    atoms = skewed_alloy()
    calc = FieldCalculator(EMT(), neutral_charges(), field=wave)
    dyn = VelocityVerlet(atoms, DT * units.fs)
    for other in (EMT(), SumCalculator([EMT(), EMT()]), None):
        atoms.calc = other
        with pytest.raises(ValueError, match="must be the calculator of the atoms of `dyn`"):
            attach_field(dyn, calc)
    for around in (LoggingCalculator(calc), SumCalculator([EMT(), LoggingCalculator(calc)])):
        atoms.calc = around
        dyn = VelocityVerlet(atoms, DT * units.fs)
        attach_field(dyn, calc)
        dyn.run(2)
        assert calc.time == pytest.approx(2 * DT)
        fresh = FieldCalculator(EMT(), neutral_charges(), field=wave(2 * DT))
        added = fresh.get_forces(atoms) - EMT().get_forces(atoms)
        times = 1 if isinstance(around, LoggingCalculator) else 2
        expected = added + times * EMT().get_forces(atoms)
        assert atoms.get_forces() == pytest.approx(expected, abs=1e-12)
