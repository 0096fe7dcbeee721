"""VASP OUTCAR: every ionic step, Born charges of LEPSILON and LCALCEPS, Berry-phase dipole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import units

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import Array, Frame
from ase_bec.data.net_charge import settled_charge
from ase_bec.data.numbers import real, reals, whole
from ase_bec.data.readers.crystal import crystal
from ase_bec.data.readers.marks import lines_with
from ase_bec.data.readers.outcar_header import Header, read_header

_KBAR = 0.1 * units.GPa
_MARKS = (
    "direct lattice vectors",
    "TOTAL-FORCE (eV/Angst)",
    "  in kB ",
    "  free  energy   TOTEN ",
    " p[ion]=",
    " p[elc]=",
    "MACROSCOPIC STATIC DIELECTRIC TENSOR (including local field",
    "BORN EFFECTIVE CHARGES ",
    "- Iteration ",
    "total energy-change ",
    "aborting loop because EDIFF is reached",
    "Linear response to external field, progress",
)
_RESPONSES = ("born_effective_charges", "dielectric_tensor")  # to external fields
_GLUED = re.compile(r"\s*(-?\d+\.\d+)(?=[-\s]|$)", re.ASCII)  # Fortran leaves no blank before -


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
    unconverged: str = "EDIFF was not reached"  # why, or empty
    labels: dict[str, Any] = field(default_factory=dict)


def read_outcar(
    text: str, name: str, allow_unconverged: bool = False, net_charge: float | None = None
) -> list[Frame]:
    """Frames of all ionic steps of an OUTCAR.

    The energy is the free energy, of which the forces are derivatives. Born charges are those
    with local-field effects, [field, displacement] as VASP writes them. The dipole is
    -(p[ion] + p[elc]), because VASP counts it in electron charges, on its shortest branch. The
    net charge is the sum of the valences minus NELECT. A step has converged if it took fewer than
    NELM electronic steps and changed by less than EDIFF in the last: VASP 5 prints "EDIFF is
    reached" at NELM too.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take steps whose electrons have not converged, and files that end early.
    net_charge
        e, where the file doesn't tell.

    Raises
    ------
    ValueError
        If the file is damaged or contradicts itself, ends early, a step has not converged, or it
        was computed in an electric field.
    """
    head = read_header(text, name)
    complete = "General timing and accounting" in text
    if not complete and not allow_unconverged:
        raise ValueError(
            f"{name}: ends early (no timing at its end); allow_unconverged=True accepts the steps "
            "that are complete"
        )
    steps = _steps(text, name, head, complete)
    if not steps:
        raise ValueError(f"{name}: holds no complete ionic step")
    _attach_finite_differences(text, steps)
    frames = []
    for index, step in enumerate(steps):
        source = f"{name}, frame {index}"
        if step.unconverged and not allow_unconverged:
            raise ValueError(
                f"{source}: electrons have not converged ({step.unconverged}); "
                "allow_unconverged=True accepts it"
            )
        if step.cell is None or step.positions is None:
            raise ValueError(f"{source}: has no lattice vectors")
        atoms = crystal(head.symbols, step.cell, step.positions)
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
                net_charge=settled_charge(source, head.net_charge, net_charge),
                source=source,
                **labels,
            )
        )
    return frames


class _Loop:
    """Electronic steps of the loops of a file, against NELM and EDIFF."""

    def __init__(self, head: Header) -> None:
        self._limit, self._threshold = head.nelm, head.ediff
        self._steps, self._change = 0, 0.0
        self.progress = self.reached = 0  # responses that began, and that converged
        self.unconverged = ""  # why one of the responses has not

    def step(self, line: str) -> None:
        """Count an electronic step."""
        self._steps = whole(line.split("(")[1].split(")")[0].strip())
        self._change = 0.0

    def change(self, line: str) -> None:
        """Take the last change of the energy."""
        self._change = real(line.split(":")[1].split("(")[0].strip())

    def end(self) -> str:
        """Why a loop that VASP calls converged is not, or an empty string."""
        if self._limit is not None and self._steps >= self._limit:
            why = (
                f"all NELM = {self._limit} steps were used, the last change is {self._change:g} eV"
            )
        elif self._threshold is not None and abs(self._change) > 2 * self._threshold:
            why = f"the last change is {self._change:g} eV, EDIFF {self._threshold:g}"  # 1 digit
        else:
            self.reached += 1
            return ""
        self.unconverged = why
        return why

    def begin_response(self) -> None:
        """Count a response to the field."""
        if self.progress == 0:
            self.reached, self.unconverged = 0, ""
        self.progress += 1


def _steps(text: str, name: str, head: Header, complete: bool) -> list[_Step]:
    """Ionic steps; responses that follow a step belong to it."""
    steps: list[_Step] = []
    now, loop, n = _Step(), _Loop(head), len(head.symbols)
    try:
        for line, _, at in lines_with(text, _MARKS):
            if "- Iteration" in line:
                loop.step(line)
            elif "energy-change" in line:
                loop.change(line)
            elif line.strip().startswith("direct lattice"):
                now.cell = _cell(text, at)
            elif "TOTAL-FORCE" in line:
                if now.positions is not None:
                    raise ValueError("the step before must have an energy (TOTEN)")
                table = _rows(text, at, n, skip=1)
                now.positions, now.forces = table[:, :3], table[:, 3:6]
            elif "in kB" in line:
                xx, yy, zz, xy, yz, zx = _floats(line.split("kB")[1]) * -_KBAR
                now.stress = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
            elif "p[ion]" in line:
                now.ionic = _vector(line)
            elif "p[elc]" in line:
                now.electronic = _vector(line)
            elif "EDIFF is reached" in line:
                now.unconverged = loop.end()
            elif "Linear response" in line:
                loop.begin_response()
            elif "TOTEN" in line:
                if now.positions is None:
                    raise ValueError("the step must have a table of forces (TOTAL-FORCE)")
                now.energy = real(line.split("=")[1].split()[0])
                steps.append(now)
                now, loop = _Step(cell=now.cell), _Loop(head)
            elif steps:
                if now.positions is not None:
                    raise ValueError("the step before must have an energy (TOTEN)")
                _response(steps[-1], line, text, at, n)
                if loop.reached < loop.progress or loop.unconverged:
                    steps[-1].unconverged = loop.unconverged or "EDIFF was not reached"
        if now.positions is not None:
            raise ValueError("the last step must have an energy (TOTEN)")
        if steps and loop.progress and not steps[-1].labels.keys() >= set(_RESPONSES):
            raise ValueError(f"responses must give {' and '.join(_RESPONSES)}")
    except (ValueError, IndexError) as error:
        if complete:
            line_number = text.count("\n", 0, at) + 1
            raise ValueError(f"{name}, line {line_number}: damaged ({error})") from error
    return steps


def _cell(text: str, at: int) -> Array:
    """Lattice vectors, which must match the reciprocal ones next to them."""
    rows = _rows(text, at, 3)
    if rows.shape != (3, 6):
        raise ValueError(f"must be direct and reciprocal vectors, got {rows.shape[1]} numbers")
    cell = rows[:, :3]
    words = text[at : at + 600].split("\n")[1].split()
    digits = min(len(word.partition(".")[2]) for word in words[3:])
    if not np.isfinite(rows).all() or not np.linalg.det(cell):
        raise ValueError(f"lattice vectors must span a volume, got {cell.tolist()} Å")
    if np.abs(np.linalg.inv(cell).T - rows[:, 3:]).max() > 0.6 * 10.0**-digits + 1e-9:
        raise ValueError("direct and reciprocal lattice vectors must belong together")
    return np.array(cell)


def _response(step: _Step, line: str, text: str, at: int, n: int) -> None:
    if "BORN" in line:
        if "excluding" not in line:
            rows = _rows(text, at, 4 * n, skip=1, ragged=True)
            step.labels["born_effective_charges"] = rows.reshape(n, 3, 4)[:, :, 1:]
    elif "IONIC" not in line:
        step.labels["dielectric_tensor"] = _rows(text, at, 3, skip=1)


def _rows(text: str, at: int, n: int, skip: int = 0, ragged: bool = False) -> Array:
    """Numbers of the lines that follow; where `ragged`, lines `ion k` number blocks of three."""
    begin = end = text.find("\n", at)
    for _ in range(n + skip):
        end = text.find("\n", end + 1)
        if end < 0:
            raise ValueError(f"file ends within a table of {n} lines")
    lines = text[begin:end].split("\n")[1 + skip :]
    following = text[end + 1 : text.find("\n", end + 1)]
    if ragged:
        heads = [line.split() for line in lines[::4]]
        if heads != [["ion", str(k + 1)] for k in range(n // 4)]:
            raise ValueError(f"table must be of ions 1 to {n // 4}, got `{lines[0].strip()}` …")
        lines = [line for k, line in enumerate(lines) if k % 4]
    rows = [_floats(line) for line in lines]
    if len({len(row) for row in rows}) != 1 or len(rows[0]) < 3:
        raise ValueError(f"table must have equal lines of numbers, got {lines[0].strip()!r} …")
    if _goes_on(following):
        raise ValueError(f"table must have {n} lines, got more: {following.strip()!r}")
    return np.array(rows)


def _goes_on(line: str) -> bool:
    """Whether the line behind a table looks as if it belonged to it."""
    words = line.split()
    try:
        return words[:1] == ["ion"] or len(reals(words)) > 0
    except ValueError:
        return False


def _vector(line: str) -> Array:
    """Three numbers in brackets."""
    inside = line.split("=")[1].replace("(", " ").split(")")[0]
    vector = _floats(inside)
    if vector.shape != (3,):
        raise ValueError(f"must have three numbers in brackets, got {line.strip()!r}")
    return vector


def _floats(line: str) -> Array:
    """Numbers of a line, even if there is no blank before a minus."""
    if "***" in line:
        raise ValueError(f"number too long for its field: {line.strip()!r}")
    try:
        return reals(line.split())
    except ValueError:
        words, at = [], 0
        while match := _GLUED.match(line, at):
            words.append(match[1])
            at = match.end()
        if not words or line[at:].strip():
            raise
        return reals(words)


def _attach_finite_differences(text: str, steps: list[_Step]) -> None:
    """Attach the responses of a finite-difference run to its undisplaced structure."""
    if re.search(r"IBRION = +[56]\b", text):
        for step in steps[1:]:
            steps[0].labels |= step.labels
            step.labels = {}
