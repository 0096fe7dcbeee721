"""The text format of the released Li3PO4 weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ase_bec.terms.limits import check_number

__all__ = ["RELEASED_MARK", "ReleasedFile", "parse_released"]

Array = NDArray[np.float64]

RELEASED_MARK = b"cutoff_distance"


@dataclass(frozen=True)
class ReleasedFile:
    """Content of one file; elements are called a, b, c.

    Attributes
    ----------
    is_born : bool
        Born-charge weights, not a potential.
    cutoff : float
        R_c in Å.
    radial, angular : ndarray, (F, 2), (F, 4)
        Function tables, as written.
    low, high : list of ndarray
        For each element the range of every feature.
    hidden : tuple of int
        Hidden nodes.
    layers : list of list of (weight, bias)
        For each element.
    """

    is_born: bool
    cutoff: float
    radial: Array
    angular: Array
    low: list[Array]
    high: list[Array]
    hidden: tuple[int, ...]
    layers: list[list[tuple[Array, Array]]]


def parse_released(path: Path, angular_columns: int) -> ReleasedFile:
    """Read a file of released weights.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    ValueError
        If a section is missing, has the wrong size or holds something that is not a number.
    """
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file of released weights, got {path}")
    try:
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"`{path}` must be a text file of released weights") from error
    if not text.endswith("\n"):
        raise ValueError(f"`{path}` must end with a whole line: the file is empty or truncated")
    reader = _Sections(path, text)
    letters = "abc"
    pairs = ["aa", "ab", "ac", "bb", "bc", "cc"]
    names = [f"g2_{{0}}_{n}" for n in letters] + [f"g5_{{0}}_{p}" for p in pairs]
    radial = reader.common([f"param_g2_{i}_{n}" for i in letters for n in letters], 2)
    angular = reader.common([f"param_g5_{i}_{p}" for i in letters for p in pairs], angular_columns)
    sizes = [len(radial)] * 3 + [len(angular)] * 6
    low: list[Array] = []
    high: list[Array] = []
    layers = []
    hidden = tuple(reader.count(f"node_h{k}_a") for k in (1, 2))
    for i in letters:
        ranges = [
            reader.range(name.format(i), size) for name, size in zip(names, sizes, strict=True)
        ]
        low.append(np.concatenate([smallest for smallest, _ in ranges]))
        high.append(np.concatenate([largest for _, largest in ranges]))
        layers.append(_layers(reader, i, (sum(sizes), *hidden, 1)))
    return ReleasedFile(
        "eforce_z" in text,
        float(reader.value("cutoff_distance")),
        radial,
        angular,
        low,
        high,
        hidden,
        layers,
    )


def _layers(reader: _Sections, element: str, nodes: tuple[int, ...]) -> list[tuple[Array, Array]]:
    """Weights and biases; for each output node the bias comes first."""
    count = sum((a + 1) * b for a, b in pairwise(nodes))
    numbers = reader.numbered(f"weight_{element}", count)
    layers, start = [], 0
    for inputs, outputs in pairwise(nodes):
        block = numbers[start : start + (inputs + 1) * outputs].reshape(outputs, inputs + 1)
        layers.append((block[:, 1:].copy(), block[:, 0].copy()))
        start += block.size
    return layers


class _Sections:
    """Named blocks of numbers, and named single values."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.blocks: dict[str, list[list[str]]] = {}
        name = ""
        for line in text.splitlines():
            words = line.split()
            if not words:
                continue
            if re.match(r"[A-Za-z#]", words[0]):
                name = words[0]
                if name in self.blocks and not name.startswith("#"):
                    raise ValueError(f"`{path}` must have one section {name}, got two")
                self.blocks[name] = [words[1:]] if len(words) > 1 else []
            elif name:
                self.blocks[name].append(words)

    def value(self, name: str) -> float:
        """The number on the line of a name."""
        return float(self.section(name, 1, 1)[0, 0])

    def count(self, name: str) -> int:
        """The positive whole number on the line of a name."""
        value = self.value(name)
        if value < 1 or not value.is_integer():
            raise ValueError(f"`{self.path}` must have a positive number in {name}, got {value}")
        return int(value)

    def section(self, name: str, columns: int, rows: int | None = None) -> Array:
        """The numbers under a name, (rows, columns)."""
        if name not in self.blocks:
            raise ValueError(
                f"`{self.path}` must have a section {name}, got none: the file is truncated or of "
                "another kind"
            )
        lines = self.blocks[name]
        expected = len(lines) if rows is None else rows
        if len(lines) != expected or any(len(line) != columns for line in lines) or not lines:
            raise ValueError(
                f"`{self.path}` must have {max(expected, 1)} lines of {columns} numbers in {name}, "
                f"got {len(lines)} lines: the file is truncated or damaged"
            )
        try:
            numbers = np.array([[float(word) for word in line] for line in lines])
        except ValueError as error:
            raise ValueError(f"`{self.path}` must hold numbers in {name}: {error}") from error
        if not np.isfinite(numbers).all():
            raise ValueError(f"`{self.path}` must hold finite numbers in {name}")
        try:
            check_number(name, float(np.abs(numbers).max()))
        except ValueError as error:
            raise ValueError(f"`{self.path}` must hold numbers of a model, got {error}") from error
        return numbers

    def numbered(self, name: str, rows: int) -> Array:
        """The numbers under a name, of lines ``index number``."""
        found = self.section(name, 2, rows)
        if np.any(found[:, 0] != np.arange(rows)):
            raise ValueError(f"`{self.path}` must number the lines of {name} from 0 on")
        return found[:, 1]

    def range(self, name: str, rows: int) -> tuple[Array, Array]:
        """Smallest and largest values of functions."""
        low, high = (self.numbered(f"{name}_{bound}", rows) for bound in ("min", "max"))
        if np.any(low >= high):
            raise ValueError(f"`{self.path}` must have smaller numbers in {name}_min than in _max")
        return low, high

    def common(self, names: list[str], columns: int) -> Array:
        """The one table that all these sections hold."""
        tables = [self.section(name, columns) for name in names]
        for name, table in zip(names, tables, strict=True):
            if table.shape != tables[0].shape or np.any(table != tables[0]):
                raise ValueError(
                    f"`{self.path}` must have the same functions in {name} as in {names[0]}"
                )
        return tables[0]
