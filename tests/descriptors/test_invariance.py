"""What must leave features unchanged, or change them in a known way."""

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import EXAMPLES, V1, around, features, skewed, tiny
from scipy.spatial.transform import Rotation

from ase_bec.descriptors.vector_functions import VectorFunctions

CUTOFF, ELEMENTS = 4.1, ["Li", "P", "O"]

examples = pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
invariants = pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if not e.is_vector], ids=lambda e: e.name
)
vectors = pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.is_vector], ids=lambda e: e.name
)
implementations = pytest.mark.parametrize("training", [True, False], ids=["torch", "compiled"])


def transformed(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """Positions and cell multiplied by a matrix."""
    atoms = atoms.copy()
    atoms.set_positions(atoms.positions @ matrix.T)
    atoms.set_cell(atoms.cell.array @ matrix.T)
    return atoms


def check(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@examples
@implementations
def test_translation_and_images(example, training) -> None:
    descriptor = example.make(3, CUTOFF).train(training)
    atoms = skewed()
    expected = features(descriptor, atoms, ELEMENTS)
    atoms.positions += [1.1, -20.3, 0.7]
    atoms.positions[2] += [1, -2, 1] @ atoms.cell.array
    check(features(descriptor, atoms, ELEMENTS), expected)
    atoms.wrap()
    check(features(descriptor, atoms, ELEMENTS), expected)


@examples
@implementations
def test_permutation(example, training) -> None:
    descriptor = example.make(3, CUTOFF).train(training)
    order = np.random.default_rng(0).permutation(7)
    expected = features(descriptor, skewed(), ELEMENTS)[order]
    check(features(descriptor, skewed()[order], ELEMENTS), expected)


@examples
@implementations
def test_supercell(example, training) -> None:
    descriptor = example.make(3, CUTOFF).train(training)
    found = features(descriptor, skewed() * (2, 1, 3), ELEMENTS)
    check(found, np.tile(features(descriptor, skewed(), ELEMENTS), (6, 1)))


@examples
@implementations
def test_another_cell_of_the_same_lattice(example, training) -> None:
    descriptor = example.make(3, CUTOFF).train(training)
    atoms = skewed()
    atoms.set_cell(np.array([[1, 0, 0], [3, 1, 0], [-2, 4, -1]]) @ atoms.cell.array)
    check(features(descriptor, atoms, ELEMENTS), features(descriptor, skewed(), ELEMENTS))


@invariants
@implementations
def test_rotation_and_inversion_leave_invariants(example, training) -> None:
    descriptor = example.make(3, CUTOFF).train(training)
    expected = features(descriptor, skewed(), ELEMENTS)
    rotation = Rotation.from_rotvec([0.4, -1.3, 2.1]).as_matrix()
    for matrix in (rotation, -np.eye(3), rotation @ np.diag([1, 1, -1])):
        check(features(descriptor, transformed(skewed(), matrix), ELEMENTS), expected)


@vectors
@implementations
def test_what_turns_vectors(example, training) -> None:
    """Rotations about z and mirrors that hold it leave them; a mirror of z changes their sign."""
    descriptor = example.make(3, CUTOFF).train(training)
    expected = features(descriptor, skewed(), ELEMENTS)
    about_z = Rotation.from_rotvec([0, 0, 2.1]).as_matrix()
    for matrix, sign in [
        (about_z, 1),
        (np.diag([-1, 1, 1]), 1),
        (np.diag([1, 1, -1]), -1),
        (-about_z, -1),
    ]:
        check(features(descriptor, transformed(skewed(), matrix), ELEMENTS), sign * expected)


@vectors
@implementations
def test_vectors_turn_with_the_structure(example, training) -> None:
    """Along x, y and z they are the components of one vector."""
    descriptor = example.make(3, CUTOFF).train(training)

    def all_axes(atoms: Atoms) -> np.ndarray:
        turned = (transformed(atoms, np.roll(np.eye(3), 2 - axis, axis=0)) for axis in range(3))
        return np.stack([features(descriptor, t, ELEMENTS) for t in turned], axis=-1)

    rotation = Rotation.from_rotvec([0.4, -1.3, 2.1]).as_matrix()
    before, after = all_axes(skewed()), all_axes(transformed(skewed(), rotation))
    check(after, before @ rotation.T)


def test_vector_of_one_neighbour_points_to_it() -> None:
    """From centre to neighbour: positive where the neighbour lies above."""
    descriptor = VectorFunctions(1, 3.0, v1=V1[:1])
    vector = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    nb = around([0], [0], vector, [0, 1])
    expected = 0.8 * (np.cos(np.pi / 3) + 1) / 2  # f_c is 3/4 at a third of the cutoff
    for training in (True, False):
        assert descriptor.train(training)(nb).item() == pytest.approx(expected, rel=1e-14)


@examples
@implementations
@pytest.mark.parametrize("sign", [1, -1])
def test_smooth_at_the_cutoff(example, training, sign) -> None:
    """As an atom leaves, its part of the values vanishes with the square of the distance left,
    the slope with the distance itself; beyond the cutoff nothing is left of either."""
    cutoff = 3.0
    descriptor = example.make(2, cutoff).train(training)
    others = [[0.5, -0.3, 1.1], [-1.2, 0.9, 0.4], [-0.9, -1.0, -0.8]]
    direction = sign * np.array([0.48, 0.6, 0.64])

    def at(distance: float) -> tuple[np.ndarray, np.ndarray]:
        moving = torch.tensor(distance * direction).requires_grad_()
        vectors = torch.cat([torch.tensor(others, dtype=torch.float64), moving[None]])
        nb = around([0], [0, 1, 0, 1], vectors, [0, 4])
        values = descriptor(nb)[0]
        slopes = [torch.autograd.grad(v, moving, retain_graph=True)[0] for v in values]
        return values.detach().numpy(), torch.stack(slopes).norm(dim=1).numpy()

    gone, no_slope = at(cutoff + 1e-9)
    assert (no_slope == 0).all()
    np.testing.assert_array_equal(at(5.0)[0], gone)
    steps = np.array([1e-2, 1e-3])
    left = [np.abs(at(cutoff - step)[0] - gone) for step in steps]
    slopes = [at(cutoff - step)[1] for step in steps]
    seen = left[0] > 1e-12
    assert seen.sum() >= descriptor.n_features / 3
    ratio = left[0][seen] / left[1][seen]
    np.testing.assert_allclose(ratio, 100, rtol=0.2)
    steep = slopes[0] > 1e-8
    np.testing.assert_allclose(slopes[0][steep] / slopes[1][steep], 10, rtol=0.2)


@examples
@implementations
def test_an_atom_that_sees_only_its_own_images(example, training) -> None:
    atoms = tiny()[:1]
    descriptor = example.make(1, 5.2).train(training)
    expected, scale = example.brute_force(atoms, ["Li"], 5.2)
    found = features(descriptor, atoms, ["Li"])
    if example.is_vector:
        assert np.abs(found).max() < 1e-12  # a centre of inversion
    else:
        assert (np.abs(found - expected) <= 1e-10 * scale).all()
        assert scale.max() > 0.1
