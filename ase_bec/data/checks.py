"""What is suspicious about labels: units, sum rule, duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NoReturn

import numpy as np
from ase.data import covalent_radii

from ase_bec.data.frame import Frame
from ase_bec.lattice import shortest_vectors
from ase_bec.neighbours import neighbour_list

_NOBLE_GASES = (2, 10, 18, 36, 54, 86)
_NEAREST = (0.5, 1.4)  # nearest neighbours over the sum of covalent radii; crystals: 0.71 to 1.37
_MEDIAN_FORCE = 50.0  # eV/Å
_STRESS = 2.0  # eV/Å³, 320 GPa
_POLARIZATION = 0.5  # e/Å², 8 C/m²; quanta of common cells are below 0.1
_BORN_CHARGE = 100.0  # e
_SLOPE = (0.2, 5.0)  # of ΔE over -½(F₁+F₂)·Δr; 0.6 to 1.1 in molecular dynamics
_SUM_RULE = 1e-3  # e, below which residuals are rounding


def check_units(frames: Sequence[Frame]) -> None:
    """Refuse labels whose size no solid has, or that contradict one another.

    Looks at nearest-neighbour distances, sizes of forces, stress, polarization and Born charges,
    and compares energy differences with the work of the forces between neighbouring frames.

    Raises
    ------
    ValueError
        Names file, frame and key, and the unit that would explain it.
    """
    for frame in frames:
        _check_distances(frame)
        _check_sizes(frame)
    _check_work(frames)


def notes(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Lines about what is unusual but may be meant: duplicates, broken sum rules."""
    return (*_duplicate_notes(frames), *_sum_rule_notes(frames), *_field_notes(frames))


def duplicates(frames: Iterable[Frame]) -> list[tuple[int, int]]:
    """Pairs (first, later) of frames with equal structure (to 1e-6 Å, unwrapped), charge, field."""
    seen: dict[bytes, int] = {}
    pairs = []
    for index, frame in enumerate(frames):
        first = seen.setdefault(_structure(frame), index)
        if first != index:
            pairs.append((first, index))
    return pairs


def _structure(frame: Frame) -> bytes:
    """Bytes that equal structures share."""
    atoms = frame.atoms
    field = np.zeros(3) if frame.electric_field is None else frame.electric_field
    numbers = (atoms.cell.array, atoms.positions, [frame.net_charge], field)
    rounded = np.concatenate([np.ravel(np.round(x, 6)) for x in numbers]) + 0.0  # no -0.0
    return bytes(atoms.numbers.tobytes() + atoms.pbc.tobytes() + rounded.tobytes())


def _refuse(frame: Frame, key: str, what: str, unit: str) -> NoReturn:
    raise ValueError(
        f"{frame.source}: `{key}` {what}; give units={{'{key}': '{unit}'}} (or what it is in), "
        "or check_units=False if it is right"
    )


def _check_distances(frame: Frame) -> None:
    atoms = frame.atoms
    radii = covalent_radii[atoms.numbers]
    try:
        i, j, shift = neighbour_list(atoms, 2 * _NEAREST[1] * float(radii.max()))
    except ValueError as error:
        raise ValueError(f"{frame.source}: structure is of no use: {error}") from error
    vectors = atoms.positions[j] - atoms.positions[i] + shift @ atoms.cell.array
    ratio = np.linalg.norm(vectors, axis=1) / (radii[i] + radii[j])
    if ratio.size and ratio.min() < _NEAREST[0]:
        k = int(ratio.argmin())
        pair = f"{atoms.symbols[i[k]]}-{atoms.symbols[j[k]]} (atoms {i[k]}, {j[k]})"
        distance = float(np.linalg.norm(vectors[k]))
        _refuse(frame, "positions", f"have {pair} at {distance:.3f} Å: are they in Å?", "nm")
    lone = len(atoms) == 1 and not atoms.pbc.any()
    if not lone and not np.isin(atoms.numbers, _NOBLE_GASES).all():
        nearest = ratio.min() if ratio.size else np.inf
        if nearest > _NEAREST[1]:
            what = "have no neighbours within 1.4 times the sum of covalent radii: are they in Å?"
            _refuse(frame, "positions", what, "bohr")


