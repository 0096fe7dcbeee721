"""The neighbour density: values, derivatives, and what leaves it alone."""

import copy
import pickle

import numpy as np
import pytest
import torch
from ase import Atoms
from brute_force import brute_force_pairs
from descriptor_examples import STRUCTURES, around, gradient, on_atoms, seen_by, skewed, tiny
from scipy.spatial.transform import Rotation

from ase_bec.descriptors.density import NeighbourDensity

ELEMENTS, CUTOFF = ["Li", "P", "O"], 4.2
structures = pytest.mark.parametrize(("make", "elements", "cutoff"), STRUCTURES)


def harmonic_values(u: np.ndarray) -> np.ndarray:
    """Degrees 0 to 3, written out: real parts of m = 0 … l, then imaginary parts of m = 1 … l."""
    x, y, z = u
    return np.array([
        1,
        z, x, y,
        1.5 * z**2 - 0.5, 3**0.5 * x * z, 0.75**0.5 * (x**2 - y**2),
        3**0.5 * y * z, 3**0.5 * x * y,
        2.5 * z**3 - 1.5 * z, 0.375**0.5 * x * (5 * z**2 - 1), 3.75**0.5 * z * (x**2 - y**2),
        0.625**0.5 * x * (x**2 - 3 * y**2),
        0.375**0.5 * y * (5 * z**2 - 1), 15**0.5 * x * y * z,
        0.625**0.5 * y * (3 * x**2 - y**2),
    ])  # fmt: skip


def brute_force(atoms: Atoms, elements: list[str], d: NeighbourDensity) -> np.ndarray:
    """Sum over explicit periodic images, for degree 3."""
    out = np.zeros((len(atoms), *d.shape))
    centres = np.linspace(d.closest, d.cutoff, d.radial)
    width = centres[1] - centres[0]
    for i, j, *shift in brute_force_pairs(atoms, d.cutoff):
        vector = atoms.positions[j] - atoms.positions[i]
        vector = vector + np.where(atoms.pbc, shift, 0) @ atoms.cell.array
        r = np.linalg.norm(vector)
        gauss = np.exp(-((r - centres) ** 2) / (2 * width**2))
        gauss *= 0.5 * (np.cos(np.pi * r / d.cutoff) + 1)
        element = elements.index(atoms.symbols[j])
        out[i, element] += np.outer(gauss, harmonic_values(vector / r))
    return out


def density(d: NeighbourDensity, atoms: Atoms, elements: list[str], skin: float = 0.4):
    return d(seen_by(atoms, elements, d.cutoff + skin)[1]).detach().numpy()


