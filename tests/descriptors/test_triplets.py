import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from brute_force import brute_force_features

from ase_bec.descriptors.triplets import triplet_features
from ase_bec.kernels.triplets import triplet_backward, triplet_forward, triplet_tables
from ase_bec.system import System

FUNCTIONS = {
    "G4": [(0.02, 1, 1), (0.02, 2.5, -1), (0.1, 4, 1), (0.1, 1.3, -1), (0.0, 16, 0.7)],
    "G5": [(0.02, 1, 1), (0.02, 2.5, -1), (0.1, 4, 1), (0.1, 1.3, -1), (0.0, 70, 0.7)],
    "V2": [
        (0.1, 2, 3.0, 0.5),
        (0.0, 1.5, 3.0, 0.0),
        (0.3, 1, 1.0, 0.0),
        (0.3, 1, 1.0, 2.0),
        (0.3, 3.7, 2.0, np.pi / 2),
        (0.1, 2, 3.0, np.pi),
    ],
}
KINDS = tuple(FUNCTIONS)


def skewed() -> Atoms:
    positions = np.random.default_rng(1).uniform(-6, 12, (7, 3))
    return Atoms("Li3PO3", positions, cell=[[6, 0, 0], [1, 6, 0], [0, -1, 6.5]], pbc=True)


def tiny() -> Atoms:
    return Atoms("LiO", [[0, 0, 0], [1.3, 1.0, 1.2]], cell=[[2, 0.1, 0], [0, -2.4, 0], [0.7, 0, 3]],
                 pbc=(True, True, False))  # fmt: skip


def rock_salt() -> Atoms:
    """Many neighbours on one line; the displacement keeps lines along z and makes V2 non-zero."""
    atoms = bulk("LiO", "rocksalt", 4.2)
    atoms.positions[1, 2] += 0.3
    return atoms


def water() -> Atoms:
    atoms = molecule("H2O")
    atoms.rattle(0.1, seed=0)
    return atoms


def inputs(
    atoms: Atoms, elements: list[str], reach: float, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    system = System.from_atoms(atoms, reach)
    species = torch.tensor([elements.index(symbol) for symbol in atoms.symbols])
    return system.vectors().to(dtype), species[system.neighbour], system.first


def explicit(vectors, species, first, n_elements, cutoff, kind, **options) -> torch.Tensor:
    functions = torch.tensor(FUNCTIONS[kind], dtype=torch.float64)
    return triplet_features(vectors, species, first, n_elements, cutoff, functions, kind, **options)


def compiled(vectors, species, first, n_elements, cutoff, kind) -> np.ndarray:
    tables = triplet_tables(n_elements, cutoff, FUNCTIONS[kind], kind)
    n_types, n = n_elements * (n_elements + 1) // 2, len(first) - 1
    out = np.full((n, n_types, len(FUNCTIONS[kind])), np.nan, vectors.numpy().dtype)
    triplet_forward(vectors.numpy(), species.numpy(), first.numpy(), 0, n, tables, out)
    return out


def compiled_gradient(vectors, species, first, n_elements, cutoff, kind, d_out) -> np.ndarray:
    tables = triplet_tables(n_elements, cutoff, FUNCTIONS[kind], kind)
    found = np.zeros_like(vectors.numpy())
    args = vectors.numpy(), species.numpy(), first.numpy(), 0, len(first) - 1, tables
    triplet_backward(*args, d_out.numpy(), found)
    return found


STRUCTURES = [
    (skewed, ["Li", "P", "O"], 4.5),
    (skewed, ["O", "Li", "P", "H"], 3.8),
    (tiny, ["Li", "O"], 5.0),
    (rock_salt, ["Li", "O"], 4.5),
    (water, ["O", "H"], 4.0),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("make", "elements", "cutoff"), STRUCTURES)
def test_both_implementations_match_brute_force(make, elements, cutoff, kind) -> None:
    atoms = make()
    expected = brute_force_features(atoms, elements, cutoff, kind, FUNCTIONS[kind])
    scale = np.abs(expected).max(axis=(0, 1))
    args = (*inputs(atoms, elements, cutoff + 0.6), len(elements), cutoff, kind)
    for found in (explicit(*args).numpy(), compiled(*args)):
        assert found.shape == expected.shape
        assert (np.abs(found - expected) <= 1e-10 * scale).all()
    assert (scale > 1e-3).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("make", "elements", "cutoff"), STRUCTURES)
