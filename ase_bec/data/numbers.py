"""Numbers as programs write them: ASCII digits, and nothing that only Python accepts as one.

Python reads `1_0` as ten, and digits of any script; the programs that write these files don't.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ase_bec.data.frame import Array


def strict(word: str) -> str:
    """Return the word, unless it has an underscore or another script's digits.

    Raises
    ------
    ValueError
        If it has.
    """
    if "_" in word or not word.isascii():
        raise ValueError(f"must be a number, got {word!r}")
    return word


def real(word: str) -> float:
    """Read a real number, also with Fortran's exponent D.

    Raises
    ------
    ValueError
        If it is none.
    """
    return float(strict(word).replace("D", "E").replace("d", "e"))


def whole(word: str) -> int:
    """Read a whole number.

    Raises
    ------
    ValueError
        If it is none.
    """
    return int(strict(word))


def reals(words: Iterable[str]) -> Array:
    """Read real numbers.

    Raises
    ------
    ValueError
        If one is none.
    """
    given = list(words)
    return _fast(given) if _is_plain(given) else np.array([real(word) for word in given])


def table(rows: Sequence[Sequence[str]]) -> Array:
    """Read rows of real numbers, as many in each.

    Raises
    ------
    ValueError
        If one is none, or rows are of different lengths.
    """
    if len({len(row) for row in rows}) > 1:
        shorter = min(rows, key=len)
        raise ValueError(f"rows must have as many numbers each, got {' '.join(shorter)[:60]!r}")
    if all(map(_is_plain, rows)):
        return _fast(rows)
    return np.array([[real(word) for word in row] for row in rows])


def _is_plain(words: Sequence[str]) -> bool:
    """Whether no word needs a closer look than numpy takes."""
    text = "".join(words)
    return text.isascii() and "_" not in text and "D" not in text and "d" not in text


def _fast(words: Sequence[Any]) -> Array:
    return np.array(words, dtype=np.float64)
