"""Trainings that go on from a saved model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from training_examples import crystals

import ase_bec
from ase_bec.data import Frame, write_dataset
from ase_bec.training.config import Config, DataOptions, TrainingOptions
from ase_bec.training.run import train

G5 = [[0.1, 1.0, 1.0], [0.1, 2.0, -1.0]]
MODELS: dict[str, dict[str, Any]] = {
    "born": {"kind": "equivariant", "cutoff": 4.0, "radial": 4, "degree": 1, "channels": 2},
    "potential": {"kind": "nnp", "cutoff": 4.0, "g2": [[1.0, 2.0]], "g5": G5, "hidden": [4]},
}


def alloys(n: int, seed: int) -> list[Frame]:
    rng, frames = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[0] = "Au"
        atoms.positions += rng.normal(scale=0.05 * (1 + seed), size=(4, 3))
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        frames.append(Frame(atoms, energy=energy, forces=forces))
    return frames


def settings(file: str, output: str, rate: float, **model: Any) -> Config:
    data = DataOptions(files=(file,), validation=0.0)
    return Config(
        data, model, training=TrainingOptions(epochs=2, rate=rate, dtype="float64"), output=output
    )


@pytest.mark.parametrize("kind", MODELS)
def test_goes_on_from_the_numbers_of_the_model(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make = crystals if kind == "born" else alloys
    write_dataset("first.xyz", make(4, seed=0))
    write_dataset("second.xyz", make(3, seed=1))  # would be scaled otherwise
    train(settings("first.xyz", "first.pt", 1e-2, **MODELS[kind]), progress=False)
    train(settings("second.xyz", "same.pt", 1e-14, start="first.pt"), progress=False)
    train(settings("second.xyz", "other.pt", 1e-2, start="first.pt"), progress=False)
    first, same, other = (ase_bec.load(f"{n}.pt").state_dict() for n in ("first", "same", "other"))
    for numbers in (first, same, other):
        for fitted_last in ("terms.1.limit", "terms.1.closest"):
            numbers.pop(fitted_last, None)
    fitted = [name for name in first if not np.allclose(first[name], other[name], atol=1e-4)]
    for name, numbers in first.items():
        np.testing.assert_allclose(same[name], numbers, rtol=1e-9, atol=1e-9, err_msg=name)
    assert fitted
    assert all("networks" in name or "contraction" in name for name in fitted)
    card = ase_bec.load("same.pt").metadata
    assert card["start"]["config"]["model"] == ase_bec.load("first.pt").metadata["config"]["model"]
    assert len(card["config"]["sha256"]) == 2  # data and the model to start from


def test_settings_of_the_model_belong_to_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset("first.xyz", crystals(4))
    config = settings("first.xyz", "a.pt", 1e-2, start="none.pt")
    with pytest.raises(FileNotFoundError, match=r"`none\.pt` must be a model file"):
        train(config, progress=False)
    with pytest.raises(ValueError, match=r"`model\.cutoff` is set by the model to start from"):
        train(replace(config, model={"start": "none.pt", "cutoff": 3.0}), progress=False)
    assert not Path("a.pt").exists()
