r"""Labels of neighbouring frames against one another: energies, forces, stress, dipoles.

Small steps :math:`\delta_a` of the atoms within a cell that is strained by :math:`\epsilon` change
energy and dipole by

.. math:: \Delta U = -\tfrac12\sum_a (F_a+F'_a)\cdot\delta_a
          + \tfrac12(\Omega\sigma+\Omega'\sigma'):\epsilon, \qquad
          \Delta D_i = \tfrac12\sum_{a,j} (Z_{a,ij}+Z'_{a,ij})\,\delta_{aj}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import Array, Frame
from ase_bec.lattice import shortest_vectors

_STEP, _STRAIN = 1.0, 0.1  # Å and 1, up to which the formulas are taken
_SLOPE = (0.2, 5.0)  # of a change over what forces say; 0.6 to 1.1 in molecular dynamics
_CORRELATION = 0.6
_PAIRS = 4  # of frames that a slope is fitted to
_JUMP = (10.0, 1.0)  # times the work of the sizes of forces, and eV, that an energy may rise by


class _Change(NamedTuple):
    """From one frame to the next; NaN where unknown."""

    first: Frame
    second: Frame
    steps: Array  # Å, within the cell
    rise: float  # eV, of the energy
    work: float  # eV, against forces
    most: float  # eV, if all forces were along the steps
    strain_work: float  # eV, against the stress


class Mismatch(NamedTuple):
    """Two labels that contradict each other: which frame, and how in words."""

    source: str
    what: str
    advice: str


def mismatches(frames: Sequence[Frame]) -> Iterator[Mismatch]:
    """Contradictions between energies, forces, stress, Born charges and polarization."""
    changes = [_change(a, b) for a, b in pairwise(frames) if _comparable(a, b)]
    changes = [c for c in changes if np.isfinite(c.rise)]
    plain = [c for c in changes if c.strain_work == 0]
    fit = _fit([c.work for c in plain], [c.rise for c in plain])
    if fit is not None:
        yield _forces_mismatch(plain[0], *fit)
    strained = [c for c in changes if np.isfinite(c.strain_work) and c.strain_work != 0]
    fit = _fit([c.strain_work for c in strained], [c.rise - c.work for c in strained])
    if fit is not None:
        yield _stress_mismatch(strained[0], *fit)
    yield from _dipole_mismatches(frames)
    yield from _jumps(changes)


def _comparable(a: Frame, b: Frame) -> bool:
    return (
        None not in (a.energy, b.energy)
        and a.forces is not None
        and b.forces is not None
        and np.array_equal(a.atoms.numbers, b.atoms.numbers)
        and np.array_equal(a.atoms.pbc, b.atoms.pbc)
    )


def _change(a: Frame, b: Frame) -> _Change:
    unknown = _Change(a, b, np.zeros(0), *4 * (np.nan,))
    if a.energy is None or b.energy is None or a.forces is None or b.forces is None:
        return unknown
    found = _steps(a, b)
    if found is None:
        return unknown
    steps, strain = found
    forces = 0.5 * (a.forces + b.forces)
    sizes = np.linalg.norm(a.forces, axis=1) + np.linalg.norm(b.forces, axis=1)
    strain_work = 0.0
    if strain.any():
        if a.stress is None or b.stress is None:
            return unknown
        tension = a.stress * a.atoms.get_volume() + b.stress * b.atoms.get_volume()
        strain_work = float(0.5 * np.sum(tension * strain))
    most = float(0.5 * sizes @ np.linalg.norm(steps, axis=1)) + abs(strain_work)
    return _Change(
        a, b, steps, b.energy - a.energy, -float(np.sum(forces * steps)), most, strain_work
    )


def _steps(a: Frame, b: Frame) -> tuple[Array, Array] | None:
    """Steps of the atoms and strain of the cell, or None where they are large."""
    cell, other = a.atoms.cell.array, b.atoms.cell.array
    strain = np.zeros((3, 3))
    moved = b.atoms.positions - a.atoms.positions
    if not np.allclose(cell, other, rtol=0, atol=1e-6):
        if a.atoms.cell.rank < 3 or b.atoms.cell.rank < 3:
            return None
        deformation = np.linalg.solve(cell, other)  # rows of `other` are rows of `cell` times it
        strain = 0.5 * (deformation + deformation.T) - np.eye(3)
        if np.abs(deformation - np.eye(3)).max() > _STRAIN:
            return None
        moved = b.atoms.positions - a.atoms.positions @ deformation
    steps = shortest_vectors(moved, other, a.atoms.pbc)
    return None if np.abs(steps).max() > _STEP else (steps, strain)


def _jumps(changes: Sequence[_Change]) -> Iterator[Mismatch]:
    """Energies that rise or fall by more than the forces could do."""
    for change in changes:
        if abs(change.rise) > _JUMP[0] * change.most + _JUMP[1]:
            yield Mismatch(
                change.second.source,
                f"`energy` differs by {change.rise:+.4g} eV from that of the frame before, where "
                f"`forces` allow for {change.most:.2g} eV: one of the two is out of line",
                "",
            )


def _fit(expected: Sequence[float], found: Sequence[float]) -> tuple[float, float] | None:
    """Slope and correlation, where they are not those of labels that belong together."""
    x, y = np.array(expected), np.array(found)
    if len(x) < _PAIRS or x.std() < 1e-3 or y.std() == 0:
        return None
    slope = float(x @ y / (x @ x))
    correlation = float(np.corrcoef(x, y)[0, 1])
    wrong = not _SLOPE[0] < slope < _SLOPE[1] if correlation > 0 else True
    return (slope, correlation) if abs(correlation) > _CORRELATION and wrong else None


def _forces_mismatch(change: _Change, slope: float, correlation: float) -> Mismatch:
    where = f"{change.first.source} and on"
    if correlation < 0:
        what = (
            f"`energy` falls where `forces` do negative work (correlation {correlation:.2f}): "
            "have they the sign of the gradient?"
        )
        return Mismatch(where, what, "give forces, minus the gradient of the energy")
    what = (
        f"`energy` rises {slope:.3g} times as fast as `forces` do work (correlation "
        f"{correlation:.2f}): {_guess(slope)}"
    )
    return Mismatch(where, what, "give units=…")


def _stress_mismatch(change: _Change, slope: float, correlation: float) -> Mismatch:
    where = f"{change.first.source} and on"
    what = (
        f"`energy` changes {slope:.3g} times as much as `stress` does work on the cell "
        f"(correlation {correlation:.2f})"
    )
    if correlation < 0:
        advice = "give a stress that is positive under tension, not a pressure"
        return Mismatch(where, f"{what}: has it the other sign?", advice)
    return Mismatch(where, what, "give units={'stress': 'GPa'} (or what it is in)")


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


def _dipole_mismatches(frames: Sequence[Frame]) -> Iterator[Mismatch]:
    """Changes of the dipole, up to a quantum, against Born charges."""
    expected: list[float] = []
    found: list[float] = []
    first: Frame | None = None
    for a, b in pairwise(frames):
        z, other = a.born_effective_charges, b.born_effective_charges
        before, after = a.dipole, b.dipole
        if z is None or other is None or before is None or after is None:
            continue
        if not np.array_equal(a.atoms.numbers, b.atoms.numbers):
            continue
        moved = _steps(a, b)
        if moved is None or moved[1].any():
            continue
        predicted = 0.5 * np.einsum("aij,aj->i", z + other, moved[0])
        change = smallest_dipole(after - before, b.atoms.cell.array)
        limit = 0.25 * b.atoms.cell.lengths().min()
        if max(np.linalg.norm(predicted), np.linalg.norm(change)) < limit:
            expected += predicted.tolist()
            found += change.tolist()
            first = first or a
    fit = _fit(expected, found)
    if fit is not None and first is not None:
        what = (
            f"`polarization` changes {fit[0]:.3g} times as much as `born_effective_charges` say "
            f"(correlation {fit[1]:.2f})"
        )
        advice = "give both for positive charges, in e and e/Å²"
        yield Mismatch(f"{first.source} and on", what, advice)
