"""Record of a molecular-dynamics run: a trajectory that is its own checkpoint, and a table."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter
from ase.io.ulm import writeint

from ase_bec.atomic_files import atomic_write
from ase_bec.frame_checksums import frame_checksums, is_whole
from ase_bec.locks import locked
from ase_bec.trajectory_files import open_trajectory

_COUNT = 32  # byte offset of the number of frames in an ASE trajectory


@dataclass(frozen=True)
class RecordedFrame:
    """One recorded frame and all that is needed to continue from it.

    Attributes
    ----------
    atoms
        Structure with unwrapped positions (Å), momenta, and results.
    step
        Number of the time step.
    state
        State of the thermostat and its random numbers.
    values
        What else was recorded, such as field and polarization.
    """

    atoms: Atoms
    step: int
    state: Mapping[str, Any]
    values: Mapping[str, Any]


class FrameWriter:
    """Append frames to an ASE trajectory, each with the state of the run.

    A frame becomes part of the file through one eight-byte write of the number of frames, after
    everything else of it has been written. So the file is whole after a kill at any moment, and
    its last frame is the checkpoint: there is no second file to disagree with it.

    Parameters
    ----------
    path
        The trajectory.
    settings
        Plain values kept in the head of a new trajectory.
    append
        Continue an existing trajectory.

    Raises
    ------
    OutputInUse
        If another run is writing to the trajectory.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], append: bool) -> None:
        self._lock = ExitStack()
        self._lock.enter_context(locked(path, again=True))
        try:
            if not append:
                path.unlink(missing_ok=True)
            self._writer = TrajectoryWriter(path, mode="a" if append else "w")
            self._writer.set_description(dict(settings))
        except BaseException:
            self._lock.close()
            raise

    def write(
        self,
        atoms: Atoms,
        step: int,
        state: Mapping[str, Any],
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write one frame, with other plain values of it, and wait until it is on disk."""
        backend = self._writer.backend
        recorded = {**values, "step": step, "state": dict(state)}
        backend.write(md={**recorded, **frame_checksums(atoms, recorded)})
        self._writer.write(atoms)
        os.fsync(backend.fd.fileno())

    def close(self) -> None:
        """Close the file without writing anything."""
        self._writer.backend.fd.close()
        self._lock.close()

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Head:
    """How a run began.

    Attributes
    ----------
    atoms
        First frame.
    values
        What else was recorded of it.
    settings
        The plain values given to the writer.
    """

    atoms: Atoms
    values: Mapping[str, Any]
    settings: Mapping[str, Any]


def read_head(path: Path) -> Head:
    """Read how the run of a trajectory with frames began."""
    with open_trajectory(path) as trajectory:
        md = trajectory.backend[0].asdict()["md"]
        return Head(trajectory[0], md, dict(trajectory.description or {}))


def recorded_values(path: Path, most: int) -> list[dict[str, Any]]:
    """Read what was recorded of at most so many frames, evenly spread, the last among them."""
    with open_trajectory(path) as trajectory:
        chosen = np.unique(np.linspace(0, len(trajectory) - 1, most).astype(int))
        return [trajectory.backend[int(k)].asdict()["md"] for k in chosen]


def recorded_frames(path: Path, choose: Callable[[int], Iterable[int]]) -> list[RecordedFrame]:
    """Read some frames, by a function that chooses their indices from their number."""
    with open_trajectory(path) as trajectory:
        return [_read(trajectory, k) for k in choose(len(trajectory))]


def last_frame(path: Path) -> RecordedFrame | None:
    """Read the last frame, dropping those that a power failure left broken at the end.

    Returns
    -------
    The frame, or None where the trajectory holds none yet.

    Raises
    ------
    ValueError
        If the file is no trajectory, one that no such run has written, or has a damaged frame
        before the last.
    """
    if path.stat().st_size == 0:
        return None
    with open_trajectory(path) as trajectory:
        count = len(trajectory)
        if count and "md" not in trajectory.backend[0]:
            raise ValueError(f"`{path}` holds no state to continue from: start a new trajectory")
        frame, whole = None, count
        while whole and frame is None:
            frame = _read_whole(trajectory, whole - 1)
            whole -= frame is None
        damaged = [k for k in range(whole - 1) if _read_whole(trajectory, k) is None]
    if damaged:
        raise ValueError(
            f"`{path}` must hold the frames that were written, got frame {damaged[0]} damaged "
            f"({len(damaged)} of {count} are): restore it from a copy, or start again"
        )
    if whole < count:
        with path.open("r+b") as file:
            writeint(file, whole, _COUNT)
    return frame


def _read(trajectory: TrajectoryReader, index: int) -> RecordedFrame:
    md = trajectory.backend[index].asdict()["md"]
    return RecordedFrame(trajectory[index], int(md["step"]), md["state"], md)


def _read_whole(trajectory: TrajectoryReader, index: int) -> RecordedFrame | None:
    """Read a frame, or return None where its bytes are not those that were written."""
    try:
        frame = _read(trajectory, index)
        return frame if is_whole(frame.atoms, frame.values) else None
    except Exception:  # damaged bytes make readers fail in all ways
        return None


RowMaker = Callable[[Atoms, Mapping[str, Any], Mapping[str, Any] | None], list[Any]]


class Table:
    """Comma-separated table with one row per frame, kept in step with a trajectory.

    Parameters
    ----------
    path
        The table.
    columns
        Names of the columns; the first holds the step.
    row
        Makes the values of one row from a frame, what was recorded of it (its step among that),
        and what was recorded of the frame before, None for the first.
    """

    def __init__(self, path: Path, columns: Iterable[str], row: RowMaker) -> None:
        self.path, self._columns, self._row = path, list(columns), row

    def begin(self) -> None:
        """Write the head of a new table."""
        self._replace([])

    def write(
        self, atoms: Atoms, values: Mapping[str, Any], before: Mapping[str, Any] | None
    ) -> None:
        """Append the row of one frame."""
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(self._row(atoms, values, before))

    def mend(self, trajectory: Path) -> None:
        """Make the rows those of the frames of a trajectory: no more, no fewer.

        Rows that are there already stay as they are; a missing one is made again from its frame.
        """
        with open_trajectory(trajectory) as frames:
            steps = [frames.backend[k].md["step"] for k in (0, 1) if k < len(frames)]
            interval = np.diff(steps)[0] if len(steps) > 1 else 0
            kept: list[list[Any]] = []
            for row in self._rows():
                if len(kept) == len(frames) or row[0] != str(interval * len(kept)):
                    break
                kept.append(row)
            for k in range(len(kept), len(frames)):
                before = frames.backend[k - 1].md if k else None
                kept.append(self._row(frames[k], frames.backend[k].md, before))
        self._replace(kept)

    def _rows(self) -> list[list[str]]:
        """Read the complete rows of the table, none where it is missing or another one."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(errors="replace").splitlines(keepends=True)
        rows = list(csv.reader(line for line in lines if line.endswith("\n")))
        if not rows or rows[0] != self._columns:
            return []
        return [row for row in rows[1:] if len(row) == len(self._columns)]

    def _replace(self, rows: list[list[Any]]) -> None:
        """Write the whole table in one atomic step."""
        with atomic_write(self.path) as file:
            csv.writer(file, lineterminator="\n").writerows([self._columns, *rows])
