"""Reading of trajectories: times, field, dipole, cuts, wrapped frames; frames of reference."""

import re
from pathlib import Path

import numpy as np
import pytest
from analytic import Springs
from ase import Atoms, units
from ase.io import write
from ase.io.trajectory import Trajectory as Writer
from trajectory_examples import SKEWED, trajectory

from ase_bec import FieldCalculator
from ase_bec.analysis import dipole, read_trajectory
from ase_bec.frame_checksums import frame_checksums
from ase_bec.workflows import MDSettings, run_md


def moving(frames: int = 40, cell: np.ndarray = SKEWED) -> list[Atoms]:
    """Frames of two ions that move apart by several cells."""
    rng = np.random.default_rng(1)
    start, velocity = rng.uniform(0, 5, (2, 3)), np.array([[0.5, 0.3, -0.4], [-0.2, -0.6, 0.1]])
    return [
        Atoms("LiO", start + k * velocity, cell=cell, pbc=True, velocities=velocity)
        for k in range(frames)
    ]


def write_recorded(
    path: Path, frames: list[Atoms], rows: int | None = None, **values: list
) -> None:
    """Write a trajectory as dynamics with a time step of 2 fs, a frame every five, does."""
    with Writer(path, "w") as writer:
        writer.set_description({"md": {"timestep": 2.0}})
        for k, atoms in enumerate(frames):
            more = {name: value[k] for name, value in values.items()}
            recorded = {"step": 5 * k, "state": {}, **more}
            writer.backend.write(md={**recorded, **frame_checksums(atoms, recorded)})
            writer.write(atoms)
    lines = [f"{5 * k},0.1,0.2,{-0.1 * k}\n" for k in range(len(frames) if rows is None else rows)]
    head = "step,field_x_V_per_A,field_y_V_per_A,field_z_V_per_A\n"
    path.with_suffix(".csv").write_text(head + "".join(lines))


def test_record_of_dynamics(tmp_path: Path) -> None:
    atoms = Atoms("LiCl", [[0, 0, 0.1], [2.0, 0.3, 0]], cell=SKEWED, pbc=True)
    atoms.calc = FieldCalculator(Springs(), {"Li": 1, "Cl": -1}, (0.01, 0.0, -0.02))
    settings = MDSettings(timestep=2.0, temperature=100.0, interval=3)
    run_md(atoms, tmp_path / "md.traj", settings, 60.0)
    found = read_trajectory(tmp_path / "md.traj")
    assert found.times == pytest.approx(np.arange(11) * 6.0)
    assert found.field is not None
    assert found.field == pytest.approx(np.tile([0.01, 0.0, -0.02], (11, 1)))
    assert np.array_equal(found.positions[-1], atoms.positions)
    assert found.velocities is not None
    assert found.velocities[-1] == pytest.approx(atoms.get_velocities() * units.fs)
    assert found.temperatures[-1] == pytest.approx(atoms.get_temperature())
    assert found.dipole is not None
    formal = dipole(found, {"Li": 1.0, "Cl": -1.0})
    assert np.abs(formal[-1] - formal[0]).max() > 0.01
    assert found.dipole - found.dipole[0] == pytest.approx(formal - formal[0], abs=1e-9)


def test_field_and_dipole_of_frames(tmp_path: Path) -> None:
    frames = moving(6)
    polarization = np.arange(18.0).reshape(6, 3)
    field = (polarization * 0.01).tolist()
    path = tmp_path / "md.traj"
    write_recorded(path, frames, polarization=polarization.tolist())
    found = read_trajectory(path)
    assert found.field is not None
    assert found.field[3] == pytest.approx([0.1, 0.2, -0.3])  # of the table
    assert found.dipole == pytest.approx(polarization * abs(np.linalg.det(SKEWED)))
    write_recorded(path, frames, polarization=polarization.tolist(), field=field)
    assert read_trajectory(path).field == pytest.approx(np.array(field))  # of the frames


def test_frame_without_its_row_is_still_being_written(tmp_path: Path) -> None:
    write_recorded(tmp_path / "md.traj", moving(6), rows=5)
    assert len(read_trajectory(tmp_path / "md.traj")) == 5
    write_recorded(tmp_path / "md.traj", moving(6), rows=4)
    with pytest.raises(ValueError, match="lacks step 20"):
        read_trajectory(tmp_path / "md.traj")


