"""Which reader a file is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ase_bec.data.files import read_text
from ase_bec.data.frame import Frame
from ase_bec.data.readers.abinit import read_ddb
from ase_bec.data.readers.espresso import read_pw
from ase_bec.data.readers.espresso_ph import read_ph
from ase_bec.data.readers.espresso_xml import read_pw_xml
from ase_bec.data.readers.extxyz import read_extxyz
from ase_bec.data.readers.outcar import read_outcar
from ase_bec.data.readers.phonopy import read_born
from ase_bec.data.readers.trajectory import is_trajectory, read_trajectory
from ase_bec.data.readers.vasprun import read_vasprun

FORMATS = (
    "extxyz",
    "ase-traj",
    "vasp-outcar",
    "vasp-xml",
    "espresso-pw",
    "espresso-xml",
    "espresso-ph",
    "abinit-ddb",
    "phonopy-born",
)
MAPPED = ("extxyz", "ase-traj")  # formats whose keys and units vary


class Reading(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    kind : str
        One of `FORMATS`.
    frames : list of Frame
    notes : tuple of str
        Notes about the file.
    """

    kind: str
    frames: list[Frame]
    notes: tuple[str, ...] = ()


def read_frames(
    path: Path,
    format: str | None,
    allow_unconverged: bool,
    net_charge: float | None,
    mapping: Mapping[str, Any],
) -> Reading:
    """Frames of one file.

    Parameters
    ----------
    path
        The file.
    format
        One of `FORMATS`, or None to find it from name and contents.
    allow_unconverged
        Accept calculations that have not converged or end early.
    net_charge
        Net charge in e of structures whose file doesn't give it; must agree with a file that
        does.
    mapping
        Keys, units and index order, for the formats of `MAPPED` only.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the format is not known, the file is unusable, or options don't belong to its format.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"`format` must be of {', '.join(FORMATS)}, got {format!r}")
    name = str(path)
    if format == "ase-traj" or (format is None and is_trajectory(path)):
        return Reading("ase-traj", *read_trajectory(path, **mapping, net_charge=net_charge))
    text = read_text(path)
    kind = format or _detect(path, text)
    if kind == "extxyz":
        frames, notes = read_extxyz(text, name, **mapping, net_charge=net_charge)
        return Reading(kind, frames, (*notes, *_end_notes(text, name)))
    given = [option for option, value in mapping.items() if value]
    if given:
        raise ValueError(f"{name}: `{given[0]}` is for extended XYZ, not for {kind}")
    if kind == "abinit-ddb":
        return Reading(kind, read_ddb(text, name, net_charge))
    if kind == "phonopy-born":
        return Reading(kind, read_born(text, path, net_charge), _end_notes(text, name))
    reader = {
        "vasp-outcar": read_outcar,
        "vasp-xml": read_vasprun,
        "espresso-pw": read_pw,
        "espresso-xml": read_pw_xml,
        "espresso-ph": read_ph,
    }[kind]
    return Reading(kind, reader(text, name, allow_unconverged, net_charge))


def _end_notes(text: str, name: str) -> tuple[str, ...]:
    """A line about a file of a format without an end mark, whose last line doesn't end."""
    if text.endswith("\n"):
        return ()
    last = text.rpartition("\n")[2].split()[-1]
    return (f"{name}: its last line does not end; is the last number, {last}, whole?",)


def _detect(path: Path, text: str) -> str:
    head = text[:4000]
    if "DERIVATIVE DATABASE" in head:
        return "abinit-ddb"
    if "<modeling>" in head:
        return "vasp-xml"
    if "<qes:espresso" in head:
        return "espresso-xml"
    if "Program PHONON" in head:
        return "espresso-ph"
    if "Program PWSCF" in head:
        return "espresso-pw"
    if "OUTCAR" in path.name.upper() or "vasp." in head[:200]:
        return "vasp-outcar"
    if path.name.upper().startswith("BORN"):
        return "phonopy-born"
    stem = path.name.removesuffix(".gz").removesuffix(".xz").removesuffix(".bz2")
    if stem.endswith((".xyz", ".extxyz")) or text.split(maxsplit=1)[0].isdigit():
        return "extxyz"
    raise ValueError(f"{path}: format is not known; give `format`, one of {', '.join(FORMATS)}")