def random_weights(d: NeighbourDensity, n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn((n, *d.shape), generator=generator, dtype=torch.float64)


@structures
def test_sum_over_images(make, elements, cutoff) -> None:
    d = NeighbourDensity(len(elements), cutoff, radial=5, closest=0.7)
    expected = brute_force(make(), elements, d)
    found = density(d, make(), elements)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@structures
def test_lower_degrees_are_the_first_entries(make, elements, cutoff) -> None:
    _, nb = seen_by(make(), elements, cutoff + 0.3)
    highest = NeighbourDensity(len(elements), cutoff, 6, degree=5)(nb)
    for degree in (0, 1, 3, 5):
        d = NeighbourDensity(len(elements), cutoff, 6, degree)
        found = d(nb)
        assert found.shape == (len(nb.species), *d.shape)
        assert d.shape == (len(elements), 6, (degree + 1) ** 2)
        torch.testing.assert_close(found, highest[..., : (degree + 1) ** 2], rtol=0, atol=1e-13)


def one_centre():
    """As a function of the vectors of one centre, one of them beyond the cutoff."""
    d = NeighbourDensity(2, 3.0, radial=3, degree=3, closest=0.8)
    vectors = torch.tensor(
        [[1.1, 0.3, 0.2], [-0.4, 1.5, -0.6], [0.9, -1, 1.4], [0.2, 0.4, 3.3]], dtype=torch.float64
    )
    nb = around([0], [1, 1, 0, 1], vectors, [0, 4])
    return lambda x: d(nb._replace(vectors=x)), vectors.requires_grad_()


def test_first_derivative_matches_finite_differences() -> None:
    function, vectors = one_centre()
    assert torch.autograd.gradcheck(function, vectors, atol=1e-7)


def test_second_derivative() -> None:
    function, vectors = one_centre()
    assert torch.autograd.gradgradcheck(function, vectors, atol=1e-6)


def test_derivative_by_positions_through_images() -> None:
    d = NeighbourDensity(3, 3.6, radial=4)
    weights = random_weights(d, 7)
    system, nb = seen_by(skewed(), ELEMENTS, 3.9)
    found = on_atoms(system, gradient(d, nb, weights)).numpy()
    step = 1e-4
    for atom, axis in [(0, 0), (3, 1), (4, 2), (6, 0)]:
        values = []
        for shift in (-2, -1, 1, 2):
            moved = skewed()
            moved.positions[atom, axis] += shift * step
            values.append((density(d, moved, ELEMENTS, 0.3) * weights.numpy()).sum())
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        assert found[atom, axis] == pytest.approx(slope, abs=1e-9 * np.abs(found).max() + 1e-8)


@pytest.mark.parametrize("sign", [1, -1])
def test_smooth_at_the_cutoff(sign) -> None:
    """A leaving atom's part vanishes with the square of the distance left, its slope with it."""
    d = NeighbourDensity(2, 3.0, radial=3)
    direction = sign * np.array([0.48, 0.6, 0.64])

    def at(distance: float) -> tuple[np.ndarray, np.ndarray]:
        vectors = torch.tensor(np.array([[0.5, -0.3, 1.1], distance * direction]))
        nb = around([0], [0, 1], vectors, [0, 2])
        leaf = vectors.requires_grad_()
        values = d(nb._replace(vectors=leaf)).flatten()
        slopes = [torch.autograd.grad(v, leaf, retain_graph=True)[0][1] for v in values]
        return values.detach().numpy(), torch.stack(slopes).norm(dim=1).numpy()

    gone, no_slope = at(3.0 + 1e-9)
    assert (no_slope == 0).all()
    np.testing.assert_array_equal(at(5.0)[0], gone)
    (far, steep), (near, flat) = at(3.0 - 1e-2), at(3.0 - 1e-3)
    far, near = np.abs(far - gone), np.abs(near - gone)
    seen = far > 1e-9
    assert seen.sum() > 20
    np.testing.assert_allclose(far[seen] / near[seen], 100, rtol=0.1)
    np.testing.assert_allclose(steep[steep > 1e-6] / flat[steep > 1e-6], 10, rtol=0.1)


def test_pairs_beyond_the_cutoff_are_ignored() -> None:
    d = NeighbourDensity(3, CUTOFF, radial=5)
    expected = density(d, skewed(), ELEMENTS, skin=0)
    for skin in (0.5, 3.0):
        np.testing.assert_allclose(density(d, skewed(), ELEMENTS, skin), expected, atol=1e-13)
    _, nb = seen_by(skewed(), ELEMENTS, CUTOFF + 1.0)
    slope = gradient(d, nb, random_weights(d, 7))
    beyond = nb.vectors.norm(dim=1) >= CUTOFF
    assert beyond.any()
    assert (slope[beyond] == 0).all()
    assert (slope[~beyond].norm(dim=1) > 0).all()


def test_power_spectrum_is_invariant() -> None:
    """Turned and mirrored structures have the same Σ_m A A' for each degree; A itself turns."""
    d = NeighbourDensity(3, CUTOFF, radial=4)

    def spectrum(a: np.ndarray) -> np.ndarray:
        flat = a.reshape(len(a), -1, 16)
        degrees = [flat[:, :, l * l : (l + 1) ** 2] for l in range(4)]  # noqa: E741
        return np.stack([part @ part.transpose(0, 2, 1) for part in degrees])

    before = density(d, skewed(), ELEMENTS)
    rotation = Rotation.from_rotvec([0.4, -1.3, 2.1]).as_matrix()
    for matrix in (rotation, -np.eye(3), rotation @ np.diag([1, 1, -1])):
        turned = skewed()
        turned.set_positions(turned.positions @ matrix.T)
        turned.set_cell(turned.cell.array @ matrix.T)
        after = density(d, turned, ELEMENTS)
        assert np.abs(after - before).max() > 0.1
        expected = spectrum(before)
        np.testing.assert_allclose(spectrum(after), expected, atol=1e-11 * expected.max())
        # Degree 1 is ordered z, x, y, and turns as a vector.
        vector, other = (a[..., [2, 3, 1]] for a in (before, after))
        np.testing.assert_allclose(other, vector @ matrix.T, atol=1e-12)


def test_translation_permutation_and_images() -> None:
    d = NeighbourDensity(3, CUTOFF, radial=4)
    expected = density(d, skewed(), ELEMENTS)
    moved = skewed()
    moved.positions += [1.1, -20.3, 0.7]
    moved.positions[2] += [1, -2, 1] @ moved.cell.array
    order = [4, 0, 6, 2, 1, 5, 3]
    np.testing.assert_allclose(density(d, moved[order], ELEMENTS), expected[order], atol=1e-12)


def test_isolated_atom_and_own_images() -> None:
    d = NeighbourDensity(2, 5.2, radial=4)
    alone = density(d, Atoms("Li"), ["Li", "O"])
    np.testing.assert_array_equal(alone, np.zeros((1, 2, 4, 16)))
    _, nb = seen_by(Atoms("Li"), ["Li", "O"], 5.2)
    assert gradient(d, nb, random_weights(d, 1)).shape == (0, 3)
    found = density(d, tiny()[:1], ["Li", "O"])
    np.testing.assert_allclose(found, brute_force(tiny()[:1], ["Li", "O"], d), atol=1e-12)
    odd = [1, 2, 3, *range(9, 16)]
    assert np.abs(found[..., odd]).max() < 1e-12  # a centre of inversion
    assert np.abs(found).max() > 0.5


def test_single_precision() -> None:
    d = NeighbourDensity(3, CUTOFF)
    _, exact = seen_by(skewed(), ELEMENTS, CUTOFF)
    _, nb = seen_by(skewed(), ELEMENTS, CUTOFF, torch.float32)
    expected = d(exact)
    found = d(nb)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    weights = random_weights(d, 7)
    slope = gradient(d, nb, weights.float())
    expected = gradient(d, exact, weights)
    assert slope.dtype == torch.float32
    assert (slope - expected).abs().max() < 1e-5 * expected.abs().max()


def test_copies_compute_the_same() -> None:
    d = NeighbourDensity(3, CUTOFF).eval()
    _, nb = seen_by(skewed(), ELEMENTS, CUTOFF)
    expected = d(nb)
    for other in (copy.deepcopy(d), pickle.loads(pickle.dumps(d))):
        assert torch.equal(other(nb), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cutoff": 0.0}, "`cutoff` must be positive and finite"),
        ({"n_elements": 0}, "`n_elements` must be 1 or more, got 0"),
        ({"radial": 1}, "`radial` must be 2 or more, got 1"),
        ({"degree": -1}, "`degree` must be 0 or more, got -1"),
        ({"closest": -0.1}, "`closest` must lie between 0 and 4.0 Å, got -0.1"),
        ({"closest": 4.0}, "`closest` must lie between 0 and 4.0 Å, got 4.0"),
        ({"closest": float("nan")}, "`closest` must lie between 0 and 4.0 Å, got nan"),
    ],
)
def test_refuses_bad_arguments(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        NeighbourDensity(**{"n_elements": 2, "cutoff": 4.0, **arguments})
