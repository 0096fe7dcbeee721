"""Repulsion of atoms nearer than any that a potential was trained on."""

from itertools import combinations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from ase_bec import NeuralNetworkPotential, NNPCalculator

K = 100.0  # eV/Å³
CLOSEST = torch.tensor([[2.0, 0.0, 1.6], [0.0, 2.7, 1.4], [1.6, 1.4, 2.2]], dtype=torch.float64)


def potential(closest: torch.Tensor | None = CLOSEST) -> NeuralNetworkPotential:
    torch.manual_seed(0)
    model = NeuralNetworkPotential(
        ["Li", "P", "O"], 4.0, g2=[[0.5, 1.0], [1.0, 2.0]], g5=[[0.1, 2, 1]], hidden=(4,)
    )
    if closest is not None:
        model.repulsion.closest.copy_(closest)
    return model.eval()


def crowded() -> Atoms:
    """Some pairs within their distances, in a skewed cell with near images."""
    rng = np.random.default_rng(4)
    cell = [[3.1, 0, 0], [0.6, 3.6, 0], [0.3, -0.4, 4.0]]
    return Atoms("LiPO2Li", rng.uniform(size=(5, 3)) @ cell, cell=cell, pbc=True)


def energy_of(atoms: Atoms, closest: torch.Tensor | None = CLOSEST) -> float:
    atoms = atoms.copy()
    atoms.calc = NNPCalculator(potential(closest))
    return atoms.get_potential_energy()


@pytest.mark.filterwarnings("ignore:.*environment outside")
def test_is_the_sum_over_near_pairs() -> None:
    atoms = crowded()
    index = {3: 0, 15: 1, 8: 2}
    expected, pairs = 0.0, 0
    shifts = np.array(np.meshgrid(*[range(-2, 3)] * 3)).reshape(3, -1).T @ atoms.cell.array
    for a in range(5):
        for b in range(5):
            for shift in shifts:
                r = np.linalg.norm(atoms.positions[b] + shift - atoms.positions[a])
                d = float(CLOSEST[index[atoms.numbers[a]], index[atoms.numbers[b]]])
                if 0 < r < d:
                    expected += K / 2 * (d - r) ** 3
                    pairs += 1
    assert pairs > 6
    found = energy_of(atoms) - energy_of(atoms, None)
    assert expected > 1
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:.*environment outside")
def test_forces_and_stress_are_its_derivatives() -> None:
    atoms = crowded()
    atoms.calc = NNPCalculator(potential())
    plain = crowded()
    plain.calc = NNPCalculator(potential(None))
    assert np.abs(atoms.get_forces() - plain.get_forces()).max() > 1
    assert np.abs(atoms.get_stress() - plain.get_stress()).max() > 0.01
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), numerical, rtol=0, atol=1e-5)
    numerical = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(atoms.get_stress(), numerical, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*environment outside")
def test_nothing_beyond_its_distance() -> None:
    for (i, a), (j, b) in combinations(enumerate(["Li", "P", "O"]), 2):
        d = float(CLOSEST[i, j])
        if d:
            for r, acts in ((d + 1e-9, False), (d - 1e-3, True)):
                atoms = Atoms([a, b], [(0, 0, 0), (0, 0, r)])
                found = energy_of(atoms) - energy_of(atoms, None)
                assert found == pytest.approx(K * 1e-9 if acts else 0, abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*environment outside")
def test_in_single_precision_and_by_torch_alone() -> None:
    expected = energy_of(crowded())
    atoms = crowded()
    atoms.calc = NNPCalculator(potential(), dtype="float32")
    assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-5)


def test_is_kept_in_the_file(tmp_path) -> None:
    potential().save(tmp_path / "model.pt")
    atoms = crowded()
    atoms.calc = NNPCalculator(tmp_path / "model.pt")
    with pytest.warns(match="environment outside"):
        assert atoms.get_potential_energy() == pytest.approx(energy_of(crowded()), rel=1e-12)
