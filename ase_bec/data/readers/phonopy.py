"""Phonopy: BORN file next to its unit cell."""

from __future__ import annotations

import io
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import ParseError
from ase.io.vasp import read_vasp
from numpy.typing import NDArray

from ase_bec.data import space_group as symmetry
from ase_bec.data.files import read_text
from ase_bec.data.frame import Array, Frame
from ase_bec.data.net_charge import settled_charge
from ase_bec.data.numbers import reals, strict, table
from ase_bec.data.readers.crystal import crystal

_CELLS = ("phonopy_disp.yaml", "phonopy.yaml", "POSCAR-unitcell", "POSCAR")
_LENGTHS = {"angstrom": 1.0, "au": units.Bohr, "bohr": units.Bohr}
_TOLERANCES = (1e-5, 1e-4, 1e-3, 1e-2)  # Å; files give positions to few digits


def read_born(text: str, path: Path, net_charge: float | None = None) -> list[Frame]:
    """Frame of a BORN file and the unit cell in the same folder.

    BORN lists the dielectric tensor, then Born charges [field, displacement] of the atoms that
    symmetry does not relate; the others follow by symmetry, in the unit cell of
    phonopy_disp.yaml, phonopy.yaml, POSCAR-unitcell or POSCAR, the first that is there.

    Parameters
    ----------
    text, path
        The file.
    net_charge
        e, which the files don't tell.

    Raises
    ------
    FileNotFoundError
        If there is no unit cell next to the file.
    ValueError
        If a file is damaged, or the Born charges are not those of the inequivalent atoms.
    """
    rows = _rows(text, str(path))
    source = f"{path}, frame 0"
    beside = next((path.with_name(n) for n in _CELLS if path.with_name(n).exists()), None)
    if beside is None:
        raise FileNotFoundError(f"{path}: needs a unit cell next to it: {', '.join(_CELLS)}")
    atoms = _unit_cell(beside)
    tensors = rows[1:].reshape(-1, 3, 3)
    named = _named_atoms(text)
    if len(tensors) == len(atoms):
        born = tensors
    else:
        born = _expanded(tensors, named, atoms, source, beside)
    return [
        Frame(
            atoms,
            born_effective_charges=born,
            dielectric_tensor=rows[0].reshape(3, 3),
            net_charge=settled_charge(source, None, net_charge),
            source=source,
        )
    ]


def _named_atoms(text: str) -> list[int]:
    """Numbers, from 0, of the atoms that the first line names, as phonopy writes it."""
    found = re.match(r"# epsilon and Z\* of atoms ([0-9 ]+)\n", text)
    return [] if found is None else [int(word) - 1 for word in found[1].split()]


def _rows(text: str, name: str) -> Array:
    """Rows of nine numbers behind the first line."""
    rows = []
    first, *others = text.split("\n")
    if _is_tensor(first):
        raise ValueError(f"{name}: first line must be a factor or comment, got a tensor")
    for number, line in enumerate(others, start=2):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            rows.append(reals(words))
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: must be numbers ({error})") from error
        if not np.isfinite(rows[-1]).all():
            raise ValueError(f"{name}, line {number}: must be finite, got {line.strip()}")
        if len(words) != 9:
            raise ValueError(f"{name}, line {number}: must have 9 numbers, got {len(words)}")
    if len(rows) < 2:
        raise ValueError(f"{name}: must have a dielectric tensor and Born charges; truncated?")
    return np.array(rows)


def _is_tensor(line: str) -> bool:
    with suppress(ValueError):
        return len(reals(line.split())) == 9
    return False


def _unit_cell(path: Path) -> Atoms:
    try:
        with np.errstate(invalid="ignore"):
            atoms = _yaml_cell(path) if path.suffix == ".yaml" else _poscar_cell(path)
    except (ValueError, LookupError, RuntimeError, AssertionError, ParseError) as error:
        kind = "phonopy's YAML" if path.suffix == ".yaml" else "a POSCAR"
        raise ValueError(f"{path}: must be {kind} with a unit cell ({error})") from error
    return Frame(atoms, source=str(path)).atoms  # checked


def _poscar_cell(path: Path) -> Atoms:
    text = read_text(path)
    lines = text.split("\n")
    for line in (*lines[1:5], *lines[7:]):
        for word in line.split():
            if word[0] in "+-." or word[0].isdigit():
                strict(word)
    counts = [int(w) for line in lines[5:7] for w in line.split() if w.isascii() and w.isdigit()]
    if sum(counts) > len(lines):
        raise ValueError(f"{sum(counts)} atoms in {len(lines)} lines")
    atoms: Atoms = read_vasp(io.StringIO(text))
    return atoms


def _yaml_cell(path: Path) -> Atoms:
    text = read_text(path)
    found = re.search(r"^unit_cell:\n((?: .*\n|-.*\n)+)", text, re.M)
    if found is None:
        raise ValueError("it has no `unit_cell`")
    triple = r"\[ *([-0-9.eE+]+), *([-0-9.eE+]+), *([-0-9.eE+]+) *\]"
    lattice = re.findall(rf"^ *- +{triple}", found[1], re.M)[:3]
    points = re.findall(rf"symbol: +(\w+).*\n +coordinates: +{triple}", found[1])
    if len(lattice) != 3 or len(points) != found[1].count("symbol:") or not points:
        raise ValueError("`unit_cell` must have `lattice` and `points`")
    unit = re.search(r"length: +\"?(\w+)", text)
    if unit is not None and unit[1] not in _LENGTHS:
        raise ValueError(f"`length` must be in {', '.join(_LENGTHS)}, got {unit[1]}")
    scale = _LENGTHS["angstrom" if unit is None else unit[1]]
    symbols = [re.sub(r"\d+$", "", point[0]) for point in points]
    return crystal(symbols, table(lattice) * scale, scaled=table([point[1:] for point in points]))


def _expanded(tensors: Array, named: list[int], atoms: Atoms, source: str, beside: Path) -> Array:
    """Born charges of all atoms, with the finest tolerance that has as many orbits as tensors."""
    counts = []
    for tolerance in _TOLERANCES:
        try:
            found = symmetry.operations(atoms, tolerance)
            orbits = symmetry.orbits(found)
            counts.append(len(np.unique(orbits)))
            if counts[-1] == len(tensors):
                _check_named(named, orbits)
                return symmetry.expand(tensors, found)
        except ValueError as error:
            raise ValueError(
                f"{source}: `born_effective_charges` in the cell of {beside}: {error}"
            ) from error
    raise ValueError(
        f"{source}: `born_effective_charges` must be of the {counts[0]} inequivalent of the "
        f"{len(atoms)} atoms of {beside}, or of all of them, got {len(tensors)}"
    )


def _check_named(named: list[int], orbits: NDArray[np.int64]) -> None:
    """Refuse tensors of other atoms than the first of each orbit, or ones like them."""
    first = np.unique(orbits)
    if not named:
        return
    if max(named) >= len(orbits) or not np.array_equal(orbits[named], first):
        raise ValueError(
            f"the first line must name atoms equivalent to {(first + 1).tolist()}, got "
            f"{[k + 1 for k in named]}"
        )
