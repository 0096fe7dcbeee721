"""Training of charges that respond."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from split_examples import ELEMENTS, model, monoclinic, split_charges

from ase_bec.data import Frame, read_dataset, write_dataset
from ase_bec.evaluation.charges import atomic_charges
from ase_bec.evaluation.evaluate import born_charges, evaluate, polarizability
from ase_bec.models import load
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.training import read_config, train
from ase_bec.training.residual import less
from ase_bec.training.tasks.charges import ChargeTask

ALL = {
    "charges": 2.0,
    "dielectric_tensor": 3.0,
    "polarization": 0.5,
    "born_charges": 0.7,
    "energy": 1.1,
    "forces": 1.3,
}


def frame(seed: int, teacher: Model, source: str = "a, frame 0", **missing: None) -> Frame:
    """What a model says of a structure, as labels."""
    atoms = monoclinic()
    atoms.rattle(0.08, seed=seed)
    system = System.from_atoms(atoms, teacher.cutoff)
    found, volume = evaluate(teacher, system), atoms.get_volume()
    alpha = polarizability(teacher, system)[0].numpy()
    labels = {
        "energy": float(found.energy[0]),
        "forces": found.forces.numpy(),
        "born_effective_charges": born_charges(teacher, system).numpy(),
        "polarization": found.dipole[0].numpy() / volume,
        "dielectric_tensor": np.eye(3) + 4 * np.pi * 14.399645478425668 * alpha / volume,
        "charges": atomic_charges(teacher, system).numpy(),
    }
    return Frame(atoms, source=source, **(labels | missing))


def test_a_model_has_no_loss_on_its_own_labels() -> None:
    teacher = model(1)
    task = ChargeTask(Model(ELEMENTS, [split_charges(1)]), ALL, torch.float64, trained=True)
    samples = [task.prepare(frame(k, teacher)) for k in range(2)]
    task.start(samples)
    assert task.loss(samples, None).values.detach().numpy() == pytest.approx([0, 0], abs=1e-12)
    errors = task.errors(samples)
    assert {"q Hf", "q O", "eps", "D", "Z", "energy", "forces"} < set(errors)


def test_gradient_is_that_of_the_loss() -> None:
    """Through the solution for the charges, and through second derivatives."""
    teacher = model(1)
    task = ChargeTask(Model(ELEMENTS, [split_charges(2)]), ALL, torch.float64, trained=True)
    samples = [task.prepare(frame(0, teacher))]
    task.loss(samples, None).values.sum().backward()
    bias = task.term.networks[1][-1].bias
    for k, step in ((0, 1e-5), (1, 1e-5), (4, 1e-5)):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                bias[k] += sign * step
            ends.append(float(task.loss(samples, None).values.detach().sum()))
            with torch.no_grad():
                bias[k] -= sign * step
        assert float(bias.grad[k]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


def test_frames_may_have_different_labels() -> None:
    teacher, weights = model(1), {"charges": 1.0, "dielectric_tensor": 1.0}
    task = ChargeTask(Model(ELEMENTS, [split_charges(2)]), weights, torch.float64)
    samples = [
        task.prepare(frame(0, teacher, "a, frame 0", dielectric_tensor=None)),
        task.prepare(frame(1, teacher, "b, frame 0", charges=None)),
    ]
    task.start(samples)
    both = task.loss(samples, None)
    assert bool((both.values > 0).all())
    assert float(both.errors["q"][2]) == 12
    assert float(both.errors["eps"][2]) == 9


def test_missing_labels_are_named() -> None:
    teacher = model(1)
    task = ChargeTask(Model(ELEMENTS, [split_charges(2)]))
    with pytest.raises(ValueError, match="a, frame 1: must have the label charges to train on"):
        task.prepare(frame(0, teacher, "a, frame 1", charges=None))
    task = ChargeTask(Model(ELEMENTS, [split_charges(2)]), {"dielectric_tensor": 1.0})
    task.prepare(frame(0, teacher, "a, frame 0"))
    with pytest.raises(ValueError, match="a, frame 7: must have the label `charges` as other"):
        task.prepare(frame(0, teacher, "a, frame 7", charges=None))
    weights = {"charges": 1.0, "born_charges": 1.0}
    task = ChargeTask(Model(ELEMENTS, [split_charges(2)]), weights)
    samples = [task.prepare(frame(0, teacher, born_effective_charges=None))]
    with pytest.raises(ValueError, match=r"`loss.born_charges` must be 0 where no training frame"):
        task.start(samples)


def test_less_is_what_is_left() -> None:
    teacher, other = model(1), model(2)
    data = read_like([frame(k, teacher) for k in range(2)])
    rest = less(data, other)
    for before, after in zip(data, rest, strict=True):
        found = evaluate(other, System.from_atoms(before.atoms, other.cutoff))
        assert after.energy == pytest.approx(before.energy - float(found.energy[0]))
        assert after.forces == pytest.approx(before.forces - found.forces.numpy())
        assert after.charges == pytest.approx(before.charges)


def read_like(frames: list[Frame]):
    from ase_bec.data import Dataset

    return Dataset(frames)


def test_training_from_a_file(tmp_path: Path) -> None:
    teacher = model(1)
    write_dataset(tmp_path / "data.xyz", [frame(k, teacher) for k in range(8)])
    again = read_dataset(tmp_path / "data.xyz")
    assert again[3].charges == pytest.approx(frame(3, teacher).charges, abs=0)
    (tmp_path / "charges.toml").write_text(
        f"""
