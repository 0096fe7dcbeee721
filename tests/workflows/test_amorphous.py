"""Melting and quenching: schedule, guards, and the whole run, killed and resumed."""

import random
from dataclasses import replace
from pathlib import Path

import killing
import numpy as np
import pytest
from analytic import Springs
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io.trajectory import Trajectory
from dynamics_examples import MELT, cluster

from ase_bec.workflows import (
    MDSettings,
    MeltQuenchSettings,
    UnphysicalStructure,
    melt_quench,
    read_table,
    run_md,
)
from ase_bec.workflows.structures.bonds import require_apart, require_temperature


def state(folder: Path) -> list[np.ndarray]:
    with Trajectory(folder / "final.traj") as final, Trajectory(folder / "run.traj") as run:
        end, frames = final[-1], list(run)
    arrays = [end.positions, end.get_forces(), end.cell.array]
    return arrays + [x for a in frames for x in (a.positions, a.get_momenta())]


def assert_same_output(one: Path, two: Path) -> None:
    for a, b in zip(state(one), state(two), strict=True):
        assert np.array_equal(a, b)
    assert (one / "run.csv").read_text() == (two / "run.csv").read_text()
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}


def test_schedule_holds_quenches_and_anneals() -> None:
    settings = MeltQuenchSettings(
        melt_temperature=2000.0, melt_time=500.0, quench_rate=1000.0, final_temperature=400.0
    )
    assert settings.quench_time == 1600.0
    assert settings.duration == 500.0 + 1600.0 + 2000.0
    dynamics = settings.dynamics()
    times = {0: 2000, 500: 2000, 900: 1600, 1300: 1200, 2100: 400, 4100: 400, 10**6: 400}
    for time_, temperature in times.items():
        assert dynamics.temperature_at(time_ // 2) == pytest.approx(temperature)
    odd = replace(settings, melt_time=501.0)
    assert odd.duration == 4120.0  # whole frames of 20 fs
    dynamics.steps(odd.duration)


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin"])
def test_ramp_resumes_exactly_and_a_flat_one_is_no_ramp(tmp_path: Path, thermostat: str) -> None:
    settings = MDSettings(
        2.0, thermostat, interval=5, relaxation_time=20.0, ramp=((20, 900), (120, 100))
    )
    paths = [tmp_path / f"{k}.traj" for k in range(4)]
    run_md(cluster(), paths[0], settings, 200.0)
    for end in (10.0, 70.0, 200.0):
        run_md(cluster(), paths[1], settings, end, resume=paths[1].exists())
    assert paths[0].with_suffix(".csv").read_text() == paths[1].with_suffix(".csv").read_text()
    run_md(cluster(), paths[2], replace(settings, ramp=((0, 300),)), 50.0)
    run_md(cluster(), paths[3], replace(settings, ramp=(), temperature=300.0), 50.0)
    assert paths[2].with_suffix(".csv").read_text() == paths[3].with_suffix(".csv").read_text()
    with pytest.raises(ValueError, match=r"`ramp` must be .* as in the frames"):
        run_md(cluster(), paths[0], replace(settings, ramp=((20, 900),)), 300.0, resume=True)


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin"])
def test_atoms_follow_the_ramp(tmp_path: Path, thermostat: str) -> None:
    places = np.random.default_rng(2).random((12, 3)) * 6
    atoms = Atoms("Ar12", places, cell=[20, 20, 20])
    atoms.calc = Springs()
    settings = MDSettings(
        2.0, thermostat, interval=20, relaxation_time=50.0, ramp=((3000, 600.0), (3000, 150.0))
    )
    run_md(atoms, tmp_path / "md.traj", settings, 6000.0)
    temperature = read_table(tmp_path / "md.traj")["temperature_K"] * 12 / 11  # fixed centre
    assert temperature[15:75].mean() == pytest.approx(600.0, rel=0.12)
    assert temperature[90:].mean() == pytest.approx(150.0, rel=0.12)


@pytest.mark.parametrize(
    ("ramp", "message"),
    [
        (((0, 300), (10,)), "`ramp` must be points"),
        (((10, 300), (0, 200)), "`ramp` must be points"),
        (((0, -3),), "`ramp` must be points"),
        (((0, np.nan),), "`ramp` must be points"),
    ],
)
def test_bad_ramps(ramp: tuple[tuple[float, ...], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MDSettings(ramp=ramp)
    with pytest.raises(ValueError, match="`ramp` must come with a thermostat and without"):
        MDSettings(temperature=300.0, ramp=((0, 300),))


def test_interrupted_and_resumed_is_the_same_structure(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    made = melt_quench(cluster(), one, MELT)
    assert made.run.completed
    assert made.converged
    with Trajectory(one / "run.traj") as frames:
        steps = frames[10].positions - frames[0].positions  # 100 fs
    for k, symbol in ((slice(0, 3, 2), "Li"), (slice(1, 4, 2), "O")):
        assert made.moved[symbol] == pytest.approx(np.sqrt((steps[k] ** 2).sum(axis=1).mean()))
    assert np.linalg.norm(made.atoms.get_forces(), axis=1).max() < 0.05
    start = cluster()
    melt_quench(start, two, MELT, resume=True)  # from nothing
    assert np.array_equal(start.positions, cluster().positions)
    assert_same_output(one, two)
    (two / "final.traj").unlink()
    with (two / "run.traj").open("r+b") as file:
        file.seek(32)
        file.write(np.int64(9).tobytes())  # frames
    again = melt_quench(cluster(), two, MELT, resume=True)
    assert_same_output(one, two)
    assert np.array_equal(again.atoms.positions, made.atoms.positions)
    third = melt_quench(cluster(), two, MELT, resume=True)
    assert np.array_equal(third.atoms.positions, made.atoms.positions)


SCRIPT = """
import sys
from dataclasses import replace
from dynamics_examples import MELT, cluster
from ase_bec.workflows import melt_quench
melt_quench(cluster(), sys.argv[1], replace(MELT, melt_time=300.0), resume=True)
"""


def test_killed_at_random_moments_and_resumed_is_the_same_structure(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    melt_quench(cluster(), one, replace(MELT, melt_time=300.0))
    choice, path = random.Random(1), two / "run.traj"
    whole = (one / "run.traj").stat().st_size
    for part in ((0.05, 0.3), (0.35, 0.6)):  # of the trajectory that is there when killed
        killing.kill(killing.start(SCRIPT, two), path, choice.uniform(*part) * whole)
    assert not (two / "final.traj").exists()
    assert killing.start(SCRIPT, two).wait() == 0
    assert_same_output(one, two)


def test_other_settings_and_structures_are_refused(tmp_path: Path) -> None:
    melt_quench(cluster(), tmp_path, MELT)
    with pytest.raises(
        FileExistsError, match="set `resume` or `overwrite`, or name another folder"
    ):
        melt_quench(cluster(), tmp_path, MELT)
    with pytest.raises(ValueError, match=r"`quench_rate` must be 4000.0, as in .*, got 5000.0"):
        melt_quench(cluster(), tmp_path, replace(MELT, quench_rate=5000.0), resume=True)
    other = cluster()
    other.positions[0, 0] += 1e-9
    with pytest.raises(ValueError, match=r"`atoms` must be Li2O2 .*, as in"):
        melt_quench(other, tmp_path, MELT, resume=True)
    melt_quench(other, tmp_path, replace(MELT, fmax=None), overwrite=True)
    flat = cluster()
    flat.pbc = (True, True, False)
    with pytest.raises(ValueError, match="`atoms` must be periodic"):
        melt_quench(flat, tmp_path / "flat", MELT)
    assert not (tmp_path / "flat").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"melt_temperature": 50.0}, "`final_temperature` must be below the melt temperature"),
        ({"density": -1.0}, "`density` must be positive"),
        ({"quench_rate": 0.0}, "`quench_rate` must be positive"),
        ({"anneal_time": -1.0}, "`anneal_time` must not be negative"),
        ({"timestep": 0.0}, "`timestep` must be positive"),
    ],
)
def test_bad_settings(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(MELT, **changes)


def test_guards_stop_on_overlap_and_heat(tmp_path: Path) -> None:
    atoms = Atoms("LiP", [[0, 0, 0], [0, 0, 8.0]], cell=[9, 9, 9], pbc=True)
    atoms.positions[1, 2] = 9 - 0.5 * (1.28 + 1.07) - 1e-6  # through the boundary
    require_apart(atoms)
    atoms.positions[1, 2] += 2e-6
    with pytest.raises(UnphysicalStructure, match=r"(Li0 and P1|P1 and Li0) are 1\.17 Å apart"):
        require_apart(atoms)
    atoms.set_momenta(np.full((2, 3), np.nan))
    with pytest.raises(UnphysicalStructure, match="the temperature is nan K"):
        require_temperature(atoms, 1000.0)
    pulled = Atoms("LiCl", [[0, 0, 0], [0, 0, 2.0]], cell=[9, 9, 9], pbc=True)
    pulled.calc = LennardJones(sigma=0.3, epsilon=900.0, rc=4.0, smooth=True)  # below the walls
    with pytest.raises(UnphysicalStructure):
        melt_quench(pulled, tmp_path, MELT)
    assert not (tmp_path / "final.traj").exists()
