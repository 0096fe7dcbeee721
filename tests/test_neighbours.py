"""Neighbour lists against obvious ones, by trying all images and by a tree."""

from collections.abc import Iterator

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import primitive_neighbor_list
from brute_force import brute_force_pairs
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ase_bec import neighbours
from ase_bec.kernels.cache import HAS_NUMBA
from ase_bec.neighbours import neighbour_list
from ase_bec.verlet import NeighbourList

ALL_BOUNDARIES = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]


@pytest.fixture(params=["images", "tree"], autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """All tests hold for either way to the list."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "tree":
            patch.setattr(neighbours, "_FEW_ATOMS", 0)
        yield


def pairs(atoms: Atoms, cutoff: float) -> list[tuple[int, ...]]:
    i, j, shift = neighbour_list(atoms, cutoff)
    return sorted(zip(i.tolist(), j.tolist(), *shift.T.tolist(), strict=True))


def pair_vectors(atoms: Atoms, cutoff: float) -> np.ndarray:
    """(i, j, vector) of every pair, in an order that does not depend on the shifts."""
    i, j, shift = neighbour_list(atoms, cutoff)
    vectors = atoms.positions[j] - atoms.positions[i] + shift @ atoms.cell.array
    rows = np.column_stack([i, j, vectors])
    return rows[np.lexsort(rows.round(6).T[::-1])]


@st.composite
def structures(draw: st.DrawFn) -> tuple[Atoms, float]:
    """Few atoms in a skewed, possibly left-handed, possibly tiny cell; some far outside of it."""
    seed = draw(st.integers(0, 2**32 - 1))
    size = draw(st.sampled_from([0.9, 2.0, 5.0, 12.0]))
    n_atoms = draw(st.sampled_from([1, 2, 6]))
    pbc = draw(st.sampled_from(ALL_BOUNDARIES))
    spread = draw(st.sampled_from([1.0, 3.0]))
    random = np.random.default_rng(seed)
    cell = size * (np.eye(3) + random.uniform(-0.6, 0.6, (3, 3)))
    if draw(st.booleans()):
        cell[[0, 1]] = cell[[1, 0]]
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    assume(heights.min() > 0.3 * size)
    positions = spread * random.uniform(-1, 1, (n_atoms, 3)) @ cell
    cutoff = draw(st.floats(0.8, 2.5)) * min(size, 5.0)
    return Atoms(numbers=[3] * n_atoms, positions=positions, cell=cell, pbc=pbc), cutoff


@settings(max_examples=80, deadline=None)
@given(structures())
def test_random_cells_match_brute_force(case: tuple[Atoms, float]) -> None:
    atoms, cutoff = case
    expected = brute_force_pairs(atoms, cutoff)
    assert len(set(expected)) == len(expected)
    assert pairs(atoms, cutoff) == expected


@pytest.mark.skipif(not HAS_NUMBA, reason="trying all images needs numba")
@settings(max_examples=80, deadline=None)
@given(structures(), st.sampled_from([0, 1, 30]))
def test_both_ways_give_the_same_to_the_last_bit(case: tuple[Atoms, float], away: int) -> None:
    """Also where atoms lie many cells outside of theirs."""
    atoms, cutoff = case
    random = np.random.default_rng(len(atoms))
    atoms.positions += random.integers(-away, away + 1, (len(atoms), 3)) @ atoms.cell.array
    images, tree = neighbours._of_few(atoms, cutoff), neighbours._of_many(atoms, cutoff)
    assert images is not None
    for found, expected in zip(images, tree, strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_trying_all_images_is_left_where_there_are_too_many() -> None:
    """A cell of one atom, so sheared that millions of its images reach into it."""
    atoms = Atoms("Li", cell=[[3, 0, 0], [1.5e6, 3, 0], [0, 0, 3]], pbc=True)
    assert neighbours._of_few(atoms, 5.0) is None
    assert len(neighbour_list(atoms, 5.0)[0]) == len(
        neighbour_list(Atoms("Li", cell=[3] * 3, pbc=True), 5.0)[0]
    )


@pytest.mark.parametrize("pbc", ALL_BOUNDARIES)
def test_matches_the_list_of_ase(pbc: tuple[int, int, int]) -> None:
    random = np.random.default_rng(2)
    cell = random.normal(size=(3, 3)) * 3 - 7 * np.eye(3)
    atoms = Atoms(numbers=[8] * 40, positions=random.uniform(-20, 20, (40, 3)), cell=cell, pbc=pbc)
    i, j, shift = primitive_neighbor_list("ijS", atoms.pbc, atoms.cell, atoms.positions, 5.0)
    expected = sorted(zip(i.tolist(), j.tolist(), *shift.T.tolist(), strict=True))
    assert pairs(atoms, 5.0) == expected
    assert len(expected) >= 10


def test_strongly_sheared_cell_describes_the_same_crystal() -> None:
    atoms = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    atoms.rattle(0.1, seed=1)
    sheared = atoms.copy()
    sheared.set_cell(np.array([[1, 0, 0], [700, 1, 0], [-3, 40, 1]]) @ atoms.cell.array)
    np.testing.assert_allclose(pair_vectors(sheared, 6.0), pair_vectors(atoms, 6.0), atol=1e-9)


def test_one_atom_in_a_tiny_cell_sees_only_its_images() -> None:
    atoms = Atoms("Li", cell=[1, 1, 1], pbc=True)
    i, j, shift = neighbour_list(atoms, 4.5)
    inside = [
        (a, b, c)
        for a in range(-4, 5)
        for b in range(-4, 5)
        for c in range(-4, 5)
        if 0 < a * a + b * b + c * c <= 4.5**2
    ]
    assert (i == 0).all()
    assert (j == 0).all()
    assert sorted(map(tuple, shift.tolist())) == sorted(inside)


@pytest.mark.parametrize("pbc", [False, True])
def test_without_neighbours(pbc: bool) -> None:
    for atoms in (
        Atoms("Li", cell=[20] * 3 if pbc else None, pbc=pbc),
        Atoms("LiO", positions=[[0, 0, 0], [9, 9, 9]], cell=[20] * 3 if pbc else None, pbc=pbc),
    ):
        i, j, shift = neighbour_list(atoms, 5.0)
        assert i.shape == j.shape == (0,)
        assert shift.shape == (0, 3)


def test_types_and_order() -> None:
    i, j, shift = neighbour_list(bulk("Cu"), 5.0)
    assert {a.dtype for a in (i, j, shift)} == {np.dtype(np.int64)}
    assert (np.diff(i) >= 0).all()


def test_atoms_very_far_apart_cost_nothing() -> None:
    atoms = Atoms("Li3", positions=[[0, 0, 0], [2e6, -1e6, 0], [2e6 + 1, -1e6, 0]])
    assert pairs(atoms, 6.0) == [(1, 2, 0, 0, 0), (2, 1, 0, 0, 0)]
    atoms.set_cell([1e7, 1e7, 1e7])
    atoms.pbc = True
    assert pairs(atoms, 6.0) == [(1, 2, 0, 0, 0), (2, 1, 0, 0, 0)]


def test_vectors_do_not_depend_on_translation_or_on_the_image() -> None:
    random = np.random.default_rng(3)
    cell = [[4.0, 0, 0], [1.5, 5, 0], [-2, 1, 4.5]]
    atoms = Atoms("Li3PO4", random.uniform(0, 4, (8, 3)), cell=cell, pbc=(True, True, False))
    expected = pair_vectors(atoms, 5.0)
    moved = atoms.copy()
    moved.positions += [101.0, -53.0, 7.5]
    moved.positions += random.integers(-3, 4, (8, 3)) * [1, 1, 0] @ atoms.cell.array
    np.testing.assert_allclose(pair_vectors(moved, 5.0), expected, atol=1e-10)


LI = Atoms("Li", cell=[5, 5, 5], pbc=True)


def changed(**attributes: object) -> Atoms:
    atoms = Atoms("Li2", positions=[[0, 0, 0], [2, 2, 2]], cell=[5, 5, 5], pbc=True)
    for name, value in attributes.items():
        setattr(atoms, name, value)
    return atoms


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms(), r"`atoms` must hold at least one atom, got none"),
        (changed(numbers=[3, 0]), r"atomic numbers of elements, got 0 for atom 1; remove dummy"),
        (changed(positions=[[0, 0, 0], [0, NAN, 0]]), r"finite.*got \[0.0, nan, 0.0\] for atom 1"),
        (changed(positions=[[INF, 0, 0], [0, 0, 0]]), r"finite.*got \[inf, 0.0, 0.0\] for atom 0"),
        (changed(positions=[[1e9, 0, 0], [0, 0, 0]]), r"below 1e\+08 Å.*for atom 0"),
        (changed(positions=[[0, 0, 0], [5, 0, 0]]), r"atoms 0 and 1, .* apart.*remove one"),
        (changed(cell=[NAN, 5, 5]), r"`atoms.cell` must be finite, got \[\[nan, 0"),
        (changed(cell=[0, 5, 5]), r"non-zero, linearly independent.*pbc \[True, True, True\]"),
        (changed(cell=[[5, 0, 0], [5, 0, 0], [0, 0, 5]]), r"linearly independent.*switch"),
        (changed(cell=[[5, 0, 0], [5, 1e-6, 0], [0, 0, 5]]), r"linearly independent"),
        (changed(cell=[0.05, 5, 5]), r"translations of 0.1 Å or more.*translation of 0.05 Å"),
        (Atoms("Li", pbc=(0, 0, 1)), r"linearly independent.*pbc \[False, False, True\]"),
    ],
)
def test_refuses_what_is_no_structure(atoms: Atoms, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        neighbour_list(atoms, 4.0)
    with pytest.raises(ValueError, match=message):
        NeighbourList(4.0).update(atoms)


def test_refuses_other_objects() -> None:
    with pytest.raises(TypeError, match=r"`atoms` must be an ase\.Atoms, got str"):
        neighbour_list("Li.cif", 4.0)


@pytest.mark.parametrize("value", [0.0, -2.0, NAN, INF])
def test_refuses_bad_distances(value: float) -> None:
    with pytest.raises(ValueError, match=f"`cutoff` must be a positive, finite.*got {value}"):
        neighbour_list(LI, value)
    with pytest.raises(ValueError, match=f"`cutoff` must be a positive, finite.*got {value}"):
        NeighbourList(value)
    if value != 0.0:
        with pytest.raises(ValueError, match=f"`skin` must be zero or a positive.*got {value}"):
            NeighbourList(4.0, skin=value)


@pytest.mark.parametrize("cell", [np.zeros((3, 3)), np.full((3, 3), 2.0)])
def test_cell_vectors_of_non_periodic_directions_are_not_used(cell: np.ndarray) -> None:
    atoms = Atoms("Li2", positions=[[0, 0, 0], [0, 0, 1]], cell=cell, pbc=False)
    assert pairs(atoms, 4.0) == [(0, 1, 0, 0, 0), (1, 0, 0, 0, 0)]


def test_order_does_not_change_where_an_atom_crosses_the_cell_boundary():
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    lists = []
    for z in (-1e-9, 1e-9):
        atoms.positions[:2, 2] = z
        lists.append(neighbour_list(atoms, 5.0))
    for one, two in zip(*lists, strict=True):
        assert np.array_equal(one, two)
    i, j, S = lists[0]
    assert np.array_equal(np.lexsort((*S.T, j, i)), np.arange(len(i)))
