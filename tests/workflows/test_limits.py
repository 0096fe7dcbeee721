"""Runs that are no longer physical stop with all frames kept; those that are go on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analytic import Springs
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from dynamics_examples import ARGON, argon, assert_same_record, cluster, frames_of

from ase_bec import FieldCalculator
from ase_bec.calculators import SineField
from ase_bec.cli import field
from ase_bec.cli.main import main
from ase_bec.workflows import (
    Limits,
    MDSettings,
    MeltQuenchSettings,
    UnphysicalStructure,
    Walls,
    melt_quench,
    read_table,
    run_md,
)
from ase_bec.workflows.dynamics.outside import outside_counts
from ase_bec.workflows.dynamics.watch import Look, Watch

BATH = MDSettings(1.0, "langevin", 1000.0, relaxation_time=20.0, interval=10)  # means of 20 frames


class Counting(Springs):
    """Springs that count atoms outside their range, from some calculation on, one more each."""

    def __init__(self, first: int = 0, most: int = 99) -> None:
        super().__init__()
        self.first, self.most, self.calls, self.extras = first, most, 0, {}

    def calculate(self, *args: object, **kwargs: object) -> None:
        super().calculate(*args, **kwargs)
        self.calls += 1
        outside = max(0, self.calls - self.first)
        self.extras = {"outside": min(outside, self.most, len(self.atoms))}


class Hot(Springs):
    """Springs with random forces of 15 eV/Å, the same for the same positions."""

    def calculate(self, *args: object, **kwargs: object) -> None:
        super().calculate(*args, **kwargs)
        seed = np.frombuffer(self.atoms.positions.tobytes(), dtype=np.uint32)
        self.results["forces"] += np.random.default_rng(seed).normal(0, 15.0, (len(self.atoms), 3))


def looked(settings: MDSettings, temperatures: object, natoms: int = 100, **more: object) -> int:
    """Frames of these temperatures that pass; all or those before the one that does not."""
    watch = Watch(settings, Atoms(f"H{natoms}"))
    values = np.broadcast_to(temperatures, (200,))
    for k, temperature in enumerate(values):
        given = {name: value[k] for name, value in more.items()}
        try:
            watch.look(Look(k * settings.interval, float(temperature), {}, **given))
        except UnphysicalStructure:
            return k
    return len(values)


def test_temperatures_that_stay_far_above_the_thermostat() -> None:
    late = np.where(np.arange(200) < 100, 1000.0, 3000.0)
    assert looked(BATH, 1300.0) == 200
    assert looked(BATH, 2000.0) == 39  # two times of the mean from the start
    assert 100 < looked(BATH, late) < 120
    spike = np.where(np.arange(200) == 100, 5000.0, 1000.0)
    assert looked(BATH, spike) == 200
    assert looked(BATH, np.where(np.arange(200) == 100, 3e4, 1000.0)) == 100
    start = 1000 + 6000 * np.exp(-np.arange(200) / 4)  # strained, or drawn twice as hot
    assert looked(BATH, start) == 200
    assert looked(replace(BATH, limits=Limits(temperature=np.inf)), late) == 200
    assert looked(replace(BATH, limits=Limits(temperature=900.0)), 1000.0) == 19
    assert looked(replace(BATH, thermostat="none"), 9000.0) == 200  # nothing to compare with
    absolute = replace(BATH, thermostat="none", limits=Limits(temperature=5000.0))
    assert looked(absolute, 9000.0) == 19


def test_few_atoms_fluctuate() -> None:
    rng = np.random.default_rng(3)
    for natoms in (2, 4, 20):
        for _ in range(20):
            chances = rng.chisquare(3 * natoms, 200) / (3 * natoms) * 1000.0
            assert looked(BATH, chances, natoms) == 200


def test_atoms_follow_a_quench_late() -> None:
    ramp = ((0.0, 3000.0), (500.0, 3000.0), (700.0, 300.0))  # 13,500 K/ps
    settings = replace(BATH, temperature=None, ramp=ramp)
    times = 10.0 * np.arange(200)
    late = np.interp(times - 60, *np.array(ramp).T)
    assert looked(settings, late) == 200
    assert looked(settings, np.where(times < 1400, late, 600.0)) < 200


def test_a_conserved_energy_that_changes() -> None:
    slow, fast = -1234 + 0.05 * np.arange(200), -1234 - 0.1 * np.arange(200)
    assert looked(BATH, 1000.0, conserved=slow) == 200
    assert looked(BATH, 1000.0, conserved=fast) == 20 + 101  # 0.1 eV/atom after the first means
    assert looked(replace(BATH, limits=Limits(energy=0.15)), 1000.0, conserved=fast) == 20 + 151
    strained = np.where(np.arange(200) < 20, 500.0, 0.0)  # lost while a strained start relaxes
    assert looked(BATH, 1000.0, conserved=strained) == 200


@pytest.mark.parametrize(("name", "value"), [("outside", 0.0), ("energy", -1), ("temperature", 0)])
def test_bad_limits(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be positive, got"):
        Limits(**{name: value})


def test_atoms_outside_are_counted_and_stop_the_run(tmp_path: Path) -> None:
    settings = replace(ARGON, relaxation_time=10.0)  # 17 frames
    wide = replace(settings, limits=Limits(outside=0.8))
    path, whole = tmp_path / "md.traj", tmp_path / "whole.traj"
    atoms = argon()
    atoms.calc = Counting(first=60, most=2)
    with pytest.raises(UnphysicalStructure, match=r"no longer physical at step \d+ .* 28% of the"):
        run_md(atoms, path, settings, duration=600.0)
    table = read_table(path)
    counts = table["outside_potential"]
    assert len(frames_of(path)) == len(counts) < 101
    assert set(counts) <= {0.0, 1.0, 2.0}
    assert counts[-17:].mean() / 4 > 0.25 >= counts[-18:-1].mean() / 4
    content = path.read_bytes()
    again = argon()
    again.calc = Counting(first=0, most=2)
    with pytest.raises(UnphysicalStructure, match="28% of the atoms"):
        run_md(again, path, settings, duration=600.0, resume=True)
    assert path.read_bytes() == content
    assert run_md(again, path, wide, duration=600.0, resume=True).completed
    other = argon()
    other.calc = Counting(first=60, most=2)
    run_md(other, whole, wide, duration=600.0)
    assert_same_record(whole, path)


def test_counts_are_found_below_fields_and_walls() -> None:
    atoms = cluster()
    base = Counting(most=3)
    atoms.calc = Walls(base)
    assert outside_counts(atoms.calc) == {}
    atoms.get_forces()
    assert outside_counts(atoms.calc) == {"potential": 1}
    base.extras = {"outside": np.array([True, False, True, True])}
    assert outside_counts(atoms.calc) == {"potential": 3}
    charged = FieldCalculator(base, {"Li": 1, "O": -1}, (0, 0, 0.1))
    assert outside_counts(charged, ["charges"]) == {}
    charged.__class__ = type("Rated", (FieldCalculator,), {"extras": {"charges_outside": 2}})
    assert outside_counts(Walls(charged)) == {"potential": 3, "charges": 2}
    assert outside_counts(LennardJones()) == {}


def test_a_run_that_heats_without_end_stops(tmp_path: Path) -> None:
    atoms = cluster()
    atoms.calc = Hot()
    path = tmp_path / "md.traj"
    settings = MDSettings(1.0, "langevin", 100.0, relaxation_time=50.0, interval=5)
    with pytest.raises(UnphysicalStructure, match=r"above the limit of .* with the thermostat at"):
        run_md(atoms, path, settings, duration=10000.0)
    table = read_table(path)
    assert table["temperature_K"][-100:].mean() > 250
    assert len(frames_of(path)) == len(table["step"])


@pytest.mark.parametrize(
    ("thermostat", "timestep", "reason"),
    [("none", 20.0, "temperature is"), ("nose-hoover", 25.0, "conserved energy has changed by")],
)
def test_a_time_step_too_long_stops_the_run(
    tmp_path: Path, thermostat: str, timestep: float, reason: str
) -> None:
    settings = MDSettings(timestep, thermostat, 900.0, interval=1)
    path = tmp_path / "md.traj"
    with pytest.raises(UnphysicalStructure, match=reason):
        run_md(cluster(), path, settings, duration=10000.0)
    assert len(frames_of(path)) > 1
    assert len(read_table(path)["step"]) == len(frames_of(path))


def test_forces_that_are_not_numbers_are_not_recorded(tmp_path: Path) -> None:
    class Failing(Counting):
        def calculate(self, *args: object, **kwargs: object) -> None:
            super().calculate(*args, **kwargs)
            if self.calls > 20:
                self.results["forces"] = self.results["forces"] * np.nan

    atoms = argon()
    atoms.calc = Failing(first=100)
    path = tmp_path / "md.traj"
    with pytest.raises(UnphysicalStructure, match="not finite at step"):
        run_md(atoms, path, ARGON, duration=600.0)
    frames = frames_of(path)
    assert len(frames) > 2
    assert all(np.isfinite(a.positions).all() and np.isfinite(a.get_forces()).all() for a in frames)


def lattice() -> Atoms:
    return bulk("Ar", cubic=True).repeat(2)


@pytest.mark.parametrize("thermostat", ["none", "langevin", "nose-hoover"])
@pytest.mark.parametrize("rattle", [0.0, 0.4])
def test_starts_from_rest_and_from_strain(tmp_path: Path, thermostat: str, rattle: float) -> None:
    atoms = lattice()
    atoms.rattle(rattle, seed=1)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=5.2, smooth=True)
    settings = MDSettings(5.0, thermostat, 20.0, relaxation_time=100.0, interval=10)
    assert run_md(atoms, tmp_path / "md.traj", settings, duration=5000.0).completed


@pytest.mark.parametrize("shape", ["constant", "sine", "forces only"])
def test_ions_that_a_field_heats_without_thermostat(tmp_path: Path, shape: str) -> None:
    atoms = lattice()
    atoms.symbols[::2] = "Ne"
    base = LennardJones(sigma=3.4, epsilon=0.0104, rc=5.2, smooth=True)
    e = (0.0, 0.0, 0.1)
    function = SineField(e, 400.0) if shape == "sine" else e
    energy = "none" if shape == "forces only" else "potential"
    atoms.calc = FieldCalculator(base, {"Ar": -1.0, "Ne": 1.0}, function, energy=energy)
    settings = MDSettings(2.0, "none", 5.0, interval=10)
    path = tmp_path / "md.traj"
    assert run_md(atoms, path, settings, duration=2000.0).completed
    assert read_table(path)["temperature_K"].max() > 50


def test_a_melt_that_leaves_the_range_stops(tmp_path: Path) -> None:
    atoms = cluster()
    atoms.calc = Counting(first=400)
    settings = MeltQuenchSettings(
        melt_temperature=900.0, melt_time=2000.0, interval=5, relaxation_time=20.0
    )
    with pytest.raises(UnphysicalStructure, match="outside the range that the potential was made"):
        melt_quench(atoms, tmp_path / "melt", settings)
    assert 10 < len(frames_of(tmp_path / "melt" / "run.traj")) < 200
    assert not (tmp_path / "melt" / "final.traj").exists()


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(field, "potential", lambda *_: lambda: Counting(first=60))
    cluster().write("start.xyz")


@pytest.mark.filterwarnings("default")
def test_commands_stop_with_a_status_and_analyse_warns(
    start: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "md start.xyz --nnp m --temperature 50 --relaxation-time 10fs --interval 2 --time 2ps"
    assert main(words.split()) == 1
    output = capsys.readouterr()
    assert "ase-bec md: stopped: the run is no longer physical at step" in output.err
    assert "--limit-outside" in output.err
    assert output.out.endswith("md.traj; table md.csv, md.png\n")
    assert Path("md.png").exists()
    assert main(["analyse", "md.traj", "--blocks", "2", "--fit", "4fs", "20fs"]) == 0
    text, warned = capsys.readouterr()
    assert "these results are not properties of the material" in warned
    counts = read_table("md.traj")["outside_potential"] / 4
    assert f"{counts.mean():.2%} of the atoms on average, {counts.max():.1%} at most" in text
    assert main([*words.split(), "--limit-outside", "1.5", "--overwrite"]) == 0
    assert main([*words.split(), "--limit-outside", "-1", "--overwrite"]) == 2
    melt = "amorphous start.xyz --nnp m --melt 900 2ps --relaxation-time 20fs --interval 5"
    assert main(melt.split()) == 1
    output = capsys.readouterr()
    assert "stopped: the run is no longer physical" in output.err
    assert output.out.endswith("run.traj, run.csv in amorphous\n")
