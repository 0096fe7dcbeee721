"""Distribution functions and coordination against brute force, crystals and an ideal gas."""

from itertools import product

import matplotlib
import numpy as np
import pytest
from ase.build import bulk
from trajectory_examples import SKEWED, trajectory

from ase_bec.analysis import coordination, radial_distribution

matplotlib.use("Agg")


def still(positions: np.ndarray, symbols: list[str], cell: object, **_: object):
    return trajectory(np.arange(2.0), np.array([positions] * 2), symbols, cell)


def test_against_brute_force_in_a_skewed_cell() -> None:
    rng = np.random.default_rng(11)
    frames = rng.uniform(-9, 9, (2, 5, 3))  # outside the cell, too
    symbols = ["Li", "O", "O", "Li", "O"]
    found = radial_distribution(trajectory(np.arange(2.0), frames, symbols, SKEWED), 9.0, width=0.5)
    images = np.array(list(product(range(-6, 7), repeat=3))) @ SKEWED
    volume = abs(np.linalg.det(SKEWED))
    for a, b in product(("Li", "O"), repeat=2):
        counts = np.zeros(18)
        for positions in frames:
            for i, j in product(range(5), repeat=2):
                if (symbols[i], symbols[j]) == (a, b):
                    lengths = np.linalg.norm(positions[j] - positions[i] + images, axis=1)
                    counts += np.histogram(lengths[lengths > 1e-9], 18, (0, 9))[0]
        edges = np.linspace(0, 9, 19)
        shells = 4 / 3 * np.pi * (edges[1:] ** 3 - edges[:-1] ** 3)
        n = {"Li": 2, "O": 3}
        g = counts / 2 / (n[a] * n[b] / volume * shells)
        assert found.values[a, b] == pytest.approx(g)
        assert found.coordination(a, b)[1] == pytest.approx(counts.cumsum() / 2 / n[a])
        assert found.coordination(a, b)[0] == pytest.approx(edges[1:])


def test_ideal_gas() -> None:
    rng = np.random.default_rng(12)
    n, frames = 40, 400
    given = trajectory(
        np.arange(frames), rng.uniform(0, 1, (frames, n, 3)) @ SKEWED, ["Ar"] * n, SKEWED
    )
    found = radial_distribution(given, 3.0, width=0.25)
    g = found.values["Ar", "Ar"][4:]
    middles = found.distances[4:]
    pairs = frames * n**2 / given.volume * 4 * np.pi * middles**2 * 0.25 / 2
    assert (np.abs(g - (1 - 1 / n)) < 4 / np.sqrt(pairs)).all()
    assert (1 / np.sqrt(pairs) < 0.03).all()


def test_shells_of_fcc() -> None:
    atoms = bulk("Cu", a=3.6)  # one atom: its neighbours are its own images
    given = still(atoms.positions, ["Cu"], atoms.cell.array)
    found = radial_distribution(given, 5.0, width=0.02)
    ends, numbers = found.coordination("Cu", "Cu")
    for distance, number in [(2.4, 0), (2.7, 12), (3.7, 18), (4.5, 42)]:
        assert numbers[np.searchsorted(ends, distance)] == pytest.approx(number)
    assert 3.6 / np.sqrt(2) + 0.1 < found.first_minimum("Cu", "Cu") < 3.5
    assert coordination(given, "Cu", "Cu").mean == 12


def test_coordination_of_a_defect() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    del atoms[atoms.get_chemical_symbols().index("Cl")]
    atoms.rattle(0.05, seed=1)
    given = still(atoms.positions, atoms.get_chemical_symbols(), atoms.cell.array)
    sodium = coordination(given, "Na", "Cl")
    assert 3.2 < sodium.cutoff < 4.5
    assert sodium.numbers.shape == (2, 32)
    assert sodium.distribution() == pytest.approx([0, 0, 0, 0, 0, 6 / 32, 26 / 32])
    assert coordination(given, "Cl", "Na", 3.4).distribution() == pytest.approx([0] * 6 + [1])
    assert coordination(given, "Cl", "Na", 3.4, stride=2).numbers.shape == (1, 31)


def test_plots() -> None:
    from matplotlib.figure import Figure

    atoms = bulk("NaCl", "rocksalt", a=5.6)
    given = still(atoms.positions, ["Na", "Cl"], atoms.cell.array)
    found = radial_distribution(given, 6.0)
    lines = found.plot(Figure().subplots()).lines
    assert [line.get_label() for line in lines[:-1]] == ["Na–Na", "Na–Cl", "Cl–Cl"]
    assert lines[1].get_ydata() == pytest.approx(found.values["Cl", "Na"])
    bars = coordination(given, "Na", "Cl", 3.0).plot(Figure().subplots()).patches
    assert [bar.get_height() for bar in bars] == [0] * 6 + [1]


def test_bad_input() -> None:
    given = still(np.array([[0, 0, 0], [0, 0, 2.0]]), ["Li", "O"], 10.0)
    for call, words in {
        lambda: radial_distribution(given, 0.0): "`cutoff`",
        lambda: radial_distribution(given, 5.0, width=-1): "`width`",
        lambda: radial_distribution(given, 5.0, stride=0): "`stride`",
        lambda: coordination(given, "Li", "P"): "`element`",
        lambda: coordination(given, "Li", "O", -1.0): "`cutoff`",
        lambda: coordination(given, "Li", "Li"): "`cutoff` must be given for Li-Li",
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
