"""Neighbour lists that are kept while atoms move little."""

import copy
import pickle

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from ase_bec.neighbours import neighbour_list
from ase_bec.system import System
from ase_bec.verlet import NeighbourList


def pair_vectors(atoms: Atoms, cutoff: float) -> np.ndarray:
    """(i, j, vector) of every pair, in an order that does not depend on the shifts."""
    i, j, shift = neighbour_list(atoms, cutoff)
    vectors = atoms.positions[j] - atoms.positions[i] + shift @ atoms.cell.array
    rows = np.column_stack([i, j, vectors])
    return rows[np.lexsort(rows.round(6).T[::-1])]


def crystal() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", 5.6)
    atoms.set_cell(np.array([[0.3, 2.8, 2.9], [2.8, -0.2, 3.2], [3.0, 2.8, 0]]))
    atoms.rattle(0.1, seed=4)
    return atoms


def system_vectors(system: System, cutoff: float) -> np.ndarray:
    vectors = system.vectors().numpy()
    rows = np.column_stack([system.centre.numpy(), system.neighbour.numpy(), vectors])
    rows = rows[np.linalg.norm(vectors, axis=1) <= cutoff]
    return rows[np.lexsort(rows.round(6).T[::-1])]


def test_skin_list_is_complete_along_a_random_walk() -> None:
    random = np.random.default_rng(5)
    atoms, cutoff = crystal(), 5.0
    skinned = NeighbourList(cutoff, skin=0.8)
    for step in range(60):
        atoms.positions += random.normal(scale=0.06, size=(len(atoms), 3))
        if step % 17 == 16:
            atoms.wrap()
        system = skinned.update(atoms)
        np.testing.assert_array_equal(system.positions.numpy(), atoms.positions)
        np.testing.assert_allclose(
            system_vectors(system, cutoff), pair_vectors(atoms, cutoff), atol=1e-10
        )
    assert 2 < skinned.builds < 30


def test_rebuilds_exactly_when_needed() -> None:
    atoms = crystal()
    skinned = NeighbourList(5.0, skin=0.6)

    def builds() -> int:
        skinned.update(atoms)
        return skinned.builds

    assert builds() == 1
    assert builds() == 1
    atoms.positions[1, 2] += 0.299
    assert builds() == 1
    atoms.positions[1, 2] += 0.002
    assert builds() == 2
    atoms.positions[0] -= atoms.cell.array[1]  # another image of the same atom
    assert builds() == 3
    atoms.set_cell(atoms.cell.array * 1.0001)
    assert builds() == 4
    atoms.pbc = (True, True, False)
    assert builds() == 5
    atoms.numbers[0] = 19
    assert builds() == 6
    del atoms[1]
    assert builds() == 7
    assert builds() == 7


def test_without_a_skin_every_move_rebuilds() -> None:
    atoms = crystal()
    bare = NeighbourList(5.0, skin=0.0)
    bare.update(atoms)
    bare.update(atoms)
    assert bare.builds == 1
    atoms.positions[0, 0] += 1e-9
    bare.update(atoms)
    assert bare.builds == 2


def test_bad_positions_are_refused_in_the_middle_of_a_run() -> None:
    atoms = crystal()
    skinned = NeighbourList(5.0)
    skinned.update(atoms)
    good = atoms.positions.copy()
    atoms.positions[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"`atoms\.positions` must be finite"):
        skinned.update(atoms)
    atoms.positions = good
    assert skinned.update(atoms).n_atoms == len(atoms)
    assert skinned.builds == 1


def test_earlier_results_do_not_change() -> None:
    atoms = crystal()
    skinned = NeighbourList(5.0)
    first = skinned.update(atoms)
    before = first.positions.clone()
    atoms.positions += 0.01
    skinned.update(atoms)
    assert torch.equal(first.positions, before)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))]
)
def test_copies_are_independent(duplicate) -> None:
    atoms = crystal()
    original = NeighbourList(5.0, skin=0.4, device="cpu")
    original.update(atoms)
    twin = duplicate(original)
    assert torch.equal(twin.update(atoms).vectors(), original.update(atoms).vectors())
    assert (twin.builds, twin.skin, twin.device) == (1, 0.4, "cpu")
    atoms.positions[0] += 1.0
    twin.update(atoms)
    assert (twin.builds, original.builds) == (2, 1)
    atoms.positions[0] -= 1.0
    original.update(atoms)
    assert original.builds == 1


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_positions_of_now_reach_the_system_to_the_last_bit(shift) -> None:
    """Whatever precision models compute in, far from the origin too."""
    atoms = crystal()
    atoms.positions += shift
    skinned = NeighbourList(5.0)
    for _ in range(3):
        atoms.positions += 1e-9
        system = skinned.update(atoms)
        assert system.positions.dtype == torch.float64
        np.testing.assert_array_equal(system.positions.numpy(), atoms.positions)
    assert skinned.builds == 1
