"""The commands do their work on small potentials with known answers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from analytic import DoubleWell, Springs, stationary_energies, wells
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from ase_bec.cli import field
from ase_bec.cli.inputs import read_structure
from ase_bec.cli.main import main

CHARGES = ["--charges", "Li=1,O=-1", "--net-force", "keep"]
CLIMB = ["--field", "0.1", "0", "0", "--climb", "--relax-ends", "--fmax", "0.002"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(field, "potential", lambda *_: DoubleWell)
    for name, atoms in zip(("initial", "final"), wells(), strict=True):
        write(f"{name}.traj", atoms)
    return ["neb", "initial.traj", "final.traj", "--nnp", "model", "--images", "3"]


def barriers(output: str) -> list[list[float]]:
    lines = output.splitlines()
    return [
        [float(word) for word in line.split()[3:]]
        for line in lines
        if line.startswith(("forward barrier", "backward barrier"))
    ]


def test_neb_with_and_without_field(hop: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*hop, *CLIMB, *CHARGES]) == 0
    output = capsys.readouterr()
    expected = []
    for strength in (0.0, 0.1):
        left, saddle, right = stationary_energies(strength)
        expected.append([saddle - left, saddle - right])
    found = np.array(barriers(output.out)).T
    assert found == pytest.approx(np.array(expected), abs=2e-4)
    assert "which climbed to the saddle point" in output.out
    assert "work" not in output.out
    for name in ("zero", "field"):
        images = read(f"neb-{name}.traj", ":")
        assert len(images) == 5
        assert all(np.isfinite(a.get_potential_energy()) for a in images)
    with open("neb.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    heights = [float(r["above_initial_eV"]) for r in rows if r["path"].startswith("E = (0.1")]
    assert max(heights) == pytest.approx(expected[1][0], abs=2e-4)
    picture = Path("neb.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


def test_neb_takes_the_work_from_the_initial_image_where_there_is_no_dipole(
    hop: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*hop, *CLIMB, *CHARGES, "--components", "diagonal"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("These charges have no dipole: energies in the field are work")
    left, saddle, right = stationary_energies(0.1)
    found = [row[1] for row in barriers(output)]
    assert found == pytest.approx([saddle - left, saddle - right], abs=2e-4)


def test_neb_restarts_and_guards_its_output(
    hop: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*hop, "--fmax", "0.002", "--max-steps", "3"]) == 1
    output = capsys.readouterr()
    assert output.err.splitlines()[-1] == (
        "ase-bec neb: not converged to 0.002 eV/Å: no field; continue with "
        "--restart neb-zero.traj, or --resume (from neb-zero.traj)"
    )
    assert "a lower bound without --climb" in output.out
    content = Path("neb-zero.traj").read_bytes()
    assert main([*hop, "--restart", "neb-zero.traj"]) == 2
    assert "exists: give --overwrite or another --output" in capsys.readouterr().err
    assert Path("neb-zero.traj").read_bytes() == content
    options = ["--restart", "neb-zero.traj", "--fmax", "0.002", "--climb"]
    assert main([*hop, *options, "--overwrite"]) == 0
    assert barriers(capsys.readouterr().out)[0] == pytest.approx([0.4], abs=2e-4)
    assert main([*hop, *options, "--output", "again"]) == 0
    assert "steps" in capsys.readouterr().out
    assert not Path("neb-field.traj").exists()


def test_neb_says_so_where_an_end_is_the_highest_image(
    hop: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    atoms = wells()[0]
    atoms.positions[0, 0] -= 0.5  # up the wall of the well, above the saddle point
    write("initial.traj", atoms)
    assert main([*hop, "--fmax", "0.05"]) == 0
    output = capsys.readouterr().out
    assert "no field: the highest image is an end, so there is no barrier" in output
    assert barriers(output)[0] == [0.0]
    assert "no field: the ends are not at rest" in output
    assert main([*hop, "--fmax", "0.05", "--relax-ends", "--overwrite"]) == 0
    output = capsys.readouterr().out
    assert "at rest" not in output
    assert float(output.split("that on ends (eV/Å)")[1].split()[0]) < 0.05


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(field, "potential", lambda *_: Springs)
    atoms = Atoms("Li2O2", [[0, 0, 0.1], [2.9, 0, 0], [0, 3.1, 0], [0, 0, 3]], cell=[9, 9, 9])
    write("start.xyz", atoms)
    return ["md", "start.xyz", "--nnp", "model", "--temperature", "50", "--interval", "5"]


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin", "none"])
def test_md_resumes_on_the_same_trajectory(
    run: list[str], capsys: pytest.CaptureFixture[str], thermostat: str
) -> None:
    run += ["--thermostat", thermostat, "--field", "0", "0", "0.05", *CHARGES]
    assert main([*run, "--time", "0.1ps", "--output", "whole.traj"]) == 0
    *header, last = capsys.readouterr().out.splitlines()
    assert last == "21 frames, 0.1 ps, in whole.traj; table whole.csv, whole.png"
    held = "no thermostat" if thermostat == "none" else f"{thermostat} thermostat at 50 K (100 fs)"
    assert header == [
        "Li2O2, 4 atoms",
        "charges Li=1,O=-1, net charge 0 e; E = (0, 0, 0.05) V/Å, 5 MV/cm",
        f"{held}; 100 steps of 1 fs, a frame every 5",
    ]
    assert main([*run, "--time", "40fs"]) == 0
    assert main([*run, "--time", "100fs", "--resume"]) == 0
    for one, two in zip(read("whole.traj", ":"), read("md.traj", ":"), strict=True):
        assert np.array_equal(one.positions, two.positions)
        assert np.array_equal(one.get_momenta(), two.get_momenta())
        assert one.get_potential_energy() == two.get_potential_energy()
    assert Path("whole.csv").read_text() == Path("md.csv").read_text()
    with open("md.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["time_fs"]) for row in rows] == list(np.arange(21) * 5.0)
    assert {row["field_z_V_per_A"] for row in rows} == {"0.05"}


def test_md_resume_refuses_another_field(
    run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run += ["--time", "40fs", *CHARGES]
    assert main([*run, "--field", "0", "0", "0.05"]) == 0
    assert main([*run, "--field", "0", "0", "0.06", "--resume"]) == 2
    message = (
        "--field must be [0.0, 0.0, 0.05], as in the frames of `md.traj`, got [0.0, 0.0, 0.06]"
    )
    assert message in capsys.readouterr().err
    assert main([*run, "--field", "0", "0", "0.06"]) == 2
    assert main([*run, "--field", "0", "0", "0.06", "--overwrite"]) == 0


def test_md_leaves_out_an_energy_that_is_not_defined(
    run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run += ["--time", "40fs", "--field", "0", "0", "0.05", "--components", "diagonal", *CHARGES]
    assert main(run) == 0
    assert capsys.readouterr().out.startswith("These charges have no dipole: the energy in the")
    with open("md.csv") as file:
        assert {row["enthalpy_eV"] for row in csv.DictReader(file)} == {""}
    assert main([*run, "--energy", "work", "--output", "work.traj"]) == 0
    with open("work.csv") as file:
        assert all(np.isfinite(float(row["enthalpy_eV"])) for row in csv.DictReader(file))


LAMMPS = """comment

