"""Frames in a field say so, in trajectories and extended XYZ, and never by stale labels."""

import copy
import pickle

import numpy as np
import pytest
from ase import units
from ase.calculators.emt import EMT
from ase.calculators.mixing import SumCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import Trajectory, read, write
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from field_examples import (
    FIELD,
    CountingEMT,
    CurledCharges,
    NoForces,
    neutral_charges,
    skewed_alloy,
)

from ase_bec.calculators.field import FieldCalculator
from ase_bec.data.field_labels import (
    FIELD_LABELS,
    field_labels,
    field_labels_hold,
    known_field,
    remove_field_labels,
)

CHARGES = neutral_charges()
FORMATS = ("traj", "xyz")


def in_field(field=FIELD, base=None, **options):
    return FieldCalculator(base or EMT(), CHARGES, field, **options)


def alloy(calc=None, seed=1):
    atoms = skewed_alloy(seed)
    atoms.calc = calc or in_field()
    return atoms


def check(frame, field=FIELD, energy=True):
    """The labels of a frame against calculators that never saw it in a field."""
    plain, fielded, info = EMT(), in_field(field), frame.info
    assert np.asarray(info["electric_field"]) == pytest.approx(np.array(field), abs=1e-14)
    zero = plain.get_forces(frame)
    assert np.reshape(info["forces_zero_field"], (-1, 3)) == pytest.approx(zero, abs=2e-6)
    assert frame.calc.results["forces"] == pytest.approx(fielded.get_forces(frame), abs=2e-6)
    if energy:
        assert info["energy_zero_field"] == pytest.approx(
            plain.get_potential_energy(frame), abs=1e-6
        )
        assert frame.calc.results["energy"] == pytest.approx(
            fielded.get_potential_energy(frame), abs=1e-6
        )
    else:
        assert "energy_zero_field" not in info
    assert field_labels_hold(frame)
    assert known_field(frame) == pytest.approx(np.array(field))


def written(path, atoms):
    """Write in a format and read again, with ASE alone."""
    write(path, atoms)
    frame = read(path)
    if path.suffix == ".xyz" and "forces_zero_field" in atoms.arrays:  # a column for each component
        assert frame.arrays["forces_zero_field"] == pytest.approx(
            atoms.arrays["forces_zero_field"], abs=1e-7
        )
    return frame


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "call",
    [
        lambda atoms: atoms.get_forces(),
        lambda atoms: (atoms.get_potential_energy(), atoms.get_forces()),
        lambda atoms: atoms.get_properties(["forces", "born_effective_charges"]),
        lambda atoms: (
            atoms.get_forces(),
            atoms.calc.get_property("born_effective_charges", atoms),
        ),
        lambda atoms: atoms.calc.get_forces(atoms),
        lambda atoms: atoms.calc.calculate(atoms, ["forces"]),
    ],
)
def test_round_trips(tmp_path, suffix, call):
    atoms = alloy()
    call(atoms)
    check(written(tmp_path / f"a.{suffix}", atoms))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_field_without_energy(tmp_path, suffix):
    atoms = skewed_alloy()
    atoms.calc = FieldCalculator(EMT(), CurledCharges(atoms), FIELD, energy="none")
    atoms.get_forces()
    frame = written(tmp_path / f"a.{suffix}", atoms)
    assert "energy_zero_field" not in frame.info
    assert "energy" not in frame.calc.results
    zero = np.reshape(frame.info["forces_zero_field"], (-1, 3))
    assert zero == pytest.approx(EMT().get_forces(atoms), abs=1e-7)
    assert field_labels_hold(frame)


@pytest.mark.parametrize("suffix", FORMATS)
def test_energy_alone(tmp_path, suffix):
    class EnergyOnly(EMT):
        implemented_properties = ("energy",)

        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            self.results = {"energy": self.results["energy"]}

    atoms = alloy(in_field(base=EnergyOnly()))
    atoms.get_potential_energy()
    frame = written(tmp_path / f"a.{suffix}", atoms)
    assert frame.info["energy_zero_field"] == pytest.approx(EMT().get_potential_energy(atoms))
    assert "forces_zero_field" not in frame.info
    assert field_labels_hold(frame)


def test_dynamics_and_optimizers(tmp_path):
    for make in (
        lambda atoms, path: VelocityVerlet(atoms, units.fs, trajectory=path),
        lambda atoms, path: BFGS(atoms, trajectory=path, logfile=None),
    ):
        path = str(tmp_path / f"{len(list(tmp_path.iterdir()))}.traj")
        make(alloy(), path).run(steps=3)
        frames = read(path, ":")
        assert len(frames) == 4
        for frame in frames:
            check(frame)


def test_a_field_that_changes_with_time(tmp_path):
    calc = in_field(lambda time: (0, 0, 0.1 * time))
    atoms = alloy(calc)
    for k in range(4):
        calc.time = 0.1 * k
        atoms.positions[0, 0] += 0.01
        atoms.get_forces()
        for suffix in FORMATS:
            check(written(tmp_path / f"{k}.{suffix}", atoms), (0, 0, 0.01 * k))


@pytest.mark.parametrize("shared", [False, True])
def test_bands_of_ase(tmp_path, shared):
    first, last = skewed_alloy(), skewed_alloy(seed=2)
    images = [first, *(first.copy() for _ in range(3)), last]
    band = NEB(images, allow_shared_calculator=shared, method="improvedtangent")
    band.interpolate()
    one = in_field()
    for image in images:
        image.calc = one if shared else in_field()
    for end in (first, last):
        end.get_forces()
        end.calc = SinglePointCalculator(end, **end.calc.results)
    FIRE(band, trajectory=str(tmp_path / "band.traj"), logfile=None).run(steps=2)
    frames = read(tmp_path / "band.traj", ":")
    assert len(frames) == 15
    for frame in frames:
        check(frame)


