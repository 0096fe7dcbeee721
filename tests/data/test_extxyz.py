"""Extended XYZ: every label back to the last bit, keys and units of other programs, damage."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from ase.stress import full_3x3_to_voigt_6_stress
from data_examples import assert_equal_frames, labelled, salt, shared

from ase_bec.data import Frame, frame_from_atoms, read_dataset, write_dataset


@pytest.mark.parametrize("name", ["set.xyz", "set.extxyz.gz"])
def test_round_trip_is_exact(tmp_path, name) -> None:
    frames = [labelled(k) for k in range(3)]
    frames.append(labelled(7, net_charge=-1.0, electric_field=np.array([0, 1e-3, 0.1])))
    frames.append(Frame(salt(8), energy=1 / 3))
    write_dataset(tmp_path / name, frames)
    again = read_dataset(tmp_path / name)
    for a, b in zip(frames, again, strict=True):
        assert_equal_frames(a, b)
    np.testing.assert_array_equal(again[3].electric_field, [0, 1e-3, 0.1])


def test_round_trip_keeps_other_data(tmp_path) -> None:
    atoms = salt()
    atoms.info |= {"name": "a b", "step": 3, "matrix": np.arange(4.0).reshape(2, 2), "good": True}
    atoms.set_array("tags3", np.arange(24).reshape(8, 3))
    atoms.set_array("site", np.array(["x", "y"] * 4))
    write_dataset(tmp_path / "a.xyz", Frame(atoms, energy=0.0))
    again = read_dataset(tmp_path / "a.xyz")[0].atoms
    assert {k: again.info[k] for k in ("name", "step", "good")} == {
        "name": "a b",
        "step": 3,
        "good": True,
    }
    np.testing.assert_array_equal(again.info["matrix"], atoms.info["matrix"])
    np.testing.assert_array_equal(again.arrays["tags3"], atoms.arrays["tags3"])
    assert list(again.arrays["site"]) == ["x", "y"] * 4


def test_ase_reads_what_is_written(tmp_path) -> None:
    frame = labelled()
    write_dataset(tmp_path / "a.xyz", frame)
    atoms = read(tmp_path / "a.xyz")
    assert atoms.get_potential_energy() == frame.energy
    np.testing.assert_array_equal(atoms.get_forces(), frame.forces)
    np.testing.assert_array_equal(atoms.get_stress(), full_3x3_to_voigt_6_stress(frame.stress))


def test_atoms_with_results_of_a_calculator(tmp_path) -> None:
    frame = labelled()
    atoms = frame.to_atoms()
    assert atoms.calc.results["born_effective_charges"].shape == (8, 3, 3)
    write_dataset(tmp_path / "a.xyz", [atoms])
    assert_equal_frames(read_dataset(tmp_path / "a.xyz")[0], frame)


@pytest.mark.parametrize("key", ["born_effective_charges", "born_charge", "becs", "REF_becs"])
@pytest.mark.parametrize(
    ("place", "shape"),
    [
        *((place, shape) for place in ("info", "results") for shape in ((8, 3, 3), (8, 9), (72,))),
        ("arrays", (8, 3, 3)),
        ("arrays", (8, 9)),
    ],
)
def test_forms_of_born_charges(key, shape, place) -> None:
    z = np.random.default_rng(0).normal(size=(8, 3, 3))
    atoms = salt()
    if place == "arrays":
        atoms.arrays[key] = z.reshape(shape)
    elif place == "info":
        atoms.info[key] = z.reshape(shape)
    else:
        atoms.calc = SinglePointCalculator(atoms)
        atoms.calc.results = {key: z.reshape(shape)}
    frame = frame_from_atoms(atoms)
    np.testing.assert_array_equal(frame.born_effective_charges, z)
    assert key in (*atoms.arrays, *atoms.info, *(atoms.calc.results if atoms.calc else ()))
    assert key not in (*frame.atoms.arrays, *frame.atoms.info)
    turned = frame_from_atoms(atoms, displacement_first=True)
    np.testing.assert_array_equal(turned.born_effective_charges, z.transpose(0, 2, 1))


def write_text(path, comment: str, rows: list[str]) -> None:
    path.write_text(f"{len(rows)}\n{comment}\n" + "".join(f"{row}\n" for row in rows))


SALT = ['Lattice="3 0 0 0 3 0 0 0 6" Properties=species:S:1:pos:R:3', ["Na 0 0 0", "Cl 0 0 2.8"]]


def salt_with(tmp_path, comment: str = "", **options) -> Frame:
    write_text(tmp_path / "a.xyz", f"{SALT[0]} {comment}", SALT[1])
    return read_dataset(tmp_path / "a.xyz", **options)[0]


def test_nine_columns_are_rows_of_the_tensor(tmp_path) -> None:
    write_text(
        tmp_path / "a.xyz",
        'Lattice="3 0 0 0 3 0 0 0 6" Properties=species:S:1:pos:R:3:becs:R:9',
        ["Na 0 0 0 1 2 3 4 5 6 7 8 9", "Cl 0 0 2.8 0 0 0 0 0 0 0 0 0"],
    )
    z = read_dataset(tmp_path / "a.xyz")[0].born_effective_charges
    assert z[0, 0, 1] == 2  # field x, displacement y
    z = read_dataset(tmp_path / "a.xyz", displacement_first=True)[0].born_effective_charges
    assert z[0, 0, 1] == 4


def test_keys_of_other_programs(tmp_path) -> None:
    frame = salt_with(tmp_path, 'total_energy=-3.5 tot_charge=-1 eps="2 0 0 0 3 0 0 0 4"')
    assert frame.energy == -3.5
    assert frame.net_charge == -1
    np.testing.assert_array_equal(frame.dielectric_tensor, np.diag([2, 3, 4]))
    assert salt_with(tmp_path, "energy=1 E_pbe=2", keys={"energy": "E_pbe"}).energy == 2
    with pytest.raises(ValueError, match=r"a\.xyz: no frame has the key `E_pbe` for `energy`"):
        salt_with(tmp_path, "energy=1", keys={"energy": "E_pbe"})
    with pytest.raises(ValueError, match=r"`keys` must name labels of energy, .*got 'Energy'"):
        salt_with(tmp_path, "energy=1", keys={"Energy": "E"})


def test_stress_of_six_and_nine_numbers_and_virial(tmp_path) -> None:
    expected = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]) * 1e-2
    six = salt_with(tmp_path, 'stress="0.01 0.02 0.03 0.04 0.05 0.06"').stress
    nine = salt_with(tmp_path, 'stress="' + " ".join(map(str, expected.ravel())) + '"').stress
    virial = " ".join(str(-54 * x) for x in expected.ravel())
    np.testing.assert_allclose(six, expected)
    np.testing.assert_allclose(nine, expected)
    np.testing.assert_allclose(salt_with(tmp_path, f'virial="{virial}"').stress, expected)


@pytest.mark.parametrize(
    ("text", "unit", "label", "value"),
    [
        ("energy=2", {"energy": "Ry"}, "energy", 2 * units.Ry),
        ("energy=2", {"energy": "kJ/mol"}, "energy", 2 * units.kJ / units.mol),
        ('stress="1 2 3 0 0 0"', {"stress": "GPa"}, "stress", np.diag([1, 2, 3]) * units.GPa),
        ('stress="10 0 0 0 0 0"', {"stress": "kbar"}, "stress", np.diag([1, 0, 0]) * units.GPa),
        (
            'polarization="1 0 2"',
            {"polarization": "C/m^2"},
            "polarization",
            np.array([1, 0, 2]) / 16.02176634,
        ),
        ('polarization="1 0 2"', {"polarization": "e*Ang"}, "dipole", np.array([1, 0, 2])),
        ('dipole="1 0 2"', {"dipole": "e bohr"}, "dipole", np.array([1, 0, 2]) * units.Bohr),
        ('polarization="0.1 0 0"', {}, "polarization", np.array([0.1, 0, 0])),
    ],
)
def test_units(tmp_path, text, unit, label, value) -> None:
    frame = salt_with(tmp_path, text, units=unit)
    np.testing.assert_allclose(getattr(frame, label), value, rtol=1e-7)


def test_positions_in_bohr(tmp_path) -> None:
    write_text(tmp_path / "a.xyz", 'Lattice="6 0 0 0 6 0 0 0 11"', ["Na 0 0 0", "Cl 0 0 5.3"])
    frame = read_dataset(tmp_path / "a.xyz", units={"positions": "bohr"})[0]
    np.testing.assert_allclose(frame.atoms.cell.lengths(), np.array([6, 6, 11]) * units.Bohr)
    np.testing.assert_allclose(frame.atoms.positions[1, 2], 5.3 * units.Bohr)


def test_unknown_units_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"`units` of 'energy' must be 'eV' or .*got 'furlong'"):
        salt_with(tmp_path, units={"energy": "furlong"})
    with pytest.raises(ValueError, match=r"`units` must be of positions.*got 'mass'"):
        salt_with(tmp_path, units={"mass": "kg"})


def test_polarizability_becomes_dielectric_tensor(tmp_path) -> None:
    # Clausius-Mossotti is no part of it: D = α E in a cell of 54 Å³, ε = 1 + 4π k α / Ω
    frame = salt_with(tmp_path, 'polarizability="1 0 0 0 2 0 0 0 3"')
    expected = np.eye(3) + 4 * np.pi * 14.399645 * np.diag([1, 2, 3]) / 54
    np.testing.assert_allclose(frame.dielectric_tensor, expected, rtol=1e-6)
    np.testing.assert_allclose(frame.polarizability, np.diag([1, 2, 3]), atol=1e-12)


GOOD = "2\n" + SALT[0] + " energy=1\nNa 0 0 0\nCl 0 0 2.8\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.xyz: file is empty"),
        ("\n\n", r"a\.xyz: file is empty"),
        (GOOD + GOOD[:-12], r"frame 1, line 5: file ends after 1 of 2 atoms; is it truncated"),
        (GOOD + GOOD[:-5], r"frame 1, atom 1: must have 4 columns, got 3: 'Cl 0 0'"),
        (GOOD.replace("2\nL", "3\nL") + GOOD, r"frame 0, atom 2: must have 4 columns, got 1: '2'"),
        (GOOD.replace("2\nL", "1\nL"), r"frame 1, line 4: must be the number of atoms, got 'Cl 0"),
        (GOOD.replace("2\nL", "0\nL"), r"frame 0, line 1: number of atoms must be positive, got 0"),
        (GOOD.replace("2.8", "nan"), r"a\.xyz, frame 0: `positions` must be finite"),
        (GOOD.replace("2.8", "2,8"), r"a\.xyz, frame 0: `pos` must be of kind R"),
        (GOOD.replace("Cl", "Xx"), r"a\.xyz, frame 0: `species` must be elements, got Xx"),
        (GOOD.replace("y=1", "y=inf"), r"a\.xyz, frame 0: `energy` must be finite"),
        (GOOD.replace("y=1", "y=one"), r"a\.xyz, frame 0: `energy` must be numbers, got 'one'"),
        (GOOD.replace("y=1", 'y="1 2"'), r"a\.xyz, frame 0: `energy` must have shape \(\), got"),
        (GOOD.replace("R:3", "R"), r"a\.xyz, frame 0: comment line is damaged .*name:kind:columns"),
        (GOOD.replace("pos", "xyz"), r"a\.xyz, frame 0: `Properties` must have species"),
        (GOOD.replace("0 0 6", "0 0"), r"a\.xyz, frame 0: comment line is damaged .*Lattice"),
        (
            GOOD.replace("energy=1", 'stress="1 2"'),
            r"a\.xyz, frame 0: `stress` must have shape \(3, 3\) or \(9,\), got \(2,\)",
        ),
        (
            GOOD.replace("energy=1", 'becs="1 2 3"'),
            r"a\.xyz, frame 0: `becs` must have shape \(2, 3, 3\) or \(2, 9\), got \(3,\)",
        ),
        ("\x00\x01", r"a\.xyz: must be a text file"),
    ],
)
def test_damage_is_named(tmp_path, text, message) -> None:
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_dataset(tmp_path / "a.xyz")


def test_good_text_is_good(tmp_path) -> None:
    (tmp_path / "a.xyz").write_text(GOOD + "\n" + GOOD + "\n\n")
    assert len(read_dataset(tmp_path / "a.xyz")) == 2


def test_molecules_keep_their_dipole_apart(tmp_path) -> None:
    text = 'Properties=species:S:1:pos:R:3 dipole="0 0 1"'
    write_text(tmp_path / "a.xyz", text, ["H 0 0 0", "F 0 0 0.92"])
    frame = read_dataset(tmp_path / "a.xyz")[0]
    assert frame.polarization is None
    assert not frame.atoms.pbc.any()
    np.testing.assert_array_equal(frame.atoms.info["dipole"], [0, 0, 1])


@pytest.mark.parametrize(
    ("name", "n", "z_first", "energy"),
    [  # numbers copied from the first lines of the files
        ("sio2", 160, [3.4406681702, 0.2575187081, 0.3188573504], -24452.129397523713),
        ("batio3", 55, [2.6697455207, -0.0074972963, -0.0039400788], -100941.53172529273),
        ("zro2", 22, [6.20192871, -0.29211875, 0.73771480], -909.7703615),
        ("li3po4_dfpt", 80, [0.94908, -0.07074, 0.04489], -4013.95860387693),
        ("crystals_1520/crystals.xyz", 1300, [1.73988244, 0.0, 0.09126204], None),
    ],
)
def test_shared_sets(tmp_path, name, n, z_first, energy) -> None:
    path = shared(*(name.split("/") if "/" in name else (name, f"{name}.xyz")))
    data = read_dataset(path)
    assert len(data) == n
    assert data.notes == ()  # no duplicates; the sum rule holds to the digits of the files
    np.testing.assert_array_equal(data[0].born_effective_charges[0, 0], z_first)
    assert data[0].energy == energy
    part = data[:10]
    write_dataset(tmp_path / "again.xyz", part)
    for a, b in zip(part, read_dataset(tmp_path / "again.xyz"), strict=True):
        assert_equal_frames(a, b)


def test_polarization_of_shared_sets_is_a_dipole() -> None:
    frame = read_dataset(shared("sio2", "sio2.xyz"))[0]
    dipole = [-1.0326983660664197, -1.5050798118032844, -0.11406606832471766]
    np.testing.assert_allclose(frame.dipole, dipole, rtol=1e-12)


def test_charged_vacancies_of_shared_set() -> None:
    data = read_dataset(shared("li3po4_dfpt", "li3po4_dfpt.xyz"))
    charged = [frame for frame in data if frame.net_charge]
    assert {frame.net_charge for frame in charged} == {-1.0}
    for frame in charged:
        residual = frame.born_effective_charges.sum(0) + np.eye(3)
        np.testing.assert_allclose(residual, 0, atol=1e-6)


def test_write_refuses_what_it_cannot_do(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"`path` must end in \.xyz or \.extxyz"):
        write_dataset(tmp_path / "a.traj", salt())
    with pytest.raises(ValueError, match="`frames` must hold at least one frame"):
        write_dataset(tmp_path / "a.xyz", [])
    with pytest.raises(ValueError, match="frame 0: must hold at least one atom"):
        write_dataset(tmp_path / "a.xyz", Atoms())
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_dataset(tmp_path / "none" / "a.xyz", salt())
    assert list(tmp_path.iterdir()) == []