def test_cut_and_parts(tmp_path: Path) -> None:
    frames = moving(20)
    found = read_trajectory(frames, timestep=10.0, start=30.0, stop=100.0, stride=3)
    assert found.times == pytest.approx([30, 60, 90])
    assert np.array_equal(found.positions[1], frames[6].positions)
    for name, part in {"a.traj": frames[:8], "b.xyz": frames[8:]}.items():
        write(tmp_path / name, part)
    both = read_trajectory([tmp_path / "a.traj", tmp_path / "b.xyz"], timestep=10.0)
    assert both.positions == pytest.approx(np.array([f.positions for f in frames]), abs=1e-7)


def test_wrapped_frames() -> None:
    frames = moving()
    whole = read_trajectory(frames, timestep=1.0)
    for atoms in frames:
        atoms.wrap()
    with pytest.raises(ValueError, match=r"jump of .* of atom \d from frame \d+ to \d+.*`unwrap`"):
        read_trajectory(frames, timestep=1.0)
    back = read_trajectory(frames, timestep=1.0, unwrap=True)
    shift = whole.positions[0] - back.positions[0]
    assert back.positions + shift == pytest.approx(whole.positions, abs=1e-9)


def test_frames_too_far_apart_say_how_much_is_lost() -> None:
    walk = np.random.default_rng(0).normal(scale=1.6, size=(400, 20, 3)).cumsum(axis=0)
    frames = [Atoms("Li20", x, cell=[8, 8, 8], pbc=True) for x in walk]
    for atoms in frames:
        atoms.wrap()
    with pytest.warns(UserWarning, match="too far apart to follow each atom") as found:
        seen = read_trajectory(frames, timestep=1.0, unwrap=True)
    said = re.search(r"too small by (\d+)", str(found[0].message))
    assert said is not None
    left = (np.diff(seen.positions, axis=0) ** 2).mean() / (np.diff(walk, axis=0) ** 2).mean()
    assert float(said[1]) == pytest.approx(100 * (1 - left), abs=2)


def test_frames_that_cannot_be_followed_are_refused() -> None:
    cell = [8, 8, 8]
    at = np.random.default_rng(0).uniform(0, 8, (200, 20, 3))
    frames = [Atoms("Li20", x, cell=cell, pbc=True) for x in at]
    with pytest.raises(ValueError, match="spread evenly over the cell: record frames more often"):
        read_trajectory(frames, timestep=1.0, unwrap=True)


def test_jump_names_frame_and_atom() -> None:
    frames = moving(10, np.eye(3) * 20)
    for atoms in frames[7:]:
        atoms.positions[1, 2] += 20
    with pytest.raises(ValueError, match="of atom 1 from frame 6 to 7"):
        read_trajectory(frames, timestep=1.0)
    frames[3].pbc = frames[2].pbc = False
    with pytest.raises(ValueError, match="periodicity, got another in frame 2"):
        read_trajectory(frames, timestep=1.0)


def test_longest_jump_is_half_the_shortest_height() -> None:
    volume = abs(np.linalg.det(SKEWED))
    a, b, c = SKEWED
    height = volume / max(np.linalg.norm(np.cross(p, q)) for p, q in ((a, b), (b, c), (c, a)))
    for part, refused in ((0.49, False), (0.51, True)):
        frames = [Atoms("Li", cell=SKEWED, pbc=True) for _ in range(2)]
        frames[1].positions[0, 0] = part * height
        if refused:
            with pytest.raises(ValueError, match=f"height of the cell \\({height / 2:.2f} Å"):
                read_trajectory(frames, timestep=1.0)
        else:
            read_trajectory(frames, timestep=1.0)
    for atoms in frames:
        atoms.pbc = False
    read_trajectory(frames, timestep=1.0)  # nothing to wrap into


