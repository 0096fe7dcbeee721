"""Distinct hops against known counts, and against brute-force fingerprints and energies."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry import get_distances

from ase_bec import NNPCalculator
from ase_bec.lattice import shortest_vectors
from ase_bec.workflows import (
    Hop,
    beta_lithium_phosphate,
    interpolate_path,
    interstitial_hops,
    vacancy_hop,
    vacancy_hops,
)


@pytest.fixture(scope="module")
def copper() -> Atoms:
    return bulk("Cu", cubic=True).repeat(2)


@pytest.fixture(scope="module")
def phosphate() -> Atoms:
    return beta_lithium_phosphate((2, 2, 2))


def multiplicities(hops: list[Hop]) -> list[int]:
    return [hop.multiplicity for hop in hops]


def test_neighbours_of_fcc_are_one_hop(copper: Atoms) -> None:
    (hop,) = vacancy_hops(copper, "Cu", 2.6)
    assert (hop.multiplicity, hop.count, hop.reverse) == (12, 12 * 32, 0)
    assert hop.length == pytest.approx(3.61 / np.sqrt(2))
    assert np.isnan(hop.along)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ((0, 0, 0.1), {1: 4, 0: 4, -1: 4}),
        ((0, 0, -3), {1: 4, 0: 4, -1: 4}),
        ((1, 1, 1), {np.sqrt(4 / 3): 3, 0: 6, -np.sqrt(4 / 3): 3}),
        ((1, 1, 0), {np.sqrt(2): 1, np.sqrt(0.5): 4, 0: 2, -np.sqrt(0.5): 4, -np.sqrt(2): 1}),
    ],
)
def test_field_splits_the_hops_of_fcc(
    copper: Atoms, field: tuple[float, ...], expected: dict[float, int]
) -> None:
    hops = vacancy_hops(copper, "Cu", 2.6, field)
    assert [hop.along / (3.61 / 2) for hop in hops] == pytest.approx(list(expected), abs=1e-9)
    assert multiplicities(hops) == list(expected.values())
    for k, hop in enumerate(hops):
        assert hops[hop.reverse].reverse == k
        assert hops[hop.reverse].along == pytest.approx(-hop.along)


def test_field_of_no_symmetry_leaves_twelve_hops(copper: Atoms) -> None:
    hops = vacancy_hops(copper, "Cu", 2.6, (1, 2, 3.5))
    assert multiplicities(hops) == [1] * 12
    assert all(hop.count == 32 for hop in hops)  # by the translations


def test_sites_of_rock_salt() -> None:
    crystal = bulk("NaCl", "rocksalt", 5.64, cubic=True).repeat(2)
    assert multiplicities(vacancy_hops(crystal, "Na", 5.0, (0, 0, 1))) == [4, 4, 4]


def test_shape_of_the_supercell_counts(copper: Atoms) -> None:
    long = bulk("Cu", cubic=True).repeat((2, 2, 3))
    assert multiplicities(vacancy_hops(long, "Cu", 2.6)) in ([4, 8], [8, 4])


def test_hops_in_a_skewed_primitive_cell() -> None:
    crystal = bulk("Cu").repeat(3)
    crystal.rotate(31, (1, 2, 3), rotate_cell=True)
    assert multiplicities(vacancy_hops(crystal, "Cu", 2.6)) == [12]


def test_interstitial_sites_are_completed(copper: Atoms) -> None:
    crystal = bulk("Cu").repeat(2)
    a = 3.61
    # Octahedral holes: an fcc lattice of their own. Tetrahedral ones: simple cubic, a/2 apart.
    (octahedral,) = interstitial_hops(copper, "H", [[a / 2, 0, 0]], 2.6)
    assert (octahedral.multiplicity, octahedral.count) == (12, 12 * 32)
    (tetrahedral,) = interstitial_hops(crystal, "H", [[a / 4, a / 4, a / 4]], 1.9)
    assert (tetrahedral.multiplicity, tetrahedral.count) == (6, 6 * 16)
    up, flat, down = interstitial_hops(crystal, "H", [[a / 4] * 3], 1.9, (0, 0, 1))
    assert (up.multiplicity, flat.multiplicity, down.multiplicity) == (1, 4, 1)
    assert up.along == pytest.approx(a / 2)
    both = interstitial_hops(crystal, "H", [[a / 4] * 3, [a / 2, 0, 0]], 1.6)
    # From a tetrahedral hole to 4 octahedral ones, and back to 8.
    assert sorted(multiplicities(both)) == [4, 8]
    assert [hop.reverse for hop in both] == [1, 0]
    for hop in both:
        assert hop.initial.symbols[-1] == "H"
        assert hop.ion == len(crystal)
        assert hop.final.positions[-1] - hop.initial.positions[-1] == pytest.approx(hop.vector)
        assert hop.initial.positions[:-1] == pytest.approx(crystal.positions, abs=0)


def fingerprint(crystal: Atoms, start: int, end: int, vector: np.ndarray, field=None) -> tuple:
    """Sorted distances, and heights along the field, of atoms round points of the hop."""
    rows = []
    others = np.delete(np.arange(len(crystal)), [start, end])
    for fraction in (0.2, 0.65):
        point = crystal.positions[start] + fraction * vector
        around = shortest_vectors(crystal.positions[others] - point, crystal.cell.array)
        lengths = np.linalg.norm(around, axis=1)
        near = lengths < 4.5
        heights = (around @ field if field is not None else np.zeros(len(around)))[near]
        triples = zip(crystal.numbers[others][near], lengths[near], heights, strict=True)
        rows += [value for triple in sorted(triples) for value in triple[1:]]
    return tuple(rows)


@pytest.mark.parametrize("field", [None, (0, 0, 1), (1, 0, 0), (0.3, 1, 0.2)])
def test_classes_are_those_of_fingerprints(phosphate: Atoms, field: tuple | None) -> None:
    """Every hop of the supercell belongs to one fingerprint, one for each class."""
    cutoff = 4.0
    unit = None if field is None else np.array(field) / np.linalg.norm(field)
    hops = vacancy_hops(phosphate, "Li", cutoff, field)
    prints = [fingerprint(phosphate, h.start, h.end, h.vector, unit) for h in hops]
    counts = np.zeros(len(hops), dtype=int)
    ions = np.flatnonzero(phosphate.symbols == "Li")
    vectors, lengths = get_distances(phosphate.positions[ions], cell=phosphate.cell, pbc=True)
    for j, i in np.argwhere((lengths < cutoff) & (lengths > 0)):
        found = fingerprint(phosphate, ions[j], ions[i], vectors[j, i], unit)
        same = [len(found) == len(p) and np.allclose(found, p, atol=2e-3) for p in prints]
        assert sum(same) == 1
        counts[same.index(True)] += 1
    assert counts.tolist() == [hop.count for hop in hops]


def test_distinct_hops_have_distinct_energies(phosphate: Atoms) -> None:
    """All hops from one unit cell, part of the way, with the bundled potential."""
    hops = vacancy_hops(phosphate, "Li", 3.2)
    calculator = NNPCalculator("li3po4-nnp")

    def energy(start: int, end: int, vector: np.ndarray) -> float:
        atoms = phosphate.copy()
        atoms.positions[start] += 0.4 * vector
        del atoms[end]
        return float(calculator.get_potential_energy(atoms))

    levels = np.array([energy(h.start, h.end, h.vector) for h in hops])
    assert np.diff(np.sort(levels)).min() > 1e-4  # eV
    sites = np.flatnonzero(phosphate.symbols == "Li")
    counts = np.zeros(len(hops), dtype=int)
    for start in sites[:6]:
        vectors = phosphate.get_distances(start, sites, mic=True, vector=True)
        for end, vector in zip(sites, vectors, strict=True):
            if 0 < np.linalg.norm(vector) < 3.2:
                apart = np.abs(levels - energy(start, end, vector))
                assert apart.min() < 1e-6
                counts[apart.argmin()] += 1
    assert counts.tolist() == [hop.count // 8 for hop in hops]


def test_ends_lead_into_the_vacancy_on_one_branch(phosphate: Atoms) -> None:
    for hop in vacancy_hops(phosphate, "Li", 3.1, (0, 0, 1)):
        moved = hop.final.positions - hop.initial.positions
        assert len(hop.initial) == len(phosphate) - 1
        assert moved[hop.ion] == pytest.approx(hop.vector)
        assert np.count_nonzero(moved.any(axis=1)) == 1
        assert hop.initial.symbols[hop.ion] == "Li"
        arrival = hop.final.positions[hop.ion] - phosphate.positions[hop.end]
        shift = phosphate.cell.scaled_positions(arrival)
        assert shift == pytest.approx(np.rint(shift), abs=1e-9)
        assert hop.initial.positions[hop.ion] == pytest.approx(phosphate.positions[hop.start])
        assert hop.along == pytest.approx(hop.vector[2])
        band = interpolate_path(hop.initial, hop.final, 1)
        assert band[2].positions == pytest.approx(hop.final.positions)


def test_hop_along_an_axis_is_one_of_the_list(phosphate: Atoms) -> None:
    initial, final = vacancy_hop(phosphate, "Li", axis=2)
    vector = (final.positions - initial.positions).sum(axis=0)
    listed = vacancy_hops(phosphate, "Li", 4.0)
    steep = [hop for hop in listed if abs(hop.vector[2]) > hop.length * np.sqrt(0.5)]
    assert np.linalg.norm(vector) == pytest.approx(steep[0].length, abs=1e-3)


def test_clearance_is_the_distance_of_the_nearest_atom(copper: Atoms) -> None:
    (hop,) = vacancy_hops(copper, "Cu", 2.6)
    # Half way the ion passes between atoms at a √(3/8).
    assert hop.clearance == pytest.approx(3.61 * np.sqrt(3 / 8), abs=1e-6)


def test_refusals(copper: Atoms, phosphate: Atoms) -> None:
    with pytest.raises(ValueError, match=r"`cutoff` must be less than half .* 3.61 Å, got 3.6"):
        vacancy_hops(copper, "Cu", 3.6)
    with pytest.raises(ValueError, match="at least two Na, got 0"):
        vacancy_hops(copper, "Na", 2.6)
    with pytest.raises(ValueError, match="`species` must be the symbol of an element, got 'Xy'"):
        vacancy_hops(copper, "Xy", 2.6)
    for name in ("cutoff", "tolerance"):
        with pytest.raises(ValueError, match=f"`{name}` must be a positive length in Å, got -1"):
            vacancy_hops(copper, "Cu", **{"cutoff": 2.6, name: -1})
    for field in ((0, 0, 0), (1, 2), (np.nan, 0, 0)):
        with pytest.raises(ValueError, match="`field` must be three finite numbers, not all zero"):
            vacancy_hops(copper, "Cu", 2.6, field)
    slab = copper.copy()
    slab.pbc = (True, True, False)
    with pytest.raises(ValueError, match="`crystal` must be periodic in three directions"):
        vacancy_hops(slab, "Cu", 2.6)
    with pytest.raises(ValueError, match=r"`sites` must be finite positions of shape \(m, 3\)"):
        interstitial_hops(copper, "H", [0, 0, 1], 2.6)
    with pytest.raises(ValueError, match="`sites` must be interstitial"):
        interstitial_hops(copper, "H", [[0, 0, 0.05]], 2.6)
    assert vacancy_hops(phosphate, "Li", 1.0) == []
