"""A structure that moves as a whole is told from diffusion; ions that move on their own are not."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from trajectory_examples import brownian, trajectory

from ase_bec.analysis import common_motion, diffusion, read_trajectory
from ase_bec.analysis.trajectory import Trajectory
from ase_bec.cli.main import main

INTERVAL = 2.0  # fs
WINDOW = (20.0, 120.0)
PATHS = {
    "drift": lambda t: t[:, None] * np.array([4e-3, 0.0, 0.0]),
    "slow drift": lambda t: t[:, None] * np.array([0.0, 3e-4, -2e-4]),
    "turn": lambda t: np.minimum(t, 800.0 - t)[:, None] * np.array([0.0, 3e-3, 3e-3]),
    "swing": lambda t: np.sin(t / 60)[:, None] * np.array([0.4, 0.0, 0.2]),
    "random walk": lambda t: np.random.default_rng(5).normal(0, 0.03, (len(t), 3)).cumsum(axis=0),
}


def crystal(path: str | None, ions: float = 0.0, frames: int = 400) -> Trajectory:
    """Rock salt that trembles, moves along a path, and through which Na diffuses (Å²/fs)."""
    rng = np.random.default_rng(1)
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 2, 2)
    times = np.arange(frames) * INTERVAL
    moves = rng.normal(scale=0.05, size=(frames, len(atoms), 3))
    steps = rng.normal(scale=np.sqrt(2 * ions * INTERVAL), size=(frames, 32, 3))
    moves[:, atoms.symbols == "Na"] += steps.cumsum(axis=0)
    moves -= np.einsum("a,tax->tx", atoms.get_masses() / atoms.get_masses().sum(), moves)[:, None]
    if path is not None:
        moves += PATHS[path](times)[:, None]
    symbols = atoms.get_chemical_symbols()
    return trajectory(times, atoms.positions + moves, symbols, atoms.cell.array)


@pytest.mark.parametrize("ions", [0.0, 2e-4])
@pytest.mark.parametrize("path", PATHS)
def test_a_crystal_that_moves_as_a_whole(path: str, ions: float) -> None:
    given, still = crystal(path, ions), crystal(None, ions)
    found = common_motion(given, WINDOW[1])
    assert found is not None
    way = given.positions[-1].mean(axis=0) - given.positions[0].mean(axis=0)
    mean = found.velocity.values * given.duration
    assert mean == pytest.approx(way, abs=0.3)
    assert set(found.shares) == {"Na", "Cl"}
    with pytest.warns(UserWarning, match="all elements move together.*relative_to"):
        wrong = diffusion(given, "Cl", WINDOW).coefficient.mean().value
    right = diffusion(given.relative_to(), "Cl", WINDOW).coefficient.mean().value
    alone = diffusion(still, "Cl", WINDOW).coefficient.mean().value
    assert right == pytest.approx(alone, abs=1e-12)
    assert abs(wrong - alone) > 1e-7


@pytest.mark.parametrize("ions", [0.0, 2e-4])
def test_a_crystal_at_rest(ions: float) -> None:
    assert common_motion(crystal(None, ions), WINDOW[1]) is None


def test_what_is_no_motion_of_the_whole() -> None:
    assert common_motion(brownian(3, [1e-3] * 3, frames=500, atoms=20), 500.0) is None
    given = brownian(4, [1e-3] * 3, (0, 0, 4e-3), frames=500, atoms=20)
    found = common_motion(given, 500.0)
    assert found is not None
    assert found.velocity.values == pytest.approx([0, 0, 4e-3], abs=5e-4)
    assert common_motion(given, 500.0, remove_drift=True) is None
    driven = trajectory(given.times, given.positions, ["Li"] * 20, field=np.ones((500, 3)))
    assert common_motion(driven, 500.0) is None  # a field drives them
    given.numbers[10:] = 9
    given.positions[:, 10:] = given.positions[0, 10:]
    assert common_motion(given, 500.0) is None  # ions through a framework at rest
    one = brownian(4, [1e-3] * 3, frames=500, atoms=1)
    assert common_motion(one, 500.0) is None


def test_chance_alone_is_hardly_ever_taken_for_a_motion() -> None:
    for seed in range(200):
        given = brownian(seed, [1e-3] * 3, frames=60, atoms=6)
        assert common_motion(given, 60.0) is None


def frames_of(given: Trajectory) -> list[Atoms]:
    return [given.atoms(k) for k in range(len(given))]


def test_command_takes_it_out_with_its_numbers(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("drift.xyz", frames_of(crystal("drift")))
    words = "analyse drift.xyz --timestep 2fs --charges Na=1,Cl=-1 --temperature 300"
    assert main([*words.split(), "--output", "one.png"]) == 0
    text = capsys.readouterr().out
    assert "Figure in one.png" in text
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    note = next(line for line in text.splitlines() if line.startswith("Note"))
    assert "drifts at (400.0" in note
    assert main([*words.split(), "--frame-of", "Na,Cl", "--output", "two"]) == 0
    same = capsys.readouterr().out
    assert "Note" not in same
    tables = [t.splitlines() for t in (text, same)]
    assert [x for x in tables[0] if "±" in x][1:] == [x for x in tables[1] if "±" in x]


def test_frames_too_far_apart_to_unwrap() -> None:
    crystal_ = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 2, 2)

    def read(sigma: float) -> Trajectory:
        rng, frames = np.random.default_rng(0), []
        positions = crystal_.positions.copy()
        for _ in range(400):
            positions = positions + rng.normal(scale=sigma, size=positions.shape)
            frames.append(Atoms(crystal_, positions=positions))
            frames[-1].wrap()
        return read_trajectory(frames, timestep=1000.0, unwrap=True)

    read(0.8)
    for sigma, loss in ((2.5, 7.5), (3.5, 29)):
        with pytest.warns(UserWarning, match=f"too small by {loss} % of Na"):
            given = read(sigma)
        steps = np.diff(given.positions, axis=0)
        assert 1 - (steps**2).mean() / sigma**2 == pytest.approx(loss / 100, abs=0.015)
    with pytest.raises(
        ValueError, match="of Na spread evenly over the cell: record frames more often"
    ):
        read(20.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_long_step_in_a_skewed_cell(axis: int) -> None:
    cell = np.array([[6.0, 0, 0], [2.5, 5, 0], [1, -2, 7]])
    positions = np.array([[0.1, 0, 0], [3, 2, 2.0]])

    def read(part: float) -> Trajectory:
        frames = [Atoms("LiO", positions, cell=cell, pbc=True) for _ in range(6)]
        for atoms in frames[3:]:
            atoms.positions[1] -= part * cell[axis]
        return read_trajectory(frames, timestep=1.0, unwrap=True)

    moved = read(0.38).positions
    assert moved[-1, 1] - moved[0, 1] == pytest.approx(-0.38 * cell[axis])
    with pytest.warns(UserWarning, match="atom 1 moves by .* from frame 2 to 3"):
        read(0.46)
