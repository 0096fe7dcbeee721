"""The commands on the published Li3PO4 models: barriers, and dynamics that survives kills."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.io import read, write

from ase_bec.cli.inputs import read_structure
from ase_bec.cli.main import main

DATA = Path(__file__).parents[3] / "shared/data/shimizu_li3po4"
NNP = ["--species", "Li,P,O", "--nnp", str(DATA / "models/lammps-force.nnp")]
BORN = str(DATA / "models/lammps_rot_bec.nnp")
FORMAL = ["--charges", "Li=1,P=5,O=-2"]
CRYSTAL = str(DATA / "md/crystal/data.lammps")
PATH = [DATA / f"neb/8to1/data.neb{k}.lammps" for k in range(1, 9)]

pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the published models in {DATA}"),
    pytest.mark.filterwarnings("ignore:.*have an environment outside the range:UserWarning"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", NNP[-1]]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["kind"] == "NeuralNetworkPotential"
    assert lines["elements"] == "Li, P, O"
    assert lines["cutoff"] == "7 Å"
    assert lines["functions"] == "126"
    assert main(["info", BORN]) == 0
    assert "180" in capsys.readouterr().out
    assert main(["info"]) == 0
    output = capsys.readouterr().out
    for name in ("python", "ase-bec", "torch", "threads", "devices", "li3po4-nnp"):
        assert name in output


def test_barriers(capsys: pytest.CaptureFixture[str]) -> None:
    write("published.traj", [read_structure(p, None, ["Li", "P", "O"]) for p in PATH])
    options = ["--field", "0", "0", "0.1", "--climb", "--restart", "published.traj", *FORMAL]
    assert main(["neb", str(PATH[0]), str(PATH[-1]), *NNP, *options]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert "net charge -1 e; E = (0, 0, 0.1) V/Å, 10 MV/cm" in rows[1]
    forward, backward = (
        [float(v) for v in row.split()[3:]]
        for name in ("forward", "backward")
        for row in rows
        if row.startswith(f"{name} barrier")
    )
    assert [forward[0], backward[0]] == pytest.approx([0.157, 0.444], abs=0.003)
    published = np.loadtxt(DATA / "neb/8to1/toten")[:, 1]
    found = [atoms.get_potential_energy() for atoms in read("neb-zero.traj", ":")]
    assert [found[0], found[-1]] == pytest.approx([published[0], published[-1]], abs=1e-5)
    # Li climbs along +z: the field takes about 1 e × 0.1 V/Å × 0.65 Å off the way up.
    assert forward[1] == pytest.approx(0.093, abs=0.01)
    assert backward[1] == pytest.approx(0.607, abs=0.01)
    assert len(read("neb-field.traj", ":")) == 8
    assert Path("neb.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--charges", BORN, "--field", "0.1", "0", "0.1"], "--field must be along z"),
        (["--charges", NNP[-1], "--field", "0", "0", "0.1"], "--charges must"),
        (["--nnp", BORN], "--nnp must be"),
        (["--species", "Li,P,S"], "knows Li, P, O, not S"),
        (["--device", "tpu"], "--device must be"),
        (["--nnp", "cut.nnp"], "cut.nnp"),
        (["--charges", "cut.nnp", "--field", "0", "0", "0.1"], "cut.nnp"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    Path("cut.nnp").write_bytes(Path(BORN).read_bytes()[:5000])
    assert main(["neb", str(PATH[0]), str(PATH[-1]), *NNP, *options]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert message in output.err
    assert [path.name for path in Path().iterdir()] == ["cut.nnp"]


def dynamics(name: str, steps: int, *options: str) -> list[str]:
    run = ["md", CRYSTAL, *NNP, "--field", "0", "0", "0.1", "--temperature", "800"]
    return [*run, "--time", f"{steps}fs", "--interval", "5", "--output", name, *options]


def assert_same_record(one: str, two: str) -> None:
    for a, b in zip(read(one, ":"), read(two, ":"), strict=True):
        assert np.array_equal(a.positions, b.positions)
        assert np.array_equal(a.get_momenta(), b.get_momenta())
    assert Path(one).with_suffix(".csv").read_text() == Path(two).with_suffix(".csv").read_text()


def start(*command: str) -> subprocess.Popen[bytes]:
    """Start a run of its own, as all runs to be equal to the last bit need equal threads."""
    return subprocess.Popen([sys.executable, "-m", "ase_bec.cli.main", *command])


def test_md_killed_and_resumed_equals_md_left_alone() -> None:
    whole = dynamics("whole.traj", 100, *FORMAL)
    parts = dynamics("parts.traj", 100, *FORMAL)
    assert start(*whole).wait() == 0
    chance = random.Random(3)
    for _ in range(2):
        resume = ["--resume"] if Path("parts.traj").exists() else []
        process = start(*parts, *resume)
        size = Path("parts.traj").stat().st_size if resume else 0
        while not Path("parts.traj").exists() or Path("parts.traj").stat().st_size <= size:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.wait()
    assert 1 <= len(read("parts.traj", ":")) < len(read("whole.traj", ":"))
    assert start(*parts, "--resume").wait() == 0
    assert_same_record("whole.traj", "parts.traj")


def test_md_with_released_charges(capsys: pytest.CaptureFixture[str]) -> None:
    charges = ["--charges", BORN]
    assert main(dynamics("whole.traj", 20, *charges)) == 0
    assert capsys.readouterr().out.startswith("These charges have no dipole: the energy in the")
    assert main(dynamics("parts.traj", 10, *charges)) == 0
    assert main(dynamics("parts.traj", 20, *charges, "--resume")) == 0
    assert_same_record("whole.traj", "parts.traj")


def test_md_starts_with_masses_of_the_elements() -> None:
    atoms = read_structure(PATH[0], None, ["Li", "P", "O"])
    oxygen = [m for m, s in zip(atoms.get_masses(), atoms.symbols, strict=True) if s == "O"]
    assert oxygen == pytest.approx([15.999] * 64)  # the file says 32.066
