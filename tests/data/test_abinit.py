"""ABINIT DDB: transformation from reduced coordinates, published values, damage."""

import numpy as np
import pytest
from ase import units
from data_examples import shared

from ase_bec.data import read_dataset


def case(name: str):
    return shared("readers", "abinit", name)


@pytest.mark.parametrize(
    ("name", "formula", "z", "epsilon"),
    [
        # AlAs in the tutorial of its programmers: 2.104, -2.127, 9.7606
        ("trf2_3_DDB", "AlAs", [2.1044, -2.1272], 9.7606),
        ("AlAs_444k_DDB", "AlAs", [2.0943, -1.9026], 9.2684),
        ("AlAs_nl_dte_DDB", "AlAs", [2.0429, -2.0468], 9.2020),
        ("CaO_444_DDB", "CaO", [2.3587, -2.3515], 3.7922),
    ],
)
def test_cubic_crystals(name, formula, z, epsilon) -> None:
    (frame,) = read_dataset(case(name))
    assert frame.atoms.get_chemical_formula("hill", empirical=False) in (formula, formula[::-1])
    for tensor, value in zip(frame.born_effective_charges, z, strict=True):
        np.testing.assert_allclose(tensor, value * np.eye(3), atol=1e-4)
    np.testing.assert_allclose(frame.dielectric_tensor, epsilon * np.eye(3), atol=1e-4)


def test_wurtzite_is_uniaxial() -> None:
    (frame,) = read_dataset(case("ZnO_gamma_becs_DDB"))
    for tensor, (across, along) in zip(
        frame.born_effective_charges,
        [(2.15378, 2.19589)] * 2 + [(-2.15915, -2.19137)] * 2,
        strict=True,
    ):
        np.testing.assert_allclose(tensor, np.diag([across, across, along]), atol=1e-4)
    np.testing.assert_allclose(frame.atoms.cell.lengths()[2], 10.00647 * units.Bohr, rtol=1e-6)
    np.testing.assert_allclose(frame.atoms.cell.angles(), [90, 90, 120], atol=1e-6)


def test_energy_forces_and_stress() -> None:
    (frame,) = read_dataset(case("CaO_444_DDB"))
    np.testing.assert_allclose(frame.energy, -55.386791395291 * units.Ha)
    np.testing.assert_allclose(frame.forces, 0, atol=1e-12)
    diagonal = 0.30687442086688e-4 * units.Ha / units.Bohr**3
    np.testing.assert_allclose(frame.stress[0, 0], diagonal)


def test_without_born_charges() -> None:
    with pytest.raises(ValueError, match=r"nobecs_DDB: holds no dielectric tensor, Born charges"):
        read_dataset(case("AlAs_444_nobecs_DDB"))


def ddb(tensors: np.ndarray, cell: np.ndarray, ionic: float, order: str) -> str:
    """DDB of one oxygen and one zinc in any cell, with only one order of the derivatives."""
    bohr = cell / units.Bohr
    lines = [" **** DERIVATIVE DATABASE ****", "+DDB, Version number    100401", ""]
    for key, values in {
        "natom": [2],
        "ntypat": [2],
        "acell": [1.0, 1.0, 1.0],
        "rprim": bohr.ravel(),
        "typat": [2, 1],
        "xred": [0, 0, 0, 0.3, 0.4, 0.5],
        "znucl": [8.0, 30.0],
        "zion": [6.0, ionic],
    }.items():
        words = [f"{x:d}" if isinstance(x, int) else f"{x:.14E}".replace("E", "D") for x in values]
        lines.append(f" {key:>9} " + " ".join(words[:3]))
        lines += ["           " + " ".join(words[k : k + 3]) for k in range(3, len(words), 3)]
    lines += [" ", "  Description of the potentials (KB energies)", " Number of data blocks=    1"]
    charges = [ionic, 6.0]
    elements = []
    for a, tensor in enumerate(tensors):
        # reduced field and displacement: dr = cell^T dξ; d²E/dE_red dξ = 2π G^T (Z - z) R
        derivative = 2 * np.pi * np.linalg.inv(bohr.T) @ (tensor - charges[a] * np.eye(3)) @ bohr.T
        for i in range(3):
            for j in range(3):
                field, atom = f"{i + 1:4d}{4:4d}", f"{j + 1:4d}{a + 1:4d}"
                pair = field + atom if order == "field first" else atom + field
                number = f"{derivative[i, j]:.14E}".replace("E", "D")
                elements.append(f"{pair} {number}  0.00000000000000D+00")
    lines += [f" 2nd derivatives (non-stat.)  - # elements :{len(elements):8d}"]
    lines += [" qpt  0.00000000E+00  0.00000000E+00  0.00000000E+00   1.0", *elements, ""]
    return "\n".join(lines)


@pytest.mark.parametrize("order", ["field first", "displacement first"])
def test_index_order_in_a_triclinic_cell(tmp_path, order) -> None:
    rng = np.random.default_rng(1)
    tensors = rng.normal(size=(2, 3, 3))
    cell = np.array([[3.0, 0, 0], [1.0, 3.5, 0], [-0.7, 0.9, 4.1]])
    (tmp_path / "x_DDB").write_text(ddb(tensors, cell, 12.0, order))
    (frame,) = read_dataset(tmp_path / "x_DDB")
    assert str(frame.atoms.symbols) == "ZnO"
    np.testing.assert_allclose(frame.atoms.cell.array, cell, atol=1e-12)
    np.testing.assert_allclose(frame.born_effective_charges, tensors, atol=1e-10)


def test_damaged_files(tmp_path) -> None:
    text = ddb(np.ones((2, 3, 3)), 4 * np.eye(3), 12.0, "field first")
    path = tmp_path / "x_DDB"
    for broken, message in (
        (text[: len(text) - 200], r"x_DDB: damaged: block .* must have 18 elements, got 1\d"),
        (text.replace("xred", "xrod"), r"x_DDB: damaged: header must have 6 numbers `xred`"),
        (text.replace("3.0000", "x.0000"), r"x_DDB: damaged"),
    ):
        path.write_text(broken)
        with pytest.raises(ValueError, match=message):
            read_dataset(path)
