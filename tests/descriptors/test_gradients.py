"""Derivatives of every descriptor, in both implementations."""

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import (
    EXAMPLES,
    STRUCTURES,
    features,
    gradient,
    on_atoms,
    random_weights,
    seen_by,
    skewed,
    water,
)

from ase_bec.descriptors.neighbourhoods import chunks
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions
from ase_bec.descriptors.vector_functions import VectorFunctions

examples = pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
implementations = pytest.mark.parametrize("training", [True, False], ids=["torch", "compiled"])


def one_centre(example, training: bool = True):
    """A descriptor as function of the vectors of one centre, one beyond the cutoff, and those."""
    descriptor = example.make(2, 3.0).train(training)
    atoms = Atoms("OH2OH", [[0, 0, 0], [1.1, 0.3, 0.2], [-0.4, 1.5, -0.6], [0.9, -1, 1.4],
                            [0.2, 0.4, 3.3]])  # fmt: skip
    _, nb = seen_by(atoms, ["O", "H"], 3.5)
    vectors = nb.vectors[:4].clone().requires_grad_()
    nb = nb._replace(
        species=nb.species[:1], neighbour_species=nb.neighbour_species[:4], first=nb.first[:2]
    )
    assert nb.first.tolist() == [0, 4]
    assert (vectors.norm(dim=1) > 3.0).any()
    return lambda x: descriptor(nb._replace(vectors=x)), vectors


@examples
def test_first_and_second_derivatives_of_the_torch_implementation(example) -> None:
    function, vectors = one_centre(example)
    assert torch.autograd.gradcheck(function, vectors, atol=1e-7)
    assert torch.autograd.gradgradcheck(function, vectors, atol=1e-6)


@examples
def test_compiled_gradient_matches_finite_differences(example) -> None:
    function, vectors = one_centre(example, training=False)
    assert torch.autograd.gradcheck(function, vectors, atol=1e-7)


@examples
@pytest.mark.parametrize(("make", "elements", "cutoff"), STRUCTURES)
def test_compiled_gradient_matches_autograd(example, make, elements, cutoff) -> None:
    descriptor = example.make(len(elements), cutoff)
    _, nb = seen_by(make(), elements, cutoff + 0.3)
    weights = random_weights(len(nb.species), descriptor.n_features)
    expected = gradient(descriptor.train(), nb, weights)
    found = gradient(descriptor.eval(), nb, weights)
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()
    # Each feature by itself: small ones must not hide behind large ones.
    for index in np.random.default_rng(0).choice(descriptor.n_features, 4, replace=False):
        single = torch.zeros_like(weights)
        single[:, index] = weights[:, index]
        expected = gradient(descriptor.train(), nb, single)
        found = gradient(descriptor.eval(), nb, single)
        assert (found - expected).abs().max() <= 1e-10 * expected.abs().max() + 1e-13


@examples
@pytest.mark.parametrize("training", [True, False], ids=["torch", "compiled"])
def test_derivative_by_positions_matches_finite_differences(example, training) -> None:
    """Through periodic images, of atoms that are their own neighbours."""
    elements, cutoff, step = ["Li", "P", "O"], 3.6, 1e-4
    descriptor = example.make(3, cutoff).train(training)
    weights = random_weights(7, descriptor.n_features)
    system, nb = seen_by(skewed(), elements, cutoff + 0.3)
    found = on_atoms(system, gradient(descriptor, nb, weights)).numpy()
    for atom, axis in [(0, 0), (3, 1), (4, 2), (6, 0)]:
        values = []
        for shift in (-2, -1, 1, 2):
            moved = skewed()
            moved.positions[atom, axis] += shift * step
            values.append((features(descriptor, moved, elements, 0.3) * weights.numpy()).sum())
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        assert found[atom, axis] == pytest.approx(slope, abs=1e-9 * np.abs(found).max() + 1e-8)


@examples
def test_second_derivative_of_the_compiled_implementation_is_refused(example) -> None:
    function, vectors = one_centre(example, training=False)
    message = "first derivatives only, got a request for a second.*train"
    for power in (1, 2):  # the weights of the features constant, or functions of the vectors
        values = function(vectors) ** power
        (slope,) = torch.autograd.grad(values.sum(), vectors, create_graph=True)
        with pytest.raises(RuntimeError, match=message):
            torch.autograd.grad(slope.square().sum(), vectors)


@examples
@pytest.mark.parametrize("training", [True, False], ids=["torch", "compiled"])
def test_chunks_of_centres_change_nothing(example, training) -> None:
    elements, cutoff = ["Li", "P", "O"], 4.2
    descriptor = example.make(3, cutoff).train(training)
    system, nb = seen_by(skewed(), elements, cutoff)
    weights = torch.linspace(-1, 1, descriptor.n_features, dtype=torch.float64)
    results = []
    for size in (100, 7, 3, 1):
        parts = [part for _, part in chunks(system, nb.species, chunk=size)]
        values = [descriptor(part) @ weights for part in parts]
        slopes = [gradient(descriptor, part, weights) for part in parts]
        results.append((torch.cat(values), torch.cat(slopes)))
    for found in results[1:]:
        for part, whole in zip(found, results[0], strict=True):
            torch.testing.assert_close(part, whole, rtol=0, atol=1e-13 * whole.abs().max().item())


@examples
def test_threads_change_nothing(example, two_threads) -> None:
    elements = ["O", "H"]
    atoms = water()
    for k in range(1, 14):  # enough centres to be worth two threads
        other = water()
        other.rattle(0.2, seed=k)
        other.translate([2.0 * k, 0.1 * k, 0.3 * k])
        atoms += other
    descriptor = example.make(2, 3.5).eval()
    _, nb = seen_by(atoms, elements, 3.9)
    weights = random_weights(len(atoms), descriptor.n_features)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append((descriptor(nb), gradient(descriptor, nb, weights)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_weighted_derivative_is_that_of_autograd() -> None:
    for example in EXAMPLES:
        if example.is_vector:
            _, nb = seen_by(skewed(), ["Li", "P", "O"], 4.4)
            descriptor = example.make(3, 4.1)
            weights = random_weights(7, descriptor.n_features)
            expected = gradient(descriptor, nb, weights)
            for training in (True, False):
                found = descriptor.train(training).weighted_derivative(nb, weights)
                assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


@pytest.mark.parametrize("kind", ["symmetry", "vector"])
def test_gradient_of_one_weighted_sum_needs_no_features_of_the_other(kind) -> None:
    """Radial functions alone, angular ones alone: what is absent costs and adds nothing."""
    _, nb = seen_by(water(), ["O", "H"], 4.0)
    if kind == "symmetry":
        parts = [
            SymmetryFunctions(2, 4.0, g2=[(0.1, 0)]),
            SymmetryFunctions(2, 4.0, g5=[(0, 2, 1)]),
        ]
        whole = SymmetryFunctions(2, 4.0, g2=[(0.1, 0)], g5=[(0, 2, 1)])
    else:
        parts = [VectorFunctions(2, 4.0, v1=[(0.1, 0)]), VectorFunctions(2, 4.0, v2=[(0, 2, 1, 0)])]
        whole = VectorFunctions(2, 4.0, v1=[(0.1, 0)], v2=[(0, 2, 1, 0)])
    weights = random_weights(3, whole.n_features)
    for training in (True, False):
        expected = gradient(whole.train(training), nb, weights)
        split = [parts[0].n_features, parts[1].n_features]
        found = sum(
            gradient(part.train(training), nb, w)
            for part, w in zip(parts, weights.split(split, dim=1), strict=True)
        )
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
