"""Extended XYZ: every label exactly, Born charges as nine columns row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from ase_bec.data.frame import Frame
from ase_bec.data.keys import frame_from_atoms
from ase_bec.data.label_names import PER_ATOM, label_of, unusual_notes
from ase_bec.data.numbers import strict, table, whole
from ase_bec.data.readers.comment_line import read_pairs, write_pairs

_KINDS = ("R", "I", "S", "L")
_BOOLEANS = {"T": True, "True": True, "F": False, "False": False}
_STRUCTURE = ("species", "Z", "pos")  # of the table, and of the comment line:
_COMMENT = ("Lattice", "Properties", "pbc")


def read_extxyz(
    text: str,
    name: str,
    keys: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    displacement_first: bool = False,
    net_charge: float | None = None,
) -> tuple[list[Frame], tuple[str, ...]]:
    """Frames of an extended XYZ file, and notes about its keys.

    Parameters
    ----------
    text
        All of the file.
    name
        Of the file, for messages.
    keys, units, displacement_first, net_charge
        As :func:`~ase_bec.data.keys.frame_from_atoms` takes them.

    Raises
    ------
    ValueError
        If the file is damaged or truncated, or a label is unusable; names file, frame and key.
    """
    lines = text.split("\n")
    frames = []
    sizes: dict[str, int] = {}
    names: set[str] = set()
    for index, (first, n) in enumerate(_starts(lines, name)):
        source = f"{name}, frame {index}"
        atoms = _atoms(lines[first + 1], lines[first + 2 : first + 2 + n], source)
        names.update(atoms.info, atoms.arrays)
        for key in atoms.info:
            if label_of(key) in ("stress", "virial"):
                size = np.size(atoms.info[key])
                if sizes.setdefault(key, size) != size:
                    raise ValueError(
                        f"{source}: `{key}` must have {sizes[key]} numbers as before, got {size}"
                    )
        frames.append(frame_from_atoms(atoms, source, keys, units, displacement_first, net_charge))
    return frames, unusual_notes(names - set((keys or {}).values()), name)


def _starts(lines: list[str], name: str) -> Iterator[tuple[int, int]]:
    """First line and number of atoms of each frame."""
    at, index = 0, 0
    while lines and not lines[-1].strip():
        lines.pop()
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        where = f"{name}, frame {index}, line {at + 1}"
        try:
            n = whole(lines[at])
        except ValueError:
            raise ValueError(
                f"{where}: must be the number of atoms, got {lines[at].strip()[:60]!r}; is the "
                f"number of atoms of frame {max(index - 1, 0)} right?"
            ) from None
        if n < 1:
            raise ValueError(f"{where}: number of atoms must be positive, got {n}")
        if at + 2 + n > len(lines):
            have = max(len(lines) - at - 2, 0)
            raise ValueError(f"{where}: file ends after {have} of {n} atoms; is it truncated?")
        yield at, n
        at, index = at + 2 + n, index + 1


def _atoms(comment: str, rows: list[str], source: str) -> Atoms:
    """Atoms of one frame, with all keys in `info` and `arrays`."""
    try:
        info = read_pairs(comment)
        columns = _columns(str(info.pop("Properties", "species:S:1:pos:R:3")))
        cell, pbc = _cell(info)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{source}: comment line is damaged ({error})") from error
    arrays = _table(rows, columns, source)
    if "pos" not in arrays or not {"species", "Z"} & set(arrays):
        raise ValueError(f"{source}: `Properties` must have species (or Z) and pos, got {comment}")
    numbers = _elements(arrays.pop("species", None), arrays.pop("Z", None), source)
    positions = arrays.pop("pos")
    if positions.shape != (len(rows), 3):
        raise ValueError(f"{source}: `pos` must have 3 columns, got shape {positions.shape}")
    atoms = Atoms(numbers, positions=positions, cell=cell, pbc=pbc)
    atoms.info.update(info)
    for key, values in arrays.items():
        atoms.set_array(key, values)
    return atoms


def _cell(info: dict[str, Any]) -> tuple[Any, Any]:
    """Take cell and periodicity out of the comment line."""
    lattice, pbc = info.pop("Lattice", None), info.pop("pbc", None)
    if lattice is not None:
        lattice = np.asarray(lattice)
        if lattice.dtype.kind not in "if" or lattice.shape != (9,):
            raise ValueError(f"`Lattice` must be nine numbers, got {lattice.tolist()}")
        lattice = lattice.reshape(3, 3)
    if pbc is None:
        return lattice, lattice is not None
    periodic = np.asarray(pbc)
    if periodic.shape not in ((), (3,)) or not np.isin(periodic, (0, 1)).all():
        raise ValueError(f"`pbc` must be three of T and F, got {pbc}")
    return lattice, periodic.astype(bool)


def _elements(species: Any, numbers: Any, source: str) -> NDArray[np.int64]:
    """Atomic numbers, of symbols or numbers or both."""
    if numbers is not None and (numbers.dtype.kind != "i" or numbers.ndim != 1):
        raise ValueError(f"{source}: `Z` must be one whole number for each atom")
    if species is None:
        return np.asarray(numbers)
    symbols = [str(symbol) for symbol in species.ravel()]
    unknown = sorted(set(symbols) - (set(atomic_numbers) - {"X"}))
    if unknown or species.ndim != 1:
        raise ValueError(f"{source}: `species` must be elements, got {', '.join(unknown)}")
    found = np.array([atomic_numbers[symbol] for symbol in symbols])
    if numbers is not None and not np.array_equal(found, numbers):
        atom = int(np.flatnonzero(found != numbers)[0])
        raise ValueError(
            f"{source}: `species` and `Z` must agree, got {symbols[atom]} and {numbers[atom]} of "
            f"atom {atom}; leave one of them out"
        )
    return found


def _columns(properties: str) -> list[tuple[str, str, int]]:
    """Name, kind and number of columns of every property."""
    words = properties.split(":")
    if len(words) % 3:
        raise ValueError(f"`Properties` must be name:kind:columns, got {properties!r}")
    columns = [(n, k, whole(c)) for n, k, c in zip(*[iter(words)] * 3, strict=True)]
    if any(kind not in _KINDS or count < 1 for _, kind, count in columns):
        raise ValueError(f"`Properties` must be of kinds R, I, S and L, got {properties!r}")
    if len({name for name, *_ in columns}) < len(columns):
        raise ValueError(f"`Properties` must name each column once, got {properties!r}")
    return columns


def _table(
    rows: list[str], columns: list[tuple[str, str, int]], source: str
) -> dict[str, NDArray[Any]]:
    """Columns of the table of atoms."""
    words = [row.split() for row in rows]
    width = sum(count for *_, count in columns)
    for number, row in enumerate(words):
        if len(row) != width:
            raise ValueError(
                f"{source}, atom {number}: must have {width} columns, got {len(row)}: "
                f"{' '.join(row)[:60]!r}; is the file truncated or the number of atoms wrong?"
            )
    arrays: dict[str, NDArray[Any]] = {}
    at, plain = 0, all(row.isascii() and "_" not in row for row in rows)
    for name, kind, count in columns:
        part = [row[at : at + count] for row in words]
        at += count
        try:
            values = _column(kind, part, plain)
        except (ValueError, KeyError, OverflowError) as error:
            raise ValueError(f"{source}: `{name}` must be of kind {kind} ({error})") from error
        arrays[name] = values[:, 0] if count == 1 else values
    return arrays


def _column(kind: str, words: list[list[str]], plain: bool) -> NDArray[Any]:
    """Values of a property; `plain` says that no number needs a closer look."""
    if kind == "R":
        return np.array(words, dtype=np.float64) if plain else table(words)
    if kind == "I":
        return np.array([[int(strict(word)) for word in row] for row in words], dtype=np.int64)
    if kind == "L":
        return np.array([[_BOOLEANS[word] for word in row] for row in words])
    return np.array(words, dtype=str)


def write_extxyz(file: TextIO, frames: Iterable[Frame]) -> None:
    """Write frames as extended XYZ with all digits; reading gives equal numbers.

    Raises
    ------
    ValueError
        If an array of the Atoms cannot be columns.
    """
    for frame in frames:
        atoms = frame.atoms
        arrays: dict[str, NDArray[Any]] = {
            "species": np.array(atoms.get_chemical_symbols()),
            "pos": atoms.positions,
        }
        if frame.forces is not None:
            arrays["forces"] = frame.forces
        if frame.born_effective_charges is not None:
            arrays["born_effective_charges"] = frame.born_effective_charges.reshape(-1, 9)
        if frame.charges is not None:
            arrays["charges"] = frame.charges
        for key, value in atoms.arrays.items():
            if key not in ("numbers", "positions") and label_of(key) not in PER_ATOM:
                arrays[key] = _two_dimensional(key, value, frame.source)
        file.write(f"{len(atoms)}\n{_comment(frame, arrays)}\n")
        texts = [[_word(v) for v in value.ravel()] for value in arrays.values()]
        widths = [value.size // len(atoms) for value in arrays.values()]
        for a in range(len(atoms)):
            words = (t[a * w : (a + 1) * w] for t, w in zip(texts, widths, strict=True))
            file.write(" ".join(word for part in words for word in part) + "\n")


def _comment(frame: Frame, arrays: dict[str, NDArray[Any]]) -> str:
    """Comment line of a frame."""
    info: dict[str, Any] = {}
    if frame.atoms.cell.any():
        info["Lattice"] = frame.atoms.cell.array.ravel()
    kinds = {"f": "R", "i": "I", "u": "I", "U": "S", "O": "S", "b": "L"}
    info["Properties"] = ":".join(
        f"{key}:{kinds[value.dtype.kind]}:{value.size // len(value)}"
        for key, value in arrays.items()
    )
    info["pbc"] = frame.atoms.pbc
    for key in ("energy", "stress", "polarization", "dielectric_tensor", "electric_field"):
        value = getattr(frame, key)
        if value is not None:
            info[key] = np.ravel(value) if np.ndim(value) else value
    if frame.net_charge:
        info["net_charge"] = frame.net_charge
    if frame.config_type is not None:
        info["config_type"] = frame.config_type
    for key, value in frame.atoms.info.items():
        of_molecule = key == "dipole" and frame.atoms.cell.rank < 3
        if key not in _COMMENT and (of_molecule or label_of(key) is None):
            info[key] = value
    return write_pairs(info)


def _two_dimensional(key: str, value: NDArray[Any], source: str) -> NDArray[Any]:
    """Array as columns, of words that a line of the table can hold."""
    if value.dtype.kind not in "fiuUOb" or not value.size:
        raise ValueError(f"{source}: array `{key}` must be numbers or words to be written")
    if key in _STRUCTURE or ":" in key:
        raise ValueError(f"{source}: array `{key}` must have another name to be written")
    if value.dtype.kind in "UO":
        bad = [word for word in value.ravel() if len(str(word).split()) != 1]
        if bad:
            raise ValueError(f"{source}: array `{key}` must hold words, got {bad[0]!r}")
    return value if value.ndim < 3 else value.reshape(len(value), -1)


def _word(value: Any) -> str:
    if isinstance(value, np.bool_ | bool):
        return "T" if value else "F"
    return repr(float(value)) if isinstance(value, np.floating) else str(value)