def _check_sizes(frame: Frame) -> None:
    if frame.forces is not None:
        median = float(np.median(np.linalg.norm(frame.forces, axis=1)))
        if median > _MEDIAN_FORCE:
            _refuse(frame, "forces", f"have a median of {median:.3g} eV/Å", "meV/Å")
    if frame.stress is not None:
        largest = float(np.abs(frame.stress).max())
        if largest > _STRESS:
            _refuse(frame, "stress", f"is {largest:.3g} eV/Å³, {160 * largest:.3g} GPa", "GPa")
        if np.abs(frame.stress - frame.stress.T).max() > 1e-3 * max(largest, 0.01):
            raise ValueError(f"{frame.source}: `stress` must be symmetric, got {frame.stress}")
    if frame.polarization is not None:
        largest = float(np.abs(frame.polarization).max())
        if largest > _POLARIZATION:
            what = f"is {largest:.3g} e/Å²: is it the dipole of the cell?"
            _refuse(frame, "polarization", what, "e Å")
    if frame.born_effective_charges is not None:
        largest = float(np.abs(frame.born_effective_charges).max())
        if largest > _BORN_CHARGE:
            raise ValueError(
                f"{frame.source}: `born_effective_charges` must be in e, got {largest:.3g}; give "
                "check_units=False if it is right"
            )


def _check_work(frames: Sequence[Frame]) -> None:
    """Compare energies with forces: ΔE = -½(F₁+F₂)·Δr for small steps in one cell."""
    pairs = [(a, b) for a, b in pairwise(frames) if _comparable(a, b)]
    works = np.array([_work(a, b) for a, b in pairs])
    rises = np.array([_rise(a, b) for a, b in pairs])
    known = np.isfinite(works)
    works, rises = works[known], rises[known]
    if len(works) < 4 or works.std() < 1e-3 or rises.std() == 0:
        return
    slope = float(works @ rises / (works @ works))
    correlation = float(np.corrcoef(works, rises)[0, 1])
    if correlation > 0.6 and not _SLOPE[0] < slope < _SLOPE[1]:
        first = pairs[int(np.flatnonzero(known)[0])][0]
        raise ValueError(
            f"{first.source} and on: `energy` rises {slope:.3g} times as fast as `forces` do work "
            f"(correlation {correlation:.2f}): {_guess(slope)}. Give units=…, or "
            "check_units=False if they are right"
        )


def _comparable(a: Frame, b: Frame) -> bool:
    return (
        None not in (a.energy, b.energy)
        and a.forces is not None
        and b.forces is not None
        and np.array_equal(a.atoms.numbers, b.atoms.numbers)
        and np.allclose(a.atoms.cell.array, b.atoms.cell.array, rtol=0, atol=1e-6)
    )


def _rise(a: Frame, b: Frame) -> float:
    return 0.0 if a.energy is None or b.energy is None else b.energy - a.energy


def _work(a: Frame, b: Frame) -> float:
    """Return -½(F₁+F₂)·Δr in eV, NaN where an atom moves further than 1 Å."""
    if a.forces is None or b.forces is None:
        return np.nan
    moved = b.atoms.positions - a.atoms.positions
    steps = shortest_vectors(moved, a.atoms.cell.array, a.atoms.pbc)
    if np.abs(steps).max() > 1.0:
        return np.nan
    return float(-0.5 * np.sum((a.forces + b.forces) * steps))


def _guess(slope: float) -> str:
    known = {
        "units={'energy': 'meV'}": 1000.0,
        "units={'energy': 'Ha'}": 1 / 27.2114,
        "units={'energy': 'Ry'}": 1 / 13.6057,
        "units={'forces': 'Ry/bohr'}": 25.711,
        "units={'forces': 'Ha/bohr'}": 51.422,
        "units={'forces': 'meV/Å'}": 1e-3,
    }
    name = min(known, key=lambda key: abs(np.log(abs(slope) / known[key])))
    return f"{name} would make it {slope / known[name]:.2f}"


def _duplicate_notes(frames: Sequence[Frame]) -> list[str]:
    pairs = duplicates(frames)
    if not pairs:
        return []
    first, later = (frames[k].source for k in pairs[0])
    return [f"{len(pairs)} duplicate structures; the first is {later}, equal to {first}"]


def _sum_rule_notes(frames: Sequence[Frame]) -> list[str]:
    residuals = {k: r for k, f in enumerate(frames) if (r := f.sum_rule_residual) is not None}
    if not residuals:
        return []
    worst = max(residuals, key=lambda k: float(np.abs(residuals[k]).max()))
    largest = float(np.abs(residuals[worst]).max())
    if largest < _SUM_RULE:
        return []
    text = (
        f"sum rule of Born charges broken by up to {largest:.3g} e in {frames[worst].source} "
        f"({largest / len(frames[worst]):.2g} e per atom); `sum_rule` corrects it"
    )
    mean = float(np.trace(residuals[worst])) / 3
    if abs(mean) > 0.5 and np.abs(residuals[worst] - np.round(mean) * np.eye(3)).max() < 0.2:
        text += f"; is `net_charge` = {frames[worst].net_charge + round(mean):+g} missing?"
    return [text]


def _field_notes(frames: Sequence[Frame]) -> list[str]:
    count = sum(frame.electric_field is not None for frame in frames)
    if not count:
        return []
    return [
        f"{count} frames were computed in an electric field: energies and forces contain it; "
        "`charges_from_fields` makes Born charges of them"
    ]
