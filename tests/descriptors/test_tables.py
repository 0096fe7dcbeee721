"""Function tables: their order, names, and what is refused; the factor on V2's slope."""

import re
from itertools import permutations

import numpy as np
import pytest
import torch
from brute_force import brute_force_features
from descriptor_examples import (
    G2,
    G4,
    MIXED_G5,
    MIXED_V2,
    V1,
    V2,
    around,
    features,
    gradient,
    random_weights,
    seen_by,
    skewed,
)

from ase_bec.descriptors.symmetry_functions import SymmetryFunctions
from ase_bec.descriptors.vector_functions import VectorFunctions

ELEMENTS = ["Li", "P", "O"]
LABEL = re.compile(r"(G[245]) (\S+) eta=(\S+) (?:Rs=(\S+)|zeta=(\S+) lambda=(\S+))")


def test_labels_say_what_each_feature_is() -> None:
    descriptor = SymmetryFunctions(3, 4.0, g2=G2, g5=MIXED_G5, g4=G4)
    found = features(descriptor, skewed(), ELEMENTS)
    labels = descriptor.labels(ELEMENTS)
    assert len(labels) == len(set(labels)) == descriptor.n_features
    for index in range(0, descriptor.n_features, 5):
        kind, names, *numbers = LABEL.fullmatch(labels[index]).groups()
        row = tuple(float(x) for x in numbers if x is not None)
        elements = names.split("-")
        only = elements if len(set(elements)) == len(elements) else elements[:1]
        expected = brute_force_features(skewed(), only, 4.0, kind, [row])
        column = 1 if len(only) == 2 else 0  # of the pairs aa, ab, bb the mixed one
        np.testing.assert_allclose(found[:, index], expected[:, column, 0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_features_follow_the_order_of_the_table(training) -> None:
    """Fast and slow functions interleaved in any order."""
    _, nb = seen_by(skewed(), ELEMENTS, 4.0)
    for make, key, rows in [
        (SymmetryFunctions, "g5", MIXED_G5[:3]),
        (VectorFunctions, "v2", MIXED_V2[:3]),
    ]:
        single = [make(3, 4.0, **{key: [row]}).train(training)(nb) for row in rows]
        for order in permutations(range(3)):
            together = make(3, 4.0, **{key: [rows[k] for k in order]}).train(training)(nb)
            expected = torch.stack([single[k] for k in order], dim=2).flatten(1)
            torch.testing.assert_close(together, expected, rtol=0, atol=1e-12)


def through_gaussian(vectors: np.ndarray, lengths: np.ndarray, row, cutoff: float) -> float:
    """V2 of one centre and element, the lengths in the Gaussian taken from elsewhere."""
    eta, zeta, r_s, _ = row
    total = 0.0
    for (u, length_u), (v, length_v) in permutations(zip(vectors, lengths, strict=True), 2):
        r, s = np.linalg.norm(u), np.linalg.norm(v)
        weight = 0.25 * (1 + np.cos(np.pi * r / cutoff)) * (1 + np.cos(np.pi * s / cutoff))
        gauss = np.exp(-eta * ((length_u + length_v) / 2 - r_s) ** 2)
        total += 2 ** (1 - zeta) * (u[2] + v[2]) * (1 + u @ v / r / s) ** zeta * gauss * weight
    return total


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("row", V2[3:])
def test_slope_multiplies_the_radial_derivative_of_the_gaussian_alone(training, row) -> None:
    cutoff, step = 3.0, 1e-5
    vectors = np.random.default_rng(1).uniform(-1.2, 1.2, (5, 3))
    lengths = np.linalg.norm(vectors, axis=1)
    nb = around([0], [0] * 5, torch.tensor(vectors), [0, 5])
    plain = VectorFunctions(1, cutoff, v2=[row]).train(training)
    doubled = VectorFunctions(1, cutoff, v2=[row], slope=2.0).train(training)
    np.testing.assert_allclose(doubled(nb), plain(nb), rtol=1e-14)
    value = through_gaussian(vectors, lengths, row, cutoff)
    assert plain(nb).item() == pytest.approx(value, rel=1e-10)

    ones = torch.ones(1, 1, dtype=torch.float64)
    added = (gradient(doubled, nb, ones) - gradient(plain, nb, ones)).numpy()
    for j in range(5):
        ends = [lengths + sign * step * np.eye(5)[j] for sign in (1, -1)]
        up, down = (through_gaussian(vectors, end, row, cutoff) for end in ends)
        expected = (up - down) / (2 * step) * vectors[j] / lengths[j]
        np.testing.assert_allclose(added[j], expected, rtol=0, atol=1e-9)
    assert row[0] == 0.0 or np.abs(added).max() > 1e-3


def test_slope_in_both_implementations_and_in_sums() -> None:
    _, nb = seen_by(skewed(), ELEMENTS, 4.4)
    descriptor = VectorFunctions(3, 4.1, v1=V1, v2=V2, slope=2.0)
    weights = random_weights(7, descriptor.n_features)
    expected = gradient(descriptor.train(), nb, weights)
    for found in (
        gradient(descriptor.eval(), nb, weights),
        descriptor.eval().weighted_derivative(nb, weights),
        descriptor.train().weighted_derivative(nb, weights),
    ):
        assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()
    true_slope = gradient(VectorFunctions(3, 4.1, v1=V1, v2=V2), nb, weights)
    assert (true_slope - expected).abs().max() > 0.01 * expected.abs().max()


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (SymmetryFunctions, {"cutoff": 0.0}, r"`cutoff` must be positive and finite \(Å\), got 0"),
        (SymmetryFunctions, {"cutoff": float("nan")}, "`cutoff` must be positive.*got nan"),
        (VectorFunctions, {"cutoff": float("inf")}, "`cutoff` must be positive.*got inf"),
        (SymmetryFunctions, {"n_elements": 0}, "`n_elements` must be 1 or more, got 0"),
        (SymmetryFunctions, {"g2": [(1.0,)]}, r"`g2` must have rows of 2 numbers, got \(1\.0,\)"),
        (SymmetryFunctions, {"g5": [(1, 2)]}, r"`g5` must have rows of 3 numbers, got \(1\.0, 2"),
        (SymmetryFunctions, {"g5": [(1, 0.5, 1)]}, "`g5` must have ζ >= 1, got 0.5"),
        (SymmetryFunctions, {"g4": [(1, 0, 1)]}, "`g4` must have ζ >= 1, got 0"),
        (SymmetryFunctions, {"g4": [(1, float("nan"), 1)]}, "`g4` must have finite numbers"),
        (SymmetryFunctions, {"g2": [(-0.1, 0)]}, "`g2` must have η >= 0, got -0.1"),
        (VectorFunctions, {"v1": [(0.1, float("inf"))]}, "`v1` must have finite numbers, got"),
        (VectorFunctions, {"v2": [(0.1, 1, 0)]}, "`v2` must have rows of 4 numbers"),
        (VectorFunctions, {"v2": [(0.1, 0.9, 0, 0)]}, "`v2` must have ζ >= 1, got 0.9"),
        (
            VectorFunctions,
            {"v2": [(0.1, 1.5, 0, 0)], "slope": 2},
            "`slope` must be 1 with θ_s != 0 or fractional ζ, got 2",
        ),
    ],
)
def test_refuses_bad_tables(make, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**{"n_elements": 2, "cutoff": 3.0, **arguments})
