"""Record of a molecular-dynamics run: a trajectory that is its own checkpoint, and a table."""

from __future__ import annotations

import csv
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.io.trajectory import Trajectory, TrajectoryReader, TrajectoryWriter
from ase.io.ulm import writeint

from ase_bec.atomic_files import atomic_write

_COUNT = 32  # byte offset of the number of frames in an ASE trajectory


@dataclass(frozen=True)
class Frame:
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


def checksum(atoms: Atoms) -> int:
    """CRC-32 of positions and momenta, bit for bit."""
    return zlib.crc32(atoms.get_momenta().tobytes(), zlib.crc32(atoms.positions.tobytes()))


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
    ValueError
        If another process is writing to the trajectory.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], append: bool) -> None:
        if not append:
            path.unlink(missing_ok=True)
        self._writer = TrajectoryWriter(path, mode="a" if append else "w")
        if not _locked(self._writer.backend.fd):
            self.close()
            raise ValueError(f"`{path}` must be free to write, got another run writing to it")
        self._writer.set_description(dict(settings))

    def write(
        self,
        atoms: Atoms,
        step: int,
        state: Mapping[str, Any],
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write one frame, with other plain values of it, and wait until it is on disk."""
        backend = self._writer.backend
        own = {"step": step, "state": dict(state), "checksum": checksum(atoms)}
        backend.write(md={**values, **own})
        self._writer.write(atoms)
        os.fsync(backend.fd.fileno())

    def close(self) -> None:
        """Close the file without writing anything."""
        self._writer.backend.fd.close()

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _locked(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; tell whether another process has it."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # a system or a file system without locks
        pass
    return True


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings from the head of a trajectory; empty where there is no frame."""
    with _open(path) as trajectory:
        return dict((len(trajectory) and trajectory.description) or {})


def first_frame(path: Path) -> Atoms:
    """Read the structure that a run started from."""
    with _open(path) as trajectory:
        atoms: Atoms = trajectory[0]
        return atoms


def recorded_values(path: Path, most: int) -> list[dict[str, Any]]:
    """Read what was recorded of at most so many frames, evenly spread, the last among them."""
    with _open(path) as trajectory:
        chosen = np.unique(np.linspace(0, len(trajectory) - 1, most).astype(int))
        return [trajectory.backend[int(k)].md for k in chosen]


def last_frame(path: Path) -> Frame | None:
    """Read the last frame, dropping those that a power failure left broken at the end.

    Returns
    -------
    The frame, or None where the trajectory holds none yet.

    Raises
    ------
    ValueError
        If the file is no trajectory, or one that no such run has written.
    """
    if path.stat().st_size == 0:
        return None
    with _open(path) as trajectory:
        count = len(trajectory)
        if count and "md" not in trajectory.backend[0]:
            raise ValueError(f"`{path}` holds no state to continue from: start a new trajectory")
        frame, whole = None, count
        while whole and frame is None:
            frame = _read_whole(trajectory, whole - 1)
            whole -= frame is None
    if whole < count:
        with path.open("r+b") as file:
            writeint(file, whole, _COUNT)
    return frame


def _open(path: Path) -> TrajectoryReader:
    try:
        return TrajectoryReader(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"`{path}` is not a readable ASE trajectory: {error}") from error


def _read_whole(trajectory: TrajectoryReader, index: int) -> Frame | None:
    """Read a frame, or return None where its bytes are not those that were written."""
    try:
        md = trajectory.backend[index].asdict()["md"]
        atoms = trajectory[index]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    if checksum(atoms) != md["checksum"]:
        return None
    return Frame(atoms, int(md["step"]), md["state"], md)


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
        with Trajectory(trajectory) as frames:
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
