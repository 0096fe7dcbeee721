"""Phonopy BORN: expansion by symmetry, checked by what symmetry and the sum rule ask."""

import shutil

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from data_examples import shared

from ase_bec.data import read_dataset
from ase_bec.data.space_group import expand, operations, orbits


def case(name: str):
    return shared("readers", "phonopy", "example", *name.split("/"), "BORN")


@pytest.mark.parametrize(
    ("name", "n_atoms", "n_orbits", "residual"),
    [  # residuals of the files: the sum over orbits of multiplicity times mean of the diagonal
        ("Al2O3", 30, 2, 1e-6),
        ("MgO", 8, 2, 0.0024),
        ("NaCl", 8, 2, 0.0013),
        ("NaCl-QE", 8, 2, 1e-9),
        ("NaCl-gruneisen/NaCl-1.00", 8, 2, 1e-9),
        ("NaCl-rd", 8, 2, 0.0013),
        ("SiO2-HP", 6, 2, 1e-5),
        ("TiO2-anatase", 12, 2, 0.19),
        ("ZnO", 4, 2, 0.061),
    ],
)
def test_crystals(name, n_atoms, n_orbits, residual) -> None:
    path = case(name)
    (frame,) = read_dataset(path)
    atoms, z = frame.atoms, frame.born_effective_charges
    assert len(atoms) == n_atoms
    assert np.abs(frame.sum_rule_residual).max() <= residual
    given = np.loadtxt(path, skiprows=1)
    np.testing.assert_array_equal(frame.dielectric_tensor, given[0].reshape(3, 3))
    found = operations(atoms, 1e-3)
    first = np.unique(orbits(found))
    assert len(first) == n_orbits
    np.testing.assert_allclose(z[first], given[1:].reshape(-1, 3, 3), atol=2e-4)
    for rotation, images in found:
        np.testing.assert_allclose(z[images], rotation @ z @ rotation.T, atol=1e-6)


def test_corundum_is_not_symmetric() -> None:
    (frame,) = read_dataset(case("Al2O3"))
    z = frame.born_effective_charges
    np.testing.assert_allclose(z[12, 1, 2], 0.25811770, atol=1e-6)  # row 2 of the file, column 3
    np.testing.assert_allclose(z[12, 2, 1], 0.35087130, atol=1e-6)


@pytest.mark.parametrize("name", ["phonopy_disp.yaml", "POSCAR-unitcell"])
def test_either_cell_gives_the_same(tmp_path, name) -> None:
    path = case("Al2O3")
    shutil.copyfile(path, tmp_path / "BORN")
    shutil.copyfile(path.with_name(name), tmp_path / name)
    (frame,) = read_dataset(tmp_path / "BORN")
    (both,) = read_dataset(path)
    np.testing.assert_allclose(frame.born_effective_charges, both.born_effective_charges, atol=1e-6)


def quartz() -> Atoms:
    return crystal(
        ["Si", "O"],
        [(0.47, 0, 2 / 3), (0.41, 0.27, 0.785)],
        spacegroup=154,
        cellpar=[4.9, 4.9, 5.4, 90, 90, 120],
    )


@pytest.mark.parametrize(
    ("atoms", "count", "n_orbits"),
    [
        (bulk("NaCl", "rocksalt", 5.6), 48, 2),
        (bulk("NaCl", "rocksalt", 5.6, cubic=True), 192, 2),
        (bulk("Si", "diamond", 5.4), 48, 1),
        (bulk("ZnO", "wurtzite", a=3.25, c=5.2), 12, 2),
        (bulk("ZnO", "wurtzite", a=3.25, c=5.2) * (2, 1, 1), 8, 2),
        (quartz(), 6, 2),
        (bulk("LiF", "zincblende", 4.0), 24, 2),
        (
            Atoms(
                "LiFO", np.diag([1.0, 1.3, 2.0]), cell=[[3, 0, 0], [0.5, 4, 0], [1, 1, 5]], pbc=1
            ),
            1,
            3,
        ),
    ],
)
def test_orders_of_space_groups(atoms, count, n_orbits) -> None:
    found = operations(atoms, 1e-4)
    assert len(found) == count
    assert len(np.unique(orbits(found))) == n_orbits
    skewed = atoms.copy()
    skewed.set_cell(np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]]) @ atoms.cell.array)
    assert len(operations(skewed, 1e-4)) == count


def test_quartz_is_expanded_as_rotated() -> None:
    """Tensors of a crystal without inversion, found again from two of its nine atoms."""
    found = operations(quartz(), 1e-4)
    raw = np.random.default_rng(0).normal(size=(9, 3, 3))
    full = np.mean([(r @ raw @ r.T)[np.argsort(images)] for r, images in found], axis=0)
    first = np.unique(orbits(found))
    np.testing.assert_allclose(expand(full[first], found), full, atol=1e-12)
    assert np.abs(full - full.transpose(0, 2, 1)).max() > 0.1


def test_born_that_is_no_good(tmp_path) -> None:
    path = tmp_path / "BORN"
    path.write_text(case("ZnO").read_text())
    with pytest.raises(
        FileNotFoundError, match=r"BORN: needs a unit cell next to it: phonopy_disp"
    ):
        read_dataset(path)
    shutil.copyfile(case("ZnO").with_name("POSCAR-unitcell"), tmp_path / "POSCAR-unitcell")
    lines = path.read_text().splitlines()
    tilted = "2 0.5 0 0 2 0 0 0 2"
    for broken, message in (
        ([*lines, lines[-1]], r"must be of the 2 inequivalent of the 4 atoms of .*POSCAR-.*got 3"),
        ([*lines[:-1], lines[-1][:-8]], r"BORN, line 4: must have 9 numbers, got 8"),
        ([*lines[:-1], "x" + lines[-1]], r"BORN, line 4: must be numbers"),
        ([*lines[:-1], "nan" + lines[-1][8:]], r"BORN, line 4: must be finite"),
        ([lines[0]], "BORN: must have a dielectric tensor and Born charges"),
        (
            [*lines[:-1], tilted],
            r"`born_effective_charges` in .*: tensor 1 breaks the symmetry of its",
        ),
    ):
        path.write_text("\n".join(broken))
        with pytest.raises(ValueError, match=message):
            read_dataset(path)
    path.write_text("\n".join(lines))
    (tmp_path / "POSCAR-unitcell").write_text("comment\n")
    with pytest.raises(ValueError, match=r"POSCAR-unitcell: must be a POSCAR with a unit cell"):
        read_dataset(path)
    (tmp_path / "phonopy_disp.yaml").write_text("phonopy:\n")
    with pytest.raises(ValueError, match=r"phonopy_disp\.yaml: must be .*it has no `unit_cell`"):
        read_dataset(path)
