"""Model files of the first version, to which the bundled ones belong, say what they always said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import skewed
from model_examples import potential
from polarization_examples import CHARGED, NETWORKS, polarization_model

import ase_bec
from ase_bec import NNPCalculator, PolarizationModel
from ase_bec.workflows.structures.crystals import beta_lithium_phosphate

BUNDLED = Path(ase_bec.models.__file__).parent / "bundled"
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


def content(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def answers(model: Any, atoms: Atoms) -> list[np.ndarray]:
    if isinstance(model, PolarizationModel):
        return [model.dipole(atoms), model.born_charges(atoms)]
    calc = NNPCalculator(model, dtype=model.dtype)
    return [calc.get_property(name, atoms) for name in ("energies", "forces", "stress")]


def check_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def write_as_first_version(model: Any, path: Path) -> Path:
    """The names that numbers had: those of a model's parts; charges were among them."""
    model.save(path)
    found = content(path)
    state = {}
    for name, x in found["state"].items():
        _, index, rest = name.split(".", 2)
        if isinstance(model, PolarizationModel):
            assert index == "1"
            state[f"network.{rest}"] = x
        else:
            state[f"repulsion.{rest}" if index == "1" else rest] = x.to(model.dtype)
    if isinstance(model, PolarizationModel):
        charges = (model.formal_charges or {}).get
        state["charges"] = torch.tensor([charges(e, 0.0) for e in model.elements])
    torch.save({**found, "version": 1, "state": state}, path)
    return path


def check_old_file(path: Path, expected: list[np.ndarray], atoms: Atoms, folder: Path) -> None:
    """It gives what is expected, and so does what it is saved as; that is of this version."""
    assert content(path)["version"] == 1
    model = ase_bec.load(path)
    assert not model.training
    check_equal(answers(model, atoms), expected)
    model.save(folder / "again.pt")
    assert content(folder / "again.pt")["version"] == 2
    again = ase_bec.load(folder / "again.pt")
    assert type(again) is type(model)
    assert again.config() == model.config()
    assert again.metadata == model.metadata == content(path)["metadata"]
    for name, x in model.state_dict().items():
        assert again.state_dict()[name].dtype == x.dtype
        assert torch.equal(again.state_dict()[name], x)
    check_equal(answers(again, atoms), expected)


@dtypes
def test_potentials(tmp_path, dtype) -> None:
    model = potential(metadata={"note": "old"}, offsets=(-1.5, 2.0, 0.25)).to(dtype)
    model.repulsion.closest.fill_(2.0)
    path = write_as_first_version(model, tmp_path / "old.pt")
    assert {"offsets", "scaling.low", "repulsion.closest"} <= set(content(path)["state"])
    check_old_file(path, answers(model, skewed()), skewed(), tmp_path)


@dtypes
@pytest.mark.parametrize("network", list(NETWORKS))
def test_polarization_models(tmp_path, network, dtype) -> None:
    model = polarization_model(network, {**CHARGED, "O": -2.1}).to(dtype)
    model.metadata["note"] = "old"
    path = write_as_first_version(model, tmp_path / "old.pt")
    assert "charges" in content(path)["state"]
    check_old_file(path, answers(model, skewed()), skewed(), tmp_path)


def test_single_valued_models(tmp_path) -> None:
    model = polarization_model(charges=None)
    path = write_as_first_version(model, tmp_path / "old.pt")
    check_old_file(path, answers(model, skewed()), skewed(), tmp_path)


@pytest.mark.parametrize("name", ["li3po4-nnp", "li3po4-bec"])
def test_bundled_models(tmp_path, name) -> None:
    atoms = beta_lithium_phosphate((1, 1, 1))
    atoms.rattle(0.03, seed=1)
    check_old_file(BUNDLED / f"{name}.pt", answers(ase_bec.load(name), atoms), atoms, tmp_path)


@pytest.mark.parametrize("name", ["li3po4-nnp", "li3po4-bec"])
def test_no_number_of_the_bundled_files_is_left_out(name) -> None:
    old = content(BUNDLED / f"{name}.pt")["state"]
    new = ase_bec.load(name).state_dict()
    ours = {key.split(".", 2)[2]: x for key, x in new.items()}
    for key, x in old.items():
        if key != "charges":
            short = key.removeprefix("network.").removeprefix("repulsion.")
            assert torch.equal(ours.pop(short), x)
    assert not ours


@pytest.mark.parametrize("change", ["missing", "foreign"])
def test_inconsistent_files_are_named(tmp_path, change) -> None:
    path = write_as_first_version(potential(), tmp_path / "old.pt")
    found = content(path)
    if change == "missing":
        del found["state"]["scaling.low"]
    else:
        found["state"]["scaling.middle"] = torch.zeros(3)
    torch.save(found, path)
    with pytest.raises(ValueError, match=r"must be a consistent model file, got: .*scaling\."):
        ase_bec.load(path)
