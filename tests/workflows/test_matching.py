"""Equal ions permuted between the ends of a path: noticed, and matched."""

import warnings
from itertools import permutations

import numpy as np
import pytest
from analytic import DoubleWell, wells
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from data_examples import shared

import ase_bec.workflows
from ase_bec.workflows.barriers.matching import PathEnds, match_ions
from ase_bec.workflows.barriers.neb import find_path, interpolate_path
from ase_bec.workflows.structures.crystals import beta_lithium_phosphate, vacancy_hop


def hop():
    """Ends of a vacancy hop of Li in 63 atoms."""
    return vacancy_hop(beta_lithium_phosphate((1, 2, 2)), "Li", 2)


def shifted(atoms, symbol="Li"):
    """The same structure with the ions of an element moved up by one in the list."""
    ions = np.flatnonzero(atoms.symbols == symbol)
    order = np.arange(len(atoms))
    order[ions] = np.roll(ions, 1)
    return atoms[order]


def test_ends_in_one_order_are_not_complained_of():
    ends = PathEnds.of(*hop())
    assert ends.complaint() is None
    assert not ends.permuted
    assert (ends.moves > 1).sum() == 1
    assert ends.length == ends.matched_length == pytest.approx(ends.moves.max())


@pytest.mark.parametrize("symbol", ["Li", "O"])
def test_shifted_indices(symbol):
    initial, final = hop()
    permuted = shifted(final, symbol)
    ends = PathEnds.of(initial, permuted)
    assert ends.permuted
    assert ends.length > 3 * ends.matched_length
    assert "equal ions of the two ends seem to be in another order" in ends.complaint()
    matched = match_ions(initial, permuted)
    assert np.array_equal(matched.numbers, final.numbers)
    assert matched.positions == pytest.approx(final.positions, abs=0)
    assert PathEnds.of(initial, matched).complaint() is None


@pytest.mark.parametrize("seed", range(4))
def test_any_permutation_of_any_elements_wrapped_and_relaxed(seed):
    rng = np.random.default_rng(seed)
    initial, final = hop()
    final.positions += rng.normal(scale=0.05, size=final.positions.shape)
    order = np.arange(len(final))
    for symbol in ("Li", "P", "O"):
        ions = np.flatnonzero(final.symbols == symbol)
        order[ions] = rng.permutation(ions)
    permuted = final[order]
    permuted.wrap()
    permuted.new_array("tag_of_ion", order)
    matched = match_ions(initial, permuted)
    assert np.array_equal(matched.arrays["tag_of_ion"], np.arange(len(final)))
    assert interpolate_path(initial, matched, 1)[-1].positions == pytest.approx(
        interpolate_path(initial, final, 1)[-1].positions, abs=1e-10
    )


def test_the_assignment_is_the_best_of_all_orders():
    rng = np.random.default_rng(3)
    initial = bulk("Cu", cubic=True).repeat((1, 1, 2))[:6]
    final = initial.copy()
    final.positions += rng.normal(scale=1.5, size=(6, 3))
    best = min(PathEnds.of(initial, final[list(order)]).length for order in permutations(range(6)))
    assert PathEnds.of(initial, final).matched_length == pytest.approx(best, abs=1e-10)


def test_a_knock_on_stays_as_it_is():
    """An interstitial pushes its neighbour on: two ions move, neither all of the way."""
    initial = bulk("Cu", "fcc", a=3.61, cubic=True).repeat(2)
    initial.append("Cu")
    initial.positions[-1] = [1.805, 0.0, 0.0]
    final = initial.copy()
    final.positions[-1] = initial.positions[0]
    final.positions[0] = [0.0, 1.805, 0.0]
    ends = PathEnds.of(initial, final)
    assert not ends.permuted
    assert (ends.moves > 1).sum() == 2
    assert ends.complaint() is None
    assert np.array_equal(match_ions(initial, final).positions, final.positions)


def test_an_exchange_of_equal_ions_is_no_path():
    initial = bulk("Cu", cubic=True).repeat(2)
    final = initial.copy()
    final.positions[[0, 1]] = initial.positions[[1, 0]]
    complaint = PathEnds.of(initial, final).complaint()
    assert "2 ions move by more than 1 Å" in complaint
    assert "0 ions move, on a path of 0.0 Å" in complaint
    with pytest.raises(ValueError, match="`final` must differ from `initial`"):
        interpolate_path(initial, match_ions(initial, final), 3)


def test_several_ions_that_move_far():
    initial = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    final = initial.copy()
    final.positions += [2.0, 0.0, 0.0]
    complaint = PathEnds.of(initial, final).complaint()
    assert complaint.startswith("8 ions move by more than 1 Å between the ends (Na 0 2.0 Å, ")
    assert complaint.endswith("on a path of 5.7 Å: are both ends of one hop?")


def test_find_path_warns_and_can_be_told_not_to():
    initial = bulk("Cu", cubic=True).repeat(2)
    del initial[0]
    final = initial.copy()
    final.positions[0] -= initial.positions[0]  # into the vacancy
    permuted = shifted(final, "Cu")
    band = interpolate_path(initial, permuted, 2)
    options = {"max_steps": 1, "climb": False}
    with pytest.warns(UserWarning, match="another order.*`match_ions`"):
        find_path(band, EMT, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_path(band, EMT, check_ends=False, **options)
        find_path(interpolate_path(initial, match_ions(initial, permuted), 1), EMT, **options)
        find_path(interpolate_path(*wells(), 1), DoubleWell, **options)


def test_ends_that_do_not_belong_together():
    initial, final = hop()
    with pytest.raises(ValueError, match="equal numbers of atoms"):
        match_ions(initial, final[:-1])
    with pytest.raises(ValueError, match="another order or composition"):
        match_ions(initial, final[::-1])


def test_match_ions_is_public():
    assert ase_bec.workflows.match_ions is match_ions


def test_published_ends_of_a_hop():
    """Ends written by other programs, with one Li at the end of the list."""
    initial, final, permuted = (
        read(shared("cases", "neb_permuted_ends", f"{name}.vasp"))
        for name in ("ini", "fin", "fin_perm")
    )
    assert PathEnds.of(initial, final).complaint() is None
    assert "13 ions move by more than 1 Å, on a path of 15.5 Å" in (
        PathEnds.of(initial, permuted).complaint()
    )
    assert match_ions(initial, permuted).positions == pytest.approx(final.positions, abs=0)
