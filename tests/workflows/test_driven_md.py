"""Molecular dynamics in fields that change with time, and what is recorded of it."""

import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.io.trajectory import Trajectory
from field_examples import NoForces, PairCharges, neutral_charges, skewed_alloy

from ase_bec import FieldCalculator
from ase_bec.calculators.waveforms import PulseField, RampField, SineField
from ase_bec.workflows.dynamics.md import MDSettings, run_md
from ase_bec.workflows.dynamics.observables import Observables
from ase_bec.workflows.dynamics.table import plot_run, read_table
from ase_bec.workflows.structures.crystals import beta_lithium_phosphate

AMPLITUDE = (0.03, -0.05, 0.08)
WAVE = SineField(AMPLITUDE, period=37.0, phase=0.4)
SETTINGS = MDSettings(timestep=2.0, temperature=200.0, interval=3, seed=5)


class Tethers(Calculator):
    """U = k/2 Σ |r_a − r_a0|²."""

    implemented_properties = ("energy", "forces")

    def __init__(self, centres: np.ndarray, stiffness: float) -> None:
        super().__init__()
        self.centres, self.stiffness = centres, stiffness

    def calculate(
        self, atoms: Atoms | None = None, properties: object = (), system_changes: object = ()
    ) -> None:
        super().calculate(atoms, ["energy"], all_changes)
        moved = self.atoms.positions - self.centres
        energy = 0.5 * self.stiffness * float((moved**2).sum())
        self.results = {"energy": energy, "forces": -self.stiffness * moved}


def alloy(field: object = WAVE) -> Atoms:
    """Triclinic, with non-symmetric Born charges that depend on the positions."""
    atoms = skewed_alloy()
    base = Tethers(skewed_alloy(rattle=0.0).positions, 2.0)
    atoms.calc = FieldCalculator(base, PairCharges(atoms, neutral_charges()), field)
    return atoms


def vectors(table: dict[str, np.ndarray], name: str) -> np.ndarray:
    head, unit = name.split("*")
    return np.array([table[f"{head}{axis}{unit}"] for axis in "xyz"]).T


def field_of(table: dict[str, np.ndarray]) -> np.ndarray:
    return vectors(table, "field_*_V_per_A")


def polarization_of(table: dict[str, np.ndarray]) -> np.ndarray:
    return vectors(table, "polarization_*_e_per_A2")


def assert_same_record(path: Path, other: Path) -> None:
    with Trajectory(path) as one, Trajectory(other) as two:
        assert len(one) == len(two)
        for k in range(len(one)):
            assert np.array_equal(one[k].positions, two[k].positions)
            assert np.array_equal(one[k].get_momenta(), two[k].get_momenta())
            assert one.backend[k].md == two.backend[k].md
    assert path.with_suffix(".csv").read_text() == other.with_suffix(".csv").read_text()


