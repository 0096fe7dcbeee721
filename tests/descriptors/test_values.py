"""Features of every descriptor, in both implementations, against obvious sums."""

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import (
    EXAMPLES,
    STRUCTURES,
    around,
    features,
    gradient,
    random_weights,
    seen_by,
    skewed,
    water,
)

examples = pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
implementations = pytest.mark.parametrize("training", [True, False], ids=["torch", "compiled"])


@examples
@implementations
@pytest.mark.parametrize(("make", "elements", "cutoff"), STRUCTURES)
def test_values_match_brute_force(example, training, make, elements, cutoff) -> None:
    atoms = make()
    descriptor = example.make(len(elements), cutoff).train(training)
    expected, scale = example.brute_force(atoms, elements, cutoff)
    found = features(descriptor, atoms, elements)
    assert found.shape == expected.shape == (len(atoms), descriptor.n_features)
    assert (np.abs(found - expected) <= 1e-10 * scale).all()
    assert (scale > 1e-5).mean() > 0.6


@examples
@implementations
def test_order_of_elements_is_that_of_the_features(example, training) -> None:
    for elements in (["O", "Li", "P"], ["P", "Zr", "O", "Li"]):
        descriptor = example.make(len(elements), 4.0).train(training)
        expected, scale = example.brute_force(skewed(), elements, 4.0)
        assert (np.abs(features(descriptor, skewed(), elements) - expected) <= 1e-10 * scale).all()


@examples
@implementations
def test_pairs_beyond_the_cutoff_are_ignored(example, training) -> None:
    elements, cutoff = ["Li", "P", "O"], 3.9
    descriptor = example.make(3, cutoff).train(training)
    near = features(descriptor, skewed(), elements, skin=0.0)
    far = features(descriptor, skewed(), elements, skin=6.0)
    np.testing.assert_allclose(far, near, rtol=0, atol=1e-13 * np.abs(near).max())
    _, nb = seen_by(skewed(), elements, cutoff + 6.0)
    beyond = nb.vectors.norm(dim=1) >= cutoff
    slope = gradient(descriptor, nb, random_weights(7, descriptor.n_features))
    assert beyond.any()
    assert (slope[beyond] == 0).all()
    assert slope.isfinite().all()


@examples
@implementations
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_pairs_do_not_overflow(example, training, dtype) -> None:
    """As in a committee of models with different cutoffs, or with a thick skin."""
    descriptor = example.make(1, 1.0).train(training)
    near = torch.tensor([[0.5, 0.2, 0.3], [-0.3, 0.6, 0.1]], dtype=dtype)
    far = torch.tensor([[0.0, 9.0, 15.0], [1e4, 0.0, 1.0]], dtype=dtype)
    results = []
    for vectors in (near, torch.cat([near, far])):
        n = len(vectors)
        nb = around([0], [0] * n, vectors.requires_grad_(), [0, n])
        values = descriptor(nb)
        (slope,) = torch.autograd.grad(values.sum(), nb.vectors)
        results.append((values.detach(), slope[:2]))
        assert (slope[2:] == 0).all()
    tolerance = 2e-6 if dtype == torch.float32 else 1e-14
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=tolerance)


@examples
@implementations
def test_isolated_atoms_and_no_atoms(example, training) -> None:
    descriptor = example.make(2, 3.0).train(training)
    for n in (0, 1, 3):
        vectors = torch.zeros((0, 3), dtype=torch.float64, requires_grad=True)
        nb = around([0] * n, [], vectors, [0] * (n + 1))
        values = descriptor(nb)
        assert values.shape == (n, descriptor.n_features)
        assert (values == 0).all()
        (slope,) = torch.autograd.grad(values.sum(), nb.vectors)
        assert slope.shape == (0, 3)


@examples
@implementations
def test_isolated_atom_beside_others(example, training) -> None:
    """Only its own features vanish, the last and the first centre included."""
    elements = ["O", "H"]
    descriptor = example.make(2, 4.0).train(training)
    alone = features(descriptor, water(), elements)
    for index in (0, 1, 3):
        atoms = water() + Atoms("H", [[0, 0, 100]])
        atoms = atoms[np.insert([0, 1, 2], index, 3)]
        found = features(descriptor, atoms, elements)
        assert (found[index] == 0).all()
        np.testing.assert_allclose(np.delete(found, index, axis=0), alone, rtol=0, atol=1e-13)


@examples
def test_float32_is_near_float64(example) -> None:
    for make, elements, cutoff in STRUCTURES[:2]:
        descriptor = example.make(len(elements), cutoff)
        _, nb = seen_by(make(), elements, cutoff + 0.3, torch.float32)
        wide = nb._replace(vectors=nb.vectors.double())
        weights = random_weights(len(nb.species), descriptor.n_features)
        expected = descriptor(wide)
        slope = gradient(descriptor, wide, weights)
        for training in (True, False):
            descriptor.train(training)
            found = descriptor(nb)
            assert found.dtype == torch.float32
            scale = expected.abs().max()
            assert (found - expected).abs().max() < 1e-5 * scale
            narrow = gradient(descriptor, nb, weights.float())
            assert narrow.dtype == torch.float32
            assert (narrow - slope).abs().max() < 2e-5 * slope.abs().max()


@examples
@implementations
def test_nan_is_not_hidden(example, training) -> None:
    """A neighbour at NaN is neither inside nor outside of the cutoff."""
    descriptor = example.make(1, 3.0).train(training)
    vectors = torch.tensor([[1.0, 0.4, 0.2], [float("nan"), 0.4, 1.0]], dtype=torch.float64)
    nb = around([0], [0, 0], vectors, [0, 2])
    assert descriptor(nb).isnan().any()
