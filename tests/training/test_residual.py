"""Potentials trained beside effective charges."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.stress import voigt_6_to_full_3x3_stress
from zno_examples import small

import ase_bec
from ase_bec import NNPCalculator
from ase_bec.data import Frame, write_dataset
from ase_bec.terms.coulomb import Coulomb
from ase_bec.terms.model import Model
from ase_bec.training.config import Config, DataOptions, TrainingOptions, read_config
from ase_bec.training.run import train
from ase_bec.training.tasks.residual import ResidualTask

NETWORK = {
    "kind": "nnp",
    "cutoff": 4.0,
    "g2": [[1.0, 2.0], [2.0, 3.0]],
    "g5": [[0.1, 1.0, 1.0]],
    "hidden": [4],
}
CHARGES = {"charges": {"Zn": 1.0, "O": -1.0}, "width": 1.0}


def config(output: str, **sections) -> Config:
    sections = {"model": NETWORK, "coulomb": CHARGES} | sections
    training = TrainingOptions(epochs=2, rate=1e-2, dtype="float64")
    loss = {"energy": 1.0, "forces": 1.0, "stress": 1.0}
    data = DataOptions(files=("frames.xyz",), validation=0.25)
    return Config(data, loss=loss, training=training, output=output, **sections)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_dataset("frames.xyz", small(8))
    return tmp_path


def rmse(model: Model, frames: list[Frame]) -> dict[str, float]:
    calc, wrong = NNPCalculator(model), {"energy": [], "forces": [], "stress": []}
    for frame in frames:
        wrong["energy"].append((calc.get_potential_energy(frame.atoms) - frame.energy) / len(frame))
        wrong["forces"].append(calc.get_forces(frame.atoms) - frame.forces)
        wrong["stress"].append(
            voigt_6_to_full_3x3_stress(calc.get_stress(frame.atoms)) - frame.stress
        )
    return {name: float(np.sqrt(np.mean(np.square(x)))) for name, x in wrong.items()}


def test_errors_are_those_of_the_saved_sum(folder: Path) -> None:
    result = train(config("sum.pt"), progress=False)
    model = ase_bec.load("sum.pt")
    assert isinstance(model, Model)
    assert [term.kind for term in model.terms] == [
        "symmetry-functions",
        "core-repulsion",
        "coulomb",
    ]
    assert model.terms[2].config() == {"charges": [-1.0, 1.0], "width": 1.0}  # O, Zn
    data = ase_bec.read_dataset("frames.xyz")
    # The repulsion begins where these frames end; in others it may already act.
    expected = rmse(model, [data[k] for k in model.metadata["split"]["train"]])
    for name, value in expected.items():
        assert result.errors["train"][name]["rmse"] == pytest.approx(value, rel=1e-5)


def test_what_charges_explain_is_not_left_to_the_network(folder: Path) -> None:
    """Labels of the Coulomb term alone leave nothing to learn."""
    model = Model(["O", "Zn"], [Coulomb(2, [-1.0, 1.0], 1.0)])
    frames = []
    for frame in small(6):
        calc = NNPCalculator(model)
        stress = voigt_6_to_full_3x3_stress(calc.get_stress(frame.atoms))
        labels = {"energy": calc.get_potential_energy(frame.atoms), "stress": stress}
        frames.append(replace(frame, forces=calc.get_forces(frame.atoms), **labels))
    write_dataset("frames.xyz", frames)
    result = train(config("sum.pt"), progress=False)
    bare = train(config("bare.pt", coulomb={}), progress=False)
    network = ase_bec.load("sum.pt").terms[0]
    assert network.offsets.abs().max() < 1e-9
    assert result.errors["train"]["energy"]["rmse"] < bare.errors["train"]["energy"]["rmse"]


def test_goes_on_beside_the_same_charges(folder: Path) -> None:
    train(config("first.pt"), progress=False)
    train(config("second.pt", model={"start": "first.pt"}, coulomb={}), progress=False)
    first, second = ase_bec.load("first.pt"), ase_bec.load("second.pt")
    assert second.config() == first.config()
    numbers = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    assert any(not torch.equal(x, y) for (_, x), y in numbers)
    expected = rmse(second, list(ase_bec.read_dataset("frames.xyz")))["energy"]
    assert expected <= rmse(first, list(ase_bec.read_dataset("frames.xyz")))["energy"]


def test_task_takes_charges_off_the_labels() -> None:
    class Rest:
        model = Model(["Zn", "O"], [Coulomb(2, [0.0, 0.0])])
        labels, units = ("energy",), {"energy": "eV"}

        def prepare(self, frame: Frame) -> Frame:
            return frame

    term, frame = Coulomb(2, [1.0, -1.0]), small(1)[0]
    left = ResidualTask(Rest(), [term]).prepare(frame)  # type: ignore[arg-type]
    calc = NNPCalculator(Model(["Zn", "O"], [term]))
    assert frame.energy - left.energy == pytest.approx(calc.get_potential_energy(frame.atoms))
    assert frame.forces - left.forces == pytest.approx(calc.get_forces(frame.atoms), abs=1e-9)
    expected = voigt_6_to_full_3x3_stress(calc.get_stress(frame.atoms))
    assert frame.stress - left.stress == pytest.approx(expected, abs=1e-12)
    bare = ResidualTask(Rest(), [term]).prepare(replace(frame, energy=None, stress=None))  # type: ignore[arg-type]
    assert bare.energy is None
    assert bare.stress is None


@pytest.mark.parametrize(
    ("coulomb", "model", "message"),
    [
        ({"charges": {"Zn": 1.0}}, NETWORK, "`coulomb.charges` must have a charge for each"),
        ({"charges": {"Zn": "1", "O": -1}}, NETWORK, "`coulomb.Zn` must be a number"),
        (CHARGES | {"sigma": 1.0}, NETWORK, "`coulomb.sigma` is no setting"),
        (CHARGES | {"width": -1.0}, NETWORK, "`width` must be 0"),
        (
            CHARGES,
            {"kind": "equivariant", "formal_charges": {"Zn": 2, "O": -2}},
            "`coulomb` must stand beside",
        ),
        (CHARGES, {"start": "first.pt"}, "`coulomb` is that of the model to start from"),
    ],
)
def test_bad_settings(folder: Path, coulomb: dict, model: dict, message: str) -> None:
    if "start" in model:
        train(config("first.pt"), progress=False)
    with pytest.raises(ValueError, match=message):
        train(config("bad.pt", coulomb=coulomb, model=model), progress=False)
    assert not Path("bad.pt").exists()


def test_section_of_the_settings_file(folder: Path) -> None:
    Path("train.toml").write_text(
        '[data]\nfiles = ["frames.xyz"]\n[model]\nkind = "nnp"\n'
        "[coulomb]\ncharges = {Zn = 1, O = -1}\n"
    )
    found = read_config("train.toml", ["coulomb.width=0.8"])
    assert found.coulomb == {"charges": {"Zn": 1, "O": -1}, "width": 0.8}
