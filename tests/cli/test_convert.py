"""`ase-bec convert`: what the library reads, with the same checks, in one line each."""

import numpy as np
import pytest
from ase import units
from data_examples import assert_equal_frames, harmonic, labelled
from reader_examples import FORMATS, put

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


def test_net_charge_of_files_that_do_not_tell(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "phonopy-born")
    arguments = ["convert", "BORN", "--sum-rule", "uniform", "--output", "a.xyz"]
    assert main([*arguments, "--net-charge", "1"]) == 0
    assert "net charges (e): +1" in capsys.readouterr().out
    (frame,) = read_dataset("a.xyz")
    np.testing.assert_allclose(frame.born_effective_charges.sum(axis=0), np.eye(3), atol=1e-12)
    assert frame.net_charge == 1
    assert main(["convert", "a.xyz", "--net-charge", "2"]) == 2
    assert "--net-charge must be that of the file, +1 e, got +2" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["convert", "BORN", "--net-charge", "one"])
    assert "must be a number of e, such as -1, got 'one'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["f.xyz", "f.traj"])
def test_labels_in_a_field_are_not_converted_silently(folder, capsys, name) -> None:
    frame = labelled(3, born_effective_charges=None, polarization=None, dielectric_tensor=None)
    atoms = frame.to_atoms()
    atoms.info["electric_field"] = np.array([0.0, 0.0, 0.1])
    if name.endswith("traj"):
        atoms.write(name)
    else:
        write_dataset(name, atoms)
    assert main(["convert", name, "--output", "g.xyz"]) == 2
    error = capsys.readouterr().err
    assert f"{name}, frame 0: labels must be without electric field, got those in" in error
    assert "--from-fields derives Born charges from them" in error
    assert not (folder / "g.xyz").exists()
    assert main(["convert", name, "--keep-fields", "--output", "g.xyz"]) == 0
    np.testing.assert_array_equal(read_dataset("g.xyz")[0].electric_field, [0, 0, 0.1])
    atoms.info["energy_zero_field"] = 7.0
    atoms.info["forces_zero_field"] = np.zeros((8, 3))
    atoms.write("h.traj")
    assert main(["convert", "h.traj", "--output", "h.xyz"]) == 0
    assert "1 frames were sampled in an electric field" in capsys.readouterr().out
    (again,) = read_dataset("h.xyz")
    assert (again.energy, again.electric_field) == (7.0, None)


@pytest.mark.parametrize("kind", FORMATS)
def test_reads_its_own_output(tmp_path, monkeypatch, capsys, kind) -> None:
    monkeypatch.chdir(tmp_path)
    path, _ = put(tmp_path, kind)
    assert main(["convert", path.name, "--output", "1.xyz"]) == 0
    for k in range(1, 3):
        assert main(["convert", f"{k}.xyz", "--output", f"{k + 1}.xyz"]) == 0
    assert (tmp_path / "2.xyz").read_text() == (tmp_path / "3.xyz").read_text()
    for a, b in zip(read_dataset(path), read_dataset("3.xyz"), strict=True):
        assert_equal_frames(a, b)
    capsys.readouterr()


def test_reads_its_own_output_of_labels_taken_as_they_are(folder, capsys) -> None:
    assert main(["convert", "ry.xyz", "--no-unit-check", "--output", "1.xyz"]) == 0
    assert main(["convert", "1.xyz", "--output", "2.xyz"]) == 0
    assert "units={'energy': 'Ry'}" in capsys.readouterr().out  # it is still said
    assert len(read_dataset("2.xyz")) == 6


@pytest.mark.parametrize("charges", ["Na=0.8,Cl=-0.8", "Na=1,Cl=-0.999"])
def test_folding_takes_whole_charges(folder, capsys, charges) -> None:
    assert main(["convert", "a.xyz", "--fold", charges]) == 2
    error = capsys.readouterr().err
    assert "--fold must be whole formal charges, got " in error
    assert "Cl -0." in error


def test_damage_is_one_line(folder, capsys) -> None:
    deep = '"_JSON ' + "[" * 100_000 + '"'
    for text in (f"1\nx={deep}\nH 0 0 0\n", "1\nProperties=Z:I:1:pos:R:3\n200 0 0 0\n"):
        (folder / "d.xyz").write_text(text)
        assert main(["convert", "d.xyz"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("ase-bec convert: error: d.xyz, frame 0: ")
        assert error.count("\n") == 1