def test_unwrapping_drops_a_dipole_of_unknown_branch(tmp_path: Path) -> None:
    path, zero = tmp_path / "md.traj", np.zeros((40, 3)).tolist()
    write_recorded(path, moving(), polarization=zero)
    assert read_trajectory(path, unwrap=True).dipole is not None
    wrapped = moving()
    for atoms in wrapped:
        atoms.wrap()
    write_recorded(path, wrapped, polarization=zero)
    assert read_trajectory(path, unwrap=True).dipole is None


def test_frame_of_the_framework() -> None:
    rng = np.random.default_rng(2)
    times, start = np.arange(5.0), rng.uniform(0, 5, (3, 3))
    v = rng.standard_normal((3, 3))
    positions = start + times[:, None, None] * v
    charges = np.array([1.0, 5.0, -2.0])
    dipole = np.einsum("a,tax->tx", charges, positions)
    given = trajectory(
        times, positions, ["Li", "P", "O"], velocities=np.tile(v, (5, 1, 1)), dipole=dipole
    )
    seen = given.relative_to(["P", "O"], net_charge=4.0)
    centre = (given.masses[1:, None] * v[1:]).sum(0) / given.masses[1:].sum()
    assert seen.positions == pytest.approx(start + times[:, None, None] * (v - centre))
    assert seen.velocities is not None
    assert seen.velocities[2] == pytest.approx(v - centre)
    assert seen.dipole == pytest.approx(np.einsum("a,tax->tx", charges, seen.positions))
    assert given.relative_to(["P"]).dipole is None
    moved = given.relative_to().positions
    assert np.einsum("a,tax->tx", given.masses, moved - moved[0]) == pytest.approx(0, abs=1e-9)


def test_bad_input(tmp_path: Path) -> None:
    frames = moving(5)
    (tmp_path / "text.traj").write_text("nothing")
    for call, words in {
        lambda: read_trajectory(frames): "`timestep` must be given",
        lambda: read_trajectory(frames, timestep=0.0): "`timestep` must be positive",
        lambda: read_trajectory(frames, timestep=1.0, stride=0): "`stride`",
        lambda: read_trajectory(frames, timestep=1.0, start=4.0): "at least two frames",
        lambda: read_trajectory(frames[:1], timestep=1.0): "at least two frames",
        lambda: read_trajectory(frames, timestep=1.0, field=(1, 2)): "`field` must be three",
        lambda: read_trajectory(tmp_path / "text.traj"): "cannot read",
        lambda: read_trajectory([*frames, frames[0][:1]], timestep=1.0): "others in frame 5",
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(FileNotFoundError):
        read_trajectory(tmp_path / "none.traj")
    given = read_trajectory(frames, timestep=1.0)
    with pytest.raises(ValueError, match="`element` must be one of Li, O, got 'P'"):
        given.indices("P")
    with pytest.raises(ValueError, match="`charges` must have"):
        given.charges({"Li": 1.0})
    uneven = trajectory(np.array([0.0, 1.0, 3.0]), np.zeros((3, 1, 3)), ["Li"])
    with pytest.raises(ValueError, match="equally spaced"):
        _ = uneven.interval
    with pytest.raises(ValueError, match="`times` must increase"):
        trajectory(np.array([0.0, 0.0]), np.zeros((2, 1, 3)), ["Li"])
    with pytest.raises(ValueError, match="`positions` must have the shape"):
        trajectory(np.array([0.0, 1.0]), np.zeros((3, 1, 3)), ["Li"])


def test_parts_that_overlap_in_time_are_refused(tmp_path: Path) -> None:
    write_recorded(tmp_path / "md.traj", moving(6))
    with pytest.raises(ValueError, match="`times` must increase"):
        read_trajectory([tmp_path / "md.traj"] * 2, unwrap=True)


def test_changing_field_is_no_constant_one() -> None:
    field = np.zeros((2, 3))
    still = trajectory(np.arange(2.0), np.zeros((2, 1, 3)), ["Li"], field=field)
    assert np.array_equal(still.constant_field(), np.zeros(3))
    field = np.array([[0, 0, 0.1], [0, 0, 0.2]])
    with pytest.raises(ValueError, match="`field` must be constant"):
        trajectory(np.arange(2.0), np.zeros((2, 1, 3)), ["Li"], field=field).constant_field()
