"""Going on with a run: what is another one, by name, and damaged frames."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analytic import Springs, wells
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io.trajectory import Trajectory
from dynamics_examples import (
    ALLOY,
    AMPLITUDE,
    ARGON,
    MELT,
    WAVE,
    alloy,
    argon,
    assert_same_record,
    cluster,
    frames_of,
)
from field_examples import neutral_charges

from ase_bec import FieldCalculator
from ase_bec.analysis import read_trajectory
from ase_bec.workflows import (
    Limits,
    Walls,
    field_paths,
    handling_interruption,
    interpolate_path,
    melt_quench,
    run_md,
)

SETTINGS = replace(ARGON, thermostat="langevin")


def changed(name: str) -> Atoms:
    """The start with something else about it."""
    atoms = argon()
    atoms.set_initial_charges([0.1] * 4)
    atoms.set_velocities(np.arange(12.0).reshape(4, 3) % 5 / 1e3)
    if name == "elements":
        atoms.numbers[1] = 10
    elif name == "periodicity":
        atoms.pbc = (True, False, False)
    elif name == "cell":
        atoms.set_cell([9, 9, 9.1])
    elif name == "masses":
        atoms.set_masses([36, 40, 40, 40])
    elif name == "initial charges":
        atoms.set_initial_charges([0.2, 0.1, 0.1, 0.1])
    elif name == "the position of atom 2 (Ar, by 0.002 Å)":
        atoms.positions[2, 1] += 0.002
    elif name == "the velocity of atom 3":
        velocities = atoms.get_velocities()
        velocities[3, 1] += 1e-3
        atoms.set_velocities(velocities)
    return atoms


STRUCTURES = ["elements", "periodicity", "cell", "masses", "initial charges",
              "the position of atom 2 (Ar, by 0.002 Å)", "the velocity of atom 3"]  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURES)
def test_another_start_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "md.traj"
    run_md(changed("nothing"), path, SETTINGS, duration=12.0)
    content = path.read_bytes()
    with pytest.raises(ValueError, match="got another structure: ") as refused:
        run_md(changed(name), path, SETTINGS, duration=24.0, resume=True)
    assert str(refused.value).endswith(f"{name} differs")
    assert path.read_bytes() == content
    run_md(changed("nothing"), path, SETTINGS, duration=24.0, resume=True)


def test_where_the_run_has_come_to_is_its_start_too(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(argon(), whole, SETTINGS, duration=60.0)
    atoms = argon()
    run_md(atoms, parts, SETTINGS, duration=30.0)
    run_md(atoms, parts, SETTINGS, duration=60.0, resume=True)
    assert_same_record(whole, parts)


def test_an_interrupted_run_goes_on_with_the_same_atoms(tmp_path: Path) -> None:
    class Interrupting(Springs):
        calls = 0

        def calculate(self, *args: object, **kwargs: object) -> None:
            super().calculate(*args, **kwargs)
            self.calls += 1
            if self.calls == 9:
                os.kill(os.getpid(), signal.SIGINT)

    whole, parts = tmp_path / "whole.traj", tmp_path / "parts.traj"
    run_md(argon(), whole, SETTINGS, duration=60.0)
    atoms = argon()
    atoms.calc = Interrupting()
    with handling_interruption():
        done = run_md(atoms, parts, SETTINGS, duration=60.0)
    assert done.step < 9
    assert np.array_equal(atoms.positions, frames_of(parts)[-1].positions)
    run_md(atoms, parts, SETTINGS, duration=60.0, resume=True)
    assert_same_record(whole, parts)


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "timestep": 1.0,
        "thermostat": "nose-hoover",
        "temperature": 50.0,
        "relaxation_time": 99.0,
        "interval": 1,
        "seed": 8,
    }.items(),
)
def test_another_setting_is_named(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, SETTINGS, duration=12.0)
    before = getattr(SETTINGS, name)
    message = f"`{name}` must be {before}, as in the frames of `.*`, got {value}"
    with pytest.raises(ValueError, match=message):
        run_md(argon(), path, replace(SETTINGS, **{name: value}), duration=24.0, resume=True)
    other = replace(SETTINGS, limits=Limits(temperature=1e6))
    run_md(argon(), path, other, duration=24.0, resume=True)


def test_all_that_differs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, SETTINGS, duration=12.0)
    other = replace(SETTINGS, seed=8, timestep=1.0, interval=6)
    with pytest.raises(ValueError, match=r"`timestep` must be 2.0.*; `interval`, `seed` differ to"):
        run_md(argon(), path, other, duration=24.0, resume=True)


FIELD = list(AMPLITUDE)


def charged(name: str = "nothing") -> Atoms:
    """Ions in a field, with something else about the calculator."""
    atoms = alloy(FIELD)
    base, charges, more = atoms.calc.calculator, neutral_charges(), {}
    if name == "field":
        more["field"] = [0.03, -0.05, 0.0801]
    elif name == "charges":
        charges = {**charges, "Cu": 1.01, "Au": -2.04 / 3 - 4 / 3}
    elif name == "net_force":
        more["net_force"] = "keep"
    elif name == "stress":
        more["stress"] = "zero-field"
    elif name == "energy":
        more["energy"] = "none"
    atoms.calc = FieldCalculator(base, charges, **{"field": FIELD, **more})
    return atoms


@pytest.mark.parametrize(
    ("name", "message"),
    {
        "field": r"`field` must be \[0.03, -0.05, 0.08\].*, got \[0.03, -0.05, 0.0801\]",
        "charges": r"`charges.Cu` must be 1.0\d*, as in .*; `charges.Au` differs too",
        "net_force": "`net_force` must be remove, as in .*, got keep",
        "stress": "`stress` must be error, as in .*, got zero-field",
        "energy": "`energy` must be potential, as in .*, got none",
    }.items(),
)
def test_another_calculator_is_named(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / "md.traj"
    run_md(charged(), path, ALLOY, duration=12.0)
    with pytest.raises(ValueError, match=message):
        run_md(charged(name), path, ALLOY, duration=24.0, resume=True)
    run_md(charged(), path, ALLOY, duration=24.0, resume=True)


def test_a_field_that_comes_or_goes_is_named(tmp_path: Path) -> None:
    path, bare = tmp_path / "md.traj", tmp_path / "bare.traj"

    def without() -> Atoms:
        atoms = charged()
        atoms.calc = atoms.calc.calculator
        return atoms

    run_md(charged(), path, ALLOY, duration=12.0)
    run_md(without(), bare, ALLOY, duration=12.0)
    with pytest.raises(ValueError, match=r"`field` must be \[.*\], as in the frames.*, got none"):
        run_md(without(), path, ALLOY, duration=24.0, resume=True)
    with pytest.raises(ValueError, match=r"`field` must be none, as in the frames.*, got \["):
        run_md(charged(), bare, ALLOY, duration=24.0, resume=True)
    with pytest.raises(ValueError, match=r"`field` must be .* got a function of time"):
        run_md(alloy(WAVE), path, ALLOY, duration=24.0, resume=True)


def test_parameters_of_any_potential_are_compared(tmp_path: Path) -> None:
    def start(**more: float) -> Atoms:
        atoms = argon()
        atoms.calc = LennardJones(**{"sigma": 2.9, "epsilon": 0.01, "rc": 6.0, **more})
        return atoms

    path = tmp_path / "md.traj"
    run_md(start(), path, ARGON, duration=12.0)
    with pytest.raises(ValueError, match=r"`epsilon` must be 0.01, as in .*, got 0.010001"):
        run_md(start(epsilon=0.010001), path, ARGON, duration=24.0, resume=True)
    other = start()
    other.calc = Springs()
    with pytest.raises(ValueError, match="must give the forces of the last frame"):
        run_md(other, path, ARGON, duration=24.0, resume=True)


class Raised(Springs):
    """The same forces, another energy."""

    def calculate(self, *args: object, **kwargs: object) -> None:
        super().calculate(*args, **kwargs)
        self.results["energy"] += 0.1


def test_another_energy_of_the_same_forces_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, ARGON, duration=12.0)
    other = argon()
    other.calc = Raised()
    with pytest.raises(ValueError, match=r"but it differs by \+0.025 eV/atom"):
        run_md(other, path, ARGON, duration=24.0, resume=True)


def test_another_constraint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    run_md(argon(), path, ARGON, duration=12.0)
    other = argon()
    other.set_constraint(FixAtoms([1]))
    with pytest.raises(ValueError, match=r"`constraints` must be \[\], as in .*, got .*FixAtoms"):
        run_md(other, path, ARGON, duration=24.0, resume=True)


def flip(path: Path, needle: bytes, offset: int = 0) -> None:
    """Change one bit of a file, at the first place of some bytes."""
    content = bytearray(path.read_bytes())
    place = content.find(needle)
    assert place > 0
    content[place + offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("part", ["positions", "momenta", "forces", "energy", "field"])
def test_a_damaged_frame_in_the_middle_is_named(tmp_path: Path, part: str) -> None:
    path = tmp_path / "md.traj"
    run_md(charged(), path, ALLOY, duration=60.0)
    with Trajectory(path) as frames:
        frame = frames[4]
        needle = {
            "positions": frame.positions.tobytes(),
            "momenta": frame.get_momenta().tobytes(),
            "forces": frame.get_forces().tobytes(),
            "energy": repr(frame.get_potential_energy()).encode(),
            "field": repr(frames.backend[4].md["polarization"][0]).encode(),
        }[part]
    flip(path, needle, 5)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"got frame 4 damaged \(1 of 11 are\)"):
        run_md(charged(), path, ALLOY, duration=72.0, resume=True)
    assert path.read_bytes() == content
    with pytest.raises(ValueError, match="frame 4 of 11 is damaged"):
        read_trajectory(path)


def test_any_damage_to_a_frame_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path, damaged = tmp_path / "md.traj", tmp_path / "damaged.traj"
    run_md(argon(), path, ARGON, duration=60.0)
    content, whole = path.read_bytes(), read_trajectory(path)
    rng, found, same = np.random.default_rng(0), 0, 0
    for place in rng.integers(48, len(content), 150):
        changed_ = bytearray(content)
        changed_[place] ^= 1 << int(rng.integers(8))
        damaged.write_bytes(changed_)
        try:
            read = read_trajectory(damaged)
        except ValueError:
            found += 1
            continue
        assert np.array_equal(read.positions, whole.positions)
        assert np.array_equal(read.velocities, whole.velocities)
        assert np.array_equal(read.times, whole.times)
        same += 1
    assert found + same == 150
    assert found > 50


def test_melts_name_what_differs(tmp_path: Path) -> None:
    melt_quench(cluster(), tmp_path / "a", MELT)
    moved, heavy, other = cluster(), cluster(), cluster()
    moved.positions[0, 0] += 1e-9
    heavy.set_masses([8, 16, 7, 16])
    other.calc = LennardJones(sigma=2.5, epsilon=0.05, rc=6.0)
    for atoms, message in (
        (moved, r"`atoms` must be Li2O2 .*; `start.positions` differs too"),
        (heavy, r"`start.masses` must be .*, as in .*settings.json"),
    ):
        with pytest.raises(ValueError, match=message):
            melt_quench(atoms, tmp_path / "a", MELT, resume=True)
    melt_quench(other, tmp_path / "b", replace(MELT, fmax=None))
    other.calc = LennardJones(sigma=2.5, epsilon=0.06, rc=6.0)
    with pytest.raises(ValueError, match=r"`potential.epsilon` must be 0.05, as in .*, got 0.06"):
        melt_quench(other, tmp_path / "b", replace(MELT, fmax=None), resume=True)
    flip(tmp_path / "a" / "run.traj", frames_of(tmp_path / "a" / "run.traj")[5].positions.tobytes())
    with pytest.raises(ValueError, match="got frame 5 damaged"):
        melt_quench(cluster(), tmp_path / "a", MELT, resume=True)


def test_bands_name_what_differs(tmp_path: Path) -> None:
    from analytic import DoubleWell

    initial, final = wells()

    def search(band: list[Atoms], calculator: object = None, **more: object) -> None:
        field_paths(band, calculator or (lambda _: DoubleWell()), [0.0], (1, 0, 0), fmax=0.05,
                    files=lambda _: tmp_path / "a.traj", resume=True, **more)  # fmt: skip

    band = interpolate_path(initial, final, 3)
    search(band)
    content = (tmp_path / "a.traj").read_bytes()
    shifted = [image.copy() for image in band]
    shifted[-1].positions[0, 1] += 0.01
    for given, more, message in (
        (shifted, {}, r"`final` must be the structure .*: Li0 is 0.01 Å away"),
        (band, {"climb": False}, "`climb` must be True, as in .*, got False"),
        (band, {"spring": 0.2}, "`spring` must be 0.1, as in .*, got 0.2"),
        (band, {"relax_ends": "never"}, "`relax_ends` must be True, as in .*, got False"),
    ):
        with pytest.raises(ValueError, match=message):
            search(given, **more)
    in_field = FieldCalculator(DoubleWell(), {"Li": 1, "O": -1}, (0.1, 0, 0))
    with pytest.raises(ValueError, match=r"`field` must be none, as in .*, got \[0.1, 0.0, 0.0\]"):
        search(band, lambda _: in_field)
    assert (tmp_path / "a.traj").read_bytes() == content
    search(band)


def test_walls_are_part_of_the_calculator(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    atoms = cluster()
    atoms.calc = Walls(Springs())
    run_md(atoms, path, ARGON, duration=12.0)
    other = cluster()
    other.calc = Walls(Springs(), {("Li", "O"): 1.2})
    with pytest.raises(ValueError, match=r"`closest.Li-O` must be none, as in .*, got 1.2"):
        run_md(other, path, ARGON, duration=24.0, resume=True)
