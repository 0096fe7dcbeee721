"""`ase-bec md` in fields that change with time."""

from pathlib import Path

import numpy as np
import pytest
from analytic import Springs
from ase import Atoms
from ase.io import write

from ase_bec.calculators import PulseField, RampField, SineField
from ase_bec.cli import field
from ase_bec.cli.main import main
from ase_bec.workflows import read_table

E = (0.0, 0.02, 0.05)
SHAPES = {
    "sine": (["--field-period", "30fs"], SineField(E, 30.0)),
    "pulse": (["--field-pulse", "20fs", "0.008ps"], PulseField(E, 20.0, 8.0)),
    "wave packet": (
        ["--field-pulse", "20fs", "8fs", "--field-period", "15fs"],
        PulseField(E, 20.0, 8.0, 15.0),
    ),
    "ramp": (["--field-ramp", "25fs"], RampField(E, duration=25.0)),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(field, "potential", lambda *_: Springs)
    atoms = Atoms("Li2O2", [[0, 0, 0.1], [2.9, 0, 0], [0, 3.1, 0], [0, 0, 3]], cell=[9, 9, 9])
    atoms.pbc = True
    write("start.xyz", atoms)
    return ["md", "start.xyz", "--nnp", "model", "--temperature", "50", "--interval", "5"]


FIELD = ["--charges", "Li=1,O=-1", "--field", *map(str, E)]


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_the_field(run: list[str], shape: str) -> None:
    words, function = SHAPES[shape]
    assert main([*run, *FIELD, *words, "--time", "40fs", "--output", "whole.traj"]) == 0
    assert main([*run, *FIELD, *words, "--time", "20fs"]) == 0
    assert main([*run, *FIELD, *words, "--time", "40fs", "--resume"]) == 0
    assert Path("whole.csv").read_text() == Path("md.csv").read_text()
    assert Path("md.png").read_bytes().startswith(b"\x89PNG")
    table = read_table("md.csv")
    found = np.array([table[f"field_{axis}_V_per_A"] for axis in "xyz"]).T
    assert found == pytest.approx(np.array([function(5.0 * k) for k in range(9)]), abs=1e-14)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--field-period", "30fs"], "--field-period, --field-pulse and --field-ramp need --field"),
        ([*FIELD, "--field-period", "30"], "must be a positive number with its unit"),
        ([*FIELD, "--field-period", "9fs", "--field-ramp", "1ps"], "--field-ramp must come"),
    ],
)
def test_bad_shapes(
    run: list[str], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    try:
        status = main([*run, "--time", "40fs", *words])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not Path("md.traj").exists()


def test_another_period_is_refused_on_resuming(
    run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run += ["--time", "30fs", *FIELD]
    assert main([*run, "--field-period", "30fs"]) == 0  # the field is zero at the last frame
    assert main([*run, "--field-period", "60fs", "--resume"]) == 2
    assert "as in the frames of `md.traj`" in capsys.readouterr().err
