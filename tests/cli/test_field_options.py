"""Fields with units, net charges and headers on the command line."""

import re
from pathlib import Path

import numpy as np
import pytest
from analytic import DoubleWell, Springs, wells
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from ase_bec.calculators.field import FieldCalculator
from ase_bec.cli import field
from ase_bec.cli.main import main, parser

MD = [
    "md",
    "start.xyz",
    "--nnp",
    "model",
    "--temperature",
    "50",
    "--interval",
    "5",
    "--time",
    "10fs",
    "--overwrite",
]
NEB = [
    "neb",
    "initial.traj",
    "final.traj",
    "--nnp",
    "model",
    "--images",
    "3",
    "--max-steps",
    "2",
    "--overwrite",
]
NEUTRAL = ["--charges", "Li=1,O=-1"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(field, "potential", lambda *_: Springs)
    write("start.xyz", chain())
    for name, atoms in zip(("initial", "final"), wells(), strict=True):
        write(f"{name}.traj", atoms)
    return tmp_path


def chain() -> Atoms:
    positions = [[0, 0, 0.1], [2.9, 0, 0], [0, 3.1, 0], [0, 0, 3]]
    return Atoms("Li2O2", positions, cell=[9, 9, 9], pbc=True)


UNITS = {
    "0.02": 0.02,
    "0.02V/Å": 0.02,
    "0.02V/A\u030a": 0.02,  # Å of two characters
    "0.02V/\u212b": 0.02,  # the ångström sign
    "0.02V/A": 0.02,
    "0.2V/nm": 0.02,
    "2MV/cm": 0.02,
    "2000kV/cm": 0.02,
    "2e6V/cm": 0.02,
    "200MV/m": 0.02,
    "2e5kV/m": 0.02,
    "2.0E+8V/m": 0.02,
    "+2MV/cm": 0.02,
    "-2MV/cm": -0.02,
    "-2e-2": -0.02,
    "-.02": -0.02,
}


@pytest.mark.parametrize("text", UNITS)
def test_units(text: str) -> None:
    assert main([*MD, *NEUTRAL, "--field", "0", text, "0"]) == 0
    frame = read("md.traj")
    assert frame.info["electric_field"] == pytest.approx([0, UNITS[text], 0])
    options = parser().parse_args([*NEB, "--field", "0", text, "0", "--fields", text, "0"])
    assert options.field == pytest.approx((0, UNITS[text], 0))
    assert options.fields == pytest.approx([UNITS[text], 0])


def test_several_components_with_their_units() -> None:
    options = parser().parse_args([*MD, "--field", "1MV/cm", "-2kV/cm", "0"])
    assert options.field == pytest.approx((0.01, -2e-5, 0.0))
    assert parser().parse_args([*MD]).field == (0.0, 0.0, 0.0)
    for command in (
        ["hops", "a", "--species", "Li", "--field", "0", "0", "-1MV/cm"],
        ["analyse", "a", "--field", "0", "0", "-1MV/cm"],
    ):
        assert parser().parse_args(command).field == pytest.approx((0, 0, -0.01))


BAD = {
    "no number": (["--field", "0", "0", "MV/cm"], "--field: invalid float value: 'MV/cm'"),
    "no field": (["--field", "0", "0", "2V"], "--field: must be in V/Å, .*, got the unit 'V'"),
    "other field": (["--field", "0", "0", "2T"], "got the unit 'T' in '2T'"),
    "two points": (["--field", "0", "0", "1.2.3"], "--field: invalid float value: '1.2.3'"),
    "some units": (["--field", "1", "0", "2MV/cm"], "a unit with each component or with none, got"),
    "too large": (["--field", "0", "0", "20", *NEUTRAL], "--field must be smaller than 10 V/Å"),
    "limit": (["--field-limit", "0", "--field", "0", "0", "1", *NEUTRAL], "--field-limit must be"),
    "net charge": (
        ["--net-charge", "1", "--field", "0", "0", "0.1", *NEUTRAL],
        "--net-charge must be the 0 e that the charges of Li",
    ),
    "net charge without field": (["--net-charge", "1", *NEUTRAL], "--net-charge must be the 0 e"),
    "net charge alone": (["--net-charge", "1"], "--net-charge needs --charges"),
    "no charge for O": (
        ["--charges", "Li=1"],
        "every element of the atoms, got none for O",
    ),
}


@pytest.mark.parametrize("command", [MD, NEB])
@pytest.mark.parametrize("kind", BAD)
def test_bad_fields(command: list[str], kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = BAD[kind]
    before = sorted(Path().iterdir())
    try:
        status = main([*command, *words])
    except SystemExit as end:
        status = end.code
    output = capsys.readouterr()
    assert (status, output.out) == (2, "")
    assert re.search(message, output.err)
    assert output.err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


def test_a_scan_is_refused_before_the_path_without_field(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scan = ["--field", "0", "0", "1", "--fields", "0.1", "-1200MV/cm", *NEUTRAL]
    assert main([*NEB, *scan]) == 2
    assert "--field must be smaller than 10 V/Å, got [-0.0, -0.0, -12.0]" in capsys.readouterr().err
    assert not Path("neb-zero.traj").exists()


@pytest.mark.filterwarnings("default")
def test_large_fields_and_odd_charges_are_warned_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*MD, "--charges", "Li=1,O=3.2", "--field", "0", "0", "1.5"]) == 0
    output = capsys.readouterr()
    assert "ase-bec md: warning: --field is 1.5 V/Å (150 MV/cm)" in output.err
    assert "warning: the charges of Li2O2 add up to +8.4 e, which is not a whole" in output.err
    assert "charges Li=1,O=3.2, net charge +8.4 e; E = (0, 0, 1.5) V/Å, 150 MV/cm" in output.out
    meant = ["--net-charge", "8.4", "--field-limit", "2"]
    assert main([*MD, "--charges", "Li=1,O=3.2", "--field", "0", "0", "1.5", *meant]) == 0
    assert "warning" not in capsys.readouterr().err
    assert main([*MD, "--charges", "Li=1,O=3"]) == 0  # no field, but charges
    output = capsys.readouterr()
    assert "add up to +8 e, which is more than 2 e" in output.err
    assert "net charge +8 e; no field" in output.out


def test_header_of_dynamics(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(MD) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "Li2O2, 4 atoms",
        "no charges, no field",
        "nose-hoover thermostat at 50 K (100 fs); 10 steps of 1 fs, a frame every 5",
    ]
    write("start.xyz", [chain(), chain(), chain()])
    waved = ["--field", "0", "0", "2MV/cm", "--field-period", "30fs"]
    assert main([*MD, *NEUTRAL, *waved, "--thermostat", "none", "--timestep", "0.5fs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Li2O2, 4 atoms; of the 3 structures in start.xyz the last"
    assert lines[1].startswith(
        "charges Li=1,O=-1, net charge 0 e; E = (0, 0, 0.02) V/Å, 2 MV/cm, the amplitude of "
        "SineField(amplitude=(0.0, 0.0, 0.02), period=30.0"
    )
    assert lines[2] == "no thermostat; 20 steps of 0.5 fs, a frame every 5"


def test_header_of_a_path(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field, "potential", lambda *_: DoubleWell)
    write("final.traj", [wells()[0], wells()[1]])
    scan = ["--field", "2", "0", "0", "--fields", "5MV/cm", "-0.1", "--charges", "Li=1,O=0"]
    assert main([*NEB, *scan, "--net-force", "keep"]) == 1
    assert capsys.readouterr().out.splitlines()[:3] == [
        "LiO, 2 atoms; of the 2 structures in final.traj the last",
        "charges Li=1,O=0, net charge +1 e; E = 0, 0.05, -0.1 V/Å along (2, 0, 0)",
        "Li 0 moves 2.40 Å, all atoms together 2.40 Å; 3 images between the ends",
    ]


def vacancy_ends() -> tuple[Atoms, Atoms]:
    initial = bulk("Cu", cubic=True).repeat(2)
    hole = initial.positions[0].copy()
    del initial[0]
    final = initial.copy()
    final.positions[0] = hole
    ions = np.roll(np.arange(len(final)), 1)
    return initial, final[ions]


@pytest.mark.filterwarnings("default")
def test_match(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(field, "potential", lambda *_: EMT)
    initial, permuted = vacancy_ends()
    write("initial.traj", initial)
    write("final.traj", permuted)
    assert main([*NEB, "--images", "2"]) == 1
    output = capsys.readouterr()
    assert "ase-bec neb: warning: equal ions of the two ends seem to be in another" in output.err
    assert main([*NEB, "--match"]) == 1
    output = capsys.readouterr()
    assert "another order" not in output.err
    assert re.search(
        r"^--match: 31 atoms of the final structure renumbered, straight path \d+\.\d+ -> 2\.55 Å$",
        output.out,
        re.M,
    )
    images = read("neb-zero.traj", ":")
    moved = np.linalg.norm(images[-1].positions - images[0].positions, axis=1)
    assert (moved > 0.5).sum() == 1


def test_the_hint_names_a_file_to_go_on_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(field, "potential", lambda *_: DoubleWell)
    charges = ["--charges", "Li=1,O=-1", "--field", "0.1", "0", "0", "--fmax", "0.002"]
    assert main([*NEB, *charges]) == 1
    hint = capsys.readouterr().err.splitlines()[-1]
    restart = re.search(r"--restart (\S+),", hint)[1]
    assert re.search(r"\(from (.*)\)", hint)[1].split() == ["neb-zero.traj", "neb-field.traj"]
    assert Path(restart).is_file()
    going_on = [word for word in NEB if word != "--overwrite"]
    going_on[going_on.index("2")] = "400"
    assert main([*going_on, *charges, "--restart", restart, "--output", "more"]) == 0
    assert main([*going_on, *charges, "--resume"]) == 0


def test_a_start_from_a_frame_in_a_field_does_not_take_its_labels_along() -> None:
    atoms = chain()
    atoms.calc = FieldCalculator(Springs(), {"Li": 1, "O": -1}, (0, 0, 0.05))
    atoms.get_forces()
    write("start.traj", atoms)
    assert "forces_zero_field" in read("start.traj").info
    words = ["start.traj" if word == "start.xyz" else word for word in MD]
    assert main(words) == 0
    for frame in read("md.traj", ":"):
        assert not {"electric_field", "energy_zero_field", "forces_zero_field"} & {*frame.info}


def test_frames_of_runs_and_paths_say_their_field(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main([*MD, *NEUTRAL, "--field", "0", "0", "0.05"]) == 0
    for frame in read("md.traj", ":"):
        assert frame.info["electric_field"] == pytest.approx([0, 0, 0.05])
        assert frame.info["forces_zero_field"] == pytest.approx(Springs().get_forces(frame))
    monkeypatch.setattr(field, "potential", lambda *_: DoubleWell)
    assert main([*NEB, *NEUTRAL, "--field", "0.05", "0", "0"]) == 1
    assert all("electric_field" not in frame.info for frame in read("neb-zero.traj", ":"))
    for frame in read("neb-field.traj", ":"):
        assert frame.info["electric_field"] == pytest.approx([0.05, 0, 0])
        zero = DoubleWell().get_potential_energy(frame)
        assert frame.info["energy_zero_field"] == pytest.approx(zero, abs=1e-12)
        plain = DoubleWell().get_property("forces", frame)
        assert frame.info["forces_zero_field"] == pytest.approx(plain, abs=1e-12)


def test_hops_say_how_large_a_cell_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    write("cu.vasp", bulk("Cu"))
    hops = ["hops", "cu.vasp", "--species", "Cu", "--cutoff", "2.6"]
    for repeat in ([], ["--repeat", "2", "2", "2"], ["--repeat", "3", "3", "1"]):
        assert main([*hops, *repeat]) == 2
        error = capsys.readouterr().err
        assert "--cutoff must be less than half the shortest lattice vector" in error
        assert error.endswith("--repeat 3 3 3 is enough\n")
    assert main([*hops, "--repeat", "3", "3", "3"]) == 0
