"""Trajectories from files: those of `run_md`, or any that ASE reads."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms, units
from ase.io.trajectory import TrajectoryReader
from numpy.typing import ArrayLike

from ase_bec.analysis.trajectory import Array, Trajectory
from ase_bec.analysis.unwrapping import check_jumps, unwrapped
from ase_bec.data.field_labels import known_field
from ase_bec.frame_checksums import is_whole
from ase_bec.trajectory_files import open_trajectory

_FIELD = tuple(f"field_{axis}_V_per_A" for axis in "xyz")


class _Frame(NamedTuple):
    atoms: Atoms
    time: float | None  # fs
    field: Array | None  # V/Å
    polarization: Array | None  # e/Å²
    outside: Mapping[str, int] = MappingProxyType({})  # atoms


def read_trajectory(
    source: str | Path | Sequence[str | Path] | Sequence[Atoms],
    *,
    timestep: float | None = None,
    start: float = 0.0,
    stop: float | None = None,
    stride: int = 1,
    unwrap: bool = False,
    field: ArrayLike | None = None,
) -> Trajectory:
    """Read a trajectory, check that its positions are unwrapped, and cut it.

    Trajectories of :func:`ase_bec.workflows.dynamics.md.run_md` hold their times, field (in the
    frames, or else in the table next to them) and, if recorded, polarization. While one is still
    being written, its complete frames are read. Other frames hold their field if a
    `FieldCalculator` has computed them, or if their ``info`` has an ``electric_field``.

    Parameters
    ----------
    source
        A file, several files that follow one another, or frames.
    timestep
        Time between frames in fs, for frames without recorded times.
    start
        Time in fs after the first frame before which frames are dropped (equilibration).
    stop
        Time in fs after the first frame after which frames are dropped.
    stride
        Keep every `stride`-th frame.
    unwrap
        Shift each atom by lattice vectors to be nearest to where it was in the frame before. A
        recorded dipole is dropped if that moves an atom, since it may be on another branch. A
        warning is given if frames are too far apart to follow each atom.
    field
        Constant field in V/Å, [3], for frames without a recorded one.

    Returns
    -------
    Trajectory

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file cannot be read, a recorded frame is damaged, the frames do not belong together,
        times are missing or given twice, fewer than two frames are left, or, unless `unwrap` is
        set, an atom jumps from one frame to the next by more than half of the cell's shortest
        height: it has been wrapped, or the frames are too far apart to tell.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.io import write
    >>> from ase_bec.analysis import read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(10)]
    >>> with TemporaryDirectory() as folder:
    ...     write(Path(folder) / "run.xyz", frames)
    ...     trajectory = read_trajectory(Path(folder) / "run.xyz", timestep=2.0, start=4.0)
    >>> len(trajectory), trajectory.elements, trajectory.interval
    (8, ('Na', 'Cl'), 2.0)
    """
    if timestep is not None and not 0 < timestep < np.inf:
        raise ValueError(f"`timestep` must be positive (fs), got {timestep}")
    if stride < 1:
        raise ValueError(f"`stride` must be at least 1, got {stride}")
    if start < 0 or (stop is not None and stop <= start):
        raise ValueError(f"`start` must be from 0 to below `stop` (fs), got {start} and {stop}")
    frames = list(_frames(source))
    _check_frames([frame.atoms for frame in frames])
    whole = _assemble(frames, timestep, field)
    if unwrap:
        whole = unwrapped(whole)
    else:
        check_jumps(whole)
    elapsed = whole.times - whole.times[0]
    end = np.inf if stop is None else stop
    kept = np.flatnonzero((elapsed >= start - 1e-6) & (elapsed <= end + 1e-6))
    if len(kept[::stride]) < 2:
        raise ValueError(
            f"`start`, `stop` and `stride` must leave at least two frames, got {len(kept)} of "
            f"{len(whole)} frames, which last {whole.duration:g} fs"
        )
    return whole.part(slice(int(kept[0]), int(kept[-1]) + 1, stride))


def _frames(source: Any) -> Iterator[_Frame]:
    """Read all frames of all sources, one after another."""
    if isinstance(source, str | Path):
        source = [source]
    for item in source:
        if isinstance(item, Atoms):
            yield _Frame(item, None, known_field(item), _recorded(item))
            continue
        path = Path(item)
        if not path.is_file():
            raise FileNotFoundError(f"there is no trajectory `{path}`")
        try:
            if path.suffix == ".traj":
                yield from _ase_frames(path)
            else:
                found = ase.io.read(path, index=":")
                yield from (_Frame(a, None, known_field(a), _recorded(a)) for a in found)
        except Exception as error:  # readers fail in many ways on other kinds of files
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"cannot read a trajectory from `{path}`: {reason}") from error


def _ase_frames(path: Path) -> Iterator[_Frame]:
    """Read an ASE trajectory, with what `run_md` keeps in it and next to it."""
    with open_trajectory(path) as reader:
        count = len(reader)
        settings = ((count and reader.description) or {}).get("md")
        rows: dict[int, Array] = {}
        if settings and "field" not in reader.backend[0].asdict()["md"]:
            rows = _field_rows(path.with_suffix(".csv"))
        for k in range(count):
            if settings is None:
                atoms = reader[k]
                yield _Frame(atoms, None, known_field(atoms), _recorded(atoms))
                continue
            atoms, md = _whole_frame(reader, k)
            step, field = int(md["step"]), _vector(md.get("field"))
            if rows and step not in rows:
                if k == count - 1:
                    return  # the row of the newest frame is written after the frame
                raise ValueError(f"the table `{path.with_suffix('.csv')}` lacks step {step}")
            polarization = _vector(md.get("polarization"))
            yield _Frame(
                atoms,
                step * float(settings["timestep"]),
                rows.get(step) if field is None else field,
                _recorded(atoms) if polarization is None else polarization,
                md.get("outside", {}),
            )


def _whole_frame(reader: TrajectoryReader, index: int) -> tuple[Atoms, dict[str, Any]]:
    """Read a frame of dynamics and what was recorded of it; raise where it is damaged."""
    try:
        atoms, md = reader[index], reader.backend[index].asdict()["md"]
        whole, reason = is_whole(atoms, md), "its checksum does not match"
    except Exception as error:  # damaged bytes make readers fail in many ways
        whole, reason = False, " ".join(str(error).split()) or type(error).__name__
    if not whole:
        raise ValueError(
            f"frame {index} of {len(reader)} is damaged ({reason}): restore the file from a copy, "
            "or, at its end, resume the run"
        )
    return atoms, md


def _field_rows(path: Path) -> dict[int, Array]:
    """Read the field at each step from the complete rows of a table; empty without table."""
    if not path.is_file():
        return {}
    lines = path.read_text().splitlines(keepends=True)
    table = csv.DictReader(line for line in lines if line.endswith("\n"))
    if not {"step", *_FIELD} <= set(table.fieldnames or ()):
        return {}
    return {int(row["step"]): np.array([float(row[name]) for name in _FIELD]) for row in table}


def _recorded(atoms: Atoms) -> Array | None:
    """Polarization among the results of a frame, in e/Å²."""
    return _vector(getattr(atoms.calc, "results", {}).get("polarization"))


def _vector(values: Any) -> Array | None:
    return None if values is None else np.asarray(values, dtype=float)


def _check_frames(frames: Sequence[Atoms]) -> None:
    """Raise unless all frames have the same atoms in the same cell."""
    if len(frames) < 2:
        raise ValueError(f"`source` must hold at least two frames, got {len(frames)}")
    first = frames[0]
    for index, frame in enumerate(frames):
        if not np.array_equal(frame.numbers, first.numbers):
            raise ValueError(f"`source` must have the same atoms, got others in frame {index}")
        if not np.allclose(frame.cell.array, first.cell.array, rtol=0, atol=1e-6):
            raise ValueError(f"`source` must have a constant cell, got another in frame {index}")
        if (frame.pbc != first.pbc).any():
            raise ValueError(f"`source` must have one periodicity, got another in frame {index}")


def _assemble(
    frames: Sequence[_Frame], timestep: float | None, field: ArrayLike | None
) -> Trajectory:
    """Stack frames; what some frames lack, the trajectory lacks."""
    known = [frame.time for frame in frames if frame.time is not None]
    if timestep is None and len(known) < len(frames):
        raise ValueError("`timestep` must be given (fs between frames): the frames have no times")
    if timestep is not None and known:
        raise ValueError(f"`timestep` must not be given, got {timestep}: the frames have times")
    times = np.array(known or [k * float(timestep or 0.0) for k in range(len(frames))])
    fields = _stack([frame.field for frame in frames])
    if field is not None:
        if fields is not None:
            raise ValueError("`field` must not be given: the frames have recorded fields")
        constant = np.asarray(field, dtype=float)
        if constant.shape != (3,):
            raise ValueError(f"`field` must be three numbers in V/Å, got {constant.tolist()}")
        fields = np.tile(constant, (len(frames), 1))
    first = frames[0].atoms
    velocities = None
    if all(frame.atoms.has("momenta") for frame in frames):
        velocities = np.array([frame.atoms.get_velocities() for frame in frames]) * units.fs
    polarization = _stack([frame.polarization for frame in frames])
    return Trajectory(
        times=times,
        positions=np.array([frame.atoms.positions for frame in frames]),
        numbers=first.numbers.astype(np.int64),
        masses=first.get_masses(),
        cell=first.cell.array.copy(),
        pbc=first.pbc.copy(),
        velocities=velocities,
        field=fields,
        dipole=None if polarization is None else polarization * first.get_volume(),
        outside={
            model: np.array([frame.outside[model] for frame in frames], dtype=np.int64)
            for model in frames[0].outside
            if all(model in frame.outside for frame in frames)
        },
    )


def _stack(values: Sequence[Array | None]) -> Array | None:
    there = [value for value in values if value is not None]
    return np.array(there) if len(there) == len(values) else None
