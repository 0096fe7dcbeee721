"""What is recorded of molecular dynamics in a field, tabulated and drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io.trajectory import Trajectory
from dynamics_examples import (
    ALLOY,
    AMPLITUDE,
    WAVE,
    alloy,
    assert_same_record,
    field_of,
    polarization_of,
    vectors,
)
from field_examples import NoForces, PairCharges, neutral_charges, skewed_alloy

from ase_bec import FieldCalculator
from ase_bec.workflows import MDSettings, beta_lithium_phosphate, plot_run, read_table, run_md
from ase_bec.workflows.dynamics.observables import Observables


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
        atoms.calc.calculator,
        charges,
        AMPLITUDE,
        reference=reference,
        net_force=net_force,
        net_charge=7.2,
    )
    atoms.set_momenta(np.random.default_rng(0).normal(size=(8, 3)) + 2.0)  # the centre moves
    run_md(atoms, path, replace(ALLOY, thermostat="none"), duration=60.0)
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
    run_md(alloy(AMPLITUDE), whole, ALLOY, duration=60.0)
    with monkeypatch.context() as patch:
        patch.setattr(Observables, "values", lambda *_: {})
        patch.setattr(
            "ase_bec.workflows.dynamics.md.asdict",
            lambda s: {k: v for k, v in vars(s).items() if k != "ramp"},
        )
        run_md(alloy(AMPLITUDE), parts, ALLOY, duration=30.0)
    parts.with_suffix(".csv").write_text("step,time_fs\n0,0.0\n")
    run_md(alloy(AMPLITUDE), parts, ALLOY, duration=60.0, resume=True)
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
    run_md(atoms, tmp_path / "md.traj", ALLOY, duration=12.0)
    table = read_table(tmp_path / "md.traj")
    assert not [name for name in table if name.startswith(("polarization", "current", "work"))]
    assert field_of(table)[1] == pytest.approx(WAVE(6.0), abs=1e-14)


def test_the_picture_shows_what_there_is(tmp_path: Path) -> None:
    run_md(alloy(), tmp_path / "md.traj", ALLOY, duration=60.0)
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
    run_md(bare, tmp_path / "bare.traj", ALLOY, duration=12.0)
    assert len(plot_run(tmp_path / "bare.csv").axes) == 2
    with pytest.raises(FileNotFoundError, match="got no file"):
        plot_run(tmp_path / "none.traj")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="must be the table of a run"):
        read_table(tmp_path / "other.csv")
