"""Dipole and Born charges of polarization models."""

import re

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import seen_by, skewed, tiny, water
from polarization_examples import (
    CHARGED,
    ELEMENTS,
    NETWORKS,
    NEUTRAL,
    equivariant,
    polarization_model,
    transformed,
    vaf,
)
from scipy.spatial.transform import Rotation

import ase_bec
from ase_bec import PolarizationModel
from ase_bec.calculators.charges import as_charge_source
from ase_bec.descriptors.neighbourhoods import chunks
from ase_bec.evaluation import evaluate as evaluation

networks = pytest.mark.parametrize("network", list(NETWORKS))
FIELD = np.array([0.3, -0.5, 0.8])


def numerical_charges(model: PolarizationModel, atoms: Atoms, step: float = 1e-3) -> np.ndarray:
    """Central differences of fourth order of the dipole."""
    charges = np.zeros((len(atoms), 3, 3))
    for a, j in np.ndindex(len(atoms), 3):
        values = []
        for shift in (-2, -1, 1, 2):
            moved = atoms.copy()
            moved.positions[a, j] += shift * step
            values.append(model.dipole(moved))
        charges[a, :, j] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return charges


@networks
def test_born_charges_are_the_derivative_of_the_dipole(network, implementation) -> None:
    model = polarization_model(network)
    found = model.born_charges(skewed())
    expected = numerical_charges(model, skewed())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    off = found * (1 - np.eye(3))
    assert np.abs(off - off.transpose(0, 2, 1)).max() > 0.05  # the order of the indices matters


@networks
@pytest.mark.parametrize(("charges", "total"), [(CHARGED, 2.0), (NEUTRAL, 0.0), (None, 0.0)])
def test_sum_rule(network, charges, total) -> None:
    found = polarization_model(network, charges).born_charges(skewed())
    assert np.abs(found).max() > 0.1
    np.testing.assert_allclose(found.sum(axis=0), total * np.eye(3), rtol=0, atol=1e-10)


