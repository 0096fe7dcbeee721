"""What the commands read: structures, charges, times."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_bec.cli.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

_UNITS = {"fs": 1.0, "ps": 1e3, "ns": 1e6}


def time(text: str) -> float:
    """Read a time such as ``10ps``; return it in fs."""
    match = re.fullmatch(r"\s*([0-9.eE+-]+)\s*(fs|ps|ns)\s*", text)
    try:
        value = float(match[1]) * _UNITS[match[2]] if match else math.nan
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(
            f"must be a positive number with its unit fs, ps or ns, such as 10ps, got {text!r}"
        )
    return value


def species(text: str) -> list[str]:
    """Read element symbols such as ``Li,P,O``."""
    symbols = [word.strip() for word in text.split(",")]
    for symbol in symbols:
        _require_element(symbol)
    return symbols


def charges(text: str) -> dict[str, float] | Path:
    """Read charges per element such as ``Li=1,P=5,O=-2``, or the path of a file."""
    if "=" not in text:
        return Path(text)
    values: dict[str, float] = {}
    for word in text.split(","):
        symbol, _, number = (part.strip() for part in word.partition("="))
        _require_element(symbol)
        if symbol in values:
            raise argparse.ArgumentTypeError(f"has {symbol} twice: {text!r}")
        try:
            values[symbol] = float(number)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"must be as in Li=1,P=5,O=-2, got {word.strip()!r}"
            ) from None
    return values


def read_structure(path: Path, file_format: str | None, types: list[str] | None) -> Atoms:
    """Read a structure, the last one where a file holds several; as :func:`read_frame`."""
    return read_frame(path, file_format, types)[0]


def read_frame(path: Path, file_format: str | None, types: list[str] | None) -> tuple[Atoms, str]:
    """Read a structure, and say which one it is where a file holds several.

    Parameters
    ----------
    path
        Any file that ASE reads. ``path@k`` is its frame k, from 0, or from the end where negative.
    file_format
        ASE's name of the format; found from the file by default.
    types
        Elements of the atom types 1, 2, … of a LAMMPS data file. Masses are then those of the
        elements, whatever the file says.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    """
    import numpy as np
    from ase import Atoms

    from ase_bec.data.field_labels import remove_field_labels

    path, frame = _frame(path)
    if not path.is_file():
        raise InputError(f"there is no file `{path}`")
    lammps = file_format == "lammps-data" or (file_format is None and _is_lammps_data(path))
    if lammps and types is None:
        raise InputError(
            f"`{path}` is a LAMMPS data file: give --species, the elements of its types 1, 2, …"
        )
    read: Callable[[], Any] = partial(_chosen, path, frame, file_format)
    if lammps and types is not None:
        read = partial(_read_lammps_data, path, types)
    try:
        atoms, which = read()
    except Exception as error:  # readers fail in all ways on a file of another kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot read a structure from `{path}`: {reason}") from error
    if not isinstance(atoms, Atoms) or not len(atoms):
        raise InputError(f"`{path}` holds no atoms")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"`{path}` holds positions that are not finite")
    remove_field_labels(atoms)  # of another calculation
    return atoms, which


def _frame(path: Path) -> tuple[Path, int | None]:
    """Take ``path@k`` apart, unless there is a file of that name."""
    name, at, number = path.name.rpartition("@")
    if path.exists() or not at or not re.fullmatch(r"-?\d+", number):
        return path, None
    return path.with_name(name), int(number)


def _chosen(path: Path, frame: int | None, file_format: str | None) -> tuple[Any, str]:
    """Read one frame of a file, and say which of how many."""
    import ase.io

    from ase_bec.trajectory_files import open_trajectory

    with ExitStack() as stack:
        if path.suffix == ".traj" and file_format in (None, "traj"):
            frames: Any = stack.enter_context(open_trajectory(path))
        else:
            frames = ase.io.read(path, index=":", format=file_format)
        count, index = len(frames), -1 if frame is None else frame
        if not -count <= index < count:
            raise ValueError(f"structure {index} must be one of the {count} in the file")
        atoms = frames[index]
    if count == 1:
        return atoms, ""
    which = "the last" if frame is None else f"number {index % count}"
    return atoms, f"of the {count} structures in {path} {which}"


def _is_lammps_data(path: Path) -> bool:
    with path.open(errors="replace") as file:
        head = [file.readline() for _ in range(30)]
    return any(re.match(r"\s*\d+\s+atoms\b", line) for line in head) and any(
        re.match(r"\s*\d+\s+atom\s+types\b", line) for line in head
    )


def _read_lammps_data(path: Path, types: list[str]) -> tuple[Atoms, str]:
    from ase import Atoms
    from ase.data import atomic_numbers
    from ase.io.lammpsdata import read_lammps_data

    numbers = {k: atomic_numbers[symbol] for k, symbol in enumerate(types, start=1)}
    try:
        read: Atoms = read_lammps_data(path, Z_of_type=numbers)
    except KeyError as error:
        raise ValueError(f"atom type {error.args[0]} has no element in --species") from None
    atoms = Atoms(read.numbers, read.positions, cell=read.cell, pbc=read.pbc)
    atoms.set_velocities(read.get_velocities())
    return atoms, ""


def _require_element(symbol: str) -> None:
    from ase.data import atomic_numbers

    if symbol not in atomic_numbers or symbol == "X":
        raise argparse.ArgumentTypeError(f"has an unknown element {symbol!r}")