def test_compiled_gradient_matches_autograd(make, elements, cutoff, kind) -> None:
    atoms = make()
    vectors, *rest = *inputs(atoms, elements, cutoff + 0.6), len(elements), cutoff, kind
    vectors.requires_grad_()
    features = explicit(vectors, *rest)
    weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(0)).double()
    (expected,) = torch.autograd.grad((features * weights).sum(), vectors)
    found = compiled_gradient(vectors.detach(), *rest, weights)
    np.testing.assert_allclose(
        found, expected.numpy(), rtol=1e-10, atol=1e-10 * expected.abs().max()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_gradient_matches_finite_differences(kind) -> None:
    vectors, *rest = *inputs(water(), ["O", "H"], 4.0), 2, 4.0, kind
    weights = torch.randn((3, 3, len(FUNCTIONS[kind])), generator=torch.Generator().manual_seed(0))
    found = compiled_gradient(vectors, *rest, weights.double())
    step = 1e-5
    for edge, axis in np.ndindex(*vectors.shape):
        values = []
        for sign in (1, -1):
            moved = vectors.clone()
            moved[edge, axis] += sign * step
            values.append((compiled(moved, *rest) * weights.numpy()).sum())
        assert found[edge, axis] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_first_and_second_order(kind) -> None:
    atoms = Atoms("LiO2Li", [[0, 0, 0], [1.5, 0.3, 0.2], [-0.4, 1.6, -0.5], [0.2, 0.4, 2.9]])
    vectors, *rest = *inputs(atoms, ["Li", "O"], 3.3), 2, 2.96, kind

    def function(vectors: torch.Tensor) -> torch.Tensor:
        return explicit(vectors, *rest)

    vectors.requires_grad_()
    assert (vectors.norm(dim=1) > 2.96).any()
    assert torch.autograd.gradcheck(function, vectors)
    assert torch.autograd.gradgradcheck(function, vectors)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_change_nothing(kind) -> None:
    vectors, *rest = *inputs(skewed(), ["Li", "P", "O"], 4.5), 3, 4.5, kind
    vectors.requires_grad_()
    results = []
    for chunk_size in (2**40, 2000, 1):
        features = explicit(vectors, *rest, chunk_size=chunk_size)
        scalar = (features**2).sum()
        (gradient,) = torch.autograd.grad(scalar, vectors, create_graph=True)
        (second,) = torch.autograd.grad((gradient**2).sum(), vectors)
        results.append((features.detach(), gradient.detach(), second))
    for result in results[1:]:
        for found, expected in zip(result, results[0], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_float32(kind) -> None:
    elements, cutoff = ["Li", "P", "O"], 4.5
    vectors, *rest = *inputs(skewed(), elements, cutoff), 3, cutoff, kind
    single = vectors.float()
    expected = explicit(single.double(), *rest)
    found = explicit(single, *rest)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=2e-5)
    kernel = compiled(single, *rest)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, expected, rtol=2e-5, atol=2e-5)

    double = single.double().requires_grad_()
    (gradient,) = torch.autograd.grad(explicit(double, *rest).sum(), double)
    ones = torch.ones(found.shape, dtype=torch.float32)
    scale = gradient.abs().max()
    kernel = compiled_gradient(single, *rest, ones)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, gradient, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_without_neighbours(kind) -> None:
    none = torch.zeros((0, 3), dtype=torch.float64)
    for n_centres in (0, 1, 3):
        args = (
            none,
            torch.zeros(0, dtype=torch.int64),
            torch.zeros(n_centres + 1, dtype=torch.int64),
        )
        shape = (n_centres, 3, len(FUNCTIONS[kind]))
        for found in (explicit(*args, 2, 4.0, kind).numpy(), compiled(*args, 2, 4.0, kind)):
            assert found.shape == shape
            assert (found == 0).all()
        assert compiled_gradient(*args, 2, 4.0, kind, torch.ones(shape)).shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_one_neighbour_makes_no_triplet(kind) -> None:
    vectors, species = torch.tensor([[1.0, 2.0, 0.5]]).double(), torch.tensor([1])
    first = torch.tensor([0, 1])
    assert (explicit(vectors, species, first, 2, 4.0, kind) == 0).all()
    assert (compiled(vectors, species, first, 2, 4.0, kind) == 0).all()


