"""Labels in an electric field: never taken for those without."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.io.trajectory import Trajectory
from data_examples import labelled

from ase_bec import FieldCalculator
from ase_bec.data import frame_from_atoms, read_dataset, write_dataset
from ase_bec.data.field_labels import remove_field_labels
from ase_bec.data.in_field import require_zero_field

FIELD = [0.0, 0.05, 0.1]


def computed():
    """Atoms in a field, and energy and forces of the same atoms without."""
    atoms = bulk("Cu", "fcc", 3.65, cubic=True)
    atoms.positions += 0.05 * np.random.default_rng(0).normal(size=(4, 3))
    plain = atoms.copy()
    plain.calc = EMT()
    energy, forces = plain.get_potential_energy(), plain.get_forces()
    charges = np.multiply.outer([1.0, -1.0, 2.0, -2.0], np.eye(3))
    atoms.calc = FieldCalculator(EMT(), charges, FIELD)
    atoms.get_potential_energy()
    assert abs(atoms.get_forces() - forces).max() > 0.1
    return atoms, energy, forces


def carried(place: str):
    """Atoms as a file gives them: results in the field, and the values without it beside them."""
    atoms, energy, forces = computed()
    found = atoms.copy()
    remove_field_labels(found)
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    stress = np.array([0.01, 0.01, 0.01, 0, 0, 0])
    found.calc = SinglePointCalculator(found, **results, free_energy=results["energy"],
                                       stress=stress)  # fmt: skip
    found.info["electric_field"] = np.array(FIELD)
    found.info["energy_zero_field"] = energy
    getattr(found, place)["forces_zero_field"] = forces
    return found, energy, forces


def put(path, atoms) -> None:
    if path.suffix == ".traj":
        with Trajectory(path, "w") as trajectory:
            trajectory.write(atoms)
    else:
        write(path, atoms)


@pytest.mark.parametrize(
    ("name", "place"), [("a.traj", "info"), ("a.xyz", "info"), ("a.xyz", "arrays")]
)
def test_values_without_field_are_the_labels(tmp_path, name, place) -> None:
    atoms, energy, forces = carried(place)
    put(tmp_path / name, [atoms, atoms] if name.endswith("xyz") else atoms)
    data = read_dataset(tmp_path / name)
    for frame in data:
        assert frame.labels == ("energy", "forces")  # the stress in the field is left out
        assert frame.energy == pytest.approx(energy, abs=1e-7)
        np.testing.assert_allclose(frame.forces, forces, atol=1e-7)
        assert frame.electric_field is None
    assert sum("were sampled in an electric field" in note for note in data.notes) == 1
    write_dataset(tmp_path / "again.xyz", data)
    again = read_dataset(tmp_path / "again.xyz")
    assert again[0].electric_field is None
    assert again[0].energy == data[0].energy
    np.testing.assert_array_equal(again[0].atoms.info["sampled_in_field"], FIELD)


@pytest.mark.parametrize("missing", ["energy_zero_field", "forces_zero_field"])
def test_a_label_without_such_a_value_is_left_out(tmp_path, missing) -> None:
    atoms, *_ = carried("info")
    del atoms.info[missing]
    put(tmp_path / "a.traj", atoms)
    (frame,) = read_dataset(tmp_path / "a.traj")
    assert frame.labels == tuple({"energy", "forces"} - {missing.removesuffix("_zero_field")})


def test_values_without_field_go_before_lost_fields(tmp_path) -> None:
    atoms, energy, _ = carried("info")
    del atoms.info["electric_field"]
    put(tmp_path / "a.traj", atoms)
    assert read_dataset(tmp_path / "a.traj")[0].energy == energy


def test_labels_in_a_field_alone_say_so(tmp_path) -> None:
    atoms, *_ = carried("info")
    for key in ("energy_zero_field", "forces_zero_field"):
        del atoms.info[key]
    for name in ("a.traj", "a.xyz"):
        put(tmp_path / name, atoms)
        data = read_dataset(tmp_path / name)
        np.testing.assert_allclose(data[0].electric_field, FIELD)
        assert "1 frames were computed in an electric field" in data.notes[0]
        with pytest.raises(ValueError, match=rf"{name}, frame 0: labels must be without electric"):
            require_zero_field(data, "do something else")


@pytest.mark.parametrize("name", ["a.traj", "a.xyz"])
def test_files_of_field_calculators_give_values_without_field(tmp_path, name) -> None:
    atoms, energy, forces = computed()
    put(tmp_path / name, atoms)
    (frame,) = read_dataset(tmp_path / name)
    assert frame.energy == pytest.approx(energy, abs=1e-7)
    np.testing.assert_allclose(frame.forces, forces, atol=1e-7)
    np.testing.assert_allclose(frame.atoms.info["sampled_in_field"], FIELD)


def test_trajectories_of_field_calculators_that_only_name_their_field(tmp_path) -> None:
    atoms, *_ = computed()
    put(tmp_path / "a.traj", atoms)
    with Trajectory(tmp_path / "a.traj") as trajectory:
        atoms = trajectory[0]
    remove_field_labels(atoms)
    put(tmp_path / "b.traj", atoms)
    (frame,) = read_dataset(tmp_path / "b.traj")
    np.testing.assert_allclose(frame.electric_field, FIELD)


def test_values_left_from_another_structure_are_refused(tmp_path) -> None:
    atoms, *_ = computed()
    left = atoms.copy()
    left.calc = SinglePointCalculator(left, energy=1.0, forces=np.zeros((4, 3)))
    put(tmp_path / "a.traj", left)
    with pytest.raises(ValueError, match=r"a.traj.*got those of another structure"):
        read_dataset(tmp_path / "a.traj")


def test_live_calculators_give_values_without_field(tmp_path) -> None:
    atoms, energy, forces = computed()
    frame = frame_from_atoms(atoms)
    assert frame.energy == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(frame.forces, forces, atol=1e-9)
    assert frame.electric_field is None
    atoms.calc.field = (0, 0, 0)
    atoms.get_forces()
    assert frame_from_atoms(atoms).atoms.info == {}


def test_zero_field_is_none(tmp_path) -> None:
    write_dataset(tmp_path / "a.xyz", labelled(electric_field=np.zeros(3)))
    data = read_dataset(tmp_path / "a.xyz")
    assert data[0].electric_field is None
    require_zero_field(data, "")


def test_damaged_trajectories_are_one_line(tmp_path) -> None:
    atoms, *_ = carried("info")
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        for _ in range(3):
            trajectory.write(atoms)
    whole = (tmp_path / "a.traj").read_bytes()
    path = tmp_path / "b.traj"
    for length in range(30, len(whole) - 1, 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"b\.traj.*: (trajectory is damaged|holds no frame)"):
            read_dataset(path)
