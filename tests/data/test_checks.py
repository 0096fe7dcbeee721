"""What reading reports or refuses: units, sum rule, duplicates; Dataset and frames themselves."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from data_examples import harmonic, labelled, salt, shared

from ase_bec.data import (
    Dataset,
    Frame,
    fold_polarization,
    impose_sum_rule,
    read_dataset,
    write_dataset,
)
from ase_bec.data.checks import check_units, duplicates, notes


def test_harmonic_crystal_passes() -> None:
    check_units(harmonic(8))


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({"energy": 1 / units.Ha}, r"units=\{'energy': 'Ha'\} would make it 1\.00"),
        ({"energy": 1 / units.Ry}, r"units=\{'energy': 'Ry'\} would make it 1\.00"),
        ({"energy": 1e3}, r"units=\{'energy': 'meV'\} would make it 1\.00"),
        ({"forces": units.Bohr / units.Ry}, r"units=\{'forces': 'Ry/bohr'\} would make it 1\.00"),
        ({"forces": units.Bohr / units.Ha}, r"units=\{'forces': 'Ha/bohr'\} would make it 1\.00"),
        ({"forces": 1e3}, r"`forces` have a median of .* eV/Å; give units=\{'forces': 'meV/Å'\}"),
        ({"positions": 1 / units.Bohr}, r"`positions` have no neighbours .*'positions': 'bohr'"),
        (
            {"positions": 0.1},
            r"`positions` have .* at 0\.\d+ Å: are they in Å\?.*'positions': 'nm'",
        ),
    ],
)
def test_confused_units_are_refused_and_named(tmp_path, scales, message) -> None:
    write_dataset(tmp_path / "a.xyz", harmonic(8, **scales))
    with pytest.raises(ValueError, match=r"a\.xyz, frame 0.*" + message):
        read_dataset(tmp_path / "a.xyz")
    assert len(read_dataset(tmp_path / "a.xyz", check_units=False)) == 8


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"stress": 5 * np.eye(3)}, r"frame: `stress` is 5 eV/Å³, 800 GPa; .*'stress': 'GPa'"),
        ({"stress": np.triu(np.ones((3, 3)))}, "frame: `stress` must be symmetric"),
        ({"polarization": [0, 0, -2]}, r"`polarization` is 2 e/Å²: is it the dipole.*'e Å'"),
        ({"born_effective_charges": np.full((8, 3, 3), 160.0)}, "`born_effective_charges` must be"),
    ],
)
def test_sizes_no_solid_has(labels, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_units([labelled(**labels)])


def test_shared_sets_in_wrong_units_are_refused(tmp_path) -> None:
    """The frames of real molecular dynamics, not of a model that the check was made for."""
    data = read_dataset(shared("sio2", "sio2.xyz"))[:30]
    wrong = [replace(frame, energy=frame.energy / units.Ry) for frame in data]
    write_dataset(tmp_path / "a.xyz", wrong)
    with pytest.raises(ValueError, match=r"units=\{'energy': 'Ry'\} would make it"):
        read_dataset(tmp_path / "a.xyz")


def test_single_atoms_and_gases_have_no_neighbours_and_pass() -> None:
    check_units([Frame(Atoms("H"), energy=0.0)])
    check_units([Frame(Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]]), energy=0.0)])


def test_two_atoms_in_one_place_are_named() -> None:
    atoms = salt()
    atoms.positions[5] = atoms.positions[2]
    with pytest.raises(ValueError, match="frame: structure is unusable: "):
        check_units([Frame(atoms)])


def test_duplicates() -> None:
    frames = [labelled(1), labelled(2), labelled(1, energy=3.0), labelled(1, net_charge=1.0)]
    moved = labelled(2).atoms.copy()
    moved.positions[0, 0] += 1e-4
    frames += [replace(labelled(2), atoms=moved)]
    assert duplicates(frames) == [(0, 2)]
    assert notes(frames)[0].startswith("1 duplicate structures; the first is")


def test_sum_rule_is_reported_and_imposed_on_request(tmp_path) -> None:
    frame = labelled(net_charge=-1.0)
    before = frame.born_effective_charges.copy()
    residual = before.sum(0) + np.eye(3)
    np.testing.assert_allclose(frame.sum_rule_residual, residual)
    write_dataset(tmp_path / "a.xyz", frame)
    kept = read_dataset(tmp_path / "a.xyz")
    np.testing.assert_array_equal(kept[0].born_effective_charges, before)
    assert f"broken by up to {np.abs(residual).max():.3g} e in {tmp_path}" in kept.notes[0]
    even = read_dataset(tmp_path / "a.xyz", sum_rule="uniform")
    z = even[0].born_effective_charges
    np.testing.assert_allclose(z.sum(0), -np.eye(3), atol=1e-12)
    np.testing.assert_allclose(z - before, np.broadcast_to(-residual / 8, (8, 3, 3)), atol=1e-12)
    assert "now corrected" in even.notes[0]
    z = read_dataset(tmp_path / "a.xyz", sum_rule=["Cl"])[0].born_effective_charges
    is_cl = frame.atoms.numbers == 17
    np.testing.assert_allclose(z.sum(0), -np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(z[~is_cl], before[~is_cl])
    np.testing.assert_allclose(z[is_cl] - before[is_cl], np.tile(-residual / 4, (4, 1, 1)))
    with pytest.raises(ValueError, match="`sum_rule` must be 'uniform' or species of Cl, Na, got"):
        impose_sum_rule(frame, "O")


def test_missing_net_charge_is_suspected() -> None:
    z = np.tile(-np.eye(3) / 8, (8, 1, 1))
    (note,) = notes([labelled(born_effective_charges=z)])
    assert "is `net_charge` = -1 missing?" in note
    assert notes([labelled(born_effective_charges=z, net_charge=-1.0)]) == ()


def test_energy_joins_born_charges_of_the_same_structure(tmp_path) -> None:
    whole = [replace(labelled(k), born_effective_charges=None) for k in range(3)]
    atoms = labelled(1).atoms.copy()
    atoms.positions += 1e-4 + atoms.cell[1]  # rounded, and wrapped elsewhere
    response = Frame(atoms, born_effective_charges=labelled(1).born_effective_charges)
    alone = Frame(salt(9), born_effective_charges=np.zeros((8, 3, 3)))
    write_dataset(tmp_path / "a.xyz", whole)
    write_dataset(tmp_path / "b.xyz", [response, alone])
    data = read_dataset([tmp_path / "b.xyz", tmp_path / "a.xyz"])
    assert len(data) == 4
    (joined,) = data.having("energy", "born_effective_charges")
    assert joined.energy == labelled(1).energy
    np.testing.assert_array_equal(joined.born_effective_charges, labelled(1).born_effective_charges)
    np.testing.assert_array_equal(joined.atoms.positions, labelled(1).atoms.positions)


def test_dataset_is_a_sequence() -> None:
    data = Dataset([labelled(k, config_type="ab"[k % 2]) for k in range(5)], ["note"])
    assert data[1].config_type == "b"
    assert data[-1] is data.frames[4]
    for part in (data[1:4:2], data[[1, 3]], data[np.array([1, 3])]):
        assert isinstance(part, Dataset)
        assert part.frames == (data.frames[1], data.frames[3])
    assert data[[False, True, False, True, False]].frames == (data.frames[1], data.frames[3])
    assert len(data[[]]) == 0
    assert len(data + data[:2]) == 7
    assert (data + data).notes == ("note",)
    assert data.elements == ("Na", "Cl")
    assert data.n_atoms == 40
    assert data.config_types == ("a", "b", "a", "b", "a")
    assert len(data.having("energy", "stress")) == 5
    for a, b in zip(
        data.folded({"Na": 1, "Cl": -1}, data[0]),
        fold_polarization(data, {"Na": 1, "Cl": -1}, reference=data[0]),
        strict=True,
    ):
        np.testing.assert_array_equal(a.polarization, b.polarization)
    assert "5 frames, 40 atoms: Na, Cl" in data.summary()
    with pytest.raises(TypeError, match="`frames` must be Frames, got Atoms"):
        Dataset([salt()])
    with pytest.raises(ValueError, match="`labels` must be of energy"):
        data.having("colour")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"forces": np.zeros((7, 3))}, r"frame: `forces` must have shape \(8, 3\), got \(7, 3\)"),
        ({"born_effective_charges": np.zeros((8, 9))}, r"must have shape \(8, 3, 3\)"),
        ({"stress": np.zeros(6)}, r"frame: `stress` must have shape \(3, 3\)"),
        ({"energy": np.nan}, "frame: `energy` must be finite"),
        ({"polarization": [0, 0, np.inf]}, "frame: `polarization` must be finite"),
        ({"forces": "none"}, "frame: `forces` must be numbers"),
    ],
)
def test_frames_check_their_labels(labels, message) -> None:
    with pytest.raises(ValueError, match=message):
        labelled(**labels)
    with pytest.raises(TypeError, match="`atoms` must be Atoms, got str"):
        Frame("Na")


def test_read_needs_files() -> None:
    with pytest.raises(ValueError, match="`paths` must name at least one file"):
        read_dataset([])
