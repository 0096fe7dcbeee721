"""One run at a time writes to an output, and the dead hold nothing."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ase_bec.locks import OutputInUse, locked

HOLD = """
import sys, time
from ase_bec.locks import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["locks of the system", "no locks"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system with locks, or one without."""
    if request.param == "no locks":
        fcntl = pytest.importorskip("fcntl")

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
    return str(request.param)


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that holds an output."""
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str], number: int) -> None:
    process.send_signal(number)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_another_process_is_named_and_its_death_frees(tmp_path: Path, system: str) -> None:
    path = tmp_path / "a.traj"
    process = holder(path)
    try:
        message = f"`a.traj` must be free to write, got .*: process {process.pid} on .* since 20"
        for _ in range(2):
            with pytest.raises(OutputInUse, match=message), locked(path):
                pass
    finally:
        end(process, signal.SIGKILL)
    assert (tmp_path / ".a.traj.lock").exists()
    with locked(path), pytest.raises(OutputInUse, match=f"process {os.getpid()} .this one."):
        locked(path).__enter__()
    assert not list(tmp_path.iterdir())


def test_all_or_none(tmp_path: Path, system: str) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    with locked(b):
        with pytest.raises(OutputInUse, match="`b`"), locked(c, a, b):
            pass
        with locked(a, c):
            pass
    with pytest.raises(RuntimeError, match="broken"), locked(a):
        raise RuntimeError("broken")
    with locked(a, b, a):
        pass
    assert not list(tmp_path.iterdir())


def test_a_link_leads_to_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with locked(tmp_path / "a"), pytest.raises(OutputInUse), locked(tmp_path / "link"):
        pass


def test_a_run_within_a_run(tmp_path: Path) -> None:
    path, refused = tmp_path / "a", []

    def other() -> None:
        try:
            with locked(path, again=True):
                pass
        except OutputInUse as error:
            refused.append(error)

    with locked(path):
        with locked(path, again=True):
            pass
        with pytest.raises(OutputInUse), locked(path):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    other()
    assert len(refused) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with locked(path):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)  # until the parent has let go
            os._exit(0)
        os.close(read)
    try:
        with locked(path):
            pass
    finally:
        os.close(write)
        os.waitpid(child, 0)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"), locked(tmp_path / "b/a"):
        pass


COUNT = """
import sys, pathlib
from ase_bec.locks import OutputInUse, locked
path, left = pathlib.Path(sys.argv[1]), 60
while left:
    try:
        with locked(path):
            path.write_text(str(int(path.read_text()) + 1))
            left -= 1
    except OutputInUse:
        pass
"""


def test_many_processes_never_hold_it_together(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0")
    command = [sys.executable, "-c", COUNT, str(path)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert path.read_text() == "240"
