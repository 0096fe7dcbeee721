"""Ctrl-C and SIGTERM end a program as a whole, and a run between two of its steps."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ase_bec.interruption import handling_interruption, interruption

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """Those of a program in the foreground; some background processes ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def run(steps: int, ask: int | None = None, number: int = signal.SIGINT) -> int:
    """Do some steps, in one of which the process gets a signal; return how many were done."""
    with interruption() as asked:
        for step in range(steps):
            if step == ask:
                signal.raise_signal(number)
            if asked:
                return step
    return steps


@pytest.mark.parametrize("number", SIGNALS)
def test_handled_runs_return_early_and_so_do_later_ones(number: int) -> None:
    with handling_interruption() as asked:
        assert run(9) == 9
        assert not asked
        assert run(9, 4, number) == 4
        assert asked
        assert asked.signal == number
        assert run(9) == 0
    assert run(9) == 9


@pytest.mark.parametrize("number", SIGNALS)
def test_between_handled_runs_a_signal_stops_at_once(number: int) -> None:
    with handling_interruption() as asked:
        run(9)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert asked


@pytest.mark.parametrize("handled", [False, True])
def test_second_signal_stops_a_run_at_once(handled: bool) -> None:
    caught: AbstractContextManager[Any] = (
        nullcontext() if handled else pytest.raises(KeyboardInterrupt)
    )
    around: AbstractContextManager[Any] = handling_interruption() if handled else nullcontext()
    with caught, around, interruption():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_raises_when_the_run_has_ended() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        done.append(run(9, 4))
    assert not done
    assert run(9) == 9


def test_handler_of_the_caller_has_the_last_word() -> None:
    seen = []

    def handler(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        assert run(9, 4, signal.SIGTERM) == 4
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ignored_signal_that_ended_a_run_is_not_lost() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(9, 4)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_other_threads_see_what_the_main_one_notes() -> None:
    found = []
    with handling_interruption():
        run(9, 4)
        thread = threading.Thread(target=lambda: found.append(run(9)))
        thread.start()
        thread.join()
    thread = threading.Thread(target=lambda: found.append(run(9)))
    thread.start()
    thread.join()
    assert found == [0, 9]


SCRIPT = """
import os, signal, sys
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase_bec.workflows import MDSettings, run_md

class Argon(LennardJones):
    calls = 0
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        Argon.calls += 1
        if Argon.calls == 8:
            os.kill(os.getpid(), int(sys.argv[1]))

for name in ("one.traj", "two.traj"):
    atoms = bulk("Ar", cubic=True)
    atoms.calc = Argon()
    run_md(atoms, name, MDSettings(temperature=40.0, interval=2), 40.0)
    print("went on")
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_script_of_several_runs_ends_as_a_whole(tmp_path: Path, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import signal; signal.signal(2, signal.default_int_handler)"
         + SCRIPT, str(int(number))], cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -number
    assert done.stdout == ""
    assert ("KeyboardInterrupt" in done.stderr) == (number == signal.SIGINT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "one.traj"]
    rows = (tmp_path / "one.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "0", "2", "4", "6"]
