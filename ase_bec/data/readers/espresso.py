"""Quantum ESPRESSO: text output of pw.x and ph.x."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import Array, Frame

FIELD = units.Ha / units.Bohr / np.sqrt(2)  # V/Å per Rydberg atomic unit
DIPOLE = units.Bohr / np.sqrt(2)  # e Å per Rydberg atomic unit
_MARK = re.compile(
    r"^!+ +total energy +=.*"
    r"|^ +convergence (?:has been achieved|NOT achieved).*"
    r"|^ +Forces acting on atoms.*"
    r"|^ +total +stress .*"
    r"|^CELL_PARAMETERS.*"
    r"|^ATOMIC_POSITIONS.*"
    r"|^(?:Electronic|Ionic) Dipole on Cartesian axes *$",
    re.M,
)
NUMBER = r"[-+]?\d+\.\d*(?:[EeDd][-+]?\d+)?"


def read_pw(text: str, name: str, allow_unconverged: bool = False) -> list[Frame]:
    """Frames of all self-consistent structures in the output of pw.x.

    Of a run in a finite field (lelfield), the energy is the electric enthalpy and the forces are
    those in the field; `electric_field` is in V/Å, and the polarization is
    that of the Berry phase on its shortest branch.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take structures whose electrons have not converged, and files that end early.

    Raises
    ------
    ValueError
        If the file is damaged, ends early, or a structure has not converged.
    """
    atoms, net_charge = header(text, name)
    if "JOB DONE" not in text and not allow_unconverged:
        raise ValueError(
            f"{name}: ends early (no JOB DONE); allow_unconverged=True takes what is complete"
        )
    field = re.search(r"Using Berry phase electric field\s+In a\.u\.\(Ry\).*((?:\s+\S+){3})", text)
    vector = None if field is None else np.array(field[1].split(), dtype=float) * FIELD
    if vector is not None and not vector.any():
        vector = None
    try:
        structures = _structures(text, atoms)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{name}: damaged: {error}") from error
    frames = []
    for index, (structure, labels, converged) in enumerate(structures):
        source = f"{name}, frame {index}"
        if not converged and not allow_unconverged:
            raise ValueError(
                f"{source}: electrons have not converged; allow_unconverged=True takes it"
            )
        frames.append(
            Frame(structure, electric_field=vector, net_charge=net_charge, source=source, **labels)
        )
    if not frames:
        raise ValueError(f"{name}: holds no total energy (!); has the run ended?")
    return frames


def header(text: str, name: str) -> tuple[Atoms, float]:
    """Structure at the beginning, and net charge."""
    alat = re.search(rf"celldm\(1\)= *({NUMBER})", text)
    if alat is None:
        alat = re.search(rf"lattice parameter \(\S+\) += +({NUMBER})", text)
    axes = re.findall(rf"a\(\d\) = \( *({NUMBER}) +({NUMBER}) +({NUMBER})", text)[:3]
    count = re.search(r"number of atoms/cell += +(\d+)", text)
    if alat is None or len(axes) != 3 or count is None:
        raise ValueError(f"{name}: no cell (celldm, crystal axes) or number of atoms")
    length = float(alat[1]) * units.Bohr
    n = int(count[1])
    sites = re.findall(
        rf"^ +\d+ +(\S+) .*tau\( *\d+\) = \( *({NUMBER}) +({NUMBER}) +({NUMBER})", text, re.M
    )[:n]
    if len(sites) != n:
        raise ValueError(f"{name}: must list {n} atoms (tau), got {len(sites)}; is it truncated?")
    symbols = [element(site[0], name) for site in sites]
    positions = np.array([site[1:] for site in sites], dtype=float) * length
    cell = np.array(axes, dtype=float) * length
    if abs(np.linalg.det(cell)) < 1e-3:
        raise ValueError(f"{name}: crystal axes must span a volume, got {axes}")
    return Atoms(symbols, positions=positions, cell=cell, pbc=True), _net_charge(text, sites)


def _net_charge(text: str, sites: list[tuple[str, ...]]) -> float:
    electrons = re.search(rf"number of electrons += +({NUMBER})", text)
    table = re.search(r"atomic species +valence.*\n((?: +\S+ +[\d.]+ +.*\n)+)", text)
    if electrons is None or table is None:
        return 0.0
    valence = {row.split()[0]: float(row.split()[1]) for row in table[1].splitlines()}
    total = sum(valence[site[0]] for site in sites if site[0] in valence)
    return round(total - float(electrons[1]), 2) + 0.0


def element(label: str, name: str) -> str:
    """Symbol of a species label such as O1 or Fe_up."""
    found = re.match(r"[A-Z][a-z]?", label.capitalize())
    for symbol in (found[0], found[0][0]) if found else ():
        if symbol in atomic_numbers:
            return symbol
    raise ValueError(f"{name}: species must begin with an element, got {label!r}")


def _structures(text: str, atoms: Atoms) -> list[tuple[Atoms, dict[str, Any], bool]]:
    """Structures, labels and convergence, one for each total energy."""
    n = len(atoms)
    found: list[tuple[Atoms, dict[str, Any], bool]] = []
    structure: Atoms = atoms.copy()
    dipole: dict[str, Array] = {}
    for mark in _MARK.finditer(text):
        line, at = mark[0], mark.end()
        if line.startswith("!"):
            labels: dict[str, Any] = {"energy": float(line.split()[-2]) * units.Ry}
            if len(dipole) == 2:
                total = (dipole["Electronic"] + dipole["Ionic"]) * DIPOLE
                shortest = smallest_dipole(total, structure.cell.array)
                labels["polarization"] = shortest / structure.get_volume()
            found.append((structure.copy(), labels, True))
        elif line.startswith("CELL_PARAMETERS"):
            structure.set_cell(_rows(text, at, 3) * _length(line, atoms))
        elif line.startswith("ATOMIC_POSITIONS"):
            _set_positions(structure, line, _rows(text, at, n, first=1), atoms)
        elif "Dipole" in line:
            dipole[line.split()[0]] = _rows(text, at, 3, first=1)[:, 0]
        elif found and "NOT achieved" in line:
            found[-1] = (*found[-1][:2], False)
        elif found and "Forces" in line:
            rows = _rows(text, at, n, first=6)
            found[-1][1].setdefault("forces", rows * units.Ry / units.Bohr)
        elif found and "stress" in line:
            found[-1][1]["stress"] = -_rows(text, at, 3) * units.Ry / units.Bohr**3
    return found


def _length(line: str, atoms: Atoms) -> float:
    """Å per unit of a CELL_PARAMETERS or ATOMIC_POSITIONS line; alat is that of the line."""
    alat = re.search(rf"alat *= *({NUMBER})", line)
    if alat:
        return float(alat[1]) * float(units.Bohr)
    if "alat" in line:
        return float(np.linalg.norm(atoms.cell.array[0]))
    return float(units.Bohr) if "bohr" in line else 1.0


def _set_positions(structure: Atoms, line: str, rows: Array, atoms: Atoms) -> None:
    if "crystal" in line:
        structure.set_scaled_positions(rows)
    else:
        structure.positions = rows * _length(line, atoms)


def _rows(text: str, at: int, n: int, first: int = 0) -> Array:
    """Three numbers from column `first` on of the lines that follow; empty lines are skipped."""
    rows: list[list[float]] = []
    for line in text[at : at + 300 * (n + 3)].split("\n")[1:]:
        if len(rows) == n:
            break
        words = line.replace("D", "E").split()[first : first + 3]
        if words:
            rows.append([float(word) for word in words])
    if len(rows) != n:
        raise ValueError(f"table must have {n} lines, got {len(rows)}; is the file truncated?")
    return np.array(rows)
