"""Quantum ESPRESSO: text output of pw.x and ph.x."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import Array, Frame
from ase_bec.data.net_charge import settled_charge
from ase_bec.data.numbers import real, reals, table, whole
from ase_bec.data.readers.crystal import crystal
from ase_bec.data.readers.marks import lines_with

FIELD = units.Ha / units.Bohr / np.sqrt(2)  # V/Å per Rydberg atomic unit
DIPOLE = units.Bohr / np.sqrt(2)  # e Å per Rydberg atomic unit
_MARKS = (
    "!    total energy ",
    "  convergence has been achieved",
    "  convergence NOT achieved",
    "  Forces acting on atoms",
    "  total   stress ",
    "CELL_PARAMETERS",
    "ATOMIC_POSITIONS",
    "Dipole on Cartesian axes",
)
NUMBER = r"[-+]?[0-9]+\.[0-9]*(?:[EeDd][-+]?[0-9]+)?"
_AXES = 1e-5  # rounding of a volume by that of axes with six decimals
ACCURACY = 10.0  # times the threshold: that of the first of several steps may be looser


@dataclass
class _Step:
    """One structure, and what has been read of it."""

    atoms: Atoms
    labels: dict[str, Any] = field(default_factory=dict)
    failed: str = ""  # why it has not converged


def read_pw(
    text: str, name: str, allow_unconverged: bool = False, net_charge: float | None = None
) -> list[Frame]:
    """Frames of all self-consistent structures in the output of pw.x.

    For a run in a finite field (lelfield), the energy is the electric enthalpy and the forces are
    those in the field; `electric_field` is in V/Å, and the polarization is
    that of the Berry phase on its shortest branch. Of several energies of one structure (hybrid
    functionals, cycles of a field) the last one holds.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take structures whose electrons have not converged, and files that end early.
    net_charge
        e; must agree with the file if the file gives one.

    Raises
    ------
    ValueError
        If the file is damaged or contradicts itself, ends early, a structure has not converged, or
        the field is that of a sawtooth.
    """
    try:
        atoms, own = header(text)
        charge = settled_charge("header", own, net_charge)
        vector = _field(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if "JOB DONE" not in text and not allow_unconverged:
        raise ValueError(
            f"{name}: ends early (no JOB DONE); allow_unconverged=True accepts what is complete"
        )
    try:
        steps = _steps(text, atoms)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{name}: damaged: {error}") from error
    frames = []
    for index, step in enumerate(steps):
        source = f"{name}, frame {index}"
        if step.failed and not allow_unconverged:
            raise ValueError(
                f"{source}: electrons have not converged ({step.failed}); "
                "allow_unconverged=True accepts it"
            )
        frame = Frame(
            step.atoms, electric_field=vector, net_charge=charge, source=source, **step.labels
        )
        if frame.energy is not None:
            frames.append(frame)
    if not frames:
        raise ValueError(f"{name}: holds no total energy (!); has the run ended?")
    return frames


def header(text: str) -> tuple[Atoms, float | None]:
    """Structure at the beginning of pw.x's or ph.x's output, and net charge, if given.

    Raises
    ------
    ValueError
        If it is not there, or counts of atoms or volumes contradict each other.
    """
    alat = re.search(rf"celldm\(1\)= *({NUMBER})\s", text)
    if alat is None:
        alat = re.search(rf"lattice parameter \(\S+\) += +({NUMBER}) +a\.u\.", text)
    axes = re.findall(rf"a\((\S)\) = \( *({NUMBER}) +({NUMBER}) +({NUMBER}) *\)", text)[:3]
    count = re.search(r"number of atoms/cell += +(\S+)", text)
    if alat is None or len(axes) != 3 or count is None:
        raise ValueError("no cell (celldm, crystal axes) or number of atoms")
    if [axis[0] for axis in axes] != ["1", "2", "3"]:
        raise ValueError(f"crystal axes must be a(1) to a(3), got {', '.join(a[0] for a in axes)}")
    length = real(alat[1]) * units.Bohr
    sites = _sites(text, whole(count[1]))
    symbols = [element(label) for label, *_ in sites]
    positions = table([site[1:] for site in sites]) * length
    cell = table([axis[1:] for axis in axes]) * length
    atoms = crystal(symbols, cell, positions)
    _check_volume(text, cell, alat[1])
    return atoms, _net_charge(text, sites)


def _check_volume(text: str, cell: Array, alat: str) -> None:
    """Refuse a volume that is not that of the axes, to the digits of the file."""
    told = re.search(rf"unit-cell volume += +({NUMBER})\s", text)
    if told is None:
        return
    volume = abs(np.linalg.det(cell)) / units.Bohr**3
    rounding = 3e-4 / real(alat) if len(alat.partition(".")[2]) < 6 else 3e-6 / real(alat)
    if abs(real(told[1]) - volume) > (rounding + _AXES) * volume + 1e-4:
        raise ValueError(f"unit-cell volume must be that of the axes, {volume:.4f}, got {told[1]}")


def _sites(text: str, n: int) -> list[tuple[str, ...]]:
    """Label and coordinates of each atom, as the first table of sites has them."""
    if n > text.count("\n"):
        raise ValueError(f"must list {n} atoms (tau), got a shorter file; is it truncated?")
    row = rf"^ +(\d+) +(\S+) .*tau\( *(\d+)\) = \( *({NUMBER}) +({NUMBER}) +({NUMBER}) *\)"
    found = [(m[1], *m.groups()[1:]) for m in islice(re.finditer(row, text, re.M), n + 1)]
    if len(found) > n and found[n][0] == "1":
        del found[n:]  # the same sites again, in other coordinates
    if len(found) != n:
        told = f"{n + 1} or more" if len(found) > n else str(len(found))
        raise ValueError(f"must list {n} atoms (tau), got {told}; is it truncated?")
    for k, (first, _, second, *_) in enumerate(found, start=1):
        if {first, second} != {str(k)}:
            raise ValueError(f"sites must be numbered, got {first} and tau({second}) for atom {k}")
    return [(label, x, y, z) for _, label, _, x, y, z in found]


def _field(text: str) -> Array | None:
    """Uniform field in V/Å, None without."""
    sawtooth = re.search(rf"E field amplitude \[Ha a\.u\.\]: *({NUMBER})", text)
    if sawtooth is not None and real(sawtooth[1]):
        raise ValueError(
            "computed with a sawtooth potential (tefield), which energy and forces contain; give "
            "the run without it"
        )
    found = re.search(r"Using Berry phase electric field\s+In a\.u\.\(Ry\).*((?:\s+\S+){3})", text)
    vector = np.zeros(3) if found is None else reals(found[1].split()) * FIELD
    return vector if vector.any() else None


def _net_charge(text: str, sites: list[tuple[str, ...]]) -> float | None:
    """Valences minus electrons; None if they are not given."""
    electrons = re.search(rf"number of electrons += +({NUMBER})", text)
    row = rf" +\S+ +{NUMBER} +{NUMBER} +.*\n"
    species = re.search(rf"atomic species +valence.*\n((?:{row})+)", text)
    if electrons is None or species is None:
        return None
    valence = {row.split()[0]: real(row.split()[1]) for row in species[1].splitlines()}
    missing = {site[0] for site in sites} - set(valence)
    if missing:
        raise ValueError(f"species must have a valence, got none for {min(missing)}")
    return round(sum(valence[site[0]] for site in sites) - real(electrons[1]), 2) + 0.0


@lru_cache(maxsize=1024)
def element(label: str) -> str:
    """Symbol of a species label such as O1 or Fe_up.

    Raises
    ------
    ValueError
        If it begins with no element.
    """
    found = re.match(r"[A-Z][a-z]?", label.capitalize())
    for symbol in (found[0], found[0][0]) if found else ():
        if symbol in atomic_numbers and symbol != "X":
            return symbol
    raise ValueError(f"species must begin with an element, got {label[:40]!r}")


def _steps(text: str, atoms: Atoms) -> list[_Step]:
    """Structures with their labels, one for each self-consistency."""
    n, threshold = len(atoms), _threshold(text)
    steps: list[_Step] = []
    now = _Step(atoms.copy())
    dipoles: dict[str, int] = {}  # where they begin
    for line, _, at in lines_with(text, _MARKS):
        if line.startswith("!"):
            if "forces" in now.labels:  # the same structure once more, in a new basis
                now = _Step(now.atoms.copy())
            now.labels["energy"] = real(line.split()[-2]) * units.Ry
            now.failed = _inaccurate(text, at, threshold)
            if len(dipoles) == 2:
                total = sum(_rows(text, k, 1, first=1)[:, 0] for k in dipoles.values()) * DIPOLE
                shortest = smallest_dipole(total, now.atoms.cell.array)
                now.labels["polarization"] = shortest / now.atoms.get_volume()
            _append(steps, now)
        elif line.startswith("CELL_PARAMETERS"):
            now = _Step(now.atoms.copy())
            now.atoms.set_cell(_rows(text, at, 3) * _length(line, atoms))
        elif line.startswith("ATOMIC_POSITIONS"):
            now = _Step(now.atoms.copy())
            _set_positions(now.atoms, line, _listed(text, at, atoms), atoms)
        elif "Dipole" in line:
            dipoles[line.split()[0]] = at
        elif "NOT achieved" in line:
            now.failed = line.strip()
            _append(steps, now)
        elif "Forces" in line and "forces" not in now.labels:
            if "energy" not in now.labels and not now.failed:
                raise ValueError("forces must follow a total energy (!)")
            now.labels["forces"] = _forces(text, at, n) * units.Ry / units.Bohr
        elif "stress" in line:
            now.labels["stress"] = -_rows(text, at, 6)[:, :3] * units.Ry / units.Bohr**3
    return steps


def _append(steps: list[_Step], step: _Step) -> None:
    if not steps or steps[-1] is not step:
        steps.append(step)


def _threshold(text: str) -> float:
    """Convergence threshold of the electrons in Ry; infinite if not given."""
    found = re.search(r"convergence threshold +=\s*(\S+)", text)
    return np.inf if found is None else real(found[1])


def _inaccurate(text: str, at: int, threshold: float) -> str:
    """Why an energy that pw.x calls converged is not, or an empty string."""
    found = re.search(r"estimated scf accuracy +<\s*(\S+) Ry", text[at : at + 400])
    if found is None or real(found[1]) <= ACCURACY * threshold:
        return ""
    return f"estimated accuracy {found[1]} Ry, threshold {threshold:g}"


def _forces(text: str, at: int, n: int) -> Array:
    """Forces of atoms 1 to n, Ry/bohr."""
    lines = [line for line in text[at : at + 300 * (n + 4)].split("\n")[1:] if line.strip()]
    words = [line.replace("=", " = ").split() for line in lines[: n + 1]]
    is_row = [row[:1] == ["atom"] and "=" in row for row in words]
    if not all(is_row[:n]) or len(is_row) < n:
        raise ValueError(f"table must have {n} lines, got {sum(is_row)}; is the file truncated?")
    if is_row[n:] == [True] or _is_numbers(" ".join(lines[n : n + 1])):
        raise ValueError(f"table of forces must have {n} lines, got more: {lines[n].strip()!r}")
    if [row[1] for row in words[:n]] != [str(k + 1) for k in range(n)]:
        raise ValueError(f"table of forces must be of atoms 1 to {n}, got {lines[0].strip()!r} …")
    rows = table([row[row.index("=") + 1 :] for row in words[:n]])
    if rows.shape != (n, 3):
        raise ValueError(f"forces must have three components, got {lines[0].strip()!r} …")
    return rows


def _listed(text: str, at: int, atoms: Atoms) -> Array:
    """Coordinates of ATOMIC_POSITIONS, of the atoms that the header lists."""
    n = len(atoms)
    lines = text[at : at + 300 * (n + 3)].split("\n")[1 : n + 2]
    rows = [line.split() for line in lines[:n]]
    if len(rows) < n or any(len(row) not in (4, 7) for row in rows):
        have = sum(len(row) in (4, 7) for row in rows)
        raise ValueError(f"table must have {n} lines, got {have}; is the file truncated?")
    if len(lines) > n and (
        _is_numbers(lines[n]) or re.match(rf" *\S+(?: +{NUMBER}){{3}}", lines[n])
    ):
        raise ValueError(f"table must have {n} lines, got more: {lines[-1].strip()!r}")
    if [element(row[0]) for row in rows] != atoms.get_chemical_symbols():
        raise ValueError("ATOMIC_POSITIONS must list the atoms in the order of the header")
    return table([row[1:4] for row in rows])


def _length(line: str, atoms: Atoms) -> float:
    """Å per unit of a CELL_PARAMETERS or ATOMIC_POSITIONS line; alat is that of the line."""
    alat = re.search(rf"alat *= *({NUMBER})", line)
    if alat:
        return real(alat[1]) * float(units.Bohr)
    if "alat" in line:
        return float(np.linalg.norm(atoms.cell.array[0]))
    return float(units.Bohr) if "bohr" in line else 1.0


def _set_positions(structure: Atoms, line: str, rows: Array, atoms: Atoms) -> None:
    if "crystal" in line:
        structure.set_scaled_positions(rows)
    else:
        structure.positions = rows * _length(line, atoms)


def _rows(text: str, at: int, width: int, first: int = 0) -> Array:
    """Three rows of numbers, from column `first` on, of the lines that follow and are not empty."""
    lines = [line for line in text[at : at + 2000].split("\n")[1:] if line.strip()]
    rows = [line.split()[first:] for line in lines[:3]]
    if len(rows) != 3 or any(len(row) != width for row in rows):
        raise ValueError(
            f"table must have 3 lines of {width} numbers, got {len(rows)}; is the file truncated?"
        )
    if _is_numbers("".join(lines[3:4])):
        raise ValueError(f"table must have 3 lines, got more: {lines[3].strip()!r}")
    return table(rows)


def _is_numbers(line: str) -> bool:
    """Whether a line holds numbers and nothing else."""
    try:
        return len(reals(line.split())) > 0
    except ValueError:
        return False
