"""What is suspicious about labels: sizes, signs, units, sum rule, duplicates, unread keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ase_bec.data.frame import Frame
from ase_bec.data.in_field import SAMPLED
from ase_bec.data.label_names import suspect
from ase_bec.data.sizes import Finding, findings, findings_together
from ase_bec.data.work import mismatches

_WAIVED = ("unit_check", "waived")  # key and value in `info` of frames that were taken as they are
_SUM_RULE = 1e-3  # e, below which residuals are rounding
_PART, _CHARGE = 0.01, 2.0  # e: distance of a net charge from a whole one, and its size
_NET_FORCE = 0.5  # eV/Å


def check_units(frames: Sequence[Frame], units_known: bool = False) -> tuple[str, ...]:
    """Refuse labels that contradict one another, or have a size that no solid has.

    Checks nearest-neighbour distances, sizes of forces, stress, polarization and Born charges,
    and compares differences of energies between neighbouring frames with the work of forces and
    stress, those of dipoles with Born charges.

    Parameters
    ----------
    frames
        Of one file, in order.
    units_known
        The file was written by a program whose units are known. A label of strange size then
        comes from a strange calculation: it is noted and accepted instead of refused.

    Returns
    -------
    tuple of str
        Notes.

    Raises
    ------
    ValueError
        Naming file, frame and key, and the unit that would explain it.
    """
    strange: dict[str, list[Finding]] = {}
    lines = []
    for finding in findings(frames):
        _take(finding, frames, units_known, strange)
    for mismatch in mismatches(frames):
        if not all(map(_is_waived, frames)):
            advice = f" {mismatch.advice}, or" if mismatch.advice else ""
            raise ValueError(
                f"{mismatch.source}: {mismatch.what};{advice} check_units=False if they are right"
            )
        lines.append(f"{mismatch.source}: {mismatch.what}")
    for finding in findings_together(frames):
        _take(finding, frames, units_known, strange)
    for key, found in strange.items():
        others = f"; likewise in {len(found) - 1} other frames" if len(found) > 1 else ""
        lines.append(f"{found[0].source}: `{key}` {found[0].what}{others}")
    return (*lines, *_uneven_notes(frames, units_known), *_net_force_notes(frames))


def _take(
    finding: Finding,
    frames: Sequence[Frame],
    units_known: bool,
    strange: dict[str, list[Finding]],
) -> None:
    """Refuse a finding, or add it to those to be noted."""
    frame = next((f for f in frames if f.source == finding.source), frames[0])
    if not units_known and not _is_waived(frame):
        unit = f"give units={{'{finding.key}': '{finding.unit}'}} (or its actual unit), or "
        raise ValueError(
            f"{finding.source}: `{finding.key}` {finding.what}; {unit if finding.unit else ''}"
            "check_units=False if it is right"
        )
    waive([frame])
    strange.setdefault(finding.key, []).append(finding)


def waive(frames: Iterable[Frame]) -> None:
    """Mark frames as accepted whatever their labels look like, also in files written from them."""
    key, value = _WAIVED
    for frame in frames:
        frame.atoms.info[key] = value


def _is_waived(frame: Frame) -> bool:
    key, value = _WAIVED
    return str(frame.atoms.info.get(key)) == value


def notes(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Lines about anything unusual that may be intended, such as duplicates."""
    return (
        *_duplicate_notes(frames),
        *_sum_rule_notes(frames),
        *_field_notes(frames),
        *_charge_notes(frames),
        *_unread_notes(frames),
    )


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


def _duplicate_notes(frames: Sequence[Frame]) -> list[str]:
    pairs = duplicates(frames)
    if not pairs:
        return []
    first, later = (frames[k].source for k in pairs[0])
    line = f"{len(pairs)} duplicate structures; the first is {later}, equal to {first}"
    energies = [(frames[a].energy, frames[b].energy) for a, b in pairs]
    apart = max((abs(a - b) for a, b in energies if a is not None and b is not None), default=0.0)
    return [line + (f"; energies of one differ by up to {apart:.3g} eV" if apart > 1e-3 else "")]


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


def _charge_notes(frames: Sequence[Frame]) -> list[str]:
    """A line about net charges that are not whole, or larger than an ion's."""
    strange = [f for f in frames if abs(f.net_charge - round(f.net_charge)) > _PART]
    strange += [f for f in frames if f not in strange and abs(f.net_charge) > _CHARGE]
    if not strange:
        return []
    charge, count = strange[0].net_charge, len(strange)
    return [
        f"net charge of {charge:+g} e in {strange[0].source}"
        + (f" and others, {count} frames" if count > 1 else "")
        + ": is it intended? It is that of the file, or of `net_charge`"
    ]


def _field_notes(frames: Sequence[Frame]) -> list[str]:
    lines = []
    inside = sum(frame.electric_field is not None for frame in frames)
    if inside:
        lines.append(
            f"{inside} frames were computed in an electric field: energies and forces contain it; "
            "`charges_from_fields` makes Born charges of them"
        )
    sampled = sum(SAMPLED in frame.atoms.info for frame in frames)
    if sampled:
        lines.append(
            f"{sampled} frames were sampled in an electric field: their labels are the values "
            "without it (`energy_zero_field` and the like), others were left out"
        )
    return lines


def _unread_notes(frames: Sequence[Frame]) -> list[str]:
    """One line about keys that look like labels and were not read."""
    found: Counter[tuple[str, str]] = Counter()
    for frame in frames:
        n = len(frame)
        for place in (frame.atoms.info, frame.atoms.arrays):
            for key, value in place.items():
                label = suspect(key, value, n)
                if label is not None:
                    found[key, label] += 1
    if not found:
        return []
    listed = ", ".join(f"`{key}` (in {count})" for (key, _), count in sorted(found.items()))
    key, label = min(found)
    return [
        f"keys that look like labels were not read: {listed}; name them where they are, such as "
        f"keys={{'{label}': '{key}'}}"
    ]


def _uneven_notes(frames: Sequence[Frame], units_known: bool) -> list[str]:
    """Lines about labels that a program left out in some of its steps."""
    counts = {x: sum(x in frame.labels for frame in frames) for x in ("energy", "forces", "stress")}
    return [
        f"{frames[0].source} and on: only {count} of {len(frames)} frames have `{label}`"
        for label, count in counts.items()
        if units_known and 0 < count < len(frames)
    ]


def _net_force_notes(frames: Sequence[Frame]) -> list[str]:
    """A line about forces that do not add up to zero, as a shifted or single wrong one."""
    sums = {
        k: float(np.abs(frame.forces.sum(axis=0)).max())
        for k, frame in enumerate(frames)
        if frame.forces is not None and frame.electric_field is None
    }
    worst = max(sums, key=lambda k: sums[k], default=None)
    if worst is None or sums[worst] < _NET_FORCE:
        return []
    count = sum(value >= _NET_FORCE for value in sums.values())
    return [
        f"forces do not add up to zero in {count} frames: {sums[worst]:.3g} eV/Å in "
        f"{frames[worst].source}; are atoms fixed there, or is one wrong?"
    ]
