"""Molecular dynamics: physics of the drivers, settings, table."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import read
from dynamics_examples import ARGON, argon, frames_of

from ase_bec.workflows import MDSettings, run_md


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timestep": 0.0}, "`timestep` must be positive, got 0.0"),
        ({"interval": 0}, "`interval` must be positive, got 0"),
        ({"relaxation_time": -1.0}, "`relaxation_time` must be positive"),
        ({"temperature": -300.0}, r"`temperature` must be positive \(K\), got -300"),
        ({"temperature": None}, "`temperature` must be given for the nose-hoover"),
        ({"thermostat": "berendsen"}, "must be nose-hoover, langevin or none, got berendsen"),
        ({"seed": -1}, "`seed` must not be negative"),
    ],
)
def test_bad_settings(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ARGON, **changes)


@pytest.mark.parametrize("duration", [0.0, -6.0, 7.0, float("nan"), float("inf")])
def test_bad_duration(tmp_path: Path, duration: float) -> None:
    with pytest.raises(ValueError, match="positive multiple of the 6 fs from frame to frame"):
        run_md(argon(), tmp_path / "md.traj", ARGON, duration=duration)
    assert not list(tmp_path.iterdir())


def test_table_repeats_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    atoms = argon()
    atoms.calc.field = np.array([0.0, 0.0, 0.1])
    run_md(atoms, path, ARGON, duration=18.0)
    with path.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    for k, (row, frame) in enumerate(zip(rows, read(path, ":"), strict=True)):
        energy, kinetic = frame.get_potential_energy(), frame.get_kinetic_energy()
        assert int(row["step"]) == 3 * k
        assert float(row["time_fs"]) == 6.0 * k
        assert float(row["temperature_K"]) == frame.get_temperature()
        assert float(row["enthalpy_eV"]) == energy
        assert float(row["enthalpy_plus_kinetic_eV"]) == energy + kinetic
        assert [float(row[f"field_{i}_V_per_A"]) for i in "xyz"] == [0, 0, 0.1]


class ConstantForce(Calculator):
    """Forces without an energy."""

    implemented_properties = ("forces",)

    def calculate(
        self, atoms: Atoms | None = None, properties: object = (), system_changes: object = ()
    ) -> None:
        super().calculate(atoms, ["forces"], all_changes)
        self.results = {"forces": np.tile([0.0, 0.0, 0.1], (len(self.atoms), 1))}

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> object:
        if name != "forces":
            raise PropertyNotImplementedError(name)
        return super().get_property(name, atoms, allow_calculation)


def test_forces_without_energy_drive_atoms_unwrapped_through_the_cell(tmp_path: Path) -> None:
    atoms = Atoms("H", cell=[1, 1, 1], pbc=True)
    atoms.calc = ConstantForce()
    path = tmp_path / "md.traj"
    settings = MDSettings(timestep=0.5, thermostat="none", interval=10)
    run_md(atoms, path, settings, duration=100.0)
    run_md(atoms, path, settings, duration=200.0, resume=True)
    time_ = 200 * units.fs
    expected = 0.5 * 0.1 / atoms.get_masses()[0] * time_**2
    assert expected > 1
    assert frames_of(path)[-1].positions[0] == pytest.approx([0, 0, expected], abs=1e-9)
    with path.with_suffix(".csv").open() as file:
        assert {row["enthalpy_eV"] for row in csv.DictReader(file)} == {""}


def test_without_thermostat_the_total_energy_stays(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, replace(ARGON, thermostat="none"), duration=600.0)
    total = [a.get_total_energy() for a in frames_of(path)]
    kinetic = [a.get_kinetic_energy() for a in frames_of(path)]
    assert np.ptp(total) < 0.02 * np.ptp(kinetic)


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin"])
def test_thermostats_reach_their_temperature_and_keep_the_centre(
    tmp_path: Path, thermostat: str
) -> None:
    path = tmp_path / "md.traj"
    settings = MDSettings(5.0, thermostat, 40.0, relaxation_time=200.0, interval=20)
    atoms = bulk("Ar", cubic=True).repeat(2)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=5.2, smooth=True)
    run_md(atoms, path, settings, duration=10000.0)
    frames = frames_of(path)[25:]
    temperature = [a.get_kinetic_energy() / (1.5 * 31 * units.kB) for a in frames]
    assert np.mean(temperature) == pytest.approx(40.0, rel=0.08)
    drift = [a.get_center_of_mass() - frames[0].get_center_of_mass() for a in frames]
    assert np.abs(drift).max() < 1e-8


def test_velocities_and_constraints_of_the_structure_are_kept(tmp_path: Path) -> None:
    atoms = argon()
    atoms.set_constraint(FixAtoms([1]))
    momenta = np.random.default_rng(0).normal(size=(4, 3))
    atoms.set_momenta(momenta)
    path = tmp_path / "md.traj"
    run_md(atoms, path, replace(ARGON, thermostat="langevin"), duration=12.0)
    frames = frames_of(path)
    assert np.array_equal(frames[0].get_momenta()[[0, 2, 3]], momenta[[0, 2, 3]])
    assert np.array_equal(frames[-1].positions[1], argon().positions[1])
    assert [c.todict()["name"] for c in frames[-1].constraints] == ["FixAtoms"]
