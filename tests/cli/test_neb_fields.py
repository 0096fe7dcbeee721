"""`ase-bec neb` in several fields, killed and resumed; `ase-bec hops`."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from analytic import DoubleWell, stationary_energies, wells
from ase.build import bulk
from ase.io import read, write

from ase_bec.cli import field
from ase_bec.cli.main import main

CHARGES = ["--charges", "Li=1,O=-1", "--net-force", "keep"]
SCAN = ["--field", "3", "0", "0", "--fields", "-0.1", "0.1", "0.2", *CHARGES]
NEB = ["neb", "initial.traj", "final.traj", "--nnp", "model", "--images", "3", "--climb"]

# The command with a double well for a potential, slow enough to be killed on the way.
PROGRAM = """
import sys, time
from analytic import DoubleWell
from ase_bec.cli import field
from ase_bec.cli.main import main
class Slow(DoubleWell):
    def calculate(self, *args, **kwargs):
        time.sleep(float(sys.argv[1]))
        super().calculate(*args, **kwargs)
field.potential = lambda *_: Slow
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def hop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(field, "potential", lambda *_: DoubleWell)
    for name, atoms in zip(("initial", "final"), wells(), strict=True):
        write(f"{name}.traj", atoms)
    return tmp_path


def columns(output: str, name: str) -> list[float]:
    (line,) = (line for line in output.splitlines() if line.startswith(name))
    return [float(word) for word in line.removeprefix(name).split()]


def expected(strength: float) -> tuple[float, float]:
    left, saddle, right = stationary_energies(strength)
    return saddle - left, saddle - right


def test_several_fields(hop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NEB, *SCAN, "--fmax", "0.002", "--relax-ends"]) == 0
    output = capsys.readouterr().out
    forward, backward = np.transpose([expected(e) for e in (-0.1, 0.0, 0.1, 0.2)])
    assert columns(output, "forward barrier (eV)") == pytest.approx(forward, abs=3e-4)
    assert columns(output, "backward barrier (eV)") == pytest.approx(backward, abs=3e-4)
    for name in ("estimate", "ion alone"):
        found = columns(output, f"{name}, forward")
        assert found == pytest.approx([0.52, 0.4, 0.28, 0.16], abs=1e-3)
    lines = [line for line in output.splitlines() if " slope " in line]
    assert [float(line.split()[2]) for line in lines] == pytest.approx([-1.2, 1.2], abs=0.01)
    assert all(line.endswith("for fields to 0.1 V/Å") for line in lines)
    with open("neb-barriers.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["field_V_per_A"]) for row in rows] == [-0.1, 0, 0.1, 0.2]
    assert [float(row["backward_eV"]) for row in rows] == pytest.approx(backward, abs=3e-4)
    assert [float(row["ion_alone_backward_eV"]) for row in rows] == pytest.approx(
        [0.28, 0.4, 0.52, 0.64], abs=1e-3
    )
    names = ["neb-zero", "neb-field-0.1", "neb-field+0.1", "neb-field+0.2"]
    assert all(len(read(f"{name}.traj", ":")) == 5 for name in names)
    assert Path("neb.png").stat().st_size > 10_000


def test_resume_refuses_other_bands(hop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NEB, "--max-steps", "2", "--resume"]) == 1  # nothing to resume from yet
    capsys.readouterr()
    assert main([*NEB[:-2], "4", "--resume"]) == 2
    assert "`neb-zero.traj` must hold 6 images to continue from, got 5" in capsys.readouterr().err
    Path("neb-zero.traj").write_text("text")
    assert main([*NEB, "--resume"]) == 2
    assert "cannot read `neb-zero.traj`" in capsys.readouterr().err
    assert main([*NEB, "--fields", "0.1"]) == 2
    assert "--fields needs --field" in capsys.readouterr().err
    assert main([*NEB, *CHARGES, "--field", "1", "0", "0", "--fields", "nan"]) == 2
    assert "--fields must be finite" in capsys.readouterr().err


def test_restart_refuses_a_path_between_other_ends(
    hop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*NEB, "--max-steps", "2", "--output", "one"]) == 1
    images = read("one-zero.traj", ":")
    for name, band in {"back": images[::-1], "short": images[:3]}.items():
        write(f"{name}.traj", band)
        capsys.readouterr()
        assert main([*NEB, "--restart", f"{name}.traj", "--output", "two"]) == 2
        error = capsys.readouterr().err
        assert "--restart: " in error
        assert f"must be the structure that the path in `{name}.traj` was found for" in error
        assert "Li0 is " in error
    assert main([*NEB, "--restart", "one-zero.traj", "--output", "two"]) == 0


def test_resume_refuses_another_search(hop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NEB, "--max-steps", "2"]) == 1
    for words, message in (
        (["--spring", "0.3"], "--spring must be 0.1, as in `neb-zero.traj`, got 0.3"),
        (["--relax-ends"], "--relax-ends must be False, as in `neb-zero.traj`, got True"),
    ):
        capsys.readouterr()
        assert main([*NEB, *words, "--resume"]) == 2
        assert message in capsys.readouterr().err
    assert main([*NEB, "--fmax", "0.03", "--resume"]) == 0


def command(pause: float) -> list[str]:
    options = [*NEB, *SCAN[:6], *CHARGES, "--fmax", "0.005", "--resume", "--output", "killed"]
    return [sys.executable, "-c", PROGRAM, str(pause), *options]


def test_killed_and_resumed(hop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command(0.003), env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not Path("killed-zero.traj").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not Path("killed.csv").exists()
    assert len(read("killed-zero.traj", ":")) == 5
    done = subprocess.run(command(0), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = columns(done.stdout, "forward barrier (eV)")
    assert found == pytest.approx([expected(-0.1)[0], 0.4], abs=3e-4)


def test_hops(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write("cu.vasp", bulk("Cu", cubic=True))
    hops = ["hops", "cu.vasp", "--species", "Cu", "--cutoff", "2.6"]
    assert main(hops) == 2
    assert "less than half the shortest lattice vector, 1.80 Å" in capsys.readouterr().err
    hops += ["--repeat", "2", "2", "2"]
    assert main([*hops, "--field", "0", "0", "1", "--output", "hop"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [[int(word) for word in line.split()[4:7]] for line in lines] == [
        [4, 128, 2],
        [4, 128, 1],
        [4, 128, 0],
    ]
    initial, final = read("hop-2-initial.vasp"), read("hop-2-final.vasp")
    moved = final.positions - initial.positions
    assert len(initial) == 31
    assert moved[np.abs(moved).max(axis=1) > 0.1][:, 2] == pytest.approx([-3.61 / 2])
    assert main([*hops, "--cutoff", "1", "--output", "hop"]) == 0  # nothing to write
    assert capsys.readouterr().out == "no hop is that short\n"
    assert (
        main(
            [*hops[:2], "--species", "H", "--cutoff", "1.9", *hops[6:], "--site"]
            + ["0.25", "0.25", "0.25"]
        )
        == 0
    )
    assert capsys.readouterr().out.splitlines()[1].split()[4:6] == ["6", "384"]
