"""NNPCalculator within ASE: caches, copies, files, bands, and models that change under it."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest
import torch
from ase import units
from ase.calculators.mixing import SumCalculator
from ase.constraints import FixAtoms
from ase.db import connect
from ase.filters import FrechetCellFilter
from ase.io import Trajectory, read, write
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from descriptor_examples import skewed
from model_examples import potential

from ase_bec import NNPCalculator


class Counting(NNPCalculator):
    calls = 0

    def calculate(self, *args, **kwargs) -> None:
        self.calls += 1
        super().calculate(*args, **kwargs)


def test_results_are_kept_until_the_structure_changes() -> None:
    atoms = skewed()
    calc = atoms.calc = Counting(potential())
    for _ in range(2):
        atoms.get_potential_energy()
        atoms.get_forces()
        atoms.get_stress()
        atoms.get_potential_energies()
        atoms.get_potential_energy(force_consistent=True)
    assert calc.calls == 1
    atoms.set_initial_charges(np.arange(7))
    atoms.set_initial_magnetic_moments(np.arange(7))
    atoms.info["note"] = "no change of the structure"
    atoms.get_forces()
    assert calc.calls == 1
    atoms.positions[2, 1] += 1e-6
    assert calc.get_property("energy", atoms, allow_calculation=False) is None
    atoms.get_forces()
    assert calc.calls == 2


@pytest.mark.parametrize("change", ["positions", "cell", "numbers", "pbc", "atoms", "order"])
def test_every_change_of_the_structure_is_seen(change) -> None:
    calc = NNPCalculator(potential(margin=9))
    atoms = skewed()
    before = calc.get_potential_energy(atoms)
    if change == "positions":
        atoms.positions[0] += 0.1
    elif change == "cell":
        atoms.set_cell(1.02 * atoms.cell)
    elif change == "numbers":
        atoms.symbols[0] = "O"
    elif change == "pbc":
        atoms.pbc = (True, False, True)
    elif change == "atoms":
        atoms = atoms[:-1]
    else:
        atoms = atoms[::-1]
        np.testing.assert_allclose(
            calc.get_forces(atoms), calc.get_forces(skewed())[::-1], atol=1e-12
        )
    after = calc.get_potential_energy(atoms)
    fresh = NNPCalculator(potential(margin=9)).get_potential_energy(atoms)
    assert after == pytest.approx(fresh, abs=1e-12)
    assert change == "order" or after != pytest.approx(before, abs=1e-6)


def test_nothing_stale_is_served_after_a_failure() -> None:
    atoms = skewed()
    calc = atoms.calc = NNPCalculator(potential())
    energy = atoms.get_potential_energy()
    atoms.positions[3, 0] = np.nan
    for _ in range(2):
        with pytest.raises(ValueError, match=r"`atoms\.positions` must be finite"):
            atoms.get_potential_energy()
        with pytest.raises(ValueError, match=r"`atoms\.positions` must be finite"):
            atoms.get_forces()
        assert calc.results == {}
        assert calc.extras == {}
    atoms.positions[:] = skewed().positions
    assert atoms.get_potential_energy() == energy


def test_results_belong_to_the_caller() -> None:
    atoms = skewed()
    atoms.calc = NNPCalculator(potential())
    forces = atoms.get_forces()
    kept = forces.copy()
    forces[:] = 0
    np.testing.assert_array_equal(atoms.get_forces(), kept)


def test_model_of_the_caller_is_neither_used_nor_changed() -> None:
    model = potential().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    calc = NNPCalculator(model, dtype="float32")
    forces = calc.get_forces(skewed())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float64
        assert torch.equal(value, state[name])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    calc.reset()
    np.testing.assert_array_equal(calc.get_forces(skewed()), forces)


def test_random_numbers_are_left_alone() -> None:
    model = potential()
    state = torch.get_rng_state()
    NNPCalculator([model, model]).get_forces(skewed())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_are_equal_and_independent(used, duplicate) -> None:
    models = [potential(0), potential(1)]
    calc = NNPCalculator(models)
    if used:
        calc.get_forces(skewed())
    other = duplicate(calc)
    np.testing.assert_array_equal(other.get_forces(skewed()), calc.get_forces(skewed()))
    energy = calc.get_potential_energy(skewed())
    moved = skewed()
    moved.positions[0] += 0.2
    assert other.get_potential_energy(moved) != energy
    with torch.no_grad():
        for parameter in models[0].parameters():
            parameter.zero_()
    for calculator in (calc, other):
        calculator.reset()
        assert calculator.get_potential_energy(skewed()) == energy


@pytest.mark.parametrize("properties", [["energy"], ["forces"], ["stress"], ["energies"], []])
def test_files(properties, tmp_path) -> None:
    atoms = skewed()
    calc = atoms.calc = NNPCalculator([potential(0), potential(1)])
    for name in properties:
        calc.get_property(name, atoms)
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        trajectory.write(atoms)
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    with connect(tmp_path / "a.db") as database:
        database.write(atoms)
    for name in ("a.traj", "a.xyz", "a.db"):
        back = read(tmp_path / name)
        np.testing.assert_allclose(back.positions, atoms.positions, atol=1e-7)
        if properties:
            assert back.get_potential_energy() == pytest.approx(calc.results["energy"], abs=1e-7)
            np.testing.assert_allclose(back.get_forces(), calc.results["forces"], atol=1e-7)
            np.testing.assert_allclose(back.get_stress(), calc.results["stress"], atol=1e-7)
    described = json.loads(json.dumps(calc.todict()))
    assert described["elements"] == ["Li", "P", "O"]
    assert described["dtype"] == "float64"
    assert len(described["model"]) == 2


def test_properties_at_once() -> None:
    atoms = skewed()
    atoms.calc = NNPCalculator(potential())
    found = atoms.get_properties(["energy", "forces", "stress", "energies", "free_energy"])
    assert found["energy"] == found["free_energy"]


def test_sum_of_calculators() -> None:
    one, two = NNPCalculator(potential(0)), NNPCalculator(potential(1))
    both = SumCalculator([one, two])
    expected = one.get_forces(skewed()) + two.get_forces(skewed())
    np.testing.assert_allclose(both.get_forces(skewed()), expected, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*outside the range:UserWarning")
def test_relaxation_of_the_cell() -> None:
    atoms = skewed()
    atoms.calc = NNPCalculator(potential())
    before = atoms.get_potential_energy()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=15)
    assert atoms.get_potential_energy() < before
    assert not np.allclose(atoms.cell, skewed().cell, atol=1e-2)


@pytest.mark.filterwarnings("ignore:.*outside the range:UserWarning")
def test_dynamics_conserves_the_energy() -> None:
    """What velocity Verlet leaves is of second order in the time step: all its own."""
    spread = []
    for step in (0.5, 0.25):
        atoms = skewed()
        atoms.calc = NNPCalculator(potential())
        atoms.set_momenta(np.random.default_rng(0).normal(scale=0.5, size=(7, 3)))
        total: list[float] = []
        run = VelocityVerlet(atoms, step * units.fs)
        run.attach(lambda a, t: t.append(a.get_total_energy()), 1, atoms, total)
        run.run(int(50 / step))
        spread.append(np.ptp(total))
        assert atoms.calc.extras["neighbour_builds"] < 50 / step / 2
    assert spread[0] / spread[1] == pytest.approx(4, abs=0.5)


def band(calculators: list[NNPCalculator], **options) -> np.ndarray:
    """Positions of a band after some steps."""
    first, last = skewed(), skewed()
    last.positions[0] += [0.4, -0.3, 0.5]
    images = [first, *(first.copy() for _ in range(3)), last]
    for image, calc in zip(images, calculators, strict=True):
        image.set_constraint(FixAtoms([6]))
        image.calc = calc
    neb = NEB(images, method="improvedtangent", **options)
    neb.interpolate()
    FIRE(neb, logfile=None).run(fmax=1e-6, steps=6)
    return np.array([image.positions for image in images])


def test_bands_with_own_shared_and_threaded_calculators() -> None:
    model = potential(margin=9)
    own = [NNPCalculator(model) for _ in range(5)]
    expected = band(own)
    shared = NNPCalculator(model)
    np.testing.assert_allclose(
        band([shared] * 5, allow_shared_calculator=True), expected, rtol=0, atol=1e-9
    )
    threaded = [NNPCalculator(model) for _ in range(5)]
    np.testing.assert_allclose(band(threaded, parallel=True), expected, rtol=0, atol=1e-9)
    with pytest.raises(RuntimeError, match="Cannot use shared calculators in parallel"):
        band([shared] * 5, allow_shared_calculator=True, parallel=True)


def test_threads_of_the_caller_and_of_the_kernels(two_threads) -> None:
    """Calculators in threads of their own, each of which hands centres to the same pool."""
    atoms = skewed() * (2, 2, 1)
    model = potential()  # once: threads would share torch's random numbers
    expected = NNPCalculator(model).get_forces(atoms)
    found: list[np.ndarray] = []

    def run() -> None:
        calc = NNPCalculator(model)
        for _ in range(5):
            calc.reset()
            found.append(calc.get_forces(atoms))

    workers = [threading.Thread(target=run) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 20
    for forces in found:
        np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-12)
