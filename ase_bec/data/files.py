"""Files as text, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
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
