"""Keys: spellings that are read, those that only look like labels, and two keys of one label."""

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from data_examples import labelled, salt, shared

from ase_bec.data import frame_from_atoms, read_dataset, write_dataset
from ase_bec.data.label_names import label_of, suspect

HEAD = 'Lattice="4 0 0 0 4 0 0 0 4.2" Properties=species:S:1:pos:R:3'
ROWS = ["Na 0 0 0", "Cl 2 2 2.1"]


def read(tmp_path, comment: str = "", columns: str = "", rows=("", ""), **options):
    lines = [f"{row} {more}" for row, more in zip(ROWS, rows, strict=True)]
    text = "\n".join(["2", f"{HEAD}{columns} {comment}", *lines, ""])
    (tmp_path / "a.xyz").write_text(text)
    return read_dataset(tmp_path / "a.xyz", **options)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("REF_energy", "energy"),
        ("DFT_forces", "forces"),
        ("ref_stress", "stress"),
        ("REF_virials", "virial"),
        ("BEC", "born_effective_charges"),
        ("REF_polarisation", "polarization"),
        ("REF_polarisability", "polarizability"),
        ("REF_electric_field", "electric_field"),
        ("Energy", "energy"),
        ("energies", None),
        ("external_field", None),
        ("energy_pbe", None),
    ],
)
def test_spellings_that_are_read(key, label) -> None:
    assert label_of(key) == label


@pytest.mark.parametrize(
    ("key", "value", "label"),
    [
        ("mace_forces", np.ones((2, 3)), "forces"),
        ("energy_pbe", -3.0, "energy"),
        ("E_tot", -3.0, None),
        ("myVirials", np.eye(3).ravel(), "stress"),
        ("zstar", np.ones((2, 9)), "born_effective_charges"),
        ("berry_polarization", np.ones(3), "polarization"),
        ("external_field", np.ones(3), "electric_field"),
        ("efield", 0.1, "electric_field"),
        ("E_field", [0, 0, 0.1], "electric_field"),
        ("total_cell_charge", 1, "net_charge"),
        ("magnetic_field", np.ones(3), None),
        ("force_field", "UFF", None),
        ("force_field", 3, None),
        ("forces_std", np.ones((2, 3)), None),
        ("born_effective_charges_raw", np.ones((2, 9)), None),
        ("energy_per_atom", -3.0, None),
        ("kinetic_energy", 3.0, None),
        ("charges", np.ones(2), None),
        ("energy_source", "paper", None),
    ],
)
def test_names_that_look_like_labels(key, value, label) -> None:
    assert suspect(key, value, 2) == label


def test_one_note_lists_what_was_not_read(tmp_path) -> None:
    data = read(
        tmp_path,
        'energy_pbe=-3.0 my_virials="1 0 0 0 1 0 0 0 1" time=3 kinetic_energy=1.0',
        ":mace_forces:R:3",
        ["0 0 1", "0 0 -1"],
    )
    (note,) = [line for line in data.notes if "not read" in line]
    listed = "`energy_pbe` (in 1), `mace_forces` (in 1), `my_virials` (in 1);"
    assert f"were not read: {listed}" in note
    assert "keys={'energy': 'energy_pbe'}" in note
    assert data[0].labels == ()
    named = read(tmp_path, "energy_pbe=-3.0", keys={"energy": "energy_pbe"})
    assert (named[0].energy, named.notes) == (-3.0, ())


def test_labels_by_unusual_keys_are_named(tmp_path) -> None:
    data = read(tmp_path, "DFT_energy=-3.0", ":DFT_forces:R:3", ["0 0 1", "0 0 -1"])
    assert data[0].labels == ("energy", "forces")
    assert data.notes[-1].endswith("energy from `DFT_energy`, forces from `DFT_forces`")


