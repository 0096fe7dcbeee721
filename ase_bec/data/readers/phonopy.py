"""Phonopy: BORN file beside the unit cell that it is of."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import ParseError
from ase.io.vasp import read_vasp

from ase_bec.data import space_group as symmetry
from ase_bec.data.files import read_text
from ase_bec.data.frame import Array, Frame

_CELLS = ("phonopy_disp.yaml", "phonopy.yaml", "POSCAR-unitcell", "POSCAR")
_TOLERANCES = (1e-5, 1e-4, 1e-3, 1e-2)  # Å; files give positions to few digits


def read_born(text: str, path: Path) -> list[Frame]:
    """Frame of a BORN file and the unit cell in the same folder.

    BORN lists the dielectric tensor, then Born charges [field, displacement] of the atoms that
    symmetry does not relate; the others follow by symmetry, in the unit cell of
    phonopy_disp.yaml, phonopy.yaml, POSCAR-unitcell or POSCAR, the first that is there.

    Parameters
    ----------
    text, path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is no unit cell beside the file.
    ValueError
        If a file is damaged, or the Born charges are not those of the inequivalent atoms.
    """
    rows = _rows(text, str(path))
    source = f"{path}, frame 0"
    beside = next((path.with_name(n) for n in _CELLS if path.with_name(n).exists()), None)
    if beside is None:
        raise FileNotFoundError(f"{path}: needs a unit cell beside it: {', '.join(_CELLS)}")
    atoms = _unit_cell(beside)
    tensors = rows[1:].reshape(-1, 3, 3)
    born = tensors if len(tensors) == len(atoms) else _expanded(tensors, atoms, source, beside)
    dielectric = rows[0].reshape(3, 3)
    return [Frame(atoms, born_effective_charges=born, dielectric_tensor=dielectric, source=source)]


def _rows(text: str, name: str) -> Array:
    """Rows of nine numbers behind the first line."""
    rows = []
    for number, line in enumerate(text.splitlines()[1:], start=2):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            rows.append([float(word) for word in words])
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: must be numbers ({error})") from error
        if not np.isfinite(rows[-1]).all():
            raise ValueError(f"{name}, line {number}: must be finite, got {line.strip()}")
        if len(words) != 9:
            raise ValueError(f"{name}, line {number}: must have 9 numbers, got {len(words)}")
    if len(rows) < 2:
        raise ValueError(f"{name}: must have a dielectric tensor and Born charges; truncated?")
    return np.array(rows)


def _unit_cell(path: Path) -> Atoms:
    try:
        with np.errstate(invalid="ignore"):
            atoms: Atoms = _yaml_cell(path) if path.suffix == ".yaml" else read_vasp(path)
    except (ValueError, LookupError, RuntimeError, AssertionError, ParseError) as error:
        kind = "phonopy's YAML" if path.suffix == ".yaml" else "a POSCAR"
        raise ValueError(f"{path}: must be {kind} with a unit cell ({error})") from error
    return Frame(atoms, source=str(path)).atoms  # checked


def _yaml_cell(path: Path) -> Atoms:
    text = read_text(path)
    found = re.search(r"^unit_cell:\n((?: .*\n|-.*\n)+)", text, re.M)
    if found is None:
        raise ValueError("it has no `unit_cell`")
    triple = r"\[ *([-\d.eE+]+), *([-\d.eE+]+), *([-\d.eE+]+) *\]"
    lattice = re.findall(rf"^ *- +{triple}", found[1], re.M)[:3]
    points = re.findall(rf"symbol: +(\w+).*\n +coordinates: +{triple}", found[1])
    if len(lattice) != 3 or len(points) != found[1].count("symbol:") or not points:
        raise ValueError("`unit_cell` must have `lattice` and `points`")
    unit = re.search(r"length: +\"?(\w+)", text)
    scale = units.Bohr if unit and unit[1] in ("au", "bohr") else 1.0
    return Atoms(
        [re.sub(r"\d+$", "", point[0]) for point in points],
        scaled_positions=np.array([point[1:] for point in points], dtype=float),
        cell=np.array(lattice, dtype=float) * scale,
        pbc=True,
    )


def _expanded(tensors: Array, atoms: Atoms, source: str, beside: Path) -> Array:
    """Born charges of all atoms, with the finest tolerance that has as many orbits as tensors."""
    counts = []
    for tolerance in _TOLERANCES:
        try:
            found = symmetry.operations(atoms, tolerance)
            counts.append(len(np.unique(symmetry.orbits(found))))
            if counts[-1] == len(tensors):
                return symmetry.expand(tensors, found)
        except ValueError as error:
            raise ValueError(
                f"{source}: `born_effective_charges` in the cell of {beside}: {error}"
            ) from error
    raise ValueError(
        f"{source}: `born_effective_charges` must be of the {counts[0]} inequivalent of the "
        f"{len(atoms)} atoms of {beside}, or of all of them, got {len(tensors)}"
    )
