"""`ase-bec convert`: what the library reads, with the same checks, in one line each."""

import numpy as np
import pytest
from ase import units
from data_examples import harmonic, labelled

from ase_bec.cli.main import main
from ase_bec.data import read_dataset, write_dataset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_dataset("a.xyz", [labelled(1), labelled(2)])
    write_dataset("ry.xyz", harmonic(6, energy=1 / units.Ry))
    return tmp_path


def test_converts_and_summarizes(folder, capsys) -> None:
    assert main(["convert", "a.xyz", "--sum-rule", "Na,Cl", "--output", "b.xyz.gz"]) == 0
    text = capsys.readouterr().out
    assert "2 frames, 16 atoms: Na, Cl" in text
    assert "now corrected" in text
    assert "2 frames written to b.xyz.gz" in text
    for frame in read_dataset("b.xyz.gz"):
        np.testing.assert_allclose(frame.sum_rule_residual, 0, atol=1e-12)


def test_units_keys_and_folding(folder, capsys) -> None:
    assert main(["convert", "ry.xyz"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ase-bec convert: error: ry.xyz, frame 0")
    assert "--unit energy=Ry would make it 1.00" in error
    assert error.endswith("or --no-unit-check if they are right\n")
    assert error.count("\n") == 1
    assert main(["convert", "ry.xyz", "--unit", "energy=Ry", "--output", "ev.xyz"]) == 0
    assert read_dataset("ev.xyz")[0].energy == pytest.approx(harmonic(6)[0].energy, rel=1e-12)
    assert main(["convert", "a.xyz", "--fold", "Na=1,Cl=-1", "--output", "folded.xyz"]) == 0
    assert main(["convert", "a.xyz", "--key", "energy=none"]) == 2
    assert "no frame has the key `none`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.xyz"],
        ["a.xyz", "--output", "a.xyz"],
        ["a.xyz", "--output", "nofolder/b.xyz"],
        ["a.xyz", "--output", "b.traj"],
        ["a.xyz", "--format", "cif"],
        ["a.xyz", "--fold", "Na=1"],
        ["a.xyz", "--sum-rule", "O"],
    ],
)
def test_bad_input_is_one_line(folder, capsys, arguments) -> None:
    assert main(["convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ase-bec convert: error: ")
    assert error.count("\n") == 1
    assert sorted(p.name for p in folder.iterdir()) == ["a.xyz", "ry.xyz"]


@pytest.mark.parametrize("arguments", [["--unit", "energy"], ["--fold", "Zz"]])
def test_bad_options_are_one_line(folder, capsys, arguments) -> None:
    with pytest.raises(SystemExit) as end:
        main(["convert", "a.xyz", *arguments])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
