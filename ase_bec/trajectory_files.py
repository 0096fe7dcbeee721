"""ASE trajectories, opened for reading and closed again whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ase.io.trajectory import TrajectoryReader

__all__ = ["open_trajectory"]


@contextmanager
def open_trajectory(path: str | Path) -> Iterator[TrajectoryReader]:
    """Open an ASE trajectory; ASE itself leaves a damaged one open.

    Raises
    ------
    ValueError
        If it is no trajectory, or its first frame cannot be read.
    """
    with Path(path).open("rb") as file:
        try:
            reader = TrajectoryReader(file)
        except Exception as error:  # damaged bytes make it fail in all ways
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"`{path}` is not a readable ASE trajectory: {reason}") from error
        yield reader
