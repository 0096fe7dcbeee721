"""Molecular dynamics interrupted at any moment, and continued exactly."""

import os
import random
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import killing
import pytest
from analytic import Springs
from ase.io.trajectory import Trajectory
from dynamics_examples import ARGON, argon, assert_same_record, frames_of, keep_frames

from ase_bec.workflows import handling_interruption, run_md
from ase_bec.workflows.dynamics.record import FrameWriter, last_frame

THERMOSTATS = ("nose-hoover", "langevin", "none")


@pytest.mark.parametrize("thermostat", THERMOSTATS)
def test_continued_run_equals_uninterrupted_one(tmp_path: Path, thermostat: str) -> None:
    settings = replace(ARGON, thermostat=thermostat)
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run = run_md(argon(), whole, settings, duration=72.0)
    assert (run.step, run.steps, run.frames, run.completed) == (36, 36, 13, True)
    for end in (6.0, 12.0, 48.0, 72.0, 72.0):
        run_md(argon(), parts, settings, duration=end, resume=parts.exists())
    assert_same_record(whole, parts)


def test_resume_after_first_frame_only(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(argon(), whole, ARGON, duration=12.0)
    run_md(argon(), parts, ARGON, duration=6.0)
    keep_frames(parts, 1)
    run_md(argon(), parts, ARGON, duration=12.0, resume=True)
    assert_same_record(whole, parts)


@pytest.mark.parametrize("damage", ["half a frame behind", "last frame", "last two frames"])
def test_resume_mends_a_torn_end(tmp_path: Path, damage: str) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(argon(), whole, ARGON, duration=60.0)
    run_md(argon(), parts, ARGON, duration=30.0)
    content = bytearray(parts.read_bytes())
    if damage == "half a frame behind":
        content += content[-500:-100]
    else:
        momenta = [a.get_momenta().tobytes() for a in frames_of(parts)]
        for part in momenta[-1:] if damage == "last frame" else momenta[-2:]:
            start = content.find(part)
            content[start : start + 64] = bytes(64)
    parts.write_bytes(content)
    run_md(argon(), parts, ARGON, duration=60.0, resume=True)
    assert_same_record(whole, parts)


@pytest.mark.parametrize("damage", ["gone", "row missing", "row half written", "rows ahead"])
def test_resume_mends_the_table(tmp_path: Path, damage: str) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    table = parts.with_suffix(".csv")
    run_md(argon(), whole, ARGON, duration=60.0)
    run_md(argon(), parts, ARGON, duration=30.0)
    lines = table.read_text().splitlines(keepends=True)
    if damage == "gone":
        table.unlink()
    elif damage == "row missing":
        table.write_text("".join(lines[:-1]))
    elif damage == "row half written":
        table.write_text("".join(lines)[:-20])
    else:
        keep_frames(parts, 3)
    run_md(argon(), parts, ARGON, duration=60.0, resume=True)
    assert_same_record(whole, parts)


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from dynamics_examples import ARGON, argon
from ase_bec.workflows import run_md
path, thermostat, duration = sys.argv[1:]
settings = replace(ARGON, thermostat=thermostat)
run_md(argon(), path, settings, duration=float(duration), resume=Path(path).exists())
"""


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin"])
def test_kill_at_random_moments_loses_and_doubles_nothing(tmp_path: Path, thermostat: str) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    duration, kills = 3000.0, 4
    run_md(argon(), whole, replace(ARGON, thermostat=thermostat), duration=duration)
    choice = random.Random(thermostat)
    for _ in range(kills):
        size = parts.stat().st_size if parts.exists() else 0
        process = killing.start(SCRIPT, parts, thermostat, duration)
        killing.kill(process, parts, size, choice.uniform(0, 0.1))
    assert 1 <= len(frames_of(parts)) < len(frames_of(whole))
    assert killing.start(SCRIPT, parts, thermostat, duration).wait() == 0
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
    run_md(argon(), whole, ARGON, duration=60.0)
    atoms = argon()
    atoms.calc = Interrupting()
    with handling_interruption() as asked:
        run = run_md(atoms, parts, ARGON, duration=60.0)
    assert asked
    assert not run.completed
    assert run.step == 6
    assert run.frames == len(frames_of(parts)) == 3
    assert signal.getsignal(number) is before
    assert run_md(argon(), parts, ARGON, duration=60.0, resume=True).completed
    assert_same_record(whole, parts)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, ARGON, duration=6.0)
    content = path.read_bytes()
    with pytest.raises(
        FileExistsError, match="exists: set `resume` or `overwrite`, or name another"
    ):
        run_md(argon(), path, ARGON, duration=6.0)
    assert path.read_bytes() == content
    run_md(argon(), path, ARGON, duration=12.0, overwrite=True)
    assert len(frames_of(path)) == 3
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        run_md(argon(), tmp_path / "none.traj", ARGON, duration=6.0, resume=True)


def test_two_runs_do_not_write_to_one_trajectory(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, ARGON, duration=6.0)
    content = path.read_bytes()
    with FrameWriter(path, {}, append=True):
        with pytest.raises(ValueError, match="got another run writing to it"):
            run_md(argon(), path, ARGON, duration=12.0, resume=True)
        assert path.read_bytes() == content
    run_md(argon(), path, ARGON, duration=12.0, resume=True)
    assert len(frames_of(path)) == 3


def test_progress_shows_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_md(argon(), tmp_path / "md.traj", ARGON, duration=6.0)
    assert capsys.readouterr().err == ""
    run_md(argon(), tmp_path / "md.traj", ARGON, duration=12.0, resume=True, progress=True)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "6/6" in last
    assert re.search(r"\d+ K, [0-9.e+]+ ns/day", last)


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, ARGON, duration=6.0)
    content = path.read_bytes()
    for name, value in {"timestep": 1.0, "temperature": 50.0, "interval": 1}.items():
        with pytest.raises(ValueError, match=f"`{name}` must be .*as in the frames"):
            run_md(argon(), path, replace(ARGON, **{name: value}), 6.0, resume=True)
    other = argon()
    other.calc = Springs(length=3.01)
    with pytest.raises(ValueError, match="must give the forces of the last frame"):
        run_md(other, path, ARGON, duration=12.0, resume=True)
    other = argon()
    other.numbers[0] = 10
    with pytest.raises(ValueError, match="got another structure"):
        run_md(other, path, ARGON, duration=12.0, resume=True)
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
        run_md(argon(), path, ARGON, duration=6.0, resume=True)


def test_resume_starts_where_no_frame_was_written(tmp_path: Path) -> None:
    path, whole = tmp_path / "md.traj", tmp_path / "whole.traj"
    path.touch()
    run_md(argon(), path, ARGON, duration=6.0, resume=True)
    run_md(argon(), whole, ARGON, duration=6.0)
    assert_same_record(whole, path)
