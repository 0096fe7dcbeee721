"""Local dipoles that turn with the structure, whatever the weights."""

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import rock_salt, seen_by, skewed, tiny
from polarization_examples import ELEMENTS, equivariant, polarization_model, transformed
from scipy.spatial.transform import Rotation

import ase_bec
from ase_bec import EquivariantNetwork
from ase_bec.descriptors.harmonics import harmonics
from ase_bec.terms.equivariant import coupling

both = pytest.mark.parametrize("training", [True, False], ids=["torch", "compiled"])
ROTATION = Rotation.from_rotvec([0.4, -1.3, 2.1]).as_matrix()


def dipoles(network: EquivariantNetwork, atoms: Atoms, elements=ELEMENTS) -> np.ndarray:
    return network(seen_by(atoms, list(elements), network.cutoff)[1]).detach().numpy()


@both
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_turns_and_mirrors_with_the_structure(training, degree) -> None:
    network = equivariant(degree=degree).train(training)
    before = dipoles(network, skewed())
    assert np.abs(before).min() > 1e-4
    assert np.abs(before).max() > 0.1
    for matrix in (ROTATION, -np.eye(3), ROTATION @ np.diag([1, 1, -1])):
        after = dipoles(network, transformed(skewed(), matrix))
        assert np.abs(after - before @ matrix.T).max() <= 1e-10 * np.abs(before).max()


@both
def test_translation_permutation_and_images(training) -> None:
    network = equivariant().train(training)
    expected = dipoles(network, skewed())
    moved = skewed()
    moved.positions += [1.1, -20.3, 0.7]
    moved.positions[2] += [1, -2, 1] @ moved.cell.array
    order = [4, 0, 6, 2, 1, 5, 3]
    np.testing.assert_allclose(dipoles(network, moved[order]), expected[order], atol=1e-12)


def test_supercell_repeats_the_local_dipoles() -> None:
    network = equivariant()
    expected = np.tile(dipoles(network, skewed()), (4, 1))
    np.testing.assert_allclose(dipoles(network, skewed() * (2, 1, 2)), expected, atol=1e-12)


def test_no_vector_without_neighbours_or_at_a_centre_of_inversion() -> None:
    network = equivariant()
    assert (dipoles(network, Atoms("P")) == 0).all()
    assert np.abs(dipoles(network, tiny()[:1])).max() < 1e-12
    crystal = rock_salt()
    crystal.positions[1, 2] -= 0.3
    assert np.abs(dipoles(network, crystal)).max() < 1e-12


def test_vectors_and_invariants_are_independent() -> None:
    """None vanishes, repeats another or is a combination of others."""
    network = equivariant()
    atoms = skewed() * (2, 2, 2)
    atoms.rattle(0.3, seed=2)
    _, nb = seen_by(atoms, list(ELEMENTS), network.cutoff)
    with torch.no_grad():
        a = network.density(nb)
        channels = network.contracted(a, nb.species)
        invariants, vectors = network.invariants(a, channels), network.vectors(channels)
    oxygen = nb.species == 2
    rows = vectors[oxygen].transpose(0, 1).flatten(1)
    assert rows.shape == (network.n_vectors, 3 * 24) == (27, 72)
    rows = rows / rows.norm(dim=1, keepdim=True)
    assert torch.linalg.svdvals(rows).min() > 1e-3
    columns = invariants[nb.species == 0]
    assert columns.shape == (24, network.n_invariants) == (24, 15 + 3 * 6)
    assert columns.std(dim=0).min() > 1e-4


@pytest.mark.parametrize("l", range(5))
def test_coupling_is_that_of_a_vector(l) -> None:  # noqa: E741
    """Σ T B C turns as a vector where B and C are harmonics; for l = 0 it is the vector."""
    u, v = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    u, v = u / u.norm(), v / v.norm()

    def coupled(u: torch.Tensor, v: torch.Tensor) -> np.ndarray:
        lower = harmonics(u, l)[l * l :]
        upper = harmonics(v, l + 1)[(l + 1) ** 2 :]
        return torch.einsum("n,nma,m->a", upper, coupling(l).reshape(2 * l + 3, -1, 3), lower)

    found = coupled(u, v).numpy()
    if l == 0:
        np.testing.assert_allclose(found, v, atol=1e-13)
    assert np.linalg.norm(found) > 0.05
    for matrix in (ROTATION, -np.eye(3)):
        turned = coupled(torch.tensor(matrix) @ u, torch.tensor(matrix) @ v).numpy()
        np.testing.assert_allclose(turned, matrix @ found, atol=1e-13)


def test_degree_one_of_the_formula_written_out() -> None:
    """One channel, degree 1: D = φ(G) Σ_j w(r_j) · Σ_j w'(r_j) r̂_j."""
    network = equivariant(degree=1, channels=1, hidden=())
    _, nb = seen_by(skewed(), list(ELEMENTS), network.cutoff)
    a = network.density(nb).detach().flatten(1, 2)
    for i, s in enumerate(nb.species.tolist()):
        scalar = network.contraction[s, 0, 0] @ a[i, :, 0]
        vector = network.contraction[s, 1, 0] @ a[i, :, 1:][:, [1, 2, 0]]  # from order z, x, y
        invariants = torch.cat([a[i, :, 0], (vector @ vector)[None]])
        scaled = (invariants - network.mean[s]) / network.deviation[s]
        expected = network.networks[s](scaled) / network.size[s] * scalar * vector
        torch.testing.assert_close(network(nb)[i], expected, rtol=1e-10, atol=1e-13)


