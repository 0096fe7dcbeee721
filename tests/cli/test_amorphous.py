"""`ase-bec amorphous` from the command line."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from analytic import Springs
from ase import Atoms
from ase.io import read, write

from ase_bec.cli import field
from ase_bec.cli.main import main

TIMES = ["--melt", "900", "100fs", "--quench", "4000K/ps", "--anneal", "100K", "0.05ps"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(field, "potential", lambda *_: Springs)
    places = [[0, 0, 0.1], [2.9, 0, 0], [0, 3.1, 0], [0, 0, 3]]
    write("start.xyz", Atoms("LiOLiO", places, cell=[9, 9, 9], pbc=True))
    return ["amorphous", "start.xyz", "--nnp", "model", *TIMES, "--interval", "5"]


def test_a_structure_is_made_and_made_again_by_resuming(
    run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*run, "--output", "one"]) == 0
    text = capsys.readouterr().out
    assert "Li2O2, 0.105 g/cm³" in text
    assert "O has hardly moved, so the structure remembers" in text
    assert Path("one/amorphous.png").read_bytes().startswith(b"\x89PNG")
    assert main([*run, "--output", "two"]) == 0
    Path("two/final.traj").unlink()
    assert main([*run, "--output", "two"]) == 2
    assert "exists: set --resume or --overwrite, or name another folder" in capsys.readouterr().err
    assert main([*run, "--output", "two", "--resume"]) == 0
    one, two = read("one/final.traj"), read("two/final.traj")
    assert np.array_equal(one.positions, two.positions)
    assert Path("one/run.csv").read_text() == Path("two/run.csv").read_text()


def test_an_interrupted_run_names_the_files_that_exist(
    run: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(Springs):
        calls = 0

        def calculate(self, *args: object, **kwargs: object) -> None:
            super().calculate(*args, **kwargs)
            Interrupting.calls += 1
            if Interrupting.calls == 120:
                os.kill(os.getpid(), signal.SIGINT)

    assert main([*run, "--output", "whole"]) == 0
    monkeypatch.setattr(field, "potential", lambda *_: Interrupting)
    capsys.readouterr()
    assert main(run) == 130
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "run.traj, run.csv, amorphous.png in amorphous"
    assert lines[-1] == "Interrupted: run the same command with --resume to continue."
    for name in lines[-2].removesuffix(" in amorphous").split(", "):
        assert Path("amorphous", name).exists()
    assert main([*run, "--resume"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("final.traj, run.traj, run.csv")
    assert np.array_equal(
        read("amorphous/final.traj").positions, read("whole/final.traj").positions
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--melt", "hot", "1ps"], "--melt must be a temperature in K and a time"),
        (["--melt", "900", "1"], "--melt must be a temperature in K and a time"),
        (["--quench", "fast"], "must be a rate such as 100K/ps, got 'fast'"),
        (["--quench", "-1"], "--quench must be positive, got -1.0"),
        (["--units", "2"], "--units is for a formula"),
        (["--repeat", "0", "1", "1"], "--repeat must be three numbers from 1"),
    ],
)
def test_bad_options(
    run: list[str], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    try:
        status = main([*run, *words])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not Path("amorphous").exists()


def test_a_formula_needs_its_units_and_density(
    run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run[1] = "Li3PO4"
    assert main(run) == 2
    assert "a formula needs --units and --density" in capsys.readouterr().err