@pytest.mark.parametrize(("kind", "pair"), [("G4", "ij"), ("G4", "jk"), ("G5", "ij"), ("V2", "ij")])
def test_smooth_at_the_cutoff(kind, pair) -> None:
    """Values vanish with the square of the distance to the cutoff, slopes with the distance."""
    cutoff, margin = 3.0, 1e-6
    if pair == "ij":
        start, direction, other = [0.0, 0.0, 0.0], [0.6, 0.0, 0.8], [0.5, -0.3, 1.1]
    else:  # j and k on either side of the centre, r_jk at the cutoff
        start, direction, other = [-1.2, 0.0, 0.5], [0.8, 0.6, 0.0], [-1.2, 0.0, 0.5]
    species, first = torch.tensor([0, 0]), torch.tensor([0, 2])
    for distance, bound in ((cutoff - margin, 1e-10), (cutoff + margin, 0.0)):
        moving = np.array(start) + distance * np.array(direction)
        vectors = torch.tensor(np.array([moving, other]), requires_grad=True)
        args = species, first, 1, cutoff, kind
        features = explicit(vectors, *args)
        (gradient,) = torch.autograd.grad(features.sum(), vectors)
        assert features.abs().max() <= bound
        assert gradient[0].abs().max() <= 1e6 * bound
        ones = torch.ones(features.shape)
        assert np.abs(compiled(vectors.detach(), *args)).max() <= bound
        slope = compiled_gradient(vectors.detach(), *args, ones)
        assert np.abs(slope[0]).max() <= 1e6 * bound
        if bound:
            assert gradient[0].abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_neighbours_on_one_line(kind, direction) -> None:
    """θ = 0 or π: every derivative stays finite and both implementations agree."""
    line = torch.tensor([0.6, 0.48, 0.64]).double()
    vectors = torch.stack([1.7 * line, direction * 1.1 * line]).requires_grad_()
    args = torch.tensor([0, 1]), torch.tensor([0, 2]), 2, 4.0, kind
    features = explicit(vectors, *args)
    (gradient,) = torch.autograd.grad(features.sum(), vectors, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), vectors)
    assert gradient.isfinite().all()
    assert second.isfinite().all()
    found = compiled_gradient(vectors.detach(), *args, torch.ones(features.shape))
    np.testing.assert_allclose(found, gradient.detach(), rtol=1e-7, atol=1e-12)
    if kind != "V2":  # no function of cosθ turns an atom off the line
        across = gradient - (gradient @ line)[:, None] * line
        assert across.abs().max() < 1e-7


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_share_the_work_by_ranges(kind) -> None:
    vectors, species, first = (x.numpy() for x in inputs(skewed(), ["Li", "P", "O"], 5.0))
    tables = triplet_tables(3, 4.5, FUNCTIONS[kind], kind)
    n = len(first) - 1
    whole, parts = np.empty((n, 6, len(FUNCTIONS[kind]))), np.empty((n, 6, len(FUNCTIONS[kind])))
    triplet_forward(vectors, species, first, 0, n, tables, whole)
    d_whole, d_parts = np.zeros_like(vectors), np.full_like(vectors, 3.0)
    triplet_backward(vectors, species, first, 0, n, tables, whole, d_whole)
    for low, high in ((3, n), (0, 1), (1, 3), (2, 2)):
        triplet_forward(vectors, species, first, low, high, tables, parts)
        triplet_backward(vectors, species, first, low, high, tables, whole, d_parts)
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_allclose(d_parts - 3.0, d_whole, rtol=0, atol=1e-13)  # added to what is there


def test_tables_share_factors() -> None:
    rows = [(0.1, z, lam) for z in (1, 2.5) for lam in (1, -1)] + [(0.2, 1, 1)]
    tables = triplet_tables(2, 4.0, rows, "G4")
    assert tables.radial.shape == (2, 2)
    assert tables.angular.shape == (4, 3)
    assert not tables.bent
    assert triplet_tables(2, 4.0, [(0.1, 1, 2.0, 0.3)], "V2").bent


@pytest.mark.parametrize(
    ("kind", "functions", "message"),
    [
        ("G3", [[0.1, 1.0, 1.0]], "`kind` must be one of G4, G5, V2, got 'G3'"),
        ("G4", [[0.1, 1.0]], r"columns eta, zeta, lambda for G4, got an array of shape \(1, 2\)"),
        ("V2", [0.1, 1.0, 1.0, 0.0], r"columns eta, zeta, R_s, theta_s for V2.*shape \(4,\)"),
        ("G5", [[0.1, 0.5, 1.0]], r"zeta of 1 or more, got \[0\.5\]"),
        ("G5", [[0.1, float("nan"), 1.0]], r"zeta of 1 or more, got \[nan\]"),
    ],
)
def test_refuses_bad_functions(kind, functions, message) -> None:
    with pytest.raises(ValueError, match=message):
        triplet_features(*inputs(water(), ["O", "H"], 3.0), 2, 3.0, torch.tensor(functions), kind)
