"""What holds for every term and every sum of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from contract_examples import ELEMENTS, MODELS, Example, structure

from ase_bec import load
from ase_bec.evaluation.evaluate import Response, born_charges, evaluate, polarizability, rules_of
from ase_bec.evaluation.evaluator import Evaluator
from ase_bec.system import System
from ase_bec.terms.model import Model

FIELD = np.array([0.03, -0.05, 0.07])
examples = pytest.mark.parametrize("example", MODELS, ids=lambda e: e.name.replace(" ", "-"))
CPU = torch.device("cpu")


def respond(model: Model, atoms: Atoms | Sequence[Atoms], field=FIELD, **options) -> Response:
    system = System.from_atoms(atoms, max(model.cutoff, 0.1) + 0.3)
    given = None if field is None else torch.as_tensor(np.asarray(field), dtype=torch.float64)
    return evaluate(model.eval(), system, given, **options)


def enthalpy(model: Model, atoms: Atoms, field=FIELD) -> float:
    return float(respond(model, atoms, field).energy[0])


def formal_charges(model: Model, atoms: Atoms) -> np.ndarray:
    """Charges with which positions, not differences of them, enter the dipole."""
    species = torch.tensor([ELEMENTS.index(s) for s in atoms.symbols])
    charges = np.zeros(len(atoms))
    for term in model.terms:
        if term.kind == "formal-charges":
            charges += term.of(species).numpy()
        elif term.kind == "split-charges":
            charges += term.formal_charges(species).numpy()
    return charges


def net_charge(model: Model, atoms: Atoms) -> float:
    return float(formal_charges(model, atoms).sum())


def without_formal(model: Model, atoms: Atoms) -> Response:
    """Response less Σ q r in the dipole and its energy."""
    found, dipole = respond(model, atoms), formal_charges(model, atoms) @ atoms.positions
    own = torch.as_tensor(dipole)
    return replace(found, energy=found.energy + FIELD @ dipole, dipole=found.dipole - own)


def assert_same(found: Response, expected: Response, tolerance: float, **names) -> None:
    for name in ("energy", "energies", "forces", "virial", "dipole", "outside"):
        one, other = getattr(found, name), getattr(expected, name)
        scale = max(float(other.abs().max()), 1.0)
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * scale)


@examples
def test_translation(example: Example) -> None:
    model, atoms, shift = example.make(), structure(), np.array([1.3, -20.1, 7.7])
    before = respond(model, atoms)
    atoms.positions += shift
    after = respond(model, atoms)
    charge = net_charge(model, atoms)
    assert after.dipole[0].numpy() == pytest.approx(before.dipole[0].numpy() + charge * shift)
    expected = float(before.energy[0]) - charge * FIELD @ shift
    assert float(after.energy[0]) == pytest.approx(expected, abs=1e-10)
    for name in ("forces", "virial", "outside"):
        found, wanted = getattr(after, name), getattr(before, name)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


@examples
def test_images(example: Example) -> None:
    """An atom moved by a lattice vector changes no force, and the dipole by its charge."""
    model, atoms = example.make(), structure()
    before = respond(model, atoms)
    lattice = np.array([1, -2, 1]) @ atoms.cell.array
    atoms.positions[2] += lattice
    after = respond(model, atoms)
    charge = formal_charges(model, atoms)[2]
    assert after.dipole[0].numpy() == pytest.approx(
        before.dipole[0].numpy() + charge * lattice, abs=1e-10
    )
    torch.testing.assert_close(after.forces, before.forces, rtol=0, atol=1e-10)
    torch.testing.assert_close(after.virial, before.virial, rtol=0, atol=1e-10)


@examples
def test_rotation(example: Example) -> None:
    model, atoms = example.make(), structure()
    if example.turns:
        turn = -np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
        assert round(np.linalg.det(turn)) == -1  # a reflection is among them
    else:
        turn = np.eye(3)[[1, 2, 0]]
    before = respond(model, atoms)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T)
    turned.positions = atoms.positions @ turn.T
    after = respond(model, turned, turn @ FIELD)
    assert float(after.energy[0]) == pytest.approx(float(before.energy[0]), abs=1e-9)
    q = torch.as_tensor(turn)
    torch.testing.assert_close(after.forces, before.forces @ q.T, rtol=0, atol=1e-9)
    torch.testing.assert_close(after.dipole, before.dipole @ q.T, rtol=0, atol=1e-9)
    torch.testing.assert_close(after.virial, q @ before.virial @ q.T, rtol=0, atol=1e-9)


@examples
def test_permutation(example: Example) -> None:
    model, atoms = example.make(), structure()
    order = np.random.default_rng(2).permutation(len(atoms))
    before, after = respond(model, atoms), respond(model, atoms[order])
    assert float(after.energy[0]) == pytest.approx(float(before.energy[0]), abs=1e-10)
    torch.testing.assert_close(after.dipole, before.dipole, rtol=0, atol=1e-10)
    for name in ("forces", "outside", "energies"):
        found, wanted = getattr(after, name), getattr(before, name)[order]
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


@examples
def test_supercells_are_so_many_cells(example: Example) -> None:
    """Without what formal charges have of positions, which grows with them."""
    model, atoms = example.make(), structure()
    terms = [term for term in model.terms if term.kind != "formal-charges"]
    if not terms:
        pytest.skip("nothing but formal charges, whose energy grows with the positions")
    model = Model(model.elements, terms)
    one, many = (without_formal(model, a) for a in (atoms, atoms * (2, 1, 3)))
    assert float(many.energy[0]) == pytest.approx(6 * float(one.energy[0]), abs=1e-9)
    torch.testing.assert_close(many.forces, one.forces.repeat(6, 1), rtol=0, atol=1e-9)
    torch.testing.assert_close(many.virial, 6 * one.virial, rtol=0, atol=1e-9)
    torch.testing.assert_close(many.dipole, 6 * one.dipole, rtol=0, atol=1e-9)


@examples
def test_forces_are_the_gradient(example: Example) -> None:
    model, atoms, step = example.make(), structure(), 1e-4
    forces = respond(model, atoms).forces
    scale = max(float(forces.abs().max()), 1.0)
    for atom, axis in [(0, 0), (1, 2), (3, 1), (5, 0), (6, 2)]:
        values = []
        for shift in (-2, -1, 1, 2):
            moved = atoms.copy()
            moved.positions[atom, axis] += shift * step
            values.append(enthalpy(model, moved))
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        assert float(forces[atom, axis]) == pytest.approx(-slope, abs=2e-8 * scale)


@examples
def test_dipole_is_the_derivative_by_the_field(example: Example) -> None:
    model, atoms = example.make(), structure()
    dipole = respond(model, atoms).dipole[0].numpy()
    for axis, unit in enumerate(np.eye(3)):
        ends = [enthalpy(model, atoms, FIELD + sign * unit) for sign in (1, -1)]
        assert dipole[axis] == pytest.approx((ends[1] - ends[0]) / 2, abs=1e-9)


@examples
def test_virial_is_the_derivative_by_strain_at_fixed_voltages(example: Example) -> None:
    model, atoms, step = example.make(), structure(), 1e-4
    voltages = atoms.cell.array @ FIELD
    virial = respond(model, atoms).virial[0].numpy()
    assert virial == pytest.approx(virial.T, abs=0)
    scale = max(np.abs(virial).max(), 1.0)
    for i, j in [(0, 0), (1, 2), (2, 2), (0, 1)]:
        values = []
        for size in (-2, -1, 1, 2):
            strain = np.eye(3)
            strain[i, j] += size * step / 2
            strain[j, i] += size * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            field = np.linalg.solve(strained.cell.array, voltages)
            values.append(enthalpy(model, strained, field))
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        assert virial[i, j] == pytest.approx(slope, abs=1e-7 * scale)


@examples
def test_virial_is_the_same_on_every_branch(example: Example) -> None:
    model, atoms = example.make(), structure()
    expected = respond(model, atoms).virial
    for shift in ([1, 0, 0], [0, -2, 3]):
        atoms.positions[4] += np.array(shift) @ atoms.cell.array
        torch.testing.assert_close(respond(model, atoms).virial, expected, rtol=0, atol=1e-10)


@examples
def test_born_charges_are_derivatives_of_forces_and_of_the_dipole(example: Example) -> None:
    model, atoms, step = example.make(), structure(), 1e-4
    if not model.has_dipole:
        pytest.skip("does not feel a field")
    system = System.from_atoms(atoms, max(model.cutoff, 0.1) + 0.3)
    charges = born_charges(model, system, torch.as_tensor(FIELD)).numpy()
    for axis, unit in enumerate(np.eye(3)):
        plus, minus = (respond(model, atoms, FIELD + s * unit).forces.numpy() for s in (1, -1))
        assert charges[:, axis] == pytest.approx((plus - minus) / 2, abs=1e-10)
    for atom, axis in [(1, 0), (4, 2)]:
        dipoles = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            dipoles.append(respond(model, moved).dipole[0].numpy())
        slope = (dipoles[0] - dipoles[1]) / (2 * step)
        assert charges[atom, :, axis] == pytest.approx(slope, abs=1e-6)
    total = charges.sum(axis=0)
    assert total == pytest.approx(net_charge(model, atoms) * np.eye(3), abs=1e-9)


@examples
def test_polarizability_is_the_derivative_of_the_dipole(example: Example) -> None:
    model, atoms = example.make(), structure()
    if not model.has_dipole:
        pytest.skip("does not feel a field")
    system = System.from_atoms(atoms, max(model.cutoff, 0.1) + 0.3)
    alpha = polarizability(model, system)[0].numpy()
    assert alpha == pytest.approx(alpha.T, abs=1e-10)
    change = [respond(model, atoms, s * FIELD).dipole[0].numpy() for s in (1, 0)]
    assert alpha @ FIELD == pytest.approx(change[0] - change[1], abs=1e-9)
    quadratic = any(term.in_field == "quadratic" for term in model.terms)
    assert (np.abs(alpha).max() > 1e-3) == quadratic


@examples
def test_compiled_is_torch(example: Example) -> None:
    model = example.make().eval()
    for atoms in (structure(), structure(3) * (2, 1, 1)):
        plain = respond(model, atoms, rules=[None] * len(model.terms))
        assert_same(respond(model, atoms), plain, 1e-10)


@examples
def test_batch_is_loop(example: Example) -> None:
    model = example.make()
    small = structure()[[0, 2, 5]]
    frames = [structure(), small, structure(1) * (1, 2, 1), structure(2)[[0]], small]
    frames[2].set_cell(frames[2].cell.array * 1.03, scale_atoms=True)
    fields = np.random.default_rng(0).normal(size=(len(frames), 3)) * 0.1
    for rules in (rules_of(model.eval(), CPU), [None] * len(model.terms)):
        batch = respond(model, frames, fields, rules=rules)
        singles = [respond(model, f, e, rules=rules) for f, e in zip(frames, fields, strict=True)]
        for name in ("energy", "energies", "forces", "virial", "dipole", "outside"):
            found = getattr(batch, name)
            expected = torch.cat([getattr(single, name) for single in singles])
            scale = max(float(expected.abs().max()), 1.0)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 * scale)


@examples
def test_threads_change_nothing(example: Example, two_threads) -> None:
    model, atoms = example.make(), structure() * (2, 2, 2)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(respond(model, atoms))
    assert_same(found[1], found[0], 1e-12)


@examples
def test_single_precision_is_near(example: Example) -> None:
    double, single = example.make(), example.make().float()
    atoms = structure()
    expected = respond(double, atoms)
    for found in (respond(single, atoms), respond(single, atoms, rules=[None] * len(single.terms))):
        scale = max(float(expected.forces.abs().max()), 1.0)
        torch.testing.assert_close(found.forces, expected.forces, rtol=0, atol=1e-4 * scale)
        torch.testing.assert_close(found.energy, expected.energy, rtol=1e-4, atol=1e-4)


@examples
@pytest.mark.parametrize("elements", [["Li"], ["Li", "P", "O"]], ids=len)
def test_atoms_without_neighbours(example: Example, elements: list[str]) -> None:
    model = example.make()
    atoms = Atoms(elements, [[20.0 * k, 3.0, 1.0] for k in range(len(elements))])
    for rules in (rules_of(model.eval(), CPU), [None] * len(model.terms)):
        found = respond(model, atoms, rules=rules)
        expected = net_charge(model, atoms) * FIELD
        assert found.forces.sum(dim=0).numpy() == pytest.approx(expected, abs=1e-12)
        if model.has_charges:
            continue  # charges see each other across any distance
        singles = (atoms[[k]] for k in range(len(atoms)))
        alone = np.concatenate([respond(model, a, rules=rules).energies for a in singles])
        assert found.energies.numpy() == pytest.approx(alone, abs=1e-12)


@examples
def test_smooth_at_the_cutoff(example: Example) -> None:
    """A neighbour that comes in changes neither energy nor force at once."""
    model = example.make()
    if model.cutoff < 0.5:
        pytest.skip("no neighbours")
    for rules in (rules_of(model.eval(), CPU), [None] * len(model.terms)):
        found = []
        for distance in (model.cutoff + 1e-6, model.cutoff - 1e-6):
            atoms = Atoms("LiPO", [[0, 0, 0], [0, 1.9, 0], [distance, 0, 0]])
            found.append(respond(model, atoms, rules=rules))
        way = 2e-6 * found[0].forces[2, 0]  # the work of what acts at any distance
        change = found[1].energy[0] - found[0].energy[0]
        torch.testing.assert_close(change, way, rtol=0, atol=1e-6)
        torch.testing.assert_close(found[0].forces, found[1].forces, rtol=0, atol=1e-4)


@examples
def test_elements_that_are_unknown(example: Example) -> None:
    with pytest.raises(ValueError, match="knows the elements Li, P, O, got atoms of Cs"):
        respond(example.make(), Atoms("LiCs", [[0, 0, 0], [0, 0, 2]]))


@examples
def test_positions_that_are_no_numbers_are_refused(example: Example) -> None:
    evaluator = Evaluator(example.make(), "anything")
    atoms = structure()
    evaluator.values(atoms)
    atoms.positions[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"`atoms.positions` must be finite"):
        evaluator.values(atoms)


@examples
def test_copies_and_pickles(example: Example) -> None:
    model = example.make().eval()
    expected = respond(model, structure())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same(respond(other, structure()), expected, 0.0)


@examples
def test_files(example: Example, tmp_path, toys_in_the_table) -> None:
    model = example.make().eval()
    model.metadata["note"] = "as it was"
    model.save(tmp_path / "model.pt")
    again = load(tmp_path / "model.pt")
    assert type(again) is Model
    assert again.metadata == {"note": "as it was"}
    assert again.config() == model.config()
    assert_same(respond(again, structure()), respond(model, structure()), 0.0)


def test_the_examples_name_every_term(toys_in_the_table) -> None:
    from ase_bec.terms.table import TERMS

    named = {term.kind for example in MODELS for term in example.make().terms}
    assert named == set(TERMS)