@pytest.mark.parametrize("text", ['external_field="0 0 0.1"', "efield=0.1", 'Field="0 0 1"'])
def test_unread_fields_are_refused(tmp_path, text) -> None:
    key = text.split("=")[0]
    with pytest.raises(ValueError, match=rf"a\.xyz, frame 0: `{key}` looks like an electric field"):
        read(tmp_path, f"energy=-3 {text}")
    zero = text.replace("0.1", "0.0").replace("1", "0")
    assert read(tmp_path, f"energy=-3 {zero}")[0].electric_field is None


def test_named_field_is_read(tmp_path) -> None:
    options = {"keys": {"electric_field": "external_field"}}
    frame = read(tmp_path, 'energy=-3 external_field="0 0 0.1"', **options)[0]
    np.testing.assert_array_equal(frame.electric_field, [0, 0, 0.1])
    frame = read(tmp_path, 'energy=-3 electric_field="0 0 0"')[0]
    assert frame.electric_field is None


@pytest.mark.parametrize(
    ("comment", "columns", "rows", "message"),
    [
        ("energy=-3 REF_energy=-5", "", ("", ""), "`energy` and `REF_energy` must agree, got -3"),
        ("energy=-3 total_energy=-3.5", "", ("", ""), "`energy` and `total_energy` must agree"),
        ("energy=-3 free_energy=-5", "", ("", ""), "`energy` and `free_energy` must agree"),
        ("energy=-3 energy=-5", "", ("", ""), "`energy` must be there once, got '-3' and '-5'"),
        (
            "",
            ":forces:R:3:force:R:3",
            ("0 0 1 0 0 -1", "0 0 -1 0 0 1"),
            "`forces` and `force` must agree",
        ),
        ("", ":forces:R:3:forces:R:3", ("0 0 1 0 0 1",) * 2, "must name each column once"),
        (
            'stress="0.01 0 0 0 0.01 0 0 0 0.01" virial="0.672 0 0 0 0.672 0 0 0 0.672"',
            "",
            ("", ""),
            "`stress` and `virial` must agree",
        ),
        ('dipole="0 0 1" polarization="0 0 0.01"', "", ("", ""), "`polarization` and `dipole`"),
        (
            'dielectric="2 0 0 0 2 0 0 0 2" polarizability="9 0 0 0 9 0 0 0 9"',
            "",
            ("", ""),
            "`dielectric` and `polarizability` must agree",
        ),
        ("net_charge=1 tot_charge=-1", "", ("", ""), "`net_charge` and `tot_charge` must agree"),
        ("", ":Z:I:1", ("11", "16"), "`species` and `Z` must agree, got Cl and 16 of atom 1"),
    ],
)
def test_two_values_of_one_label_are_refused(tmp_path, comment, columns, rows, message) -> None:
    with pytest.raises(ValueError, match=r"a\.xyz, frame 0: .*" + message):
        read(tmp_path, comment, columns, rows)


def test_two_values_that_agree_are_one(tmp_path) -> None:
    virial = " ".join(str(-67.2 * x) for x in (0.01, 0, 0, 0, 0.02, 0, 0, 0, 0.03))
    stress = "0.01 0 0 0 0.02 0 0 0 0.03"
    frame = read(
        tmp_path,
        f'energy=-3 free_energy=-3.05 REF_energy=-3.0000001 stress="{stress}" virial="{virial}"'
        ' dipole="0 0 1" polarization="0 0 0.0148809524" total_charge=0',
        ":Z:I:1:forces:R:3:DFT_forces:R:3",
        ("11 0 0 1 0 0 1", "17 0 0 -1 0 0 -1"),
    )[0]
    assert frame.energy == -3
    assert frame.labels == ("energy", "forces", "stress", "polarization")
    # the same on another branch: one more quantum, e times a lattice vector
    other = read(tmp_path, 'dipole="4 0 1" polarization="0 0 0.0148809524"')[0]
    np.testing.assert_allclose(other.dipole, [0, 0, 1], atol=1e-6)