output = "{tmp_path}/charges.pt"
[data]
files = ["data.xyz"]
split = "block"
validation = 0.25
[model]
kind = "split-charges"
elements = ["Hf", "O"]
charges = [4, -2]
cutoff = 4.0
g2 = [[2.0, 2.0], [2.0, 3.0]]
hidden = [6]
[loss]
charges = 100.0
dielectric_tensor = 1.0
[training]
epochs = 60
batch = 2
rate = 2e-2
interval = 10
clip = 0.0
"""
    )
    result = train(read_config(tmp_path / "charges.toml"), progress=False)
    errors = result.errors["train"]
    labels = np.concatenate([f.charges for f in again])
    spread = np.std(labels[np.array([s == "O" for f in again for s in f.atoms.symbols])])
    assert errors["q"]["rmse"] < 0.3  # from more than 1 e at the start
    assert errors["q O"]["rmse"] < 3 * spread + 0.1
    found = load(tmp_path / "charges.pt")
    assert found.has_charges
    (tmp_path / "energy.toml").write_text(
        f"""
output = "{tmp_path}/energy.pt"
[data]
files = ["data.xyz"]
less = "{tmp_path}/charges.pt"
validation = 0.25
[model]
kind = "density-energy"
cutoff = 4.0
radial = 4
degree = 1
channels = 2
hidden = [4]
[training]
epochs = 2
"""
    )
    trained = train(read_config(tmp_path / "energy.toml"), progress=False)
    assert np.isfinite(trained.errors["train"]["forces"]["rmse"])
    assert {t.kind for t in load(tmp_path / "energy.pt").terms} == {
        "density-energy",
        "core-repulsion",
    }


def test_charges_are_compared_by_element() -> None:
    from ase_bec.training.evaluation import errors_of, evaluate

    teacher, other = model(1), model(2)
    frames = [frame(k, teacher) for k in range(2)]
    exact = {c.name: errors_of(c) for c in evaluate(teacher, frames)}
    assert exact["q"]["q Hf"]["rmse"] == pytest.approx(0, abs=1e-12)
    found = {c.name: errors_of(c) for c in evaluate(other, frames)}["q"]
    wrong = np.concatenate(
        [atomic_charges(other, System.from_atoms(f.atoms, 4.7)).numpy() - f.charges for f in frames]
    )
    oxygen = np.tile(frames[0].atoms.numbers == 8, 2)
    assert found["q O"]["mae"] == pytest.approx(np.abs(wrong[oxygen]).mean(), abs=1e-10)
