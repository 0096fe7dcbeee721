"""Molecular dynamics in fields that change with time."""

import random
from dataclasses import replace
from pathlib import Path

import killing
import numpy as np
import pytest
from ase import Atoms, units
from ase.io.trajectory import Trajectory
from dynamics_examples import (
    ALLOY,
    AMPLITUDE,
    WAVE,
    Tethers,
    alloy,
    assert_same_record,
    field_of,
    frames_of,
)
from field_examples import PairCharges, neutral_charges

from ase_bec import FieldCalculator
from ase_bec.calculators import PulseField, RampField, SineField
from ase_bec.workflows import MDSettings, read_table, run_md


@pytest.mark.parametrize("function", [WAVE, PulseField(AMPLITUDE, 20.0, 9.0), RampField(AMPLITUDE)])
def test_each_frame_is_in_the_field_of_its_time(tmp_path: Path, function: object) -> None:
    path = tmp_path / "md.traj"
    run_md(alloy(function), path, ALLOY, duration=60.0)
    table = read_table(path)
    assert table["time_fs"] == pytest.approx(np.arange(11) * 6.0)
    with Trajectory(path) as frames:
        for k, frame in enumerate(frames):
            field = function(6.0 * k)
            assert frames.backend[k].md["field"] == pytest.approx(field, abs=1e-14)
            assert field_of(table)[k] == pytest.approx(field, abs=1e-14)
            still = alloy(field)
            still.positions = frame.positions
            assert frame.get_forces() == pytest.approx(still.get_forces(), abs=1e-12)
            assert frame.get_potential_energy() == pytest.approx(still.get_potential_energy())


def test_sine_in_the_table_is_its_closed_form(tmp_path: Path) -> None:
    run_md(alloy(), tmp_path / "md.traj", ALLOY, duration=60.0)
    expected = np.outer(np.sin(2 * np.pi * np.arange(11) * 6.0 / 37.0 + 0.4), AMPLITUDE)
    assert field_of(read_table(tmp_path / "md.traj")) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin", "none"])
@pytest.mark.parametrize("net_force", ["remove", "keep"])
def test_continued_run_equals_uninterrupted_one(
    tmp_path: Path, thermostat: str, net_force: str
) -> None:
    def start() -> Atoms:
        atoms = alloy()
        charges = PairCharges(atoms, neutral_charges() | {"Cu": 1.3})
        atoms.calc = FieldCalculator(
            atoms.calc.calculator, charges, WAVE, net_force=net_force, net_charge=1.2
        )
        return atoms

    settings = replace(ALLOY, thermostat=thermostat)
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(start(), whole, settings, duration=72.0)
    atoms = start()
    for end in (6.0, 12.0, 48.0):
        run_md(start(), parts, settings, duration=end, resume=parts.exists())
    run_md(atoms, parts, settings, duration=60.0, resume=True)
    parts.with_suffix(".csv").unlink()
    atoms.calc.time = 13.0  # of no importance
    run_md(atoms, parts, settings, duration=72.0, resume=True)
    assert_same_record(whole, parts)


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from dynamics_examples import ALLOY, alloy
from ase_bec.workflows import run_md
path, duration = sys.argv[1:]
settings = replace(ALLOY, thermostat="langevin")
run_md(alloy(), path, settings, duration=float(duration), resume=Path(path).exists())
"""


def test_killed_at_random_moments_and_resumed_equals_left_alone(tmp_path: Path) -> None:
    whole, parts, duration = tmp_path / "whole.traj", tmp_path / "parts.traj", 600.0
    run_md(alloy(), whole, replace(ALLOY, thermostat="langevin"), duration=duration)
    choice, reached = random.Random(3), 0
    for part in ((0.05, 0.3), (0.35, 0.6)):  # of the trajectory that is there when killed
        enough = choice.uniform(*part) * whole.stat().st_size
        killing.kill(killing.start(SCRIPT, parts, duration), parts, enough)
        frames = len(frames_of(parts))
        assert frames >= reached
        reached = frames
    assert 1 <= reached < 101
    assert killing.start(SCRIPT, parts, duration).wait() == 0
    assert_same_record(whole, parts)


def test_resume_refuses_another_function(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(alloy(), path, ALLOY, duration=60.0)
    content = path.read_bytes()

    def wrong(instant: float) -> np.ndarray:
        return WAVE(instant) * (1.0 if instant in (0.0, 60.0) else 1.01)  # the ends agree

    with pytest.raises(ValueError, match=r"`field` must be .* V/Å at .* fs, as in the frames"):
        run_md(alloy(wrong), path, ALLOY, duration=72.0, resume=True)
    with pytest.raises(ValueError, match=r"`field` must be .* V/Å at .* fs, as in the frames"):
        run_md(alloy(replace(WAVE, period=200.0)), path, ALLOY, duration=72.0, resume=True)
    assert path.read_bytes() == content


def oscillator(times: np.ndarray, mass: float, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Solve m x'' = −k x + q A sin(ωt) from rest at `start`: closed form."""
    proper, driven = np.sqrt(STIFFNESS / mass), 2 * np.pi / (PERIOD * units.fs)
    response = CHARGE * STRENGTH / (mass * (proper**2 - driven**2))
    back = -response * driven / proper
    x = start * np.cos(proper * times) + back * np.sin(proper * times)
    return x + response * np.sin(driven * times), np.array(driven)


STIFFNESS, CHARGE, STRENGTH, PERIOD = 3.0, 2.0, 0.2, 90.0


def test_energy_of_a_driven_ion_changes_by_the_work_of_the_field(tmp_path: Path) -> None:
    """ΔH + ΔK = −∫ D·dE of the closed-form trajectory, without thermostat."""
    centre = np.array([[1.0, 2.0, 3.0]])
    atoms = Atoms("Li", centre + [[0, 0, 0.1]], cell=(5, 6, 7), pbc=True)
    atoms.calc = FieldCalculator(
        Tethers(centre, STIFFNESS),
        {"Li": CHARGE},
        SineField((0, 0, STRENGTH), PERIOD),
        net_force="keep",
    )
    path = tmp_path / "md.traj"
    settings = MDSettings(timestep=0.25, thermostat="none", interval=20)
    run_md(atoms, path, settings, duration=150.0)
    table = read_table(path)

    fine = np.linspace(0, 150.0, 30001) * units.fs
    moved, rate = oscillator(fine, atoms.get_masses()[0], 0.1)
    power = -CHARGE * (3.0 + moved) * STRENGTH * rate * np.cos(rate * fine)
    steps = (power[1:] + power[:-1]) / 2 * np.diff(fine)
    work = np.concatenate([[0.0], np.cumsum(steps)])[:: 30000 // 30]

    total = table["enthalpy_plus_kinetic_eV"]
    assert table["displacement_Li_z_A"] == pytest.approx(moved[:: 30000 // 30] - 0.1, abs=2e-5)
    assert np.ptp(work) > 0.5
    assert table["work_eV"] == pytest.approx(work, abs=1e-4)
    assert total - total[0] == pytest.approx(work, abs=1e-4)


def test_total_energy_less_the_work_is_conserved_with_position_dependent_charges(
    tmp_path: Path,
) -> None:
    path = tmp_path / "md.traj"
    settings = MDSettings(timestep=0.2, thermostat="none", temperature=300.0, interval=5)
    run_md(alloy(), path, settings, duration=60.0)
    table = read_table(path)
    total, work = table["enthalpy_plus_kinetic_eV"], table["work_eV"]
    assert np.ptp(work) > 0.05
    assert np.ptp(total - work) < 2e-3 * np.ptp(work)
