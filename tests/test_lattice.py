"""Shortest vectors, by brute force."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ase_bec.lattice import shortest_vectors


@given(st.integers(0, 10**6), st.tuples(*[st.booleans()] * 3))
def test_shortest_of_all_images(seed: int, pbc: tuple[bool, bool, bool]) -> None:
    rng = np.random.default_rng(seed)
    tame = np.diag(rng.uniform(3, 6, 3)) + 0.4 * rng.normal(size=(3, 3))
    vectors = 3 * rng.normal(size=(4, 3))
    grid = np.array(list(product(*(range(-4, 5) if p else (0,) for p in pbc)))) @ tame
    expected = np.linalg.norm(vectors[:, None] + grid, axis=2).min(1)
    skewing = np.eye(3, dtype=int)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        if pbc[i] and pbc[j]:
            skewing[i] += rng.integers(-3, 4) * skewing[j]
    cell = skewing @ tame  # the same lattice
    found = shortest_vectors(vectors, cell, pbc)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), expected, atol=1e-9)
    shifts = (vectors - found) @ np.linalg.inv(cell)
    np.testing.assert_allclose(shifts, np.rint(shifts) * np.array(pbc), atol=1e-9)


def test_shapes_and_missing_cell_vectors() -> None:
    cell = np.diag([4.0, 0, 0])
    np.testing.assert_array_equal(
        shortest_vectors([3.0, 9, 9], cell, (True, False, False)), [-1, 9, 9]
    )
    assert shortest_vectors(np.ones((2, 5, 3)), 4 * np.eye(3)).shape == (2, 5, 3)
    assert shortest_vectors(np.ones((0, 3)), 4 * np.eye(3)).shape == (0, 3)
    np.testing.assert_array_equal(shortest_vectors([9.0, 9, 9], np.zeros((3, 3)), False), [9] * 3)
