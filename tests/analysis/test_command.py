"""`ase-bec analyse`: its table, its figure, and its answers to bad input."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import write
from trajectory_examples import brownian

from ase_bec.analysis import diffusion, read_trajectory
from ase_bec.cli.main import main

DRIFT = np.array([0.0, 0.0, 4e-3])  # Å/fs
FIELD = 0.05  # V/Å


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ions that drift and others that tremble, at 500 K."""
    folder = tmp_path_factory.mktemp("analyse")
    ions = brownian(1, [1e-3] * 3, DRIFT, frames=400, atoms=10)
    rng = np.random.default_rng(2)
    frames = []
    for positions in ions.positions:
        rest = np.arange(30.0).reshape(10, 3) + 0.1 * rng.standard_normal((10, 3))
        atoms = Atoms("Li10F10", np.concatenate([positions, rest]), cell=[12] * 3, pbc=True)
        atoms.set_velocities(rng.standard_normal((20, 3)))
        momenta = atoms.get_momenta()
        momenta *= np.sqrt(500 / atoms.get_temperature())
        atoms.set_momenta(momenta)
        frames.append(atoms)
    write(folder / "md.traj", frames)
    for atoms in frames:
        atoms.wrap()
    write(folder / "wrapped.traj", frames)
    (folder / "text.traj").write_text("nothing")
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def rows(text: str) -> dict[str, list[tuple[float, float]]]:
    """Numbers of the table with their errors, by the name of the row."""
    number = r"\(?(-?[\d.]+) ± ([\d.]+)(?:\)e([+-]\d+))?"
    found = {}
    for line in text.splitlines():
        cells = re.findall(number, line)
        if cells:
            name = re.split(r"\s{2,}", line.strip())[0]
            found[name] = [
                (float(v + "e" + (x or "0")), float(e + "e" + (x or "0"))) for v, e, x in cells
            ]
    return found


WORDS = "analyse md.traj --timestep 10fs"


def test_table_and_figure(capsys: pytest.CaptureFixture[str]) -> None:
    field = f"--field 0 0 {FIELD} --charges Li=1,F=-1"
    assert main(f"{WORDS} {field} --fit 50fs 300fs --output whole".split()) == 0
    text = capsys.readouterr().out
    assert "3.99 ps in 400 frames, 500 K, E = (0, 0, 0.05) V/Å" in text
    table = rows(text)
    exact = {
        "D (cm²/s)": 1e-4,
        "along x": 1e-4,
        "drift along z (m/s)": DRIFT[2] * 1e5,
        "mobility v/E (cm²/Vs)": 0.1 * DRIFT[2] / FIELD,
        "mobility qD/kT (cm²/Vs)": 0.1 * 1e-3 / (units.kB * 500),
        "Nernst-Einstein": 16021.77 * 10 * 1e-3 / (12**3 * units.kB * 500),
        "current / field": 16021.77 * 10 * DRIFT[2] / (12**3 * FIELD),
    }
    for name, value in exact.items():
        found, error = table[name][0]
        assert abs(found - value) < 4.5 * error, name  # Student's t with 4 degrees
        assert error < 0.25 * value, name
    still, error = table["D (cm²/s)"][1]
    assert abs(still) < 4 * error < 1e-5
    ratio = table["Nernst-Einstein"][0][0] / table["current / field"][0][0]
    assert table["Haven ratio"][0][0] == pytest.approx(ratio, rel=0.05)
    assert main(f"{WORDS} {field} --fit 50fs 300fs --mobile Li --output mobile".split()) == 0
    mobile = rows(capsys.readouterr().out)
    assert mobile["Nernst-Einstein"][0][0] == pytest.approx(
        16021.77 * 10 * 10 * mobile["along z"][0][0] / (12**3 * units.kB * 500), rel=0.04
    )
    assert Path("whole.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_not_known_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"{WORDS} --start 1ps --stop 3ps --stride 2 --output bare".split()) == 0
    text = capsys.readouterr().out
    assert text.startswith("2 ps in 101 frames")
    assert not re.search("mobility|conductivity|Haven", text)
    assert "among the vibrations" in text.splitlines()[1]
    assert text.splitlines()[2].split() == ["Li", "F"]


def test_unwrapping_and_frame_of_reference(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--timestep 10fs --fit 50fs 300fs --frame-of F --overwrite --output same"
    assert main(f"analyse md.traj {words}".split()) == 0
    plain = capsys.readouterr().out
    assert main(f"analyse wrapped.traj --unwrap {words}".split()) == 0
    back = rows(capsys.readouterr().out)
    assert {name: row[0] for name, row in back.items()} == {
        name: row[0] for name, row in rows(plain).items()
    }
    seen = read_trajectory("md.traj", timestep=10.0).relative_to(["F"])
    exact = diffusion(seen, "Li", (50.0, 300.0)).in_cm2_per_s().mean()
    assert str(exact) in plain


BAD = {
    "no file": ("analyse none.traj", "there is no trajectory `none.traj`"),
    "no trajectory": ("analyse text.traj", "cannot read a trajectory from `text.traj`"),
    "no time": ("analyse md.traj", "--timestep must be given"),
    "wrapped": (
        "analyse wrapped.traj --timestep 10fs",
        "the trajectory must hold unwrapped positions",
    ),
    "window": (f"{WORDS} --fit 1ps 3ps", "--fit must end within a block"),
    "blocks": (f"{WORDS} --blocks 1", "--blocks must be at least 2"),
    "stop": (f"{WORDS} --start 3ps --stop 1ps", "--start must be from 0 to below --stop"),
    "charges": (f"{WORDS} --charges Li=1", "--charges must have a finite number for each of Li, F"),
    "model": (f"{WORDS} --charges none.pt", "none.pt"),
    "potential": (f"{WORDS} --charges li3po4-nnp", "`li3po4-nnp` has no dipole"),
    "frame": (f"{WORDS} --frame-of P", "`element` must be one of Li, F, got 'P'"),
    "mobile": (f"{WORDS} --mobile P", "`element` must be one of Li, F, got 'P'"),
    "cold": (f"{WORDS} --temperature -3", "--temperature must be positive"),
    "folder": (f"{WORDS} --output a/b", "no folder `a`"),
    "unit": (f"{WORDS} --start 3", "--start: must be a positive number with its unit"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, answer = BAD[name]
    before = set(Path().iterdir())
    try:
        status = main(words.split())
    except SystemExit as end:
        status = end.code
    error = capsys.readouterr().err
    assert status == 2
    assert error.count("\n") == 1
    assert answer in error
    assert set(Path().iterdir()) == before


def test_earlier_output_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken.png").touch()
    assert main(f"{WORDS} --output taken".split()) == 2
    assert "`taken.png` exists: give --overwrite" in capsys.readouterr().err


def test_example_of_help_parses(capsys: pytest.CaptureFixture[str]) -> None:
    from ase_bec.cli.main import parser

    with pytest.raises(SystemExit):
        main(["analyse", "--help"])
    example = re.search(r"^  ase-bec (.*)$", capsys.readouterr().out, re.M)
    assert example
    assert parser().parse_args(example[1].split()).start == 5000.0
