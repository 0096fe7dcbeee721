"""ASE trajectories: labels left by a calculator, with the field that it applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.trajectory import TrajectoryReader

from ase_bec.data.files import require_file
from ase_bec.data.frame import Frame
from ase_bec.data.in_field import SUFFIX
from ase_bec.data.keys import frame_from_atoms
from ase_bec.data.label_names import unusual_notes

_MAGIC = b"- of UlmASE-Trajectory"


def is_trajectory(path: Path) -> bool:
    """Whether a file is an ASE trajectory by its first bytes.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not a file.
    """
    require_file(path)
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_trajectory(
    path: Path,
    keys: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    displacement_first: bool = False,
    net_charge: float | None = None,
) -> tuple[list[Frame], tuple[str, ...]]:
    """Frames of an ASE trajectory, also of one of our dynamics, and notes about its keys.

    Parameters
    ----------
    path
        The file.
    keys, units, displacement_first, net_charge
        As :func:`~ase_bec.data.keys.frame_from_atoms` takes them.

    Raises
    ------
    ValueError
        If the file is damaged or holds no frame, or a label is unusable.
    """
    frames = []
    names: set[str] = set()
    for k, atoms in enumerate(_structures(path)):
        source = f"{path}, frame {k}"
        names.update(atoms.info)
        frames.append(frame_from_atoms(atoms, source, keys, units, displacement_first, net_charge))
    if not frames:
        raise ValueError(f"{path}: holds no frame")
    return frames, unusual_notes(names - set((keys or {}).values()), str(path))


def _structures(path: Path) -> Iterator[Atoms]:
    """Atoms of all frames, with what molecular dynamics records along with them in `info`."""
    index: int | None = None
    try:
        with TrajectoryReader(path) as reader:
            for index in range(len(reader)):
                atoms = reader[index]
                atoms.info.update(_of_dynamics(reader.backend[index]))
                yield atoms
    except Exception as error:  # the format fails in all ways where it is damaged
        where = f"{path}" if index is None else f"{path}, frame {index}"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{where}: trajectory is damaged ({reason})") from error


def _of_dynamics(frame: Any) -> dict[str, Any]:
    """Field and values without it that a run recorded, under the names of `info`."""
    recorded = frame.md if "md" in frame else {}
    found = {key: np.asarray(value) for key, value in recorded.items() if key.endswith(SUFFIX)}
    if "field" in recorded:
        found["electric_field"] = np.asarray(recorded["field"])
    return found
