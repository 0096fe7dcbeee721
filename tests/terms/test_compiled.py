"""Compiled rules of terms against torch's differentiation of them, and when they are taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import seen_by, skewed
from model_examples import potential
from polarization_examples import ELEMENTS, along, equivariant, message_passing, vaf

from ase_bec.evaluation.evaluate import evaluate
from ase_bec.system import System
from ase_bec.terms import compiled
from ase_bec.terms.equivariant import EquivariantNetwork
from ase_bec.terms.model import Model
from ase_bec.terms.repulsion import CoreRepulsion
from ase_bec.terms.term import Term

DIRECTION = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)
CPU = torch.device("cpu")


def structure() -> Atoms:
    atoms = skewed() * (2, 1, 2)
    atoms.rattle(0.1, seed=2)
    return atoms


def system_of(atoms: Atoms, reach: float) -> System:
    return seen_by(atoms, list(ELEMENTS), reach)[0]


def both(
    network: EquivariantNetwork, system: System, direction: torch.Tensor = DIRECTION
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Dipoles and slope, compiled and by torch."""
    found = []
    for training in (False, True):
        network.train(training)
        assert (network.rule(CPU) is None) == training
        found.append(tuple(x.numpy() for x in along(network, system, direction)))
    network.eval()
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"radial": 5, "channels": 3, "hidden": (8,)},
        {"radial": 6, "channels": 8, "hidden": (48, 33), "degree": 3},
        {"radial": 3, "channels": 1, "hidden": (), "degree": 1},
        {"radial": 4, "channels": 5, "hidden": (7, 6, 5), "degree": 5},
    ],
)
def test_equals_torch(options) -> None:
    network = equivariant(**options)
    system = system_of(structure(), network.cutoff + 0.5)
    (dipoles, slope), (expected, derivative) = both(network, system)
    assert np.abs(expected).max() > 0.05
    assert np.abs(derivative).max() > 0.01
    np.testing.assert_allclose(dipoles, expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(slope, derivative, rtol=0, atol=1e-11)


@pytest.mark.parametrize("axis", range(3))
def test_equals_torch_along_each_axis(axis) -> None:
    network = equivariant(channels=4)
    system = system_of(structure(), network.cutoff)
    (_, slope), (_, derivative) = both(network, system, torch.eye(3)[axis].double())
    np.testing.assert_allclose(slope, derivative, rtol=0, atol=1e-11)


def test_equals_torch_in_single_precision() -> None:
    network = equivariant().float()
    (dipoles, slope), (expected, derivative) = both(network, system_of(structure(), network.cutoff))
    np.testing.assert_allclose(dipoles, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(slope, derivative, rtol=0, atol=1e-4 * np.abs(derivative).max())


def test_large_arguments_of_the_activation() -> None:
    """Where exp(-z) would overflow, and where SiLU is its argument."""
    network = equivariant()
    with torch.no_grad():
        for parameter in network.networks.parameters():
            parameter *= 300
    (dipoles, slope), (expected, derivative) = both(network, system_of(structure(), network.cutoff))
    np.testing.assert_allclose(dipoles, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(slope, derivative, rtol=0, atol=1e-12 * np.abs(derivative).max())


def test_atoms_without_neighbours() -> None:
    network = equivariant()
    atoms = Atoms("LiP", positions=[(0, 0, 0), (0, 0, 4.4)])
    (dipoles, slope), (expected, derivative) = both(network, system_of(atoms, 5.0))
    assert not expected.any()
    np.testing.assert_array_equal(dipoles, expected)
    np.testing.assert_array_equal(slope, derivative)


def repulsive() -> CoreRepulsion:
    term = CoreRepulsion(3)
    term.closest.fill_(2.5)
    return term.eval()


FAST = {"g4": (), "g5": [(0.02, 1, 1), (0.02, 4, -1)]}
COMPILED: dict[str, Callable[[], Term]] = {
    "equivariant": equivariant,
    "symmetry-functions": lambda: potential(**FAST).network,
    "core-repulsion": repulsive,
}
terms = pytest.mark.parametrize("make", list(COMPILED.values()), ids=list(COMPILED))


@terms
def test_threads_give_the_same(make, two_threads) -> None:
    """To the last bit what belongs to one centre; sums over threads to rounding."""
    model = Model(ELEMENTS, [make()])
    atoms = structure() * ((4, 4, 5) if model.terms[0].kind == "core-repulsion" else 1)
    system = system_of(atoms, model.cutoff)
    shared = evaluate(model, system, DIRECTION)
    torch.set_num_threads(1)
    alone = evaluate(model, system, DIRECTION)
    assert compiled.thread_count(len(atoms)) == 1
    assert shared.energies.abs().max() > 0.01
    assert torch.equal(shared.energies, alone.energies)
    assert torch.equal(shared.outside, alone.outside)
    assert torch.equal(shared.dipole, alone.dipole)
    for name in ("forces", "virial"):
        found, expected = getattr(shared, name), getattr(alone, name)
        scale = expected.abs().max().item()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14 * scale)


@terms
def test_positions_that_are_no_numbers_show(make) -> None:
    system = system_of(structure(), 4.2)
    positions = system.positions.clone()
    positions[3, 1] = torch.nan
    for training in (False, True):
        model = Model(ELEMENTS, [make().train(training)])
        found = evaluate(model, system.with_positions(positions), DIRECTION)
        assert found.energies.isnan().any()
        assert found.forces.isnan().any()


@terms
def test_what_the_kernel_serves(make, monkeypatch) -> None:
    assert make().rule(CPU) is not None
    assert make().train().rule(CPU) is None  # a second derivative may be wanted
    assert make().rule(torch.device("meta")) is None
    monkeypatch.setattr(compiled, "HAS_NUMBA", False)
    assert make().rule(CPU) is None


@terms
def test_a_term_that_computes_something_else_is_not_taken_for_what_it_was_made_of(make) -> None:
    """A kernel knows one formula; a class that inherits from its term may have another."""
    term, system = make(), system_of(structure(), 4.2)
    before = evaluate(Model(ELEMENTS, [term]), system, DIRECTION)
    base = type(term)

    class Twice(base):
        def with_outside(self, nb):
            value, outside = super().with_outside(nb)
            return 2 * value, outside

    term.__class__ = Twice
    assert term.rule(CPU) is None
    after = evaluate(Model(ELEMENTS, [term]), system, DIRECTION)
    assert before.forces.abs().max() > 0.01
    scale = before.forces.abs().max().item()
    torch.testing.assert_close(after.forces, 2 * before.forces, rtol=0, atol=1e-10 * scale)


def changed(term: Term, change: Callable[[Term], None]) -> Term:
    change(term)
    return term


def other_activation(term: Term) -> None:
    networks = getattr(term.networks, "networks", term.networks)
    networks[1][1] = torch.nn.Sigmoid()


def frozen_layer(term: Term) -> None:
    """A layer that is a Linear and more, as low-rank updates and the like make it."""
    networks = getattr(term.networks, "networks", term.networks)

    class Own(torch.nn.Linear):
        pass

    networks[0][0].__class__ = Own


def mixed(term: Term) -> None:
    next(term.parameters()).data = next(term.parameters()).data.float()


@pytest.mark.parametrize("change", [other_activation, frozen_layer, mixed])
@pytest.mark.parametrize("name", ["equivariant", "symmetry-functions"])
def test_what_the_kernel_does_not_know_is_left_to_torch(name, change) -> None:
    assert changed(COMPILED[name](), change).rule(CPU) is None


def test_functions_that_the_kernel_does_not_know_are_left_to_torch() -> None:
    assert vaf().rule(CPU) is None
    assert message_passing().rule(CPU) is None
    assert message_passing().dipoles.rule(CPU) is None  # of more kinds than elements
    assert potential(g4=[(0.01, 2, -1)], g5=()).network.rule(CPU) is None
    assert potential(g4=(), g5=[(0.02, 2.5, 1)]).network.rule(CPU) is None


@pytest.mark.parametrize("make", [equivariant, vaf, message_passing, lambda: potential().network])
def test_without_numba_the_answer_is_the_same(make, request) -> None:
    model, system = Model(ELEMENTS, [make()]), system_of(structure(), 4.2)
    expected = evaluate(model, system, DIRECTION)
    request.getfixturevalue("torch_alone")
    assert make().rule(CPU) is None
    found = evaluate(model, system, DIRECTION)
    for name in ("energies", "forces", "virial", "dipole"):
        one, other = getattr(found, name), getattr(expected, name)
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10 * max(other.abs().max(), 1))
