"""What NNPCalculator refuses, each by its message."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from descriptor_examples import skewed
from model_examples import potential

from ase_bec import NNPCalculator
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ([], ValueError, "`model` must be a model or a list of models, got an empty list"),
        (
            None,
            TypeError,
            "`model` must be .*, its file .*, got NoneType",
        ),
        (3.0, TypeError, "`model` must be a NeuralNetworkPotential .*, got float"),
        ([[]], TypeError, "`model` must be a NeuralNetworkPotential .*, got list"),
        (SymmetryFunctions(1, 3.0, g2=[(0, 0)]), TypeError, "`model` must be .*SymmetryFunctions"),
        ("no-such-model", FileNotFoundError, "`no-such-model` must be a model file or the name"),
        (["no/such.pt"], FileNotFoundError, "`no/such.pt` must be a model file or the name of a"),
    ],
)
def test_models(model, error, message) -> None:
    with pytest.raises(error, match=message):
        NNPCalculator(model)


@pytest.mark.parametrize("dtype", ["float16", torch.int64, np.float32, "double", 64])
def test_dtypes(dtype) -> None:
    with pytest.raises(ValueError, match="`dtype` must be float64 or float32, got"):
        NNPCalculator(potential(), dtype=dtype)


@pytest.mark.parametrize("device", ["gpu9", "cuda:77", "meta", ""])
def test_devices(device) -> None:
    with pytest.raises(ValueError, match="`device` must be a device of this machine such as 'cpu'"):
        NNPCalculator(potential(), device=device)


@pytest.mark.parametrize("skin", [-0.1, float("nan"), float("inf")])
def test_skins(skin) -> None:
    with pytest.raises(ValueError, match="`skin` must be zero or a positive, finite distance"):
        NNPCalculator(potential(), skin=skin)


def test_files(tmp_path) -> None:
    potential(seed=3).save(tmp_path / "model.pt")
    expected = NNPCalculator(potential(seed=3)).get_potential_energy(skewed())
    for model in (tmp_path / "model.pt", str(tmp_path / "model.pt"), [tmp_path / "model.pt"]):
        assert NNPCalculator(model).get_potential_energy(skewed()) == expected
    (tmp_path / "model.pt").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"model\.pt` must be a file written by model\.save"):
        NNPCalculator(tmp_path / "model.pt")


def changed(**arrays: object) -> Atoms:
    atoms = skewed()
    for name, value in arrays.items():
        setattr(atoms, name, value)
    return atoms


def with_nan() -> Atoms:
    atoms = skewed()
    atoms.positions[2, 1] = np.nan
    return atoms


def without_volume() -> Atoms:
    atoms = skewed()
    atoms.cell[2] = atoms.cell[0] - atoms.cell[1]
    return atoms


STRUCTURES = [
    (with_nan(), r"`atoms\.positions` must be finite.*for atom 2"),
    (Atoms(cell=[3, 3, 3], pbc=True), "`atoms` must hold at least one atom, got none"),
    (
        changed(numbers=[3, 3, 11, 15, 8, 8, 19]),
        "knows the elements Li, P, O, got .* of K, Na: use",
    ),
    (changed(numbers=[0, 3, 3, 15, 8, 8, 8]), r"`atoms\.numbers` must be atomic numbers"),
    (without_volume(), r"`atoms\.cell` must have non-zero, linearly independent vectors"),
    (skewed()[[0, 0]], "`atoms` must not hold two atoms in one place, got atoms 0 and 1"),
]


@pytest.mark.parametrize(("atoms", "message"), STRUCTURES)
@pytest.mark.parametrize("earlier", [False, True])
def test_structures(atoms, message, earlier) -> None:
    """Also when a list of neighbours is there from an earlier structure."""
    calc = NNPCalculator(potential())
    if earlier:
        calc.get_forces(skewed())
    for get in (calc.get_forces, calc.get_potential_energy, calc.get_stress):
        with pytest.raises(ValueError, match=message):
            get(atoms)
        assert calc.results == {}


@pytest.mark.parametrize("pbc", [False, (True, True, False), (False, False, True)])
def test_stress_needs_a_periodic_cell(pbc) -> None:
    atoms = skewed()
    atoms.wrap()
    atoms.pbc = pbc
    calc = atoms.calc = NNPCalculator(potential())
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert np.isfinite(energy)
    assert "stress" not in calc.results
    with pytest.raises(PropertyNotImplementedError, match="`stress` needs a cell that is periodic"):
        atoms.get_stress()
    assert atoms.get_potential_energy() == energy
    np.testing.assert_array_equal(atoms.get_forces(), forces)


def test_properties_that_there_are_not() -> None:
    atoms = skewed()
    atoms.calc = NNPCalculator(potential())
    for name in ("dipole", "magmoms", "born_effective_charges"):
        with pytest.raises(PropertyNotImplementedError):
            atoms.calc.get_property(name, atoms)
    assert NNPCalculator.implemented_properties == [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
    ]


def test_calculate_without_atoms() -> None:
    with pytest.raises(ValueError, match="`atoms` must be given, got none"):
        NNPCalculator(potential()).calculate()