3 atoms
2 atom types
0 5 xlo xhi
0 6 ylo yhi
0 7 zlo zhi

Masses

1 7.0
2 32.066

Atoms # atomic

3 2 1.0 2.0 3.0
1 1 0.0 0.0 0.5
2 2 4.5 0.0 0.0
"""


def test_lammps_data_file(folder: Path) -> None:
    for name, file_format in (("data.start", None), ("start.txt", "lammps-data")):
        Path(name).write_text(LAMMPS)
        atoms = read_structure(Path(name), file_format, ["Li", "O"])
        assert atoms.get_chemical_formula() == "LiO2"
        assert atoms.positions.tolist() == [[0, 0, 0.5], [4.5, 0, 0], [1, 2, 3]]
        assert atoms.cell.lengths().tolist() == [5, 6, 7]
        assert atoms.get_masses()[1:] == pytest.approx(15.999)
        assert set(atoms.arrays) == {"numbers", "positions", "momenta"}


@pytest.mark.parametrize("name", ["a.vasp", "a.xyz", "a.cif", "a.traj", "a.json"])
def test_any_ase_format(folder: Path, name: str) -> None:
    atoms = bulk("Cu", cubic=True)
    write(name, atoms)
    again = read_structure(Path(name), None, ["Cu"])
    assert again.get_chemical_formula() == "Cu4"
    assert again.positions == pytest.approx(atoms.positions, abs=1e-6)


def test_last_structure_of_many(folder: Path) -> None:
    write("many.traj", [bulk("Cu"), bulk("Al")])
    assert read_structure(Path("many.traj"), None, None).get_chemical_formula() == "Al"
