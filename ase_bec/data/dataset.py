"""Sets of labelled structures, read from and written to files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ase_bec.atomic_files import atomic_write
from ase_bec.data import checks
from ase_bec.data.branches import fold_polarization
from ase_bec.data.formats import MAPPED, read_frames
from ase_bec.data.frame import LABELS, Frame
from ase_bec.data.join import join_responses
from ase_bec.data.keys import frame_from_atoms, require_keys
from ase_bec.data.readers.extxyz import write_extxyz
from ase_bec.data.sum_rule import impose_sum_rule
from ase_bec.data.units import factors

Path_ = str | os.PathLike[str]
Indices = slice | Sequence[int] | Sequence[bool] | NDArray[np.integer] | NDArray[np.bool_]


class Dataset(Sequence[Frame]):
    """Frames in order, and notes about them.

    An integer gives a :class:`Frame`; a slice, indices or a mask give a `Dataset`.

    Parameters
    ----------
    frames : iterable of Frame
        At least one.
    notes : iterable of str
        Anything unusual found while reading.

    Raises
    ------
    TypeError
        If something is not a Frame.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from ase_bec.data import Dataset, Frame
    >>> atoms = bulk("MgO", "rocksalt", 4.2)
    >>> data = Dataset([Frame(atoms, forces=np.zeros((2, 3))), Frame(atoms)])
    >>> data
    Dataset(2 frames, O, Mg)
    >>> print(data.having("forces").summary())
    1 frames, 2 atoms: O, Mg
    labels: forces
    """

    def __init__(self, frames: Iterable[Frame], notes: Iterable[str] = ()) -> None:
        self.frames = tuple(frames)
        self.notes = tuple(notes)
        for frame in self.frames:
            if not isinstance(frame, Frame):
                raise TypeError(f"`frames` must be Frames, got {type(frame).__name__}")

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: Indices) -> Dataset: ...
    def __getitem__(self, index: int | Indices) -> Frame | Dataset:
        if isinstance(index, int | np.integer):
            return self.frames[index]
        if isinstance(index, slice):
            return Dataset(self.frames[index], self.notes)
        chosen = np.arange(len(self))[np.asarray(index, dtype=None if len(index) else int)]
        return Dataset((self.frames[k] for k in chosen), self.notes)

    def __add__(self, other: Dataset) -> Dataset:
        return Dataset(self.frames + other.frames, dict.fromkeys(self.notes + other.notes))

    def __repr__(self) -> str:
        return f"Dataset({len(self)} frames, {', '.join(self.elements)})"

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of all elements, by atomic number."""
        numbers = {int(z) for frame in self for z in frame.atoms.numbers}
        return tuple(chemical_symbols[z] for z in sorted(numbers))

    @property
    def n_atoms(self) -> int:
        """Atoms of all frames together."""
        return sum(len(frame) for frame in self)

    @property
    def config_types(self) -> tuple[str | None, ...]:
        """`config_type` of every frame."""
        return tuple(frame.config_type for frame in self)

    def having(self, *labels: str) -> Dataset:
        """Frames that have all of the labels.

        Raises
        ------
        ValueError
            If a label is unknown.
        """
        for label in labels:
            if label not in LABELS:
                raise ValueError(f"`labels` must be of {', '.join(LABELS)}, got {label!r}")
        return self[[set(labels) <= set(frame.labels) for frame in self]]

    def with_sum_rule(self, on: str | Sequence[str] = "uniform") -> Dataset:
        """Frames whose Born charges add up to their net charge; see :func:`impose_sum_rule`."""
        notes = (note.replace("`sum_rule` corrects it", "now corrected") for note in self.notes)
        return Dataset((impose_sum_rule(frame, on) for frame in self), notes)

    def folded(self, charges: Mapping[str, float], reference: Frame | None = None) -> Dataset:
        """Frames with polarization near that of formal charges; see :func:`fold_polarization`."""
        return Dataset(fold_polarization(self, charges, reference=reference), self.notes)

    def summary(self) -> str:
        """Lines about frames, elements, labels, and anything unusual."""
        counts = {name: sum(name in frame.labels for frame in self) for name in LABELS}
        labels = ", ".join(
            name if n == len(self) else f"{name} ({n} frames)" for name, n in counts.items() if n
        )
        charges = sorted({frame.net_charge for frame in self} - {0.0})
        lines = [
            f"{len(self)} frames, {self.n_atoms} atoms: {', '.join(self.elements)}",
            f"labels: {labels or 'none'}",
        ]
        if charges:
            lines.append("net charges (e): " + ", ".join(f"{q:+g}" for q in charges))
        if any(self.config_types):
            lines.append(f"config types: {len(set(self.config_types))}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def read_dataset(
    paths: Path_ | Iterable[Path_],
    *,
    format: str | None = None,
    keys: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    displacement_first: bool = False,
    sum_rule: str | Sequence[str] | None = None,
    net_charge: float | None = None,
    allow_unconverged: bool = False,
    check_units: bool = True,
) -> Dataset:
    r"""Read structures with first-principles labels.

    Extended XYZ, ASE trajectories, VASP OUTCAR and vasprun.xml, Quantum ESPRESSO pw.x (text or
    XML) and ph.x, ABINIT DDB and phonopy BORN (next to its unit cell), also compressed.
    Everything is converted to the units and the index order of
    :class:`~ase_bec.data.frame.Frame`. Born charges of one file (ph.x) join energy and forces of
    another (pw.x) of the same structure.

    Frames that carry zero-field values (`energy_zero_field` and the like), as those of a
    calculation in a field do, get these as labels. Labels in a field without such values
    come with the frame's `electric_field`, and a note; `charges_from_fields` makes Born charges of
    them.

    Parameters
    ----------
    paths
        One file or several, in order.
    format
        Name of the format, if it cannot be inferred from the file.
    keys
        For extended XYZ and trajectories: the key in the file of each label, such as
        ``{"energy": "E_pbe"}``.
    units
        For these formats: the unit in the file of each label, such as ``{"forces": "Ry/bohr"}``.
    displacement_first
        For these formats: Born charges in the file are [displacement, field].
    sum_rule
        None to keep Born charges as they are; "uniform" or symbols of species to make them add up
        to the net charge (:func:`~ase_bec.data.sum_rule.impose_sum_rule`).
    net_charge
        Net charge in e of structures whose files don't give it (BORN, DDB, extended XYZ without
        such a key). If a file gives it, the two must agree.
    allow_unconverged
        Accept frames whose calculation has not converged.
    check_units
        Refuse labels that contradict one another, or look as if they were in other units. Files
        of programs have known units: a strange size is noted there.

    Returns
    -------
    Dataset
        With `notes` about duplicates, broken sum rules, fields, unread keys and strange sizes.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If a file is empty, damaged, truncated, of unknown format or contradicts itself; if a
        label has the wrong shape, is not finite, looks like another unit or contradicts another;
        if an unknown key holds an electric field. Names file, frame and key.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase_bec import read_dataset, write_dataset
    >>> from ase_bec.data import Frame
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "frames.xyz"
    ...     write_dataset(path, Frame(bulk("MgO", "rocksalt", 4.2), energy=-11.9))
    ...     data = read_dataset(path)
    >>> print(data.summary())
    1 frames, 2 atoms: O, Mg
    labels: energy
    """
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not files:
        raise ValueError("`paths` must name at least one file, got none")
    require_keys(keys)
    factors(units)
    if net_charge is not None and not np.isfinite(net_charge):
        raise ValueError(f"`net_charge` must be a finite number of e, got {net_charge}")
    mapping = {"keys": keys, "units": units, "displacement_first": displacement_first}
    groups: list[list[Frame]] = []
    lines: list[str] = []
    for path in map(Path, files):
        kind, group, found = read_frames(path, format, allow_unconverged, net_charge, mapping)
        lines += found
        if check_units:
            lines += checks.check_units(group, units_known=kind not in MAPPED)
        else:
            checks.waive(group)
        groups.append(group)
    frames = join_responses(groups)
    for label, key in (keys or {}).items():
        _require_found(label, key, frames, files)
    dataset = Dataset(frames, (*checks.notes(frames), *lines))
    return dataset if sum_rule is None else dataset.with_sum_rule(sum_rule)