def test_derivatives_of_the_torch_implementation() -> None:
    network = equivariant(radial=3, channels=2, hidden=(3,)).train().requires_grad_(False)
    _, nb = seen_by(skewed(), list(ELEMENTS), 4.2)
    nb = nb._replace(
        species=nb.species[:1],
        first=torch.tensor([0, 5]),
        neighbour_species=nb.neighbour_species[:5],
    )
    vectors = (0.8 * nb.vectors[:5]).requires_grad_()

    def dipole(x: torch.Tensor) -> torch.Tensor:
        return network(nb._replace(vectors=x))

    assert torch.autograd.gradcheck(dipole, vectors)
    assert torch.autograd.gradgradcheck(dipole, vectors, atol=1e-6)


def test_scales_standardise_what_the_networks_see() -> None:
    network = equivariant()
    _, nb = seen_by(skewed() * (2, 2, 1), list(ELEMENTS), network.cutoff)
    a = network.density(nb).detach()
    network.set_scales(a, nb.species)
    with torch.no_grad():
        channels = network.contracted(a, nb.species)
        invariants, vectors = network.invariants(a, channels), network.vectors(channels)
    for s in range(3):
        chosen = nb.species == s
        if s == 1:
            continue
        scaled = (invariants[chosen] - network.mean[s]) / network.deviation[s]
        assert scaled.mean(dim=0).abs().max() < 1e-10
        spread = scaled.std(dim=0, correction=0)
        assert spread.max() == pytest.approx(1, abs=1e-10)
        assert spread.median() == pytest.approx(1, abs=1e-10)
        size = (vectors[chosen] / network.size[s][:, None]).square().mean(dim=(0, 2)).sqrt()
        assert size.max() == pytest.approx(1, abs=1e-10)
    absent = nb.species[chosen]
    before = network.mean[1].clone()
    network.set_scales(a[chosen], absent)
    assert torch.equal(network.mean[1], before)


def test_scales_of_environments_that_do_not_differ() -> None:
    """One atom of an element, or a perfect crystal: what never varied must not blow up later."""
    network = equivariant()
    single = skewed()[[0, 1, 2]]
    single.symbols = ["Li", "P", "O"]
    crystal = rock_salt()
    crystal.positions[1, 2] -= 0.3
    for atoms in (single, crystal * (2, 2, 2)):
        _, nb = seen_by(atoms, list(ELEMENTS), network.cutoff)
        network.set_scales(network.density(nb).detach(), nb.species)
        moved = atoms.copy()
        moved.rattle(0.05, seed=1)
        found = dipoles(network, moved)
        assert 1e-6 < np.abs(found).max() < 100
    assert (network.size[[0, 2]] == 1).all()


@both
def test_single_precision(training) -> None:
    network = equivariant().train(training)
    expected = dipoles(network, skewed())
    _, nb = seen_by(skewed(), list(ELEMENTS), 4.2, torch.float32)
    found = network.float()(nb)
    assert found.dtype == torch.float32
    assert np.abs(found.detach().numpy() - expected).max() < 1e-4 * np.abs(expected).max()


def test_configuration_and_file_make_the_network_again(tmp_path) -> None:
    network = equivariant(radial=4, degree=2, channels=2, hidden=(7, 3))
    other = EquivariantNetwork(3, **network.config())
    assert other.config() == network.config()
    other.load_state_dict(network.state_dict())
    np.testing.assert_array_equal(dipoles(other.eval(), skewed()), dipoles(network, skewed()))
    model = polarization_model(network)
    model.save(tmp_path / "model.pt")
    found = ase_bec.load(tmp_path / "model.pt")
    assert found.network.config() == network.config()
    np.testing.assert_array_equal(dipoles(found.network, skewed()), dipoles(network, skewed()))


def test_made_without_gradients_it_trains_later() -> None:
    """Constants shared between networks must not remember how the first was made."""
    coupling.cache_clear()
    with torch.inference_mode():
        equivariant()
    network = equivariant().train()
    _, nb = seen_by(skewed(), list(ELEMENTS), 4.2)
    network(nb).sum().backward()
    assert network.contraction.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"degree": 0}, "`degree` must be 1 or more, got 0"),
        ({"channels": 0}, "`channels` must be 1 or more, got 0"),
        ({"radial": 1}, "`radial` must be 2 or more, got 1"),
        ({"cutoff": -1.0}, "`cutoff` must be positive"),
        ({"cutoff": 0.5}, "`closest` must lie between 0 and 0.5 Å"),
        ({"hidden": (4, 0)}, "`sizes` must be two or more positive numbers"),
        ({"n_elements": 0}, "`n_elements` must be 1 or more, got 0"),
    ],
)
def test_refuses_bad_arguments(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        EquivariantNetwork(**{"n_elements": 2, **arguments})
