"""Energies from the neighbour density: means, ranges, training."""

import numpy as np
import pytest
import torch
from ase import Atoms
from split_examples import ELEMENTS, monoclinic

from ase_bec.data import Dataset, Frame
from ase_bec.evaluation.evaluate import evaluate
from ase_bec.system import System
from ase_bec.terms.density_energy import DensityEnergy
from ase_bec.terms.model import Model
from ase_bec.terms.repulsion import CoreRepulsion
from ase_bec.training.tasks.density_energy import DensityEnergyTask


def term(seed: int, channels: int = 3) -> DensityEnergy:
    torch.manual_seed(seed)
    return DensityEnergy(2, 4.0, 5, 2, channels, (6,), offsets=[-2.0 - seed, 1.0])


def energy(one: DensityEnergy, atoms: Atoms) -> torch.Tensor:
    return evaluate(Model(ELEMENTS, [one]).eval(), System.from_atoms(atoms, 4.0)).energies


def test_mean_of_terms() -> None:
    atoms, terms = monoclinic(0.1), [term(k) for k in range(3)]
    mean = DensityEnergy.mean_of(terms)
    expected = torch.stack([energy(one, atoms) for one in terms]).mean(dim=0)
    assert energy(mean, atoms) == pytest.approx(expected, abs=1e-12)
    again = DensityEnergy.mean_of([mean, term(3)])
    assert len(again.networks) == 4
    four = torch.stack([energy(term(k), atoms) for k in range(4)]).mean(dim=0)
    assert energy(again, atoms) == pytest.approx(four, abs=1e-12)
    with pytest.raises(ValueError, match="`terms` must be one or more of the same settings"):
        DensityEnergy.mean_of([term(0), term(1, channels=4)])


def frames() -> Dataset:
    found = []
    for seed in range(6):
        atoms = monoclinic()
        atoms.rattle(0.1, seed=seed)
        rng = np.random.default_rng(seed)
        found.append(Frame(atoms, energy=-100.0 + rng.normal(), forces=rng.normal(size=(12, 3))))
    return Dataset(found)


def test_loss_is_that_of_the_evaluated_model() -> None:
    """Against forces by autograd through the whole model."""
    model = Model(ELEMENTS, [term(0), CoreRepulsion(2)])
    task = DensityEnergyTask(model, {"energy": 3.0, "forces": 2.0}, torch.float64)
    data = frames()
    samples = [task.prepare(frame) for frame in data]
    task.start(samples)
    found = task.loss(samples, None).values.detach().numpy()
    for value, frame in zip(found, data, strict=True):
        response = evaluate(model.eval(), System.from_atoms(frame.atoms, 4.0))
        wrong_energy = (float(response.energy[0]) - frame.energy) / 12
        wrong_forces = response.forces.numpy() - frame.forces
        expected = 3 * wrong_energy**2 + 2 * (wrong_forces**2).mean()
        assert value == pytest.approx(expected, rel=1e-9)


def test_what_lies_outside_is_told() -> None:
    model = Model(ELEMENTS, [term(0), CoreRepulsion(2)])
    task = DensityEnergyTask(model, None, torch.float64)
    samples = [task.prepare(frame) for frame in frames()]
    task.start(samples)
    task.finish(samples)
    known = System.from_atoms(frames()[0].atoms, 4.0)
    assert float(evaluate(model.eval(), known).outside.max()) == pytest.approx(0, abs=1e-6)
    squeezed = monoclinic()
    squeezed.set_cell(squeezed.cell.array * 0.85, scale_atoms=True)
    far = evaluate(model.eval(), System.from_atoms(squeezed, 4.0))
    assert float(far.outside.min()) > 1
    closest = model.terms[1].closest
    distances = monoclinic().get_all_distances(mic=True)
    assert 1.5 < float(closest[0, 1]) < distances[:4, 4:].min() + 0.1