def test_rotation_of_the_structure_rotates_charges_and_dipole() -> None:
    model = polarization_model()
    before, dipole = model.born_charges(skewed()), model.dipole(skewed())
    rotation = Rotation.from_rotvec([0.4, -1.3, 2.1]).as_matrix()
    for matrix in (rotation, -np.eye(3), rotation @ np.diag([1, 1, -1])):
        turned = transformed(skewed(), matrix)
        expected = np.einsum("ik,akl,jl->aij", matrix, before, matrix)
        np.testing.assert_allclose(model.born_charges(turned), expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(model.dipole(turned), matrix @ dipole, rtol=0, atol=1e-10)


@networks
def test_field_forces_are_those_of_the_born_charges(network) -> None:
    model = polarization_model(network)
    source = as_charge_source(model)
    expected = np.einsum("i,aij->aj", FIELD, model.born_charges(skewed()))
    for field in (FIELD, list(FIELD)):
        found = source.response(skewed(), field).forces
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    found = source.response(skewed(), np.zeros(3)).forces
    np.testing.assert_array_equal(found, np.zeros((7, 3)))


@networks
@pytest.mark.parametrize("charges", [CHARGED, NEUTRAL, None])
def test_another_image_of_an_atom_changes_the_dipole_by_its_quantum(network, charges) -> None:
    model = polarization_model(network, charges)
    before, charge = model.dipole(skewed()), model.born_charges(skewed())
    for a, shift in ((0, (1, 0, 0)), (2, (-1, 2, 1)), (6, (0, 0, -3))):
        moved = skewed()
        vector = np.array(shift) @ moved.cell.array
        moved.positions[a] += vector
        q = (charges or dict.fromkeys(ELEMENTS, 0.0))[moved.symbols[a]]
        np.testing.assert_allclose(model.dipole(moved) - before, q * vector, rtol=0, atol=1e-10)
        np.testing.assert_allclose(model.born_charges(moved), charge, rtol=0, atol=1e-11)


def test_translation_moves_the_dipole_by_the_net_charge() -> None:
    for charges, total in ((CHARGED, 2.0), (NEUTRAL, 0.0)):
        model = polarization_model(charges=charges)
        before, shift = model.dipole(skewed()), np.array([1.3, -20.0, 0.4])
        moved = skewed()
        moved.translate(shift)
        np.testing.assert_allclose(model.dipole(moved) - before, total * shift, atol=1e-10)


@networks
def test_dipole_is_formal_charges_and_the_sum_of_the_network(network) -> None:
    model = polarization_model(network)
    _, nb = seen_by(skewed(), list(ELEMENTS), model.cutoff)
    local = model.network(nb).sum(dim=0).detach().numpy()
    formal = sum(CHARGED[atom.symbol] * atom.position for atom in skewed())
    np.testing.assert_allclose(model.dipole(skewed()), formal + local, rtol=0, atol=1e-11)
    assert np.abs(local).max() > 0.1


@networks
def test_supercell_and_permutation(network) -> None:
    model = polarization_model(network, None)
    dipole, charges = model.dipole(skewed()), model.born_charges(skewed())
    order = [4, 0, 6, 2, 1, 5, 3]
    np.testing.assert_allclose(model.born_charges(skewed()[order]), charges[order], atol=1e-11)
    repeated = skewed() * (2, 1, 2)
    np.testing.assert_allclose(model.dipole(repeated), 4 * dipole, atol=1e-10)
    expected = np.tile(charges, (4, 1, 1))
    np.testing.assert_allclose(model.born_charges(repeated), expected, atol=1e-11)


@pytest.mark.parametrize("network", ["equivariant", "vaf"])  # one that sends messages must not
def test_many_centres_are_taken_in_parts(network, monkeypatch, torch_alone) -> None:
    model = polarization_model(network)
    expected = model.dipole(skewed()), model.born_charges(skewed())
    calls = []

    def in_parts(*arguments):
        calls.append(arguments)
        return chunks(*arguments[:3], chunk=3)

    monkeypatch.setattr(evaluation, "chunks", in_parts)
    again = polarization_model(network)
    np.testing.assert_allclose(again.dipole(skewed()), expected[0], atol=1e-12)
    np.testing.assert_allclose(again.born_charges(skewed()), expected[1], atol=1e-12)
    assert calls


def test_isolated_atom_has_its_formal_charge() -> None:
    atom = Atoms("P", [[1.0, 2.0, -3.0]])
    model = polarization_model()
    np.testing.assert_array_equal(model.born_charges(atom)[0], 5 * np.eye(3))
    np.testing.assert_allclose(model.dipole(atom), [5, 10, -15], atol=1e-14)


@pytest.mark.parametrize("make", [tiny, water])
def test_surfaces_and_molecules(make) -> None:
    elements = ("H", "Li", "O")
    network = equivariant(elements=elements)
    model = PolarizationModel(elements, network, {"H": 1, "Li": 1, "O": -2}).eval()
    expected = numerical_charges(model, make())
    np.testing.assert_allclose(model.born_charges(make()), expected, rtol=0, atol=1e-6)


@networks
def test_single_precision(network) -> None:
    """The formal part keeps its digits: far from the origin it is most of the dipole."""
    model = polarization_model(network, {"Li": 1 / 3, "P": 5.0, "O": -2.0})
    atoms = skewed()
    dipole, charges = model.dipole(atoms), model.born_charges(atoms)
    model.float()
    assert 0 < np.abs(model.dipole(atoms) - dipole).max() < 1e-4
    assert 0 < np.abs(model.born_charges(atoms) - charges).max() < 1e-4
    assert np.abs(model.born_charges(atoms).sum(axis=0)).max() < 1e-5  # 3/3 + 5 - 3·2
    shifted = atoms.copy()
    shifted.positions[0] += 1e3 * atoms.cell[0]
    quantum = model.dipole(shifted) - model.dipole(atoms)
    assert np.abs(quantum - 1e3 * atoms.cell[0] / 3).max() < 1e-3
    assert model.dipole(atoms).dtype == model.born_charges(atoms).dtype == np.float64


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_switched_off(context) -> None:
    expected = polarization_model().born_charges(skewed())
    model = polarization_model()
    with context():
        found = model.born_charges(skewed())
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(model.born_charges(skewed()), expected)


def test_warns_where_it_is_single_valued() -> None:
    message = "without formal charges is single-valued.*no lasting current"
    with pytest.warns(UserWarning, match=message):
        model = PolarizationModel(ELEMENTS, equivariant(), None)
    assert model.formal_charges is None


def test_loading_does_not_warn_again(tmp_path) -> None:
    polarization_model(charges=None).save(tmp_path / "model.pt")
    found = ase_bec.load(tmp_path / "model.pt")
    assert found.formal_charges is None
    np.testing.assert_allclose(found.born_charges(skewed()).sum(axis=0), 0, atol=1e-10)


@networks
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_file_holds_the_whole_model(network, dtype, tmp_path) -> None:
    model = polarization_model(network, {"Li": 1, "P": np.float64(5.0), "O": -2.1}).to(dtype)
    model.metadata["note"] = {"rmse": 0.1}
    model.save(tmp_path / "model.pt")
    found = ase_bec.load(tmp_path / "model.pt")
    assert isinstance(found, PolarizationModel)
    assert not found.training
    assert found.config() == model.config()
    assert found.metadata == model.metadata
    assert found.formal_charges == {"Li": 1.0, "P": 5.0, "O": -2.1}
    np.testing.assert_array_equal(found.born_charges(skewed()), model.born_charges(skewed()))
    np.testing.assert_array_equal(found.dipole(skewed()), model.dipole(skewed()))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"formal_charges": {"Li": 1, "P": 5}}, ValueError, "a finite charge for each of Li, P, O"),
        ({"formal_charges": {**CHARGED, "S": -2}}, ValueError, "a finite charge for each of"),
        ({"formal_charges": {**CHARGED, "O": np.nan}}, ValueError, "a finite charge .*nan"),
        ({"formal_charges": {**CHARGED, "O": "-2"}}, ValueError, "a finite charge .*'-2'"),
        ({"formal_charges": {**CHARGED, "O": None}}, ValueError, "a finite charge .*None"),
        ({"formal_charges": [1, 5, -2]}, TypeError, "must be a dict of element and charge, .*list"),
        ({"elements": ("Li", "O")}, ValueError, "`network` must be made for 2 elements, got 3"),
        ({"elements": ("Li", "Li", "O")}, ValueError, "`elements` must be different"),
        ({"network": torch.nn.Linear(3, 3)}, TypeError, "`network` must be an Equiv.*got Linear"),
    ],
)
def test_refuses_bad_arguments(arguments, error, message) -> None:
    given = {"elements": ELEMENTS, "network": vaf(), "formal_charges": CHARGED, **arguments}
    with pytest.raises(error, match=message):
        PolarizationModel(**given)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, atoms: model.dipole(atoms),
        lambda model, atoms: model.born_charges(atoms),
        lambda model, atoms: as_charge_source(model).response(atoms, FIELD),
        lambda model, atoms: as_charge_source(model).born_charges(atoms),
        lambda model, atoms: as_charge_source(model).dipole(atoms),
        lambda model, atoms: as_charge_source(model).check(atoms, FIELD),
    ],
)
def test_unknown_elements_are_named(call) -> None:
    atoms = skewed()
    atoms.symbols[[0, 3]] = ["Na", "K"]
    with pytest.raises(ValueError, match="knows the elements Li, P, O, got atoms of K, Na"):
        call(polarization_model(), atoms)


@pytest.mark.parametrize("field", [(1, 2), 1.0, (0, np.nan, 1), np.eye(3)])
def test_field_must_be_a_vector(field) -> None:
    message = re.escape("`field` must be three finite numbers in V/Å")
    with pytest.raises(ValueError, match=message):
        as_charge_source(polarization_model()).response(skewed(), field)