def test_the_base_computes_nothing_more(tmp_path):
    base = CountingEMT()
    atoms = alloy(in_field(base=base))
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        for _ in range(5):
            atoms.positions[0, 0] += 0.01
            atoms.get_forces()
            trajectory.write(atoms)
    assert base.calculations == 5


def test_atoms_that_were_not_computed_carry_nothing(tmp_path):
    atoms = alloy()
    for suffix in FORMATS:
        assert not field_labels(written(tmp_path / f"a.{suffix}", atoms))
    atoms.get_forces()
    for calc in (None, EMT()):
        other = skewed_alloy(seed=3)
        other.calc = calc
        atoms.calc.get_forces(other)  # what they carry, if anything, is of another calculator
        assert not field_labels(other)
    same = skewed_alloy(seed=3)
    same.calc = atoms.calc
    same.get_forces()  # kept results of equal Atoms
    check(written(tmp_path / "same.traj", same))


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_label_stays_when_the_field_changes(tmp_path, suffix):
    atoms = alloy()
    atoms.get_forces()
    atoms.calc.field = (0, 0, 0)
    assert not field_labels(atoms)
    assert not field_labels(written(tmp_path / f"a.{suffix}", atoms))
    atoms.get_forces()
    frame = written(tmp_path / f"b.{suffix}", atoms)
    check(frame, (0, 0, 0))
    assert frame.info["energy_zero_field"] == frame.calc.results["energy"]
    atoms.calc.field = -FIELD
    atoms.get_forces()
    check(written(tmp_path / f"c.{suffix}", atoms), -FIELD)


def test_no_label_stays_on_atoms_that_moved(tmp_path):
    atoms = alloy()
    atoms.get_forces()
    atoms.positions[0] += 0.1
    frame = written(tmp_path / "a.traj", atoms)
    assert not frame.calc.results
    assert not field_labels(frame)
    assert not field_labels(atoms)


def test_no_label_stays_after_a_failure():
    atoms = alloy()
    atoms.get_forces()
    atoms.positions[0] = np.nan
    with pytest.raises(ValueError, match="`positions` must be finite"):
        atoms.get_forces()
    assert not field_labels(atoms)


STALE = {
    "another calculator": lambda atoms: setattr(atoms, "calc", EMT()),
    "moved, another calculator": lambda atoms: (
        atoms.rattle(0.1, seed=5),
        setattr(atoms, "calc", EMT()),
    ),
    "a sum around it": lambda atoms: setattr(atoms, "calc", SumCalculator([EMT(), atoms.calc])),
    "results in another field": lambda atoms: setattr(
        atoms,
        "calc",
        SinglePointCalculator(atoms, forces=in_field(2 * FIELD).get_forces(skewed_alloy())),
    ),
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", STALE)
def test_labels_left_by_other_calculators_do_not_hold(tmp_path, suffix, kind):
    """ASE's writers take along what is in `info`, but the frame tells that it is stale."""
    atoms = alloy()
    atoms.get_forces()
    STALE[kind](atoms)
    atoms.get_forces()
    frame = written(tmp_path / f"a.{suffix}", atoms)
    assert not field_labels_hold(frame)
    assert known_field(frame) is None
    remove_field_labels(frame)
    assert not set(FIELD_LABELS) & {*frame.info, *frame.arrays}
    assert field_labels_hold(frame)


def test_labels_of_a_part_or_a_multiple_do_not_hold():
    atoms = alloy()
    atoms.get_forces()
    for other in (atoms * (1, 1, 2), atoms[:5]):
        other.calc = EMT()
        other.get_forces()
        assert not field_labels_hold(other)


def test_copies_of_atoms_keep_their_own():
    atoms = alloy()
    atoms.get_forces()
    before = atoms.copy()
    atoms.positions[0, 0] += 0.1
    atoms.get_forces()
    assert before.info["forces_zero_field"] == pytest.approx(EMT().get_forces(before))
    assert atoms.info["forces_zero_field"] == pytest.approx(EMT().get_forces(atoms))


def test_pickled_atoms_are_labelled_by_their_own_calculator():
    atoms = alloy(in_field(base=NoForces()))
    atoms.get_forces()
    twin = pickle.loads(pickle.dumps(atoms))
    atoms.calc.field = (0, 0, 0)
    assert not field_labels(atoms)
    twin.get_forces()
    assert twin.info["electric_field"] == pytest.approx(FIELD)
    assert field_labels_hold(twin)


def test_copied_calculators_label_their_own_atoms(tmp_path):
    atoms = alloy()
    atoms.get_forces()
    twin = copy.deepcopy(atoms)
    atoms.calc.field = (0, 0, 0)
    twin.get_forces()
    check(written(tmp_path / "a.traj", twin))
    twin.calc.field = (0, 0, 0.01)
    assert not field_labels(twin)


def test_a_known_field_without_other_labels():
    atoms = skewed_alloy()
    assert known_field(atoms) is None
    atoms.info["electric_field"] = [0, 0, 0.1]
    assert known_field(atoms).tolist() == [0, 0, 0.1]
    atoms.info["electric_field"] = 0.1
    assert known_field(atoms) is None


def test_a_new_field_reaches_calculators_around():
    atoms = alloy()
    inner = atoms.calc
    atoms.calc = SumCalculator([SumCalculator([inner, EMT()]), EMT()])
    for scale in (1.0, 2.0, 0.0):
        inner.field = scale * FIELD
        energy = in_field(scale * FIELD).get_potential_energy(atoms)
        energy += 2 * EMT().get_potential_energy(atoms)
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-10)
