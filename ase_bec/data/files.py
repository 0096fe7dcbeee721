"""Files as text, compressed or not, and writing them in one atomic step."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OPENERS = ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open))


def read_text(path: Path) -> str:
    """Text of a file, decompressed where it is gzip, xz or bzip2 by its first bytes.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is a folder, empty, damaged or no text.
    """
    if path.is_dir():
        raise ValueError(f"{path}: must be a file, got a folder; give the files in it")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    with path.open("rb") as file:
        head = file.read(6)
    opener = next((open_ for magic, open_ in _OPENERS if head.startswith(magic)), open)
    try:
        with opener(path, "rb") as stream:
            text = stream.read().decode()
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: compressed file is truncated or damaged ({error})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: must be a text file, got binary data ({error})") from error
    if not text.strip():
        raise ValueError(f"{path}: file is empty")
    if "\x00" in text:
        raise ValueError(f"{path}: must be a text file, got binary data")
    return str(text)


@contextmanager
def atomic_write(path: Path) -> Iterator[io.StringIO]:
    """Collect text and put it in place of the file at once, when the block ends without error.

    Whatever interrupts the block or the writing, the file holds all of the old or all of the new
    text. Names that end in .gz are compressed. A link is followed; permissions are kept.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder `{target.parent}`")
    buffer = io.StringIO()
    yield buffer
    data = buffer.getvalue().encode()
    if target.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _permissions(target))
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _permissions(target: Path) -> int:
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
