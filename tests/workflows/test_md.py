"""Molecular dynamics: interruption at any moment, exact continuation, physics of the drivers."""

import csv
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analytic import Springs
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import read
from ase.io.trajectory import Trajectory

from ase_bec.interruption import handling_interruption
from ase_bec.workflows.dynamics.md import MDSettings, run_md
from ase_bec.workflows.dynamics.record import FrameWriter, last_frame

THERMOSTATS = ("nose-hoover", "langevin", "none")
SETTINGS = MDSettings(timestep=2.0, temperature=40.0, interval=3, seed=7)


def argon() -> Atoms:
    atoms = Atoms("Ar4", [[0, 0, 0.1], [2.9, 0, 0], [0, 3.1, 0], [0, 0, 3]], cell=[9, 9, 9])
    atoms.calc = Springs()
    return atoms


def frames_of(path: Path) -> list[Atoms]:
    with Trajectory(path) as trajectory:
        return list(trajectory)


def assert_same_record(path: Path, other: Path) -> None:
    one, two = frames_of(path), frames_of(other)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a.positions, b.positions)
        assert np.array_equal(a.get_momenta(), b.get_momenta())
        assert np.array_equal(a.get_forces(), b.get_forces())
        assert a.get_potential_energy() == b.get_potential_energy()
    assert path.with_suffix(".csv").read_text() == other.with_suffix(".csv").read_text()


@pytest.mark.parametrize("thermostat", THERMOSTATS)
def test_continued_run_equals_uninterrupted_one(tmp_path: Path, thermostat: str) -> None:
    settings = replace(SETTINGS, thermostat=thermostat)
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run = run_md(argon(), whole, settings, duration=72.0)
    assert (run.step, run.steps, run.frames, run.completed) == (36, 36, 13, True)
    for end in (6.0, 12.0, 48.0, 72.0, 72.0):
        run_md(argon(), parts, settings, duration=end, resume=parts.exists())
    assert_same_record(whole, parts)


def test_resume_after_first_frame_only(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(argon(), whole, SETTINGS, duration=12.0)
    run_md(argon(), parts, SETTINGS, duration=6.0)
    keep_frames(parts, 1)
    run_md(argon(), parts, SETTINGS, duration=12.0, resume=True)
    assert_same_record(whole, parts)


def keep_frames(path: Path, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(32)
        file.write(np.int64(count).tobytes())


@pytest.mark.parametrize("damage", ["half a frame behind", "last frame", "last two frames"])
def test_resume_mends_a_torn_end(tmp_path: Path, damage: str) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(argon(), whole, SETTINGS, duration=60.0)
    run_md(argon(), parts, SETTINGS, duration=30.0)
    content = bytearray(parts.read_bytes())
    if damage == "half a frame behind":
        content += content[-500:-100]
    else:
        momenta = [a.get_momenta().tobytes() for a in frames_of(parts)]
        for part in momenta[-1:] if damage == "last frame" else momenta[-2:]:
            start = content.find(part)
            content[start : start + 64] = bytes(64)
    parts.write_bytes(content)
    run_md(argon(), parts, SETTINGS, duration=60.0, resume=True)
    assert_same_record(whole, parts)


@pytest.mark.parametrize("damage", ["gone", "row missing", "row half written", "rows ahead"])
def test_resume_mends_the_table(tmp_path: Path, damage: str) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    table = parts.with_suffix(".csv")
    run_md(argon(), whole, SETTINGS, duration=60.0)
    run_md(argon(), parts, SETTINGS, duration=30.0)
    lines = table.read_text().splitlines(keepends=True)
    if damage == "gone":
        table.unlink()
    elif damage == "row missing":
        table.write_text("".join(lines[:-1]))
    elif damage == "row half written":
        table.write_text("".join(lines)[:-20])
    else:
        keep_frames(parts, 3)
    run_md(argon(), parts, SETTINGS, duration=60.0, resume=True)
    assert_same_record(whole, parts)


SCRIPT = """
import sys
here, path, thermostat, duration = sys.argv[1:]
sys.path[:0] = [here, here + "/.."]
from test_md import *
path, settings = Path(path), replace(SETTINGS, thermostat=thermostat)
run_md(argon(), path, settings, duration=float(duration), resume=path.exists())
"""


def start(path: Path, thermostat: str, duration: float) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, here, str(path), thermostat, str(duration)]
    )


def wait_for_growth(path: Path, process: subprocess.Popen[bytes]) -> None:
    size = path.stat().st_size if path.exists() else 0
    while process.poll() is None and (not path.exists() or path.stat().st_size <= size):
        time.sleep(0.001)


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin"])
def test_kill_at_random_moments_loses_and_doubles_nothing(tmp_path: Path, thermostat: str) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    duration, kills = 3000.0, 4
    run_md(argon(), whole, replace(SETTINGS, thermostat=thermostat), duration=duration)
    choice = random.Random(thermostat)
    for _ in range(kills):
        process = start(parts, thermostat, duration)
        wait_for_growth(parts, process)
        time.sleep(choice.uniform(0, 0.1))
        process.kill()
        process.wait()
    assert 1 <= len(frames_of(parts)) < len(frames_of(whole))
    assert start(parts, thermostat, duration).wait() == 0
    assert_same_record(whole, parts)


