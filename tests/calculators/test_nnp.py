"""NNPCalculator: the numbers."""

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import skewed, water
from model_examples import in_torch, potential, total_energy

from ase_bec import NNPCalculator

SEEDS = (0, 1, 2, 3)


def left_handed() -> Atoms:
    atoms = skewed()
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    assert atoms.cell.handedness == -1
    return atoms


def slab() -> Atoms:
    atoms = skewed()
    atoms.wrap()
    atoms.pbc = (True, True, False)
    return atoms


def cluster() -> Atoms:
    atoms = skewed()
    atoms.wrap()
    atoms.set_cell(None)
    atoms.pbc = False
    return atoms


def energy_of(calc: NNPCalculator, atoms: Atoms) -> float:
    return calc.get_potential_energy(atoms)


@pytest.mark.parametrize("make", [skewed, left_handed, slab, cluster])
@pytest.mark.parametrize("committee", [False, True])
def test_forces_are_slopes_of_the_energy(make, committee) -> None:
    calc = NNPCalculator([potential(0), potential(1, cutoff=3.7)] if committee else potential())
    forces = calc.get_forces(make())
    step = 2e-4
    for atom, axis in np.ndindex(len(forces), 3):
        ends = []
        for shift in (-2, -1, 1, 2):
            moved = make()
            moved.positions[atom, axis] += shift * step
            ends.append(energy_of(calc, moved))
        slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-7)
    assert np.abs(forces).max() > 0.02
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-11)


@pytest.mark.parametrize("make", [skewed, left_handed])
@pytest.mark.parametrize("skin", [0.0, 0.7])
def test_stress_is_the_slope_by_strain(make, skin) -> None:
    calc = NNPCalculator(potential(), skin=skin)
    stress = calc.get_stress(make())
    step = 1e-5
    for k, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += 0.5 * sign * step
            strain[j, i] += 0.5 * sign * step
            strained = make()
            strained.set_cell(strained.cell.array @ strain, scale_atoms=True)
            ends.append(energy_of(calc, strained))
        slope = (ends[0] - ends[1]) / (2 * step) / make().get_volume()
        assert stress[k] == pytest.approx(slope, abs=1e-8)
    assert np.abs(stress).min() > 1e-5


def test_energies_add_up_to_the_energy() -> None:
    model = potential()
    atoms = skewed()
    atoms.calc = NNPCalculator(model)
    energy = atoms.get_potential_energy()
    assert type(energy) is float
    assert energy == pytest.approx(total_energy(model, atoms), abs=1e-11)
    assert atoms.get_potential_energies().sum() == pytest.approx(energy, abs=1e-11)
    assert atoms.get_potential_energy(force_consistent=True) == energy
    assert atoms.calc.results["free_energy"] == energy
    assert set(atoms.calc.results) == set(NNPCalculator.implemented_properties)


def test_committee_is_the_mean_of_its_members() -> None:
    models = [potential(seed) for seed in SEEDS]
    singles = [NNPCalculator(model) for model in models]
    for calc in singles:
        calc.calculate(skewed())
        assert "energy_spread" not in calc.extras
    committee = NNPCalculator(models)
    committee.calculate(skewed())
    for name in ("energy", "energies", "forces", "stress"):
        members = np.array([calc.results[name] for calc in singles])
        np.testing.assert_allclose(committee.results[name], members.mean(axis=0), atol=1e-12)
        if name != "stress":
            spread = members.std(axis=0, ddof=1)
            np.testing.assert_allclose(committee.extras[f"{name}_spread"], spread, atol=1e-12)
            assert np.max(spread) > 0.01
    assert committee.extras["forces_spread"].shape == (7, 3)


def test_committee_of_one_is_the_model() -> None:
    one, alone = NNPCalculator([potential()]), NNPCalculator(potential())
    np.testing.assert_array_equal(one.get_forces(skewed()), alone.get_forces(skewed()))
    assert set(one.extras) == set(alone.extras) == {"outside", "neighbour_builds"}


def test_members_may_differ_in_cutoff_and_order_of_elements() -> None:
    models = [potential(0), potential(1, cutoff=3.3, elements=("O", "Li", "P"))]
    expected = np.mean([NNPCalculator(model).get_forces(skewed()) for model in models], axis=0)
    found = NNPCalculator(models).get_forces(skewed())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("prepared", [in_torch, lambda calc: calc], ids=["torch", "compiled"])
def test_float32_is_close_to_float64(prepared) -> None:
    results = []
    for dtype in ("float64", torch.float32):
        calc = prepared(NNPCalculator(potential(), dtype=dtype))
        calc.calculate(skewed())
        results.append(calc.results)
    double, single = results
    for name, values in double.items():
        assert np.asarray(single[name]).dtype == np.float64
        scale = np.abs(values).max()
        np.testing.assert_allclose(single[name], values, rtol=0, atol=2e-5 * scale)
        assert not np.array_equal(single[name], values)