def _require_found(label: str, key: str, frames: Sequence[Frame], files: Sequence[Path_]) -> None:
    attribute = {
        "virial": "stress",
        "dipole": "polarization",
        "polarizability": "dielectric_tensor",
    }.get(label, label)
    if all(getattr(frame, attribute) is None for frame in frames):
        names = ", ".join(str(f) for f in files)
        raise ValueError(f"{names}: no frame has the key `{key}` for `{label}`")


def write_dataset(path: Path_, frames: Iterable[Frame | Atoms] | Frame | Atoms) -> None:
    """Write structures and labels as extended XYZ, in one atomic step.

    Every number is written with all its digits: reading gives equal arrays.

    Parameters
    ----------
    path
        Ends in .xyz or .extxyz; followed by .gz, the file is compressed.
    frames
        A :class:`Dataset`, Frames, or Atoms with results of a calculator, whose Born charges may
        be (n, 3, 3).

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If there is nothing to write, the name has another ending, or a label is unusable.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase_bec import read_dataset, write_dataset
    >>> from ase_bec.data import Frame
    >>> frame = Frame(bulk("MgO", "rocksalt", 4.2), energy=-11.9, polarization=(0, 0, 0.1))
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "frames.xyz.gz"
    ...     write_dataset(path, [frame])
    ...     read_dataset(path)[0].labels
    ('energy', 'polarization')
    """
    path = Path(path)
    if not path.name.removesuffix(".gz").endswith((".xyz", ".extxyz")):
        raise ValueError(
            f"`path` must end in .xyz or .extxyz (optionally followed by .gz), got {path}"
        )
    several = [frames] if isinstance(frames, Frame | Atoms) else list(frames)
    if not several:
        raise ValueError("`frames` must hold at least one frame, got none")
    converted = [
        f if isinstance(f, Frame) else frame_from_atoms(f, f"frame {k}")
        for k, f in enumerate(several)
    ]
    with atomic_write(path) as file:
        write_extxyz(file, converted)
