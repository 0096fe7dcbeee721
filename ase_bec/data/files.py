"""Files as text, of bounded size and with plain line ends."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import stat
import zlib
from pathlib import Path
from typing import BinaryIO

LARGEST = 2**31  # bytes of text, 2 GiB
RATIO, ALWAYS = 200, 2**26  # text over compressed size; up to 64 MiB any ratio is taken

_OPENERS = ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open))
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_LATIN = ("iso-8859-1", "latin-1", "latin1", "windows-1252")  # of those that XML may declare
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f")) + b"\x7f"


def require_file(path: Path) -> None:
    """Refuse anything but a regular file, before a read could block.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is a folder, a pipe or a device.
    """
    if path.is_dir():
        raise ValueError(f"{path}: must be a file, got a folder; give the files in it")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(
            f"{path}: must be a regular file, got a pipe or device; write its content to a file"
        )


def read_text(path: Path) -> str:
    """Text of a file, with lines that end in newlines alone.

    Gzip, xz and bzip2 are known by their first bytes, UTF-16 and UTF-8 by a byte-order mark;
    other text must be UTF-8, or what the first line of an XML file declares.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is a folder, a pipe, empty, too large, damaged or no text.
    """
    require_file(path)
    text = _decoded(path, _content(path))
    if not text.strip():
        raise ValueError(f"{path}: file is empty")
    return text


def _content(path: Path) -> bytes:
    """Bytes of the file, decompressed, no more than the limits allow."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(6)
    opener = next((open_ for magic, open_ in _OPENERS if head.startswith(magic)), None)
    limit = LARGEST if opener is None else min(LARGEST, max(ALWAYS, RATIO * size))
    try:
        with (opener or open)(path, "rb") as stream:
            data = _at_most(stream, limit)  # type: ignore[arg-type]
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if opener is None:
            raise
        raise ValueError(f"{path}: compressed file is truncated or damaged ({error})") from error
    if data is None:
        what = "split it" if opener is None else f"unpack it first if its {size} bytes are right"
        raise ValueError(
            f"{path}: must be at most {limit / 2**20:.0f} MiB of text, got more; {what}"
        )
    return data


def _at_most(stream: BinaryIO, limit: int) -> bytes | None:
    """Return all of a stream, or None as soon as it has more bytes than the limit."""
    parts, total = [], 0
    while part := stream.read(min(2**24, limit + 1 - total)):
        parts.append(part)
        total += len(part)
        if total > limit:
            return None
    return b"".join(parts)


def _decoded(path: Path, data: bytes) -> str:
    mark = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    try:
        text = data.decode(mark or "utf-8")
    except UnicodeDecodeError as error:
        declared = re.match(rb"<\?xml[^>]*encoding=[\"']([\w.-]+)", data)
        if declared is None or declared[1].decode().lower() not in _LATIN:
            raise ValueError(
                f"{path}: must be a text file in UTF-8, got binary data or another encoding "
                f"({error}); convert it, such as with iconv"
            ) from error
        text = data.decode("windows-1252", errors="replace")
    if mark == "utf-16":
        data = text.encode()
        if len(data) > 1.1 * len(text):  # two bytes of binary data are nearly always a letter
            raise ValueError(f"{path}: must be a text file, got binary data")
    if len(data.translate(None, _CONTROL)) != len(data):
        at = next(k for k, byte in enumerate(data) if byte in _CONTROL)
        line = data.count(b"\n", 0, at) + 1
        raise ValueError(
            f"{path}: must be a text file, got binary data (byte {data[at]} in line {line})"
        )
    return _plain_lines(path, text)


def _plain_lines(path: Path, text: str) -> str:
    """End all lines with a newline: those of Windows too, and of old Macs throughout."""
    if "\r" not in text:
        return text
    plain = text.replace("\r\n", "\n")
    if "\r" in plain and "\n" in plain:
        line = plain.count("\n", 0, plain.index("\r")) + 1
        raise ValueError(
            f"{path}, line {line}: must have no carriage return within a line; is it damaged?"
        )
    return plain.replace("\r", "\n")