class Unbuffered:
    """File that tells of every single write."""

    def __init__(self, path: Path, written: Callable[[], None]) -> None:
        self._file, self._written = path.open("r+b", buffering=0), written
        self._file.seek(0, os.SEEK_END)

    def write(self, data: bytes) -> int:
        count = self._file.write(data)
        self._written()
        return count

    def fileno(self) -> int:
        raise OSError("writes are to pass through here only")

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_every_prefix_of_the_writes_is_a_whole_trajectory(tmp_path: Path) -> None:
    path, snapshot = tmp_path / "md.traj", tmp_path / "snapshot.traj"
    atoms, seen = argon(), []
    atoms.get_forces()

    def look() -> None:
        snapshot.write_bytes(path.read_bytes())
        frame = last_frame(snapshot)
        assert frame is not None
        seen.append(frame.step)

    with FrameWriter(path, {}, append=False) as writer:
        writer.write(atoms, 0, {})
    with FrameWriter(path, {}, append=True) as writer:
        backend = writer._writer.backend
        backend.fd.close()
        backend.fd, backend.hasfileno = Unbuffered(path, look), False
        for step in range(1, 45):  # past the 42 frames of the first block of offsets
            atoms.positions += 0.01
            with pytest.raises(OSError, match="pass through here"):  # nothing to wait for
                writer.write(atoms, step, {})
            assert set(seen) <= {step - 1, step}
            assert seen[-1] == step
            seen.clear()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_between_steps(tmp_path: Path, number: signal.Signals) -> None:
    class Interrupting(Springs):
        calls = 0

        def calculate(self, *args: object, **kwargs: object) -> None:
            super().calculate(*args, **kwargs)
            self.calls += 1
            if self.calls == 8:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(argon(), whole, SETTINGS, duration=60.0)
    atoms = argon()
    atoms.calc = Interrupting()
    with handling_interruption() as asked:
        run = run_md(atoms, parts, SETTINGS, duration=60.0)
    assert asked
    assert not run.completed
    assert run.step == 6
    assert run.frames == len(frames_of(parts)) == 3
    assert signal.getsignal(number) is before
    assert run_md(argon(), parts, SETTINGS, duration=60.0, resume=True).completed
    assert_same_record(whole, parts)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, SETTINGS, duration=6.0)
    content = path.read_bytes()
    with pytest.raises(FileExistsError, match="exists: resume, overwrite, or name another"):
        run_md(argon(), path, SETTINGS, duration=6.0)
    assert path.read_bytes() == content
    run_md(argon(), path, SETTINGS, duration=12.0, overwrite=True)
    assert len(frames_of(path)) == 3
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        run_md(argon(), tmp_path / "none.traj", SETTINGS, duration=6.0, resume=True)


def test_two_runs_do_not_write_to_one_trajectory(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, SETTINGS, duration=6.0)
    content = path.read_bytes()
    with FrameWriter(path, {}, append=True):
        with pytest.raises(ValueError, match="got another run writing to it"):
            run_md(argon(), path, SETTINGS, duration=12.0, resume=True)
        assert path.read_bytes() == content
    run_md(argon(), path, SETTINGS, duration=12.0, resume=True)
    assert len(frames_of(path)) == 3


def test_progress_shows_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_md(argon(), tmp_path / "md.traj", SETTINGS, duration=6.0)
    assert capsys.readouterr().err == ""
    run_md(argon(), tmp_path / "md.traj", SETTINGS, duration=12.0, resume=True, progress=True)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "6/6" in last
    assert re.search(r"\d+ K, [0-9.e+]+ ns/day", last)


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, SETTINGS, duration=6.0)
    content = path.read_bytes()
    for name, value in {"timestep": 1.0, "temperature": 50.0, "interval": 1}.items():
        with pytest.raises(ValueError, match=f"`{name}` must be .*as in the frames"):
            run_md(argon(), path, replace(SETTINGS, **{name: value}), 6.0, resume=True)
    other = argon()
    other.calc = Springs(length=3.01)
    with pytest.raises(ValueError, match="must give the forces of the last frame"):
        run_md(other, path, SETTINGS, duration=12.0, resume=True)
    other = argon()
    other.numbers[0] = 10
    with pytest.raises(ValueError, match="got another structure"):
        run_md(other, path, SETTINGS, duration=12.0, resume=True)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"nonsense" * 20, "not a readable ASE trajectory"), (None, "no state to continue from")],
)
def test_resume_refuses_another_file(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "md.traj"
    if content is None:
        with Trajectory(path, "w") as trajectory:
            trajectory.write(argon())
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        run_md(argon(), path, SETTINGS, duration=6.0, resume=True)


def test_resume_starts_where_no_frame_was_written(tmp_path: Path) -> None:
    path, whole = tmp_path / "md.traj", tmp_path / "whole.traj"
    path.touch()
    run_md(argon(), path, SETTINGS, duration=6.0, resume=True)
    run_md(argon(), whole, SETTINGS, duration=6.0)
    assert_same_record(whole, path)


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
        replace(SETTINGS, **changes)


@pytest.mark.parametrize("duration", [0.0, -6.0, 7.0, float("nan"), float("inf")])
def test_bad_duration(tmp_path: Path, duration: float) -> None:
    with pytest.raises(ValueError, match="positive multiple of the 6 fs from frame to frame"):
        run_md(argon(), tmp_path / "md.traj", SETTINGS, duration=duration)
    assert not list(tmp_path.iterdir())


def test_table_repeats_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    atoms = argon()
    atoms.calc.field = np.array([0.0, 0.0, 0.1])
    run_md(atoms, path, SETTINGS, duration=18.0)
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
    run_md(argon(), path, replace(SETTINGS, thermostat="none"), duration=600.0)
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
    run_md(atoms, path, replace(SETTINGS, thermostat="langevin"), duration=12.0)
    frames = frames_of(path)
    assert np.array_equal(frames[0].get_momenta()[[0, 2, 3]], momenta[[0, 2, 3]])
    assert np.array_equal(frames[-1].positions[1], argon().positions[1])
    assert [c.todict()["name"] for c in frames[-1].constraints] == ["FixAtoms"]
