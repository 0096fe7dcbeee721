"""Hops of ions whose whole way is known, and the lines that they draw."""

from itertools import product

import matplotlib
import numpy as np
import pytest
from trajectory_examples import SKEWED, trajectory

from ase_bec.analysis import dipole, find_hops, initial_sites, plot_lines

matplotlib.use("Agg")
WAY = [0.0, 0.3, 1.0, 1.4, 1.1, 1.45, 0.2, 1.6, 2.4, 4.9, 5.1, 7.4, 9.8, 10.0, 8.6, 8.5, 7.6]


def chain():
    """One Li along a chain of sites 2.5 Å apart in a cell of 10 Å, beside one that rests."""
    positions = np.zeros((len(WAY), 3, 3))
    positions[:, 1, 2] = WAY
    positions[:, 2] = [5, 5, 0]
    positions[:, 0] = [0, 5, 5]
    sites = [[0, 0, z] for z in (0, 2.5, 5, 7.5)] + [[5, 5, 0]]
    return trajectory(np.arange(len(WAY)) * 2.0, positions, ["O", "Li", "Li"]), np.array(sites)


def test_sequence_through_the_boundary() -> None:
    given, sites = chain()
    found = find_hops(given, "Li", sites)
    # the ridge at 1.25 is passed at frame 3, but the new site is reached at frame 7 (1.6 > 1.5)
    assert found.times == pytest.approx([14, 18, 22, 24, 32])
    assert found.ions.tolist() == [1] * 5
    assert found.origins.tolist() == [0, 1, 2, 3, 0]
    assert found.targets.tolist() == [1, 2, 3, 0, 3]
    assert found.vectors == pytest.approx(np.array([[0, 0, 2.5]] * 4 + [[0, 0, -2.5]]))
    assert found.start.tolist() == [0, 4]
    assert found.counts([0, 0, 1]) == (4, 1)
    assert found.counts([0, 0, -2]) == (1, 4)
    assert found.counts([1, 0, 0]) == (0, 0)
    assert found.rate == pytest.approx(5 / (2 * 32))
    loose = find_hops(given, "Li", sites, fraction=0.49)
    assert loose.times[:5] == pytest.approx([6, 8, 10, 12, 14])  # to and fro on the ridge
    assert len(find_hops(given, "Li", sites, fraction=0.01)) == 1


def test_hops_carry_the_dipole() -> None:
    given, sites = chain()
    found = find_hops(given, "Li", sites)
    carried = found.dipole(given.times, 1.0)
    moved = dipole(given, {"Li": 1.0, "O": -2.0})
    assert np.abs(carried - (moved - moved[0])).max() < 1.5 + 1e-9  # within (1 − f)·2.5 Å
    assert carried[[0, 6, 7, 15, 16], 2] == pytest.approx([0, 0, 2.5, 10, 7.5])
    assert found.dipole([1e9], -2.0)[0] == pytest.approx([0, 0, -15])


def test_once_through_the_cell_from_its_own_image() -> None:
    z = np.linspace(0, 10, 30)
    positions = np.zeros((30, 1, 3))
    positions[..., 2] = z[:, None]
    found = find_hops(trajectory(np.arange(30.0), positions, ["Li"]), "Li", [[0, 0, 30.0]])
    assert (found.origins.tolist(), found.targets.tolist()) == ([0], [0])
    assert found.vectors == pytest.approx(np.array([[0, 0, 10.0]]))


def test_nearest_sites_in_a_skewed_cell() -> None:
    rng = np.random.default_rng(14)
    cell = SKEWED + np.array([[0, 0, 0], [14, 0.6, 0], [0, 0, 0]])  # far from reduced
    sites = rng.uniform(-8, 8, (4, 3))
    start = np.tile(sites[0], (2, 60, 1))
    start[1] = rng.uniform(-15, 15, (60, 3))
    given = trajectory(np.arange(2.0), start, ["Li"] * 60, cell)
    found = find_hops(given, "Li", sites)
    most = np.ceil(np.linalg.norm(np.linalg.inv(cell), axis=0) * 50).astype(int)
    images = np.array(list(product(*(range(-n, n + 1) for n in most)))) @ cell  # up to 50 Å
    reached = {}
    for k, position in enumerate(start[1]):
        every = (sites[:, None] + images).reshape(-1, 3)
        lengths = np.linalg.norm(every - position, axis=1)
        best = int(lengths.argmin())
        way = every[best] - sites[0]
        if lengths[best] < 0.4 * np.linalg.norm(way):
            reached[k] = (best // len(images), way)
    assert len(reached) > 30
    assert found.ions.tolist() == sorted(reached)
    for hop, k in enumerate(found.ions):
        assert found.targets[hop] == reached[k][0]
        assert found.vectors[hop] == pytest.approx(reached[k][1])


def test_sites_from_the_first_frames() -> None:
    given, _ = chain()
    sites = initial_sites(given, "Li", vacancies=[[1, 2, 3]], frames=2)
    assert sites == pytest.approx(np.array([[0, 0, 0.15], [5, 5, 0], [1, 2, 3]]))
    assert len(initial_sites(given, "O")) == 1


def test_plots() -> None:
    from matplotlib.figure import Figure

    given, sites = chain()
    axes = find_hops(given, "Li", sites).plot(Figure().subplots(), direction=[0, 0, 1])
    assert axes.lines[0].get_ydata() == pytest.approx([2.5] * 4 + [-2.5])
    axes = plot_lines(given, ["Li"], plane="yz", ax=Figure().subplots(), linewidth=0.1)
    drawn = [line for line in axes.lines if len(line.get_xdata()) == len(WAY)]
    assert len(drawn) == 2
    assert drawn[0].get_ydata() == pytest.approx(WAY)
    assert drawn[1].get_xdata() == pytest.approx(5.0)
    assert [text.get_text() for text in axes.legend().get_texts()] == ["Li"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("y (Å)", "z (Å)")


def test_bad_input() -> None:
    given, sites = chain()
    for call, words in {
        lambda: find_hops(given, "Li", sites, fraction=0.5): "`fraction`",
        lambda: find_hops(given, "Li", [1, 2, 3]): "`sites` must be finite",
        lambda: find_hops(given, "Li", [*sites, [0, 0, 10.0]]): "got 0 and 5 at one place",
        lambda: find_hops(given, "P", sites): "`element`",
        lambda: initial_sites(given, "Li", frames=0): "`frames`",
        lambda: initial_sites(given, "Li", vacancies=[1]): "`vacancies`",
        lambda: plot_lines(given, plane="xx"): "`plane`",
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