@pytest.mark.parametrize("function", [WAVE, PulseField(AMPLITUDE, 20.0, 9.0), RampField(AMPLITUDE)])
def test_each_frame_is_in_the_field_of_its_time(tmp_path: Path, function: object) -> None:
    path = tmp_path / "md.traj"
    run_md(alloy(function), path, SETTINGS, duration=60.0)
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
    run_md(alloy(), tmp_path / "md.traj", SETTINGS, duration=60.0)
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
        atoms.calc = FieldCalculator(atoms.calc.calculator, charges, WAVE, net_force=net_force)
        return atoms

    settings = replace(SETTINGS, thermostat=thermostat)
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
here, path, thermostat, duration = sys.argv[1:]
sys.path[:0] = [here, here + "/.."]
from test_driven_md import *
path, settings = Path(path), replace(SETTINGS, thermostat=thermostat)
run_md(alloy(), path, settings, duration=float(duration), resume=path.exists())
"""


def test_killed_at_random_moments_and_resumed_equals_left_alone(tmp_path: Path) -> None:
    whole, parts, duration = tmp_path / "whole.traj", tmp_path / "parts.traj", 600.0
    run_md(alloy(), whole, replace(SETTINGS, thermostat="langevin"), duration=duration)
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(parts)]
    command += ["langevin", str(duration)]
    choice, reached = random.Random(3), 0
    for part in ((0.05, 0.3), (0.35, 0.6)):  # of the trajectory that is there when killed
        enough = choice.uniform(*part) * whole.stat().st_size
        process = subprocess.Popen(command)
        while process.poll() is None and (not parts.exists() or parts.stat().st_size < enough):
            time.sleep(0.001)
        process.kill()
        process.wait()
        with Trajectory(parts) as frames:
            assert len(frames) >= reached
            reached = len(frames)
    assert 1 <= reached < 101
    assert subprocess.run(command, check=False).returncode == 0
    assert_same_record(whole, parts)


def test_resume_refuses_another_function(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(alloy(), path, SETTINGS, duration=60.0)
    content = path.read_bytes()

    def wrong(instant: float) -> np.ndarray:
        return WAVE(instant) * (1.0 if instant in (0.0, 60.0) else 1.01)  # the ends agree

    with pytest.raises(ValueError, match=r"`field` must be .* V/Å at .* fs, as in the frames"):
        run_md(alloy(wrong), path, SETTINGS, duration=72.0, resume=True)
    with pytest.raises(ValueError, match=r"`field` must be .* V/Å at .* fs, as in the frames"):
        run_md(alloy(replace(WAVE, period=200.0)), path, SETTINGS, duration=72.0, resume=True)
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


def test_polarization_of_a_free_charge_goes_on_across_the_boundary(tmp_path: Path) -> None:
    atoms = Atoms("LiO", [[0.5, 0.5, 0.5], [1.0, 1.0, 1.0]], cell=[2, 3, 2.5], pbc=True)
    charges, volume = {"Li": 2.0, "O": 0.0}, 15.0
    atoms.calc = FieldCalculator(NoForces(), charges, (0.1, 0.0, 0.3), net_force="keep")
    settings = MDSettings(timestep=1.0, thermostat="none", interval=10)
    path = tmp_path / "md.traj"
    run_md(atoms, path, settings, duration=200.0)
    run_md(atoms, path, settings, duration=400.0, resume=True)
    table = read_table(path)
    acceleration = 2.0 * np.array([0.1, 0.0, 0.3]) / atoms.get_masses()[0]
    elapsed = table["time_fs"][:, None] * units.fs
    position = np.array([0.5, 0.5, 0.5]) + 0.5 * acceleration * elapsed**2
    assert position[-1, 2] > 2 * 2.5
    assert polarization_of(table) == pytest.approx(2.0 * position / volume, abs=1e-10)
    current = vectors(table, "current_*_e_per_A2_fs")
    assert np.isnan(current[0]).all()
    middle = (elapsed[1:] + elapsed[:-1]) / 2  # exact for a constant acceleration
    expected = 2.0 * acceleration * middle / volume * units.fs
    assert current[1:] == pytest.approx(expected, abs=1e-12)
    moved = vectors(table, "displacement_Li_*_A")
    assert moved == pytest.approx(position - 0.5, abs=1e-10)
    assert np.all(vectors(table, "displacement_O_*_A") == 0)
    assert "work_eV" not in table


@pytest.mark.parametrize("net_force", ["remove", "keep"])
def test_polarization_is_that_of_the_calculator(tmp_path: Path, net_force: str) -> None:
    """Also of a charged cell with a reference, where the centre of mass counts."""
    path = tmp_path / "md.traj"
    atoms = alloy()
    charges = PairCharges(atoms, neutral_charges() | {"Au": 0.4})
    reference = skewed_alloy(rattle=0.0)
    reference.positions[3] += reference.cell[1]
    calc = atoms.calc = FieldCalculator(
        atoms.calc.calculator, charges, AMPLITUDE, reference=reference, net_force=net_force
    )
    atoms.set_momenta(np.random.default_rng(0).normal(size=(8, 3)) + 2.0)  # the centre moves
    run_md(atoms, path, replace(SETTINGS, thermostat="none"), duration=60.0)
    found = polarization_of(read_table(path))
    with Trajectory(path) as frames:
        for k, frame in enumerate(frames):
            expected = calc.get_property("polarization", frame)
            assert found[k] == pytest.approx(expected, abs=1e-13)
            assert frames.backend[k].md["polarization"] == list(found[k])
    assert np.ptp(found, axis=0).min() > 1e-3


def test_polarization_of_a_model_costs_no_further_evaluation_and_resumes_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_bec import NNPCalculator, load

    model = load("li3po4-bec")

    def crystal() -> Atoms:
        atoms = beta_lithium_phosphate()
        atoms.calc = FieldCalculator(NNPCalculator("li3po4-nnp"), model, WAVE)
        return atoms

    evaluations = []
    evaluate = type(model)._evaluate
    monkeypatch.setattr(
        type(model),
        "_evaluate",
        lambda self, *args: evaluations.append(1) or evaluate(self, *args),
    )
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    settings = MDSettings(timestep=2.0, temperature=800.0, interval=5)
    run_md(crystal(), whole, settings, duration=60.0)
    assert len(evaluations) <= 31 + 7  # one a step; Born charges of the first frame twice
    run_md(crystal(), parts, settings, duration=30.0)
    run_md(crystal(), parts, settings, duration=60.0, resume=True)
    assert_same_record(whole, parts)


def test_a_run_recorded_without_these_values_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(alloy(AMPLITUDE), whole, SETTINGS, duration=60.0)
    with monkeypatch.context() as patch:
        patch.setattr(Observables, "values", lambda *_: {})
        patch.setattr(
            "ase_bec.workflows.dynamics.md.asdict",
            lambda s: {k: v for k, v in vars(s).items() if k != "ramp"},
        )
        run_md(alloy(AMPLITUDE), parts, SETTINGS, duration=30.0)
    parts.with_suffix(".csv").write_text("step,time_fs\n0,0.0\n")
    run_md(alloy(AMPLITUDE), parts, SETTINGS, duration=60.0, resume=True)
    one, two = read_table(whole), read_table(parts)
    assert list(one) == list(two)
    for name, values in one.items():
        unknown = 6 if name.startswith("polarization") else 7 if name.startswith("current") else 0
        assert np.isnan(two[name][:unknown]).all(), name
        assert np.array_equal(two[name][unknown:], values[unknown:], equal_nan=True), name


def test_charges_without_a_dipole_leave_out_polarization(tmp_path: Path) -> None:
    atoms = alloy()
    atoms.calc = FieldCalculator(
        atoms.calc.calculator, neutral_charges(), WAVE, energy="none", components="diagonal"
    )
    run_md(atoms, tmp_path / "md.traj", SETTINGS, duration=12.0)
    table = read_table(tmp_path / "md.traj")
    assert not [name for name in table if name.startswith(("polarization", "current", "work"))]
    assert field_of(table)[1] == pytest.approx(WAVE(6.0), abs=1e-14)


def test_the_picture_shows_what_there_is(tmp_path: Path) -> None:
    run_md(alloy(), tmp_path / "md.traj", SETTINGS, duration=60.0)
    table = read_table(tmp_path / "md.csv")
    temperature, enthalpy, polarization, field = plot_run(tmp_path / "md.traj").axes
    assert np.array_equal(temperature.lines[0].get_ydata(), table["temperature_K"])
    assert enthalpy.lines[0].get_ydata()[-1] == table["enthalpy_eV"][-1] - table["enthalpy_eV"][0]
    assert [line.get_label() for line in enthalpy.lines][2] == "H + K − work of the field"
    moved = polarization_of(table) - polarization_of(table)[0]
    assert np.array_equal([line.get_ydata() for line in polarization.lines], moved.T)
    assert np.array_equal([line.get_ydata() for line in field.lines], field_of(table).T)
    assert field.lines[0].get_xdata()[-1] == 0.06
    bare = alloy()
    bare.calc = bare.calc.calculator
    run_md(bare, tmp_path / "bare.traj", SETTINGS, duration=12.0)
    assert len(plot_run(tmp_path / "bare.csv").axes) == 2
    with pytest.raises(FileNotFoundError, match="got no file"):
        plot_run(tmp_path / "none.traj")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="must be the table of a run"):
        read_table(tmp_path / "other.csv")
