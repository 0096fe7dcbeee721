import dataclasses

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from ase_bec.neighbours import neighbour_list
from ase_bec.system import System


def frames() -> list[Atoms]:
    crystal = bulk("NaCl", "rocksalt", 5.6)
    crystal.rattle(0.1, seed=0)
    slab = Atoms("Li3", [[0, 0, 0], [1, 2, 1], [5, 0, -2]], cell=[3, 4, 0], pbc=(1, 1, 0))
    return [crystal, molecule("H2O"), Atoms("He"), slab]


def test_shapes_types_and_meaning() -> None:
    atoms = frames()[0]
    system = System.from_atoms(atoms, 5.0)
    i, j, shift = neighbour_list(atoms, 5.0)
    assert (system.n_atoms, system.n_structures) == (2, 1)
    assert system.numbers.tolist() == [11, 17]
    assert system.pbc.tolist() == [[True, True, True]]
    assert system.batch.tolist() == [0, 0]
    assert system.centre.tolist() == i.tolist()
    assert system.neighbour.tolist() == j.tolist()
    assert system.positions.dtype == system.cell.dtype == system.vectors().dtype == torch.float64
    assert system.shift.tolist() == shift.tolist()
    assert system.shift.dtype == torch.int32
    assert system.first.tolist() == [0, (i == 0).sum(), len(i)]
    expected = atoms.positions[j] - atoms.positions[i] + shift @ atoms.cell.array
    np.testing.assert_allclose(system.vectors().numpy(), expected, rtol=0, atol=1e-14)
    assert (system.vectors().norm(dim=1) <= 5.0 + 1e-12).all()


def test_batch_equals_loop() -> None:
    singles = [System.from_atoms(atoms, 4.0) for atoms in frames()]
    batch = System.from_atoms(frames(), 4.0)
    assert batch.n_structures == 4
    assert batch.batch.tolist() == [0, 0, 1, 1, 1, 2, 3, 3, 3]
    torch.testing.assert_close(
        batch.vectors(), torch.cat([s.vectors() for s in singles]), rtol=0, atol=1e-14
    )
    start, edge = 0, 0
    for single in singles:
        n_edges = len(single.centre)
        edges = slice(edge, edge + n_edges)
        assert (batch.centre[edges] - start).tolist() == single.centre.tolist()
        assert (batch.neighbour[edges] - start).tolist() == single.neighbour.tolist()
        first = batch.first[start : start + single.n_atoms + 1] - edge
        assert first.tolist() == single.first.tolist()
        start, edge = start + single.n_atoms, edge + n_edges
    assert batch.first[-1] == len(batch.centre) == edge


@pytest.mark.parametrize("several", [False, True])
def test_vectors_differentiate_in_positions_and_cell(several: bool) -> None:
    system = System.from_atoms(frames() if several else frames()[0], 3.0)
    positions = system.positions.clone().requires_grad_()
    cell = system.cell.clone().requires_grad_()

    def vectors(positions: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
        return dataclasses.replace(system, positions=positions, cell=cell).vectors()

    assert torch.autograd.gradcheck(vectors, (positions, cell))


def test_one_atom_without_neighbours() -> None:
    system = System.from_atoms(Atoms("He"), 5.0)
    assert system.vectors().shape == (0, 3)
    assert system.first.tolist() == [0, 0]
    assert system.cell.tolist() == [[[0.0] * 3] * 3]


def test_shares_no_memory_with_atoms() -> None:
    atoms = frames()[0]
    system = System.from_atoms(atoms, 5.0)
    before = [system.positions.clone(), system.cell.clone(), system.numbers.clone()]
    atoms.positions += 1.0
    atoms.cell *= 2.0
    atoms.numbers[:] = 1
    atoms.pbc[:] = False
    assert all(
        torch.equal(a, b)
        for a, b in zip(before, [system.positions, system.cell, system.numbers], strict=True)
    )
    assert system.pbc.all()


def test_is_immutable() -> None:
    system = System.from_atoms(frames()[0], 5.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.positions = torch.zeros(2, 3)  # type: ignore[misc]


def test_with_positions() -> None:
    system = System.from_atoms(frames()[0], 5.0)
    moved = system.with_positions(system.positions + torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(moved.vectors(), system.vectors())
    assert moved.shift is system.shift
    with pytest.raises(ValueError, match=r"`positions` must have the shape \(2, 3\), got \(3,\)"):
        system.with_positions(torch.zeros(3))


@pytest.mark.parametrize("several", [False, True])
def test_vectors_of_a_range_of_atoms_are_those_of_their_pairs(several: bool) -> None:
    system = System.from_atoms(frames() if several else frames()[0], 4.0)
    n = system.n_atoms
    for start, stop in [(0, n), (0, 1), (1, n), (1, 2), (n, n), (1, 1)]:
        chosen = (system.centre >= start) & (system.centre < stop)
        assert torch.equal(system.vectors(start, stop), system.vectors()[chosen])
    assert torch.equal(system.vectors(1), system.vectors(1, n))


def test_vectors_are_right_however_far_from_the_origin() -> None:
    """Differences are taken in double precision: 1e6 Å away they lose 1e-9 Å and no more."""
    atoms = frames()[0]
    expected = System.from_atoms(atoms, 5.0).vectors()
    atoms.positions += [1e6, -1e6, 1e6]
    moved = System.from_atoms(atoms, 5.0)
    torch.testing.assert_close(moved.vectors(), expected, rtol=0, atol=1e-9)


def test_sums_by_structure() -> None:
    system = System.from_atoms(frames(), 4.0)
    values = torch.arange(18.0, dtype=torch.float64).reshape(9, 2)
    sums = system.sum_structures(values)
    assert sums.tolist() == [[2, 4], [18, 21], [10, 11], [42, 45]]
    alone = System.from_atoms(frames()[0], 4.0)
    assert alone.sum_structures(values[:2]).tolist() == [[2, 4]]
    assert alone.sum_structures(values[:2, 0]).tolist() == [2]


def test_to_another_device_keeps_types() -> None:
    system = System.from_atoms(frames(), 4.0)
    moved = system.to("meta")
    for field in dataclasses.fields(system):
        before, after = getattr(system, field.name), getattr(moved, field.name)
        assert (after.dtype, after.shape, after.device.type) == (before.dtype, before.shape, "meta")
    direct = System.from_atoms(frames(), 4.0, device="meta")
    assert direct.positions.device.type == direct.shift.device.type == "meta"


def test_refuses_an_empty_list() -> None:
    with pytest.raises(ValueError, match="at least one structure, got an empty list"):
        System.from_atoms([], 4.0)


def test_names_what_is_wrong_with_a_frame() -> None:
    with pytest.raises(ValueError, match="at least one atom, got none"):
        System.from_atoms([Atoms("He"), Atoms()], 4.0)
    with pytest.raises(TypeError, match=r"`atoms` must be an ase\.Atoms, got str"):
        System.from_atoms(["a.cif"], 4.0)  # type: ignore[list-item]
