"""Extended XYZ: every label exactly, Born charges as nine columns row by row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict
from numpy.typing import NDArray

from ase_bec.data.frame import Frame
from ase_bec.data.keys import frame_from_atoms

_KINDS = {"R": float, "I": int, "S": str, "L": str}
_BOOLEANS = {"T": True, "True": True, "F": False, "False": False}


def read_extxyz(
    text: str,
    name: str,
    keys: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    displacement_first: bool = False,
) -> list[Frame]:
    """Frames of an extended XYZ file.

    Parameters
    ----------
    text
        All of the file.
    name
        Of the file, for messages.
    keys, units, displacement_first
        As :func:`~ase_bec.data.keys.frame_from_atoms` takes them.

    Raises
    ------
    ValueError
        If the file is damaged or truncated, or a label is of no use; names file, frame and key.
    """
    lines = text.splitlines()
    frames = []
    for index, (first, n) in enumerate(_starts(lines, name)):
        source = f"{name}, frame {index}"
        atoms = _atoms(lines[first + 1], lines[first + 2 : first + 2 + n], source)
        frames.append(frame_from_atoms(atoms, source, keys, units, displacement_first))
    return frames


def _starts(lines: list[str], name: str) -> Iterator[tuple[int, int]]:
    """First line and number of atoms of each frame."""
    at, index = 0, 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        where = f"{name}, frame {index}, line {at + 1}"
        try:
            n = int(lines[at])
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
        info = _pairs(comment)
        columns = _columns(str(info.pop("Properties", "species:S:1:pos:R:3")))
    except (ValueError, KeyError) as error:
        raise ValueError(f"{source}: comment line is damaged ({error})") from error
    arrays = _table(rows, columns, source)
    lattice, pbc = info.pop("Lattice", None), info.pop("pbc", None)
    if "pos" not in arrays or not {"species", "Z"} & set(arrays):
        raise ValueError(f"{source}: `Properties` must have species (or Z) and pos, got {comment}")
    species = arrays.pop("species", None)
    numbers: Any = arrays.pop("Z", None)
    if species is not None:
        unknown = sorted({str(s) for s in species} - set(atomic_numbers))
        if unknown:
            raise ValueError(f"{source}: `species` must be elements, got {', '.join(unknown)}")
        numbers = [atomic_numbers[str(s)] for s in species]
    periodic = lattice is not None if pbc is None else pbc
    cell = None if lattice is None else np.asarray(lattice, dtype=float).T
    atoms = Atoms(numbers, positions=arrays.pop("pos"), cell=cell, pbc=periodic)
    atoms.info.update(info)
    for key, values in arrays.items():
        atoms.set_array(key, values)
    return atoms


def _pairs(comment: str) -> dict[str, Any]:
    """Keys and values of a comment line; stress and virial may also be six numbers."""
    renamed = re.sub(r"(^|\s)(stress|virial)\s*=", r"\1\2__=", comment)
    return {key.removesuffix("__"): v for key, v in key_val_str_to_dict(renamed).items()}


def _columns(properties: str) -> list[tuple[str, str, int]]:
    """Name, kind and number of columns of every property."""
    words = properties.split(":")
    if len(words) % 3:
        raise ValueError(f"`Properties` must be name:kind:columns, got {properties!r}")
    columns = [(n, k, int(c)) for n, k, c in zip(*[iter(words)] * 3, strict=True)]
    if any(kind not in _KINDS or count < 1 for _, kind, count in columns):
        raise ValueError(f"`Properties` must be of kinds R, I, S and L, got {properties!r}")
    return columns


def _table(
    rows: list[str], columns: list[tuple[str, str, int]], source: str
) -> dict[str, NDArray[Any]]:
    """Columns of the table of atoms."""
    table = [row.split() for row in rows]
    width = sum(count for *_, count in columns)
    for number, row in enumerate(table):
        if len(row) != width:
            raise ValueError(
                f"{source}, atom {number}: must have {width} columns, got {len(row)}: "
                f"{' '.join(row)[:60]!r}; is the file truncated or the number of atoms wrong?"
            )
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for name, kind, count in columns:
        part = [row[at : at + count] for row in table]
        at += count
        try:
            values: NDArray[Any] = np.array(part, dtype=_KINDS[kind])
            if kind == "L":
                values = np.array([[_BOOLEANS[v] for v in row] for row in part])
        except (ValueError, KeyError) as error:
            raise ValueError(f"{source}: `{name}` must be of kind {kind} ({error})") from error
        arrays[name] = values[:, 0] if count == 1 else values
    return arrays


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
        rest = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
        arrays |= {key: _two_dimensional(key, value, frame.source) for key, value in rest.items()}
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
        info["Lattice"] = frame.atoms.cell.array.T
    kinds = {"f": "R", "i": "I", "u": "I", "U": "S", "O": "S", "b": "L"}
    info["Properties"] = ":".join(
        f"{key}:{kinds[value.dtype.kind]}:{value.size // len(value)}"
        for key, value in arrays.items()
    )
    info["pbc"] = frame.atoms.pbc
    for key in ("energy", "stress", "polarization", "dielectric_tensor", "electric_field"):
        value = getattr(frame, key)
        if value is not None:
            info[key] = value.T if key == "stress" else np.ravel(value) if np.ndim(value) else value
    if frame.net_charge:
        info["net_charge"] = frame.net_charge
    if frame.config_type is not None:
        info["config_type"] = frame.config_type
    plain = {k: v for k, v in frame.atoms.info.items() if k not in info and _storable(v)}
    return str(key_val_dict_to_str(info | plain)).replace("\n", " ")


def _storable(value: Any) -> bool:
    if isinstance(value, np.ndarray | np.generic | str | int | float | bool):
        return True
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def _two_dimensional(key: str, value: NDArray[Any], source: str) -> NDArray[Any]:
    if value.dtype.kind not in "fiuUOb" or not value.size:
        raise ValueError(f"{source}: array `{key}` must be numbers or words to be written")
    return value if value.ndim < 3 else value.reshape(len(value), -1)


def _word(value: Any) -> str:
    if isinstance(value, np.bool_ | bool):
        return "T" if value else "F"
    return repr(float(value)) if isinstance(value, np.floating) else str(value)
