"""Sums of local terms whose derivatives are known, through the one place that differentiates."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase_bec.derivatives import chunks, differentiate, on_atoms, strain_derivative

from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.system import System

CUTOFF = 3.0


def skewed() -> Atoms:
    cell = [[3.1, 0, 0], [1.0, -2.9, 0], [-0.4, 0.8, 3.3]]  # left-handed, shorter than the cutoff
    atoms = Atoms("LiOLi", [[0, 0, 0], [1.4, 0.9, 5.1], [-2.2, -3.4, 1.7]], cell=cell, pbc=True)
    assert atoms.cell.handedness == -1
    return atoms


def springs(nb: Neighbourhoods) -> torch.Tensor:
    """Σ_j (R_c² - r²)³ by element, with a weight that no centre shares with another."""
    left = (CUTOFF**2 - nb.vectors.square().sum(dim=1)).clamp(min=0)
    centre = torch.repeat_interleave(torch.arange(len(nb.species)), nb.first.diff())
    weight = (1.0 + nb.species[centre]) * (2.0 + nb.neighbour_species)
    return torch.zeros(len(nb.species)).double().index_add(0, centre, weight * 1e-3 * left**3)


def species(atoms: Atoms) -> torch.Tensor:
    return torch.tensor([["Li", "O"].index(symbol) for symbol in atoms.symbols])


def value_and_slopes(atoms: Atoms, chunk: int | None = None):
    system = System.from_atoms(atoms, CUTOFF)
    vectors = system.vectors()
    found = differentiate(springs, system, species(atoms), vectors, chunk)
    by_strain = strain_derivative(vectors, found.pair_derivatives)
    return found.values, on_atoms(system, found.pair_derivatives), by_strain


def total(atoms: Atoms) -> float:
    return value_and_slopes(atoms)[0].sum().item()


def test_derivative_by_positions() -> None:
    _, slopes, _ = value_and_slopes(skewed())
    step = 1e-5
    for atom, axis in np.ndindex(3, 3):
        ends = []
        for sign in (1, -1):
            moved = skewed()
            moved.positions[atom, axis] += sign * step
            ends.append(total(moved))
        expected = (ends[0] - ends[1]) / (2 * step)
        assert slopes[atom, axis].item() == pytest.approx(expected, abs=1e-8)
    assert slopes.abs().max() > 1e-2
    assert slopes.sum(dim=0).abs().max() < 1e-12


def test_derivative_by_strain() -> None:
    found = value_and_slopes(skewed())[2]
    step = 1e-6
    for i, j in np.ndindex(3, 3):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += 0.5 * sign * step
            strain[j, i] += 0.5 * sign * step
            strained = skewed()
            strained.set_cell(strained.cell.array @ strain, scale_atoms=True)
            ends.append(total(strained))
        expected = (ends[0] - ends[1]) / (2 * step)
        assert found[i, j].item() == pytest.approx(expected, abs=1e-7)
    assert torch.equal(found, found.T)
    assert found.abs().min() > 1e-3


def test_chunks_change_nothing() -> None:
    whole = value_and_slopes(skewed())
    for chunk in (1, 2, 3, 100):
        for found, expected in zip(value_and_slopes(skewed(), chunk), whole, strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_chunks_cover_every_centre_once() -> None:
    atoms = skewed()
    system = System.from_atoms(atoms, CUTOFF)
    vectors = system.vectors()
    parts = list(chunks(system, species(atoms), vectors, 2))
    assert [len(part.species) for part in parts] == [2, 1]
    assert torch.equal(torch.cat([part.species for part in parts]), species(atoms))
    assert torch.equal(torch.cat([part.vectors for part in parts]), vectors)
    neighbours = torch.cat([part.neighbour_species for part in parts])
    assert torch.equal(neighbours, species(atoms)[system.neighbour])
    for part in parts:
        assert part.first[0] == 0
        assert part.first[-1] == len(part.vectors)


def test_no_neighbours() -> None:
    atoms = Atoms("LiO", [[0, 0, 0], [0, 0, 9]])
    values, slopes, by_strain = value_and_slopes(atoms)
    assert values.tolist() == [0, 0]
    assert slopes.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert not by_strain.any()


def test_nothing_of_the_caller_is_changed() -> None:
    system = System.from_atoms(skewed(), CUTOFF)
    vectors = system.vectors()
    before = vectors.clone()
    found = differentiate(springs, system, species(skewed()), vectors)
    assert torch.equal(vectors, before)
    assert not vectors.requires_grad
    assert not found.values.requires_grad
    assert not found.pair_derivatives.requires_grad
