"""VASP OUTCAR: every ionic step, Born charges of LEPSILON and LCALCEPS, Berry-phase dipole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms, units

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import Array, Frame

_KBAR = 0.1 * units.GPa
_MARK = re.compile(
    r"^ +direct lattice vectors"
    r"|^ *POSITION +TOTAL-FORCE \(eV/Angst\) *$"
    r"|^ +in kB .*"
    r"|^  free  energy   TOTEN .*"
    r"|^.* Ionic dipole moment: p\[ion\].*electrons Angst"
    r"|^.* Total electronic dipole moment: p\[elc\].*electrons Angst"
    r"|^ *MACROSCOPIC STATIC DIELECTRIC TENSOR \(including local field.*"
    r"|^ *BORN EFFECTIVE CHARGES .*cummulative output\).*"
    r"|aborting loop because EDIFF is reached"
    r"|^ *Linear response to external field, progress.*",
    re.M,
)
_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[ED][-+]?\d+)?")


@dataclass
class _Step:
    """What has been read of one ionic step."""

    cell: Array | None = None
    positions: Array | None = None
    forces: Array | None = None
    stress: Array | None = None
    energy: float | None = None
    ionic: Array | None = None
    electronic: Array | None = None
    converged: bool = False
    labels: dict[str, Any] = field(default_factory=dict)


def read_outcar(text: str, name: str, allow_unconverged: bool = False) -> list[Frame]:
    """Frames of all ionic steps of an OUTCAR.

    The energy is the free energy, of which the forces are derivatives. Born charges are those
    with local-field effects, [field, displacement] as VASP writes them. The dipole is
    -(p[ion] + p[elc]), for VASP counts it in charges of the electron, on its shortest branch. The
    net charge is the sum of the valences less NELECT.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take steps whose electrons have not converged, and files that end early.

    Raises
    ------
    ValueError
        If the file is damaged, ends early, or a step has not converged.
    """
    numbers, net_charge = _composition(text, name)
    complete = "General timing and accounting" in text
    if not complete and not allow_unconverged:
        raise ValueError(
            f"{name}: ends early (no timing at its end); allow_unconverged=True takes the steps "
            "that are complete"
        )
    steps = _steps(text, name, len(numbers), complete)
    if not steps:
        raise ValueError(f"{name}: holds no complete ionic step")
    _attach_finite_differences(text, steps)
    frames = []
    for index, step in enumerate(steps):
        source = f"{name}, frame {index}"
        if not step.converged and not allow_unconverged:
            raise ValueError(
                f"{source}: electrons have not converged (EDIFF was not reached); "
                "allow_unconverged=True takes it"
            )
        atoms = Atoms(numbers, positions=step.positions, cell=step.cell, pbc=True)
        labels = dict(step.labels)
        if step.ionic is not None and step.electronic is not None:
            dipole = -(step.ionic + step.electronic)
            labels["polarization"] = smallest_dipole(dipole, atoms.cell.array) / atoms.get_volume()
        frames.append(
            Frame(
                atoms,
                energy=step.energy,
                forces=step.forces,
                stress=step.stress,
                net_charge=net_charge,
                source=source,
                **labels,
            )
        )
    return frames


def _composition(text: str, name: str) -> tuple[list[str], float]:
    """Symbols of all atoms, and net charge."""
    symbols = [s.strip() for s in re.findall(r"VRHFIN *= *([A-Za-z ]+?) *:", text)]
    counts = re.search(r"ions per type = +([\d ]+)", text)
    if counts is None or not symbols:
        raise ValueError(f"{name}: no elements (VRHFIN) or `ions per type`; is it an OUTCAR?")
    numbers = [int(n) for n in counts[1].split()]
    symbols = symbols[: len(numbers)]
    if len(symbols) != len(numbers):
        raise ValueError(f"{name}: {len(symbols)} elements (VRHFIN) for {len(numbers)} types")
    valences = [float(z) for z in re.findall(r"; ZVAL   = +([\d.]+)", text)][: len(numbers)]
    electrons = re.search(r"NELECT = +([\d.]+)", text)
    charge = 0.0
    if electrons is not None and len(valences) == len(numbers):
        charge = float(np.dot(valences, numbers)) - float(electrons[1])
    return [s for s, n in zip(symbols, numbers, strict=True) for _ in range(n)], _whole(charge)


def _whole(charge: float) -> float:
    """Charge without rounding errors of the file."""
    return round(charge, 4) + 0.0


def _steps(text: str, name: str, n: int, complete: bool) -> list[_Step]:
    """Ionic steps; responses that follow a step belong to it."""
    steps: list[_Step] = []
    now = _Step()
    progress = reached = 0
    try:
        for mark in _MARK.finditer(text):
            line, at = mark[0], mark.end()
            if "direct lattice" in line:
                now.cell = _rows(text, at, 3)[:, :3]
            elif "TOTAL-FORCE" in line:
                table = _rows(text, at, n, skip=1)
                now.positions, now.forces = table[:, :3], table[:, 3:6]
            elif "in kB" in line:
                xx, yy, zz, xy, yz, zx = _floats(line)[:6] * -_KBAR
                now.stress = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
            elif "p[ion]" in line:
                now.ionic = _floats(line.split("=")[1])[:3]
            elif "p[elc]" in line:
                now.electronic = _floats(line.split("=")[1])[:3]
            elif "EDIFF is reached" in line:
                now.converged, reached = True, reached + 1
            elif "Linear response" in line:
                if progress == 0:
                    reached = 0
                progress += 1
            elif "TOTEN" in line and now.positions is not None:
                now.energy = float(_floats(line.split("=")[1])[0])
                steps.append(now)
                now, progress = _Step(cell=now.cell), 0
            elif steps:
                _response(steps[-1], line, text, at, n)
                steps[-1].converged &= reached >= progress
    except (ValueError, IndexError) as error:
        if complete:
            line_number = text.count("\n", 0, mark.start()) + 1
            raise ValueError(f"{name}, line {line_number}: damaged ({error})") from error
    return steps


def _response(step: _Step, line: str, text: str, at: int, n: int) -> None:
    if "BORN" in line:
        if "excluding" not in line:
            rows = _rows(text, at, 4 * n, skip=1, ragged=True)
            step.labels["born_effective_charges"] = rows.reshape(n, 3, 4)[:, :, 1:]
    elif "IONIC" not in line:
        step.labels["dielectric_tensor"] = _rows(text, at, 3, skip=1)


def _rows(text: str, at: int, n: int, skip: int = 0, ragged: bool = False) -> Array:
    """Numbers of the lines that follow; lines `ion k` are left out where `ragged`."""
    begin = end = text.find("\n", at)
    for _ in range(n + skip):
        end = text.find("\n", end + 1)
        if end < 0:
            raise ValueError(f"file ends within a table of {n} lines")
    lines = text[begin:end].split("\n")[1 + skip :]
    if ragged:
        lines = [line for line in lines if not line.strip().startswith("ion")]
    rows = [_floats(line) for line in lines]
    if len({len(row) for row in rows}) != 1 or len(rows[0]) < 3:
        raise ValueError(f"table must have equal lines of numbers, got {lines[0].strip()!r} …")
    return np.array(rows)


def _floats(line: str) -> Array:
    if "***" in line:
        raise ValueError(f"number too long for its field: {line.strip()!r}")
    return np.array([float(word.replace("D", "E")) for word in _NUMBER.findall(line)])


def _attach_finite_differences(text: str, steps: list[_Step]) -> None:
    """Give the responses of a run of finite differences to its undisplaced structure."""
    if re.search(r"IBRION = +[56]\b", text):
        for step in steps[1:]:
            steps[0].labels |= step.labels
            step.labels = {}
