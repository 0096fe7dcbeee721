"""Sizes of labels and distances that no solid has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from ase_bec.data.frame import Array, Frame
from ase_bec.neighbours import neighbour_list

Indices = NDArray[np.int64]

_NOBLE_GASES = (2, 10, 18, 36, 54, 86)
_NEAREST = (0.5, 1.4)  # nearest neighbours over the sum of covalent radii; crystals: 0.71 to 1.37
_FAR = 1e4  # Å
_MARGIN = 0.6  # Å, beyond half the sum of the largest radii, up to which pairs are looked at;
_BOND = 1.15  # and to so many sums of the largest and smallest: a bond, as a rule
_MEDIAN_FORCE = 50.0  # eV/Å
_FORCE, _FORCE_AT_ANY = 100.0, 1000.0  # eV/Å on an atom with no neighbour closer than:
_PRESSED = 0.75  # of the sum of covalent radii
_ENERGY, _OUTLIER = 1e7, 10.0  # eV per atom, and beyond the median of frames of the same atoms
_STRESS, _MEDIAN_STRESS = 2.0, 0.4  # eV/Å³, 320 and 64 GPa
_POLARIZATION = 0.5  # e/Å², 8 C/m²
_QUANTA = (0.1, 3.0)  # e/Å², and lattice vectors, that a polarization may have both of
_BORN_CHARGE = 50.0  # e
_DIELECTRIC = 1e4
_FIELD = 10.0  # V/Å


class Finding(NamedTuple):
    """What is suspicious about a label.

    Attributes
    ----------
    source : str
        File and frame.
    key : str
        Name of the label.
    what : str
        Description, starting with the verb.
    unit : str
        Unit that would explain it; empty if none would.
    """

    source: str
    key: str
    what: str
    unit: str = ""


def findings(frames: Sequence[Frame]) -> Iterator[Finding]:
    """What is suspicious about each frame alone.

    Raises
    ------
    ValueError
        If something is unusable: two atoms in one place, a stress that isn't symmetric.
    """
    distances = _Distances()
    for frame in frames:
        yield from distances.findings(frame)
        yield from _label_findings(frame)


def findings_together(frames: Sequence[Frame]) -> Iterator[Finding]:
    """What is suspicious about frames compared with others."""
    yield from _stresses_together(frames)
    yield from _energies_together(frames)


class _Distances:
    """Nearest neighbours, looked for again only where atoms may have come near enough."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._slack = 0.0  # Å, by which atoms may approach or part before a limit is reached

    def findings(self, frame: Frame) -> Iterator[Finding]:
        """Pairs too close, or no neighbours at all."""
        if self._frame is not None and _moved(self._frame, frame) < 0.49 * self._slack:
            return
        self._frame = None
        atoms = frame.atoms
        farthest = float(np.abs(atoms.positions).max())
        if farthest > _FAR:
            what = f"are up to {farthest:.3g} Å from the origin"
            yield Finding(frame.source, "positions", what)
        radii = covalent_radii[atoms.numbers]
        largest, smallest = float(radii.max()), float(radii.min())
        reach = max(largest + _MARGIN, _BOND * (largest + smallest))
        i, j, length = _pairs(frame, reach)
        ratio = length / (radii[i] + radii[j])
        if ratio.size and ratio.min() < _NEAREST[0]:
            k = int(ratio.argmin())
            pair = f"{atoms.symbols[i[k]]}-{atoms.symbols[j[k]]} (atoms {i[k]}, {j[k]})"
            what = f"have {pair} at {length[k]:.3f} Å: are they in Å?"
            yield Finding(frame.source, "positions", what, "nm")
            return
        lone = len(atoms) == 1 and not atoms.pbc.any()
        if lone or np.isin(atoms.numbers, _NOBLE_GASES).all():
            return
        if not ratio.size or ratio.min() > _NEAREST[1]:
            i, j, length = _pairs(frame, 2 * _NEAREST[1] * largest)
            ratio = length / (radii[i] + radii[j])
        if not ratio.size or ratio.min() > _NEAREST[1]:
            what = "have no neighbours within 1.4 times the sum of covalent radii: are they in Å?"
            yield Finding(frame.source, "positions", what, "bohr")
            return
        together, nearest = radii[i] + radii[j], int(ratio.argmin())
        apart = _NEAREST[1] * together[nearest] - length[nearest]
        self._slack = min(_MARGIN, float((length - _NEAREST[0] * together).min()), float(apart))
        self._frame = frame


def _moved(a: Frame, b: Frame) -> float:
    """Å, by which an atom has moved at most; infinite where the frames are of other atoms."""
    if (
        not np.array_equal(a.atoms.numbers, b.atoms.numbers)
        or not np.array_equal(a.atoms.pbc, b.atoms.pbc)
        or not np.array_equal(a.atoms.cell.array, b.atoms.cell.array)
    ):
        return np.inf
    steps = a.atoms.positions - b.atoms.positions
    return float(np.sqrt((steps**2).sum(axis=1).max()))


