"""The published numbers of Li3PO4: energies, forces, stresses and Born charges of every image."""

import numpy as np
import pytest
from model_examples import in_torch
from reference_data import BEC, NNP, needs_data, read, reference, totals

from ase_bec import NNPCalculator, read_released_bec, read_released_nnp
from ase_bec.models import released_field_energy

pytestmark = [
    needs_data,
    pytest.mark.filterwarnings("ignore:.*have an environment outside the range:UserWarning"),
]

IMAGES = range(1, 9)
WITHOUT = [f"neb_8to1_{k}" for k in IMAGES]
IN_FIELD = [f"neb_8to1-ez0.1_{k}" for k in IMAGES]
STARTS = ["crystal_md_start", "amorphous_600K_start"]


@pytest.fixture(scope="module")
def calc() -> NNPCalculator:
    return NNPCalculator(read_released_nnp(NNP))


@pytest.fixture(scope="module")
def charges():
    return read_released_bec(BEC)


@pytest.mark.parametrize("image", IMAGES)
def test_published_energies_without_field(calc, image) -> None:
    atoms = read(f"neb/8to1/data.neb{image}.lammps")
    energy = calc.get_potential_energy(atoms)
    assert energy == pytest.approx(totals("neb/8to1")[image - 1], abs=1e-5)


@pytest.mark.parametrize("image", IMAGES)
def test_published_energies_in_the_field(calc, charges, image) -> None:
    """The released formula, which is not the potential of the released forces."""
    atoms = read(f"neb/8to1-ez0.1/data.neb{image}.lammps")
    field_energy = released_field_energy(atoms, charges.z_row(atoms), 0.1)
    total = calc.get_potential_energy(atoms) + field_energy
    assert total == pytest.approx(totals("neb/8to1-ez0.1")[image - 1], abs=3e-4)
    expected = reference(f"neb_8to1-ez0.1_{image}")["field_energy_lammps"]
    assert field_energy == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("name", WITHOUT + IN_FIELD + STARTS)
def test_energy_forces_and_stress(calc, name) -> None:
    expected = reference(name)
    atoms = expected.atoms
    atoms.calc = calc
    assert atoms.get_potential_energy() == pytest.approx(float(expected["energy"]), abs=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), expected["forces"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(atoms.get_stress(), expected["stress_nnp"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", WITHOUT + IN_FIELD + STARTS)
def test_born_charges(charges, name) -> None:
    expected = reference(name)
    found = charges.z_row(expected.atoms)
    np.testing.assert_allclose(found, expected["z_row"], rtol=0, atol=1e-9)
    field = np.array([0.0, 0.0, float(expected["ez"])])
    forces = charges.response(expected.atoms, field).forces
    np.testing.assert_allclose(forces, expected["field_forces"], rtol=0, atol=1e-10)
    energy = released_field_energy(expected.atoms, found, field[2])
    assert energy == pytest.approx(float(expected["field_energy_lammps"]), abs=1e-8)


def test_files_and_reference_hold_the_same_structures() -> None:
    for name, path in [
        ("neb_8to1_3", "neb/8to1/data.neb3.lammps"),
        ("neb_8to1-ez0.1_8", "neb/8to1-ez0.1/data.neb8.lammps"),
        ("crystal_md_start", "md/crystal/data.lammps"),
        ("amorphous_600K_start", "md/amorphous/data.lammps"),
    ]:
        expected, atoms = reference(name).atoms, read(path)
        np.testing.assert_array_equal(atoms.numbers, expected.numbers)
        moved = atoms.get_scaled_positions(wrap=False) - expected.get_scaled_positions(wrap=False)
        np.testing.assert_allclose(moved, np.rint(moved), atol=1e-6)


def test_torch_implementation_gives_the_same(calc) -> None:
    atoms = reference("neb_8to1_4").atoms
    expected = NNPCalculator(read_released_nnp(NNP))
    found = in_torch(NNPCalculator(read_released_nnp(NNP)))
    for a, b in [
        (found.get_potential_energy(atoms), expected.get_potential_energy(atoms)),
        (found.get_forces(atoms), expected.get_forces(atoms)),
        (found.get_stress(atoms), expected.get_stress(atoms)),
    ]:
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_torch_implementation_gives_the_same_born_charges(charges) -> None:
    atoms = reference("neb_8to1-ez0.1_4").atoms
    other = read_released_bec(BEC)
    (member,) = other._evaluator.members
    member.model.train()  # its descriptor follows
    np.testing.assert_allclose(other.z_row(atoms), charges.z_row(atoms), rtol=0, atol=1e-10)


def test_float32_is_close_to_float64(calc) -> None:
    atoms = reference("neb_8to1_1").atoms
    single = NNPCalculator(NNP, dtype="float32")
    assert single.get_potential_energy(atoms) == pytest.approx(
        calc.get_potential_energy(atoms), abs=2e-5 * len(atoms)
    )
    difference = single.get_forces(atoms) - calc.get_forces(atoms)
    assert np.abs(difference).max() < 5e-4


def test_range_of_the_scaling_covers_the_crystal() -> None:
    """Path and crystal lie inside; the amorphous start does not, and one warning says so."""
    calc = NNPCalculator(NNP)
    for name in (*WITHOUT, *IN_FIELD, "crystal_md_start"):
        calc.get_potential_energy(reference(name).atoms)
        assert calc.extras["outside"] == 0
    with pytest.warns(UserWarning, match="47 of 1024 atoms have an environment outside the range"):
        calc.get_potential_energy(reference("amorphous_600K_start").atoms)
    assert calc.extras["outside"] == 47


def test_only_the_row_along_z_is_known(charges) -> None:
    atoms = reference("neb_8to1_1").atoms
    full = charges.born_charges(atoms)
    assert np.isnan(full[:, :2]).all()
    np.testing.assert_array_equal(full[:, 2], charges.z_row(atoms))
    charges.check(atoms, np.zeros(3))
    for field in ([0.1, 0, 0], [0, 1e-6, 0.1]):
        for refuse in (charges.check, charges.response):
            with pytest.raises(ValueError, match=r"`field` must be along z with the released"):
                refuse(atoms, np.array(field))
    with pytest.raises(ValueError, match="not the derivative of a dipole: use energy='work'"):
        charges.dipole(atoms)
    atoms.symbols[5] = "Na"
    with pytest.raises(ValueError, match="knows the elements Li, P, O, got atoms of Na"):
        charges.check(atoms, np.array([0, 0, 0.1]))
    with pytest.raises(ValueError, match="knows the elements Li, P, O, got atoms of Na"):
        charges.z_row(atoms)


def test_released_energy_jumps_where_an_atom_is_wrapped(calc, charges) -> None:
    """At one and the same Z row: it cannot be the potential of the forces."""
    atoms = reference("neb_8to1_1").atoms
    z_row = charges.z_row(atoms)
    atom = int(np.argmin(atoms.positions[:, 2]))
    energies = []
    for atoms.positions[atom, 2] in (1e-4, -1e-4):
        energies.append(released_field_energy(atoms, z_row, 0.1))
    jump = -0.1 * z_row[atom, 2] * (atoms.cell[2, 2] - 2e-4)
    assert energies[1] - energies[0] == pytest.approx(jump, abs=1e-9)
    assert abs(jump) > 0.5