def test_choosing_a_key_ends_the_contradiction(tmp_path) -> None:
    comment = "energy=-3 REF_energy=-5"
    frame = read(tmp_path, comment, keys={"energy": "REF_energy"})[0]
    assert frame.energy == -5
    write_dataset(tmp_path / "b.xyz", frame)
    assert read_dataset(tmp_path / "b.xyz")[0].energy == -5
    both = 'stress="0.01 0 0 0 0 0" virial="6.72 0 0 0 0 0"'
    assert read(tmp_path, both, keys={"virial": "virial"})[0].stress[0, 0] == pytest.approx(-0.1)


@pytest.mark.parametrize(
    "text", ["energy=T", "energy=1_0", "energy=٣", "energy=one", 'stress="1_0 0 0 0 0 0"', "energy"]
)
def test_what_only_python_takes_for_numbers(tmp_path, text) -> None:
    with pytest.raises(ValueError, match=r"a\.xyz, frame 0: `\w+` must be numbers"):
        read(tmp_path, f"{text} step=3")


@pytest.mark.parametrize("word", ["1_0", "٣", "0.٣", "1_0.5", "T"])
def test_columns_that_only_python_takes_for_numbers(tmp_path, word) -> None:
    with pytest.raises(ValueError, match="`forces` must be of kind R"):
        read(tmp_path, "", ":forces:R:3", (f"0 0 {word}", "0 0 0"))
    if word != "0.٣":
        with pytest.raises(ValueError, match="`Z` must be of kind I"):
            read(tmp_path, "", ":Z:I:1", (word, "17"))


@pytest.mark.parametrize("z", ["0", "200", "-3"])
def test_atomic_numbers_of_no_element(tmp_path, z) -> None:
    text = f"1\nProperties=Z:I:1:pos:R:3 energy=1\n{z} 0 0 0\n"
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(ValueError, match=rf"atomic numbers must be of elements, got {z}"):
        read_dataset(tmp_path / "a.xyz")
    (tmp_path / "a.xyz").write_text(text.replace("Z:I:1", "species:S:1").replace(z, "X", 1))
    with pytest.raises(ValueError, match="`species` must be elements, got X"):
        read_dataset(tmp_path / "a.xyz")


def test_six_numbers_are_a_stress_and_nothing_else(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"`eps` must have shape \(3, 3\) or \(9,\), got \(6,\)"):
        read(tmp_path, 'eps="2 3 4 0 0 0"')
    write_dataset(tmp_path / "b.xyz", [labelled(1), labelled(2)])
    text = (tmp_path / "b.xyz").read_text()
    second = text.rindex('stress="')
    end = text.index('"', second + 8)
    six = " ".join(text[second + 8 : end].split()[:6])
    (tmp_path / "b.xyz").write_text(f'{text[:second]}stress="{six}{text[end:]}')
    with pytest.raises(ValueError, match="frame 1: `stress` must have 9 numbers as before, got 6"):
        read_dataset(tmp_path / "b.xyz")


def test_results_of_another_structure_are_refused() -> None:
    atoms = salt()
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    assert frame_from_atoms(atoms).energy == 1
    atoms.positions[0] += 0.1
    with pytest.raises(ValueError, match="must be of this structure, got other positions"):
        frame_from_atoms(atoms)


def test_case_of_mace_field_keys() -> None:
    folder = shared("cases", "extxyz_mace_field_keys")
    frame = read_dataset(folder / "mf.xyz")[0]
    np.testing.assert_array_equal(frame.electric_field, [0, 0, 0.1])
    np.testing.assert_array_equal(frame.polarization, [0.01, 0, 0.02])
    np.testing.assert_allclose(frame.polarizability, np.eye(3))
    assert frame.labels == (
        "energy", "forces", "born_effective_charges", "polarization", "dielectric_tensor",
    )  # fmt: skip
    frame = read_dataset(folder / "virials.xyz")[0]
    np.testing.assert_allclose(frame.stress, -np.eye(3) / 67.2)
