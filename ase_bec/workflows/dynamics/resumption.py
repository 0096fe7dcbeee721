"""Where a run of molecular dynamics continues from, and whether it is the same run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_bec.identity import require_same
from ase_bec.workflows.calculator_description import require_same_calculator
from ase_bec.workflows.dynamics.record import (
    Head,
    RecordedFrame,
    last_frame,
    read_head,
    recorded_values,
)
from ase_bec.workflows.dynamics.settings import MDSettings

_FORCE_TOLERANCE = 1e-3  # eV/Å; another model, charge or field differs by more, rounding by less
_ENERGY_TOLERANCE = 1e-3  # eV per atom
_FIELD_TOLERANCE = 1e-6  # V/Å
_PLACE_TOLERANCE = 1e-4  # Å; files of some formats round so
_FIELDS_COMPARED = 50


def start_frame(
    atoms: Atoms, path: Path, settings: MDSettings, resume: bool, overwrite: bool
) -> RecordedFrame | None:
    """Return the frame to continue from, or None for a new run.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        Where there is a trajectory that was not to be continued, none that was, or that of
        another structure or other settings.
    """
    if not resume:
        for output in (path, path.with_suffix(".csv")):
            if output.exists() and not overwrite:
                raise FileExistsError(
                    f"`{output}` exists: set `resume` or `overwrite`, or name another"
                )
        return None
    if not path.exists():
        raise FileNotFoundError(f"`{path}` does not exist: there is nothing to resume")
    frame = last_frame(path)
    if frame is None:
        return None
    head = read_head(path)
    _compare_settings(head.settings["md"], settings, path)
    _compare_structures(atoms, head.atoms, frame.atoms, path)
    return frame


def compare_calculators(head: Head, described: Mapping[str, Any], path: Path) -> None:
    """Check that the calculator is described as that of the frames was."""
    if "calculator" in head.settings:  # not in those of older versions
        require_same_calculator(head.settings["calculator"], described, f"the frames of `{path}`")


def place(atoms: Atoms, frame: RecordedFrame) -> None:
    """Put the atoms where the frame has them."""
    atoms.set_cell(frame.atoms.cell)
    atoms.set_positions(frame.atoms.positions, apply_constraint=False)
    atoms.set_momenta(frame.atoms.get_momenta(), apply_constraint=False)


def compare_forces(atoms: Atoms, frame: RecordedFrame) -> None:
    """Check that forces and energy of the atoms, placed at a frame, are those of the frame."""
    then = frame.atoms.get_forces(apply_constraint=False)
    change = np.abs(atoms.get_forces(apply_constraint=False) - then).max()
    if not change < _FORCE_TOLERANCE:
        raise ValueError(
            f"the calculator must give the forces of the last frame, but they differ by "
            f"{change:.3g} eV/Å: use the model, charges and field of the first run"
        )
    recorded = frame.atoms.calc.results.get("energy")
    if recorded is not None:
        change = (atoms.get_potential_energy() - recorded) / len(atoms)
        if not abs(change) < _ENERGY_TOLERANCE:
            raise ValueError(
                f"the calculator must give the energy of the last frame, but it differs by "
                f"{change:+.3g} eV/atom: use the model and the reference of the first run"
            )


def compare_constraints(atoms: Atoms, frame: RecordedFrame, path: Path) -> None:
    """Check that the same constraints hold."""
    old, new = (
        [c.todict() for c in a.constraints if hasattr(c, "todict")] for a in (frame.atoms, atoms)
    )
    require_same({"constraints": old}, {"constraints": new}, f"the frames of `{path}`")


def compare_fields(calculator: Any, path: Path, settings: MDSettings) -> None:
    """Check that a changing field is the recorded one at the times of the frames."""
    if not getattr(calculator, "time_dependent", False):
        return
    for values in recorded_values(path, _FIELDS_COMPARED):
        calculator.time = values["step"] * settings.timestep
        then, now = values.get("field"), calculator.field
        if then is not None and not np.allclose(now, then, rtol=0, atol=_FIELD_TOLERANCE):
            raise ValueError(
                f"`field` must be {then} V/Å at {calculator.time:g} fs, as in the frames of "
                f"`{path}`, got {now.tolist()}: use the function of the first run"
            )


def _compare_settings(before: Mapping[str, Any], settings: MDSettings, path: Path) -> None:
    """Compare all but the limits; what an older version did not record had its default."""
    given = {name: value for name, value in asdict(settings).items() if name != "limits"}
    defaults = {field.name: field.default for field in fields(settings)}
    recorded = {name: before.get(name, defaults[name]) for name in given}
    require_same(recorded, given, f"the frames of `{path}`")


def _compare_structures(atoms: Atoms, first: Atoms, last: Atoms, path: Path) -> None:
    """Check that the atoms are those of the first frame, or have come to the last with it."""
    differ = [
        name
        for name, same in {
            "elements": np.array_equal(atoms.numbers, first.numbers),
            "periodicity": np.array_equal(atoms.pbc, first.pbc),
            "cell": np.allclose(atoms.cell.array, first.cell.array, rtol=0, atol=_PLACE_TOLERANCE),
        }.items()
        if not same
    ]
    if not differ:
        differ = [name for name in _ARRAYS if not _same_array(name, atoms, first)]
        differ += _moved(atoms, first, last)
    if differ:
        raise ValueError(
            f"`atoms` must be those of the frames of `{path}`, got another structure: "
            f"{' and '.join(differ)} differ{'s' if len(differ) == 1 else ''}"
        )


_ARRAYS = {"masses": "get_masses", "initial charges": "get_initial_charges",
           "magnetic moments": "get_initial_magnetic_moments"}  # fmt: skip


def _same_array(name: str, atoms: Atoms, first: Atoms) -> bool:
    one, other = (getattr(a, _ARRAYS[name])() for a in (atoms, first))
    return bool(np.allclose(one, other, rtol=1e-6, atol=1e-9))


def _moved(atoms: Atoms, first: Atoms, last: Atoms) -> list[str]:
    """Say which atom is elsewhere, or which has another velocity, than at the start."""
    aside = np.abs(atoms.positions - first.positions).max(axis=1)
    if np.allclose(atoms.positions, last.positions, rtol=0, atol=_PLACE_TOLERANCE):
        return []
    if aside.max() > _PLACE_TOLERANCE:
        worst = int(aside.argmax())
        return [f"the position of atom {worst} ({atoms.symbols[worst]}, by {aside[worst]:.3g} Å)"]
    momenta, before = atoms.get_momenta(), first.get_momenta()
    if momenta.any() and not np.allclose(momenta, before, rtol=1e-4, atol=1e-6):
        return [f"the velocity of atom {int(np.abs(momenta - before).max(axis=1).argmax())}"]
    return []
