"""Where a run of molecular dynamics goes on from, and whether it is the same run."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_bec.workflows.dynamics.record import (
    RecordedFrame,
    last_frame,
    read_settings,
    recorded_values,
)
from ase_bec.workflows.dynamics.settings import MDSettings

_FORCE_TOLERANCE = 1e-3  # eV/Å; another model, charge or field differs by more, rounding by less
_FIELD_TOLERANCE = 1e-6  # V/Å
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
                raise FileExistsError(f"`{output}` exists: resume, overwrite, or name another")
        return None
    if not path.exists():
        raise FileNotFoundError(f"`{path}` does not exist: there is nothing to resume")
    frame = last_frame(path)
    if frame is None:
        return None
    before = read_settings(path)["md"]
    for field in fields(settings):
        value, earlier = getattr(settings, field.name), before.get(field.name, field.default)
        if isinstance(value, tuple):
            earlier = tuple(tuple(point) for point in earlier)
        if earlier != value:
            raise ValueError(
                f"`{field.name}` must be {earlier}, as in the frames of `{path}`, got {value}"
            )
    old = frame.atoms
    if not np.array_equal(old.numbers, atoms.numbers) or not np.array_equal(old.pbc, atoms.pbc):
        raise ValueError(f"`atoms` must be those of the frames of `{path}`, got another structure")
    return frame


def place(atoms: Atoms, frame: RecordedFrame) -> None:
    """Put the atoms where the frame has them and check that their forces are the same."""
    atoms.set_cell(frame.atoms.cell)
    atoms.set_positions(frame.atoms.positions, apply_constraint=False)
    atoms.set_momenta(frame.atoms.get_momenta(), apply_constraint=False)
    then = frame.atoms.get_forces(apply_constraint=False)
    change = np.abs(atoms.get_forces(apply_constraint=False) - then).max()
    if not change < _FORCE_TOLERANCE:
        raise ValueError(
            f"the calculator must give the forces of the last frame, got {change:.3g} eV/Å more "
            "or less: use the model, charges and field of the first run"
        )


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
