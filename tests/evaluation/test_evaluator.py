"""From atoms to numbers: precision, batches, threads, what is kept, and what is said."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import skewed
from model_examples import potential
from polarization_examples import NETWORKS, polarization_model

from ase_bec.evaluation import evaluator as module
from ase_bec.evaluation.evaluator import Evaluator, Values
from ase_bec.terms.model import Model

FIELD = np.array([0.03, -0.05, 0.08])


def energetic() -> Model:
    model = potential(margin=0.8)
    model.repulsion.closest.fill_(2.5)
    return model


MODELS = {"potential": energetic} | {
    name: lambda name=name: polarization_model(name) for name in NETWORKS
}
models = pytest.mark.parametrize("make", list(MODELS.values()), ids=list(MODELS))


def structure(seed: int = 0) -> Atoms:
    atoms = skewed()
    atoms.rattle(0.05, seed=seed)
    return atoms


def frames() -> list[Atoms]:
    """Of different sizes and cells, periodic or not, one atom alone."""
    strained = structure(1) * (1, 2, 1)
    strained.set_cell(strained.cell.array * 1.03, scale_atoms=True)
    slab = structure(2)
    slab.pbc = (True, False, True)
    cluster = structure(3)[:5]
    cluster.set_cell(None)
    cluster.pbc = False
    alone = Atoms("P", [[1.0, 2.0, -3.0]])
    return [structure(), strained, slab, alone, cluster, structure(4)]


def check_equal(found: Values, expected: Values, tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        scale = max(np.abs(other).max(), 1.0)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


@models
@pytest.mark.parametrize("cells", [0, 1000])
@pytest.mark.parametrize("away", [0.0, 1e4])
def test_single_precision_far_from_the_origin(make, cells, away, implementation) -> None:
    """Forces to its rounding, where single atoms or all are moved away; also after a short step."""
    evaluator = Evaluator(make(), "anything", dtype="float32")
    exact = Evaluator(make(), "anything")
    near = structure()
    far = near.copy()
    far.positions += away * np.array([1.0, -1.0, 0.3])
    shifts = cells * np.random.default_rng(0).integers(-1, 2, (7, 3))
    far.positions += shifts @ far.cell.array
    for _ in range(2):
        expected = evaluator.values(near, FIELD)[0]
        found = evaluator.values(far, FIELD)[0]
        scale = np.abs(expected.forces).max()
        assert scale > 0.01
        assert np.abs(found.forces - expected.forces).max() < 3e-6 * scale
        assert np.abs(found.virial - expected.virial).max() < 1e-5 * np.abs(expected.virial).max()
        true = exact.values(near, FIELD)[0].forces
        assert 0 < np.abs(found.forces - true).max() < 1e-4 * scale
        for atoms in (near, far):
            atoms.positions[2] += (0.01, -0.02, 0.015)


@pytest.mark.parametrize("network", list(NETWORKS))
def test_single_precision_of_born_charges_far_from_the_origin(network) -> None:
    evaluator = Evaluator(polarization_model(network), "anything", dtype="float32")
    near, far = structure(), structure()
    far.positions += 1e4
    far.positions[3] -= 500 * far.cell.array[1]
    expected = evaluator.born_charges(near)
    found = evaluator.born_charges(far)
    assert np.abs(found - expected).max() < 3e-6 * np.abs(expected).max()


@models
def test_a_batch_is_a_loop(make) -> None:
    evaluator = Evaluator(make(), "anything")
    fields = np.random.default_rng(0).normal(size=(6, 3))
    for given in (None, fields):
        found = list(evaluator.batch(frames(), given))
        each = [None] * 6 if given is None else given
        for (values,), atoms, field in zip(found, frames(), each, strict=True):
            (expected,) = Evaluator(make(), "anything").values(atoms, field)
            assert [x.shape for x in values] == [x.shape for x in expected]
            check_equal(values, expected, 1e-12)


@models
def test_batches_are_taken_in_parts(make, monkeypatch) -> None:
    """No more atoms at once than are set, and every frame once, in order."""
    evaluator = Evaluator(make(), "anything")
    whole = list(evaluator.batch(frames(), np.tile(FIELD, (6, 1))))
    sizes = []
    from_atoms = module.System.from_atoms

    def counted(atoms, *arguments):
        sizes.append([len(a) for a in atoms])
        return from_atoms(atoms, *arguments)

    monkeypatch.setattr(module.System, "from_atoms", counted)
    for most, expected in ((1, [[7], [14], [7], [1], [5], [7]]), (21, [[7, 14], [7, 1, 5, 7]])):
        monkeypatch.setattr(module, "_BATCH", most)
        sizes.clear()
        found = list(evaluator.batch(frames(), np.tile(FIELD, (6, 1))))
        assert sizes == expected
        for (values,), (other,) in zip(found, whole, strict=True):
            check_equal(values, other, 1e-12)
    assert list(evaluator.batch([])) == []


@pytest.mark.parametrize("network", list(NETWORKS))
def test_batches_of_born_charges_are_loops(network) -> None:
    evaluator = Evaluator(polarization_model(network), "anything")
    for found, atoms in zip(evaluator.batch_born_charges(frames()), frames(), strict=True):
        expected = Evaluator(polarization_model(network), "anything").born_charges(atoms)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@models
def test_two_threads_are_one(make, two_threads) -> None:
    atoms = structure() * (2, 2, 2)
    found, charges = [], []
    for threads in (2, 1):
        torch.set_num_threads(threads)
        evaluator = Evaluator(make(), "anything")
        found.append(evaluator.values(atoms, FIELD)[0])
        if evaluator.models[0].has_dipole:
            charges.append(evaluator.born_charges(atoms))
    check_equal(*found, 1e-12)
    if charges:
        np.testing.assert_allclose(*charges, rtol=0, atol=1e-12)


@models
@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(make, make_copy) -> None:
    evaluator = Evaluator(make(), "anything", dtype="float32", skin=0.3)
    expected = evaluator.values(structure(), FIELD)[0]
    other = make_copy(evaluator)
    check_equal(other.values(structure(), FIELD)[0], expected, 0.0)
    assert (other.cutoff, other.dtype, other.device) == (
        evaluator.cutoff,
        torch.float32,
        evaluator.device,
    )
    assert other.neighbour_builds == 1
    check_equal(evaluator.values(structure(), FIELD)[0], expected, 0.0)


def test_committees_are_evaluated_on_one_list() -> None:
    """Of other cutoffs and orders of elements; each member as it is alone."""
    members = [
        potential(0, margin=9),
        potential(1, cutoff=3.1, elements=("O", "Li", "P"), margin=9),
        potential(2, elements=("Na", "P", "O", "Li"), offsets=(0, 1, 2, 3), margin=9),
    ]
    evaluator = Evaluator(members, "anything")
    assert evaluator.cutoff == 4.2
    found = evaluator.values(structure())
    assert evaluator.neighbour_builds == 1
    batch = list(evaluator.batch(frames()))
    for k, member in enumerate(members):
        alone = Evaluator(member, "anything")
        check_equal(found[k], alone.values(structure())[0], 1e-12)
        for values, atoms in zip(batch, frames(), strict=True):
            check_equal(values[k], alone.values(atoms)[0], 1e-12)


def test_committees_of_born_charges_give_the_mean() -> None:
    members = [polarization_model("equivariant"), polarization_model("vaf")]
    found = Evaluator(members, "anything").born_charges(structure())
    expected = np.mean([m.born_charges(structure()) for m in members], axis=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="knows the elements Li, P, O, got atoms of Na"):
        Evaluator(members, "anything").check_elements(Atoms("Na"))


@models
def test_elements_are_those_of_the_structure_at_hand(make) -> None:
    """One evaluator for structures that differ in nothing but their elements."""
    evaluator, changed = Evaluator(make(), "anything"), structure()
    before = evaluator.values(structure(), FIELD)[0]
    changed.numbers[:] = np.roll(changed.numbers, 2)
    expected = Evaluator(make(), "anything").values(changed, FIELD)[0]
    check_equal(evaluator.values(changed, FIELD)[0], expected, 0.0)
    assert np.abs(expected.forces - before.forces).max() > 1e-3


def test_said_once_by_whatever_is_asked_first() -> None:
    crowded = structure()
    crowded.set_cell(0.8 * crowded.cell, scale_atoms=True)
    asked = [
        lambda evaluator: evaluator.values(crowded),
        lambda evaluator: list(evaluator.batch([structure(), crowded])),
    ]
    for first in asked:
        evaluator = Evaluator(potential(margin=0.3), "energies")
        with pytest.warns(UserWarning, match="7 of 7 atoms have an environment outside.*energies"):
            first(evaluator)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for again in asked:
                again(evaluator)
    assert copy.deepcopy(evaluator).warned
