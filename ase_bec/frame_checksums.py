"""Checksums of recorded frames, by which damaged ones are found."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

__all__ = ["frame_checksums", "is_whole"]

MOTION, REST = "checksum", "checksum_rest"


def frame_checksums(atoms: Atoms, values: Mapping[str, Any]) -> dict[str, int]:
    """Checksums of a frame before it is written.

    Parameters
    ----------
    atoms
        With the results that will be written.
    values
        Other plain values that are recorded of the frame.

    Returns
    -------
    dict
        CRC-32 of positions and momenta as ``checksum``, and of elements, cell, energy, forces and
        the other values as ``checksum_rest``, bit for bit.
    """
    return {MOTION: _motion(atoms), REST: _rest(atoms, values)}


def is_whole(atoms: Atoms, recorded: Mapping[str, Any]) -> bool:
    """Whether a frame that was read is the one that was written; by what checksums it has."""
    values = {name: value for name, value in recorded.items() if name not in (MOTION, REST)}
    whole = bool(recorded[MOTION] == _motion(atoms))
    return whole and (REST not in recorded or recorded[REST] == _rest(atoms, values))


def _motion(atoms: Atoms) -> int:
    return zlib.crc32(atoms.get_momenta().tobytes(), zlib.crc32(atoms.positions.tobytes()))


def _rest(atoms: Atoms, values: Mapping[str, Any]) -> int:
    found = zlib.crc32(json.dumps(values, sort_keys=True, default=_plain).encode())
    for array in (atoms.numbers, atoms.cell.array, atoms.pbc, *_results(atoms)):
        found = zlib.crc32(np.ascontiguousarray(array, dtype=float).tobytes(), found)
    return found


def _results(atoms: Atoms) -> list[Any]:
    """Energy and forces, as far as they are known."""
    known = []
    for name in ("energy", "forces"):
        try:
            value = atoms.calc and atoms.calc.get_property(name, atoms, allow_calculation=False)
        except (PropertyNotImplementedError, KeyError):
            continue
        known += [] if value is None else [value]
    return known


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
