"""Folder of a melt-quench run: what is in it, and whose run it is."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_bec.atomic_files import atomic_write
from ase_bec.identity import require_same
from ase_bec.workflows.calculator_description import describe_calculator, require_same_calculator
from ase_bec.workflows.structures.melt_settings import MeltQuenchSettings

__all__ = ["FINAL", "RUN", "SETTINGS", "begin_folder"]

RUN, FINAL, SETTINGS = "run.traj", "final.traj", "settings.json"


def begin_folder(
    folder: Path, start: Atoms, settings: MeltQuenchSettings, resume: bool, overwrite: bool
) -> None:
    """Make the folder that of this structure and these settings, or check that it is.

    Raises
    ------
    FileExistsError
        If it has a run that is neither to be continued nor replaced.
    ValueError
        If the run to be continued is of another structure, calculator or setting.
    """
    notes, head = folder / SETTINGS, _head(start, settings)
    if resume and notes.exists():
        before = _read(notes)
        calculators = [values.pop("calculator", None) for values in (before, head)]
        head.pop("start" if "start" not in before else "", None)  # not in those of older versions
        require_same(before, head, f"`{notes}`")
        if calculators[0] is not None:
            require_same_calculator(calculators[0], calculators[1], f"`{notes}`")
        return
    start.get_forces()  # what fails does so before anything is replaced
    names = (SETTINGS, FINAL, RUN, Path(RUN).with_suffix(".csv"))
    existing = [folder / name for name in names if (folder / name).exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"`{existing[0]}` exists: set `resume` or `overwrite`, or name another folder"
        )
    for path in existing:
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(notes) as file:
        file.write(json.dumps(head, indent=1) + "\n")


def _head(start: Atoms, settings: MeltQuenchSettings) -> dict[str, Any]:
    """What must be the same to go on, as plain values; the limits may change."""
    arrays = (start.numbers, start.positions, start.cell.array)
    head = asdict(settings)
    del head["limits"]
    return {
        **head,
        "atoms": f"{start.get_chemical_formula()} {zlib.crc32(b''.join(map(bytes, arrays))):08x}",
        "start": {
            "elements": _crc(start.numbers),
            "cell": start.cell.tolist(),
            "positions": _crc(start.positions),
            "masses": _crc(start.get_masses()),
            "momenta": _crc(start.get_momenta()),
        },
        "calculator": describe_calculator(start.calc, start),
    }


def _read(notes: Path) -> dict[str, Any]:
    try:
        found = json.loads(notes.read_text())
    except ValueError as error:
        raise ValueError(f"`{notes}` must be the settings of a run, got: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"`{notes}` must be the settings of a run, got {type(found).__name__}")
    return found


def _crc(array: Any) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(array).tobytes()):08x}"
