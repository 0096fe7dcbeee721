"""Writing files in one atomic step: a reader sees the whole old file or the whole new one."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

__all__ = ["atomic_path", "atomic_write"]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Return a path to write to; the file there takes its place when the block ends without error.

    An error or an interruption, such as a full disk or Ctrl-C, leaves the old file as it was and
    nothing beside it. A link is followed; the permissions of an old file are kept. The temporary
    name ends in the old one, by which some writers know the format.

    Parameters
    ----------
    path
        File to make or to replace.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the path is a folder or a device.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder `{target.parent}`")
    if target.exists() and not target.is_file():
        raise ValueError(
            f"{path}: must be a file, got a {'folder' if target.is_dir() else 'device'}"
        )
    temporary = target.with_name(f".{uuid4().hex}-{target.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[io.StringIO]:
    """Collect text, and write it in one atomic step when the block ends without error.

    Names that end in .gz are compressed. Everything else is as in :func:`atomic_path`.

    Parameters
    ----------
    path
        File to make or to replace.
    """
    buffer = io.StringIO()
    with atomic_path(path) as temporary:
        yield buffer
        data = buffer.getvalue().encode()
        compressed = temporary.suffix == ".gz"
        temporary.write_bytes(gzip.compress(data, mtime=0) if compressed else data)
