"""Training and evaluation take labels without a field only, and models of a size that works."""

import pytest
from data_examples import labelled

from ase_bec.cli.main import main
from ase_bec.data import write_dataset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_dataset("inside.xyz", [labelled(k, electric_field=[0, 0, 0.1]) for k in range(4)])
    write_dataset("plain.xyz", [labelled(k) for k in range(4)])
    return tmp_path


def config(folder, files: str = "plain.xyz", model: str = "", data: str = "") -> str:
    text = f'output = "m.pt"\n[data]\nfiles = ["{files}"]\n{data}\n[model]\n{model}\n'
    (folder / "c.toml").write_text(text + "[training]\nepochs = 1\n")
    return "c.toml"


def refusal(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("model", ['kind = "nnp"\ncutoff = 4.0\ng2 = [[1.0, 0.0]]', ""])
def test_labels_in_a_field_are_not_trained_on(folder, capsys, model) -> None:
    error = refusal(capsys, "train", config(folder, "inside.xyz", model))
    assert "inside.xyz, frame 0: labels must be without electric field, got those in" in error
    assert "(4 such frames" in error
    assert not (folder / "m.pt").exists()


def test_labels_in_a_field_are_not_evaluated_on(folder, capsys) -> None:
    error = refusal(capsys, "evaluate", "li3po4-bec", "inside.xyz")
    assert "labels must be without electric field" in error


def test_models_that_take_too_long_to_build(folder, capsys) -> None:
    error = refusal(capsys, "train", config(folder, model="degree = 50", data="validation = 0.25"))
    assert "`degree` must be from 0 to 12, got 50" in error
    deep = "x = " + "[" * 100_000
    error = refusal(capsys, "train", config(folder, model=deep))
    assert "must be a TOML file" in error


def test_net_charge_of_the_settings(folder, capsys) -> None:
    error = refusal(capsys, "train", config(folder, data="net_charge = 'one'"))
    assert "`data.net_charge` must be a number, got 'one'" in error
    write_dataset("charged.xyz", [labelled(k, net_charge=-1.0) for k in range(4)])
    error = refusal(capsys, "train", config(folder, "charged.xyz", data="net_charge = 2.0"))
    assert "`net_charge` must be that of the file, -1 e, got +2" in error