def _pairs(frame: Frame, cutoff: float) -> tuple[Indices, Indices, Array]:
    """Centres, neighbours and distances."""
    atoms = frame.atoms
    try:
        i, j, shift = neighbour_list(atoms, cutoff)
    except ValueError as error:
        raise ValueError(f"{frame.source}: structure is unusable: {error}") from error
    vectors = atoms.positions[j] - atoms.positions[i] + shift @ atoms.cell.array
    return i, j, np.sqrt((vectors**2).sum(axis=1))


def _label_findings(frame: Frame) -> Iterator[Finding]:
    yield from _forces(frame)
    yield from _stress(frame)
    yield from _polarization(frame)
    for key, limit, unit in (
        ("energy", _ENERGY * len(frame), " eV"),
        ("born_effective_charges", _BORN_CHARGE, " e"),
        ("dielectric_tensor", _DIELECTRIC, ""),
        ("electric_field", _FIELD, " V/Å"),
        ("net_charge", max(float(len(frame)), 8.0), " e"),
    ):
        value = getattr(frame, key)
        largest = 0.0 if value is None else float(np.abs(value).max())
        if largest > limit:
            yield Finding(frame.source, key, f"must be below {limit:g}{unit}, got {largest:.3g}")


def _forces(frame: Frame) -> Iterator[Finding]:
    if frame.forces is None:
        return
    sizes = np.linalg.norm(frame.forces, axis=1)
    if np.median(sizes) > _MEDIAN_FORCE:
        what = f"have a median of {np.median(sizes):.3g} eV/Å"
        yield Finding(frame.source, "forces", what, "meV/Å")
    elif sizes.max() > _FORCE:
        atom = int(sizes.argmax())
        radii = covalent_radii[frame.atoms.numbers]
        i, j, length = _pairs(frame, 2 * _PRESSED * float(radii.max()))
        pressed = (length[i == atom] < _PRESSED * (radii[i] + radii[j])[i == atom]).any()
        if sizes.max() > _FORCE_AT_ANY or not pressed:
            near = "" if pressed else ", with no neighbour near enough for that"
            what = f"are {sizes[atom]:.3g} eV/Å on atom {atom}{near}"
            yield Finding(frame.source, "forces", what)


def _stress(frame: Frame) -> Iterator[Finding]:
    if frame.stress is None:
        return
    largest = float(np.abs(frame.stress).max())
    if largest > _STRESS:
        what = f"is {largest:.3g} eV/Å³, {160 * largest:.3g} GPa"
        yield Finding(frame.source, "stress", what, "GPa")
    if np.abs(frame.stress - frame.stress.T).max() > 1e-3 * max(largest, 0.01):
        raise ValueError(f"{frame.source}: `stress` must be symmetric, got {frame.stress.tolist()}")


def _polarization(frame: Frame) -> Iterator[Finding]:
    if frame.polarization is None:
        return
    largest = float(np.abs(frame.polarization).max())
    longest = float(frame.atoms.cell.lengths().max())
    dipole = largest * frame.atoms.get_volume()
    if largest > _POLARIZATION:
        what = f"is {largest:.3g} e/Å²: is it the dipole of the cell?"
        yield Finding(frame.source, "polarization", what, "e Å")
    elif largest > _QUANTA[0] and dipole > _QUANTA[1] * longest:
        what = f"is {largest:.3g} e/Å², {16.02 * largest:.3g} C/m², {dipole / longest:.2g} quanta"
        yield Finding(frame.source, "polarization", what, "C/m^2")


def _stresses_together(frames: Sequence[Frame]) -> Iterator[Finding]:
    largest = [float(np.abs(f.stress).max()) for f in frames if f.stress is not None]
    if largest and _MEDIAN_STRESS < np.median(largest) <= _STRESS:
        first = next(frame for frame in frames if frame.stress is not None)
        median = float(np.median(largest))
        what = f"has a median of {median:.3g} eV/Å³, {160 * median:.3g} GPa, over the frames"
        yield Finding(f"{first.source} and on", "stress", what, "GPa")


def _energies_together(frames: Sequence[Frame]) -> Iterator[Finding]:
    """Energies far from those of most frames of the same atoms."""
    groups: dict[bytes, list[Frame]] = {}
    for frame in frames:
        if frame.energy is not None:
            groups.setdefault(np.sort(frame.atoms.numbers).tobytes(), []).append(frame)
    for group in groups.values():
        if len(group) < 3:
            continue
        energies = np.array([frame.energy for frame in group]) / len(group[0])
        beyond = np.abs(energies - np.median(energies))
        if beyond.max() > _OUTLIER:
            frame = group[int(beyond.argmax())]
            what = f"is {beyond.max():.3g} eV per atom from the median of frames of the same atoms"
            yield Finding(frame.source, "energy", what)
