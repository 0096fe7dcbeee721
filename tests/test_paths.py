"""Images of a path on one branch."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import given
from hypothesis import strategies as st

from ase_bec import unwrap_images

SKEWED = np.array([[4.0, 0.3, -0.2], [1.9, 3.6, 0.4], [-1.5, 1.7, 4.4]])


def path(cell=SKEWED, pbc=True, images=6, natoms=7, seed=0):
    """A smooth path whose atoms wander by less than a tenth of the cell between images."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-5, 5, size=(natoms, 3))
    frames = []
    for _ in range(images):
        frames.append(Atoms(f"Cu{natoms}", positions=positions, cell=cell, pbc=pbc))
        positions = positions + rng.uniform(-0.35, 0.35, size=positions.shape)
    return frames


@given(seed=st.integers(0, 10**6), left_handed=st.booleans(), pbc=st.tuples(*[st.booleans()] * 3))
def test_random_wrapping_is_undone(seed, left_handed, pbc):
    cell = SKEWED[[1, 0, 2]] if left_handed else SKEWED
    true = path(cell, pbc, seed=seed)
    rng = np.random.default_rng(seed + 1)
    shuffled = [true[0].copy()]
    for image in true[1:]:
        shifts = rng.integers(-3, 4, size=(len(image), 3)) * pbc
        moved = image.copy()
        moved.positions += shifts @ cell
        shuffled.append(moved)
    unwrapped = unwrap_images(shuffled)
    assert np.array_equal(unwrapped[0].positions, true[0].positions)
    for found, expected in zip(unwrapped, true, strict=True):
        assert found.positions == pytest.approx(expected.positions, abs=1e-12)


def test_wrapped_path_is_unwrapped_and_input_left_alone():
    true = path(SKEWED)
    wrapped = [image.copy() for image in true]
    for image in wrapped[1:]:
        image.wrap()
    before = [image.positions.copy() for image in wrapped]
    for found, expected in zip(unwrap_images(wrapped), true, strict=True):
        assert found.positions == pytest.approx(expected.positions, abs=1e-12)
    for image, positions in zip(wrapped, before, strict=True):
        assert np.array_equal(image.positions, positions)


def test_cells_without_a_short_vector():
    """Cell vectors of 6 and 7.9 Å of a lattice whose shortest vector is 2.9 Å."""
    cell = np.array([[6.0, 0, 0], [7.5, 2.5, 0], [0, 0, 6.0]])
    start = Atoms("Cu", [[0, 0, 0]], cell=cell, pbc=True)
    moved = start.copy()
    moved.positions[0] = [-0.3, 1.3, 0.3]  # 1.37 Å; less the vector (1.5, 2.5, 0) it is 2.18 Å
    wrapped = moved.copy()
    for shift in ([0, 0, 0], [0, 1, 0], [-1, 1, 0], [2, -3, 1]):
        wrapped.positions[0] = moved.positions[0] + np.array(shift) @ cell
        found = unwrap_images([start, wrapped])[1]
        np.testing.assert_allclose(found.positions, moved.positions, atol=1e-12)


def test_positions_on_the_branch_are_kept_to_the_last_bit():
    true = path()
    for found, expected in zip(unwrap_images(iter(true)), true, strict=True):
        assert np.array_equal(found.positions, expected.positions)


def test_directions_without_a_cell_vector_are_left_alone():
    cell = np.diag([4.0, 0.0, 0.0])
    true = path(cell, (True, False, False))
    moved = [image.copy() for image in true]
    moved[3].positions[2] += 2 * cell[0]
    for found, expected in zip(unwrap_images(moved), true, strict=True):
        assert found.positions == pytest.approx(expected.positions, abs=1e-12)


def test_molecules_are_left_alone():
    first = Atoms("Cu2", [(0, 0, 0), (0, 0, 2)])
    second = Atoms("Cu2", [(0, 0, 0), (0, 0, 200)])
    assert np.array_equal(unwrap_images([first, second])[1].positions, second.positions)


def test_constraints_do_not_hold_atoms_on_another_branch():
    from ase.constraints import FixAtoms

    first = bulk("Cu", cubic=True)
    second = first.copy()
    second.positions[2] += second.cell[1]
    second.set_constraint(FixAtoms([2]))
    second.info["label"] = "end"
    second.calc = EMT()
    found = unwrap_images([first, second])[1]
    assert found.positions == pytest.approx(first.positions)
    assert found.constraints
    assert found.info == {"label": "end"}
    assert found.calc is None


def altered(**changes):
    atoms = bulk("Cu", cubic=True)
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


BAD = [
    ([], ValueError, "at least one image, got none"),
    ([altered(), "end.xyz"], TypeError, "`images` must be Atoms, got str at 1"),
    ([altered(), altered() * (1, 1, 2)], ValueError, "got 4 in image 0 and 8 in image 1"),
    ([altered(), altered(numbers=[29, 29, 79, 29])], ValueError, "composition in image 1"),
    ([altered(), altered(), altered(cell=[4, 4, 4])], ValueError, "one cell, .* in image 2"),
    ([altered(), altered(pbc=False)], ValueError, "one periodicity, got another in image 1"),
    ([altered(), altered(positions=np.full((4, 3), np.nan))], ValueError, "NaN in image 1"),
]


@pytest.mark.parametrize(("images", "error", "message"), BAD)
def test_bad_images(images, error, message):
    with pytest.raises(error, match=message):
        unwrap_images(images)
