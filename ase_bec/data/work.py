r"""Consistency of labels between neighbouring frames: energies, forces, stress, dipoles.

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

_STEP, _STRAIN = 1.0, 0.03  # Å and 1, up to which the formulas are taken
_SLOPE = (0.2, 5.0)  # of a change over what forces say; 0.6 to 1.1 in molecular dynamics
_CORRELATION, _OPPOSITE = 0.6, -0.8  # beyond which a slope, or a sign, is taken seriously
_PAIRS = 4  # of frames that a slope is fitted to
_JUMP = (10.0, 1.0)  # times the work of the sizes of forces, and eV, that an energy may rise by


class _Pair(NamedTuple):
    """Two neighbouring frames of the same atoms, near one another."""

    first: Frame
    second: Frame
    steps: Array  # Å, within the cell
    strain: Array  # of the cell; zero where it is the same


class _Change(NamedTuple):
    """Energies from one frame to the next, eV."""

    pair: _Pair
    rise: float  # of the energy
    work: float  # against forces
    most: float  # if all forces were along the steps
    strain_work: float  # against the stress


class Mismatch(NamedTuple):
    """Two labels that contradict each other: in which frame, and how."""

    source: str
    what: str
    advice: str


def mismatches(frames: Sequence[Frame]) -> Iterator[Mismatch]:
    """Contradictions between energies, forces, stress, Born charges and polarization."""
    pairs = [pair for a, b in pairwise(frames) if (pair := _pair(a, b)) is not None]
    changes = [change for pair in pairs if (change := _change(pair)) is not None]
    plain = [c for c in changes if not c.pair.strain.any()]
    fit = _fit([c.work for c in plain], [c.rise for c in plain])
    if fit is not None:
        yield _forces_mismatch(plain[0], *fit)
    strained = [c for c in changes if c.most < abs(c.strain_work)]
    fit = _fit([c.strain_work for c in strained], [c.rise - c.work for c in strained])
    if fit is not None:
        yield _stress_mismatch(strained[0], *fit)
    yield from _dipole_mismatches(pairs)
    yield from _jumps(changes)


def _pair(a: Frame, b: Frame) -> _Pair | None:
    """Steps of the atoms and strain of the cell, or None where they are large or not known."""
    labels = set(a.labels) & set(b.labels)
    if not (labels >= {"energy", "forces"} or labels >= {"born_effective_charges", "polarization"}):
        return None
    if not np.array_equal(a.atoms.numbers, b.atoms.numbers):
        return None
    if not np.array_equal(a.atoms.pbc, b.atoms.pbc):
        return None
    cell, other = a.atoms.cell.array, b.atoms.cell.array
    strain, before = np.zeros((3, 3)), a.atoms.positions
    if np.abs(cell - other).max() > 1e-6:
        if a.atoms.cell.rank < 3 or b.atoms.cell.rank < 3:
            return None
        deformation = np.linalg.solve(cell, other)  # rows of `other` are rows of `cell` times it
        if np.abs(deformation - np.eye(3)).max() > _STRAIN:
            return None
        strain, before = 0.5 * (deformation + deformation.T) - np.eye(3), before @ deformation
    steps = _shortest(b.atoms.positions - before, b)
    return None if np.abs(steps).max() > _STEP else _Pair(a, b, steps, strain)


def _shortest(vectors: Array, frame: Frame) -> Array:
    """Shortest of the equivalent vectors; those below half a height of the cell are."""
    heights = 1 / np.sqrt((frame.atoms.cell.reciprocal().array ** 2).sum(axis=1).max())
    if frame.atoms.cell.rank == 3 and np.sqrt((vectors**2).sum(axis=1).max()) < 0.5 * heights:
        return vectors
    return shortest_vectors(vectors, frame.atoms.cell.array, frame.atoms.pbc)


def _change(pair: _Pair) -> _Change | None:
    a, b, steps, strain = pair
    if a.energy is None or b.energy is None or a.forces is None or b.forces is None:
        return None
    strain_work = 0.0
    if strain.any():
        if a.stress is None or b.stress is None:
            return None
        tension = a.stress * a.atoms.get_volume() + b.stress * b.atoms.get_volume()
        strain_work = float(0.5 * np.sum(tension * strain))
    work = -0.5 * float(np.sum((a.forces + b.forces) * steps))
    sizes = np.sqrt((a.forces**2).sum(axis=1)) + np.sqrt((b.forces**2).sum(axis=1))
    most = float(0.5 * sizes @ np.sqrt((steps**2).sum(axis=1)))
    return _Change(pair, b.energy - a.energy, work, most, strain_work)


def _jumps(changes: Sequence[_Change]) -> Iterator[Mismatch]:
    """Energies that rise or fall by more than the forces allow."""
    for change in changes:
        most = change.most + abs(change.strain_work)
        if abs(change.rise) > _JUMP[0] * most + _JUMP[1]:
            yield Mismatch(
                change.pair.second.source,
                f"`energy` differs by {change.rise:+.4g} eV from that of the frame before, where "
                f"`forces` allow for {most:.2g} eV: one of the two is out of line",
                "",
            )


def _fit(expected: Sequence[float], found: Sequence[float]) -> tuple[float, float] | None:
    """Slope and correlation, where they are not those of labels that belong together."""
    x, y = np.array(expected), np.array(found)
    if len(x) < _PAIRS or x.std() < 1e-3 or y.std() == 0:
        return None
    slope = float(x @ y / (x @ x))
    correlation = float(np.corrcoef(x, y)[0, 1])
    if correlation > 0:
        wrong = correlation > _CORRELATION and not _SLOPE[0] < slope < _SLOPE[1]
    else:
        wrong = correlation < _OPPOSITE and len(x) > _PAIRS
    return (slope, correlation) if wrong else None


def _forces_mismatch(change: _Change, slope: float, correlation: float) -> Mismatch:
    where = f"{change.pair.first.source} and on"
    if correlation < 0:
        what = (
            f"`energy` falls where `forces` do negative work (correlation {correlation:.2f}): "
            "do they have the sign of the gradient?"
        )
        return Mismatch(where, what, "give forces, minus the gradient of the energy")
    what = (
        f"`energy` rises {slope:.3g} times as fast as `forces` do work (correlation "
        f"{correlation:.2f}): {_guess(slope)}"
    )
    return Mismatch(where, what, "give units=…")


def _stress_mismatch(change: _Change, slope: float, correlation: float) -> Mismatch:
    where = f"{change.pair.first.source} and on"
    what = (
        f"`energy` changes {slope:.3g} times as much as `stress` does work on the cell "
        f"(correlation {correlation:.2f})"
    )
    if correlation < 0:
        advice = "give a stress that is positive under tension, not a pressure"
        return Mismatch(where, f"{what}: does it have the opposite sign?", advice)
    return Mismatch(where, what, "give units={'stress': 'GPa'} (or its actual unit)")


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


def _dipole_mismatches(pairs: Sequence[_Pair]) -> Iterator[Mismatch]:
    """Changes of the dipole, up to a quantum, against Born charges."""
    expected: list[float] = []
    found: list[float] = []
    for a, b, steps, strain in pairs:
        z, other = a.born_effective_charges, b.born_effective_charges
        before, after = a.dipole, b.dipole
        if z is None or other is None or before is None or after is None or strain.any():
            continue
        predicted = 0.5 * np.einsum("aij,aj->i", z + other, steps)
        change = after - before
        limit = 0.25 * b.atoms.cell.lengths().min()
        if np.linalg.norm(change) > limit:
            change = smallest_dipole(change, b.atoms.cell.array)
        if max(np.linalg.norm(predicted), np.linalg.norm(change)) < limit:
            expected += predicted.tolist()
            found += change.tolist()
    fit = _fit(expected, found)
    if fit is not None:
        what = (
            f"`polarization` changes {fit[0]:.3g} times as much as `born_effective_charges` say "
            f"(correlation {fit[1]:.2f})"
        )
        advice = "give both for positive charges, in e and e/Å²"
        yield Mismatch(f"{pairs[0].first.source} and on", what, advice)