def test_torch_implementation_gives_the_same() -> None:
    compiled, plain = NNPCalculator(potential()), in_torch(NNPCalculator(potential()))
    for calc in (compiled, plain):
        calc.calculate(skewed())
    for name, values in compiled.results.items():
        np.testing.assert_allclose(plain.results[name], values, rtol=0, atol=1e-11)


@pytest.mark.parametrize("prepared", [in_torch, lambda calc: calc], ids=["torch", "compiled"])
def test_atoms_without_neighbours(prepared) -> None:
    atoms = Atoms("LiO", [[0, 0, 0], [0, 0, 50]])
    calc = prepared(NNPCalculator(potential(margin=100)))
    energy = calc.get_potential_energy(atoms)
    apart = [calc.get_potential_energy(Atoms(element)) for element in ("Li", "O")]
    assert energy == pytest.approx(sum(apart), abs=1e-12)
    np.testing.assert_array_equal(calc.get_forces(atoms), np.zeros((2, 3)))
    atoms.set_cell([60, 60, 60])
    atoms.pbc = True
    np.testing.assert_array_equal(calc.get_stress(atoms), np.zeros(6))


def test_atoms_put_back_into_the_cell_feel_the_same() -> None:
    calc = NNPCalculator(potential())
    atoms = skewed()
    expected = calc.get_forces(atoms), calc.get_potential_energy(atoms), calc.get_stress(atoms)
    rng = np.random.default_rng(0)
    for _ in range(3):
        atoms.positions += rng.integers(-3, 4, (7, 3)) @ atoms.cell.array
        np.testing.assert_allclose(calc.get_forces(atoms), expected[0], rtol=0, atol=1e-10)
        assert calc.get_potential_energy(atoms) == pytest.approx(expected[1], abs=1e-10)
        np.testing.assert_allclose(calc.get_stress(atoms), expected[2], rtol=0, atol=1e-10)


def test_skin_changes_no_result_and_saves_lists() -> None:
    kept, fresh = NNPCalculator(potential(), skin=1.0), NNPCalculator(potential(), skin=0.0)
    atoms = skewed()
    rng = np.random.default_rng(1)
    for _ in range(12):
        atoms.positions += rng.normal(scale=0.04, size=(7, 3))
        np.testing.assert_allclose(
            kept.get_forces(atoms), fresh.get_forces(atoms), rtol=0, atol=1e-10
        )
    assert fresh.extras["neighbour_builds"] == 12
    assert kept.extras["neighbour_builds"] < 4


def test_supercell_has_many_times_the_energy() -> None:
    calc = NNPCalculator(potential())
    one, many = skewed(), skewed() * (3, 2, 1)
    assert calc.get_potential_energy(many) == pytest.approx(6 * calc.get_potential_energy(one))
    np.testing.assert_allclose(
        calc.get_forces(many), np.tile(calc.get_forces(one), (6, 1)), atol=1e-11
    )
    np.testing.assert_allclose(calc.get_stress(many), calc.get_stress(one), atol=1e-13)


def test_more_atoms_than_a_chunk_holds() -> None:
    """More centres than are worked off at once, by either implementation."""
    atoms = skewed() * (4, 4, 3)
    calc = NNPCalculator(potential(cutoff=3.0, g5=[(0.0, 2, 1)], g4=()))
    calc.calculate(atoms)
    compiled = calc.results
    plain = in_torch(NNPCalculator(calc.models[0]))
    plain.calculate(atoms)
    for name, values in compiled.items():
        np.testing.assert_allclose(plain.results[name], values, rtol=0, atol=1e-9)


def test_molecules_of_other_elements() -> None:
    """Nothing in the calculator is bound to solids."""
    model = potential(elements=("O", "H", "Li", "P"), offsets=(0, 0, 0, 0), margin=30)
    calc = NNPCalculator(model)
    forces = calc.get_forces(water())
    turned = water()
    turned.rotate(50, (1, 2, 3))
    expected = water()
    expected.positions = forces
    expected.rotate(50, (1, 2, 3))
    np.testing.assert_allclose(calc.get_forces(turned), expected.positions, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_accelerator_gives_the_same(dtype) -> None:
    atoms = skewed()
    calc = NNPCalculator([potential(0), potential(1)], device="cuda", dtype=dtype)
    expected = NNPCalculator([potential(0), potential(1)])
    for name in NNPCalculator.implemented_properties:
        values = expected.get_property(name, atoms)
        tolerance = (1e-10 if dtype == "float64" else 2e-5) * np.abs(values).max()
        np.testing.assert_allclose(calc.get_property(name, atoms), values, atol=tolerance)
    assert calc.extras.keys() == expected.extras.keys()
