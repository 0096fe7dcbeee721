"""Quantum ESPRESSO: Born charges and dielectric tensor in the text output of ph.x."""

from __future__ import annotations

import re
from typing import Any

from ase_bec.data.frame import Array, Frame
from ase_bec.data.net_charge import settled_charge
from ase_bec.data.numbers import table
from ase_bec.data.readers.espresso import NUMBER, header

_ROW = re.compile(rf" *(?:E\S*([xyz]) +)?\( *({NUMBER}) +({NUMBER}) +({NUMBER}) *\) *")


def read_ph(
    text: str, name: str, allow_unconverged: bool = False, net_charge: float | None = None
) -> list[Frame]:
    """Frame of the electric-field response in the output of ph.x.

    Reads the effective charges "(d Force / dE)", whose rows are the field, as computed: if ph.x
    also prints them with the sum rule imposed, those without it. They have no
    energy; :func:`~ase_bec.data.join.join_responses` adds them to the frame of pw.x.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take responses that have not converged, and files that end early.
    net_charge
        e; must agree with the file if the file gives one.

    Raises
    ------
    ValueError
        If the file is damaged or contradicts itself, ends early, has not converged, or holds no
        such response.
    """
    if not allow_unconverged:
        if "JOB DONE" not in text:
            raise ValueError(f"{name}: ends early (no JOB DONE); allow_unconverged=True accepts it")
        if re.search(r"No convergence has been achieved", text):
            raise ValueError(
                f"{name}: a response has not converged; allow_unconverged=True accepts it"
            )
    labels: dict[str, Any] = {}
    try:
        atoms, own = header(text)
        charge = settled_charge("header", own, net_charge)
        dielectric = _section(text, r"Dielectric constant in cartesian axis", 3)
        if dielectric is not None:
            labels["dielectric_tensor"] = dielectric
        heading = r"Effective charges \(d Force / dE\) in cartesian axis"
        rows = _section(text, heading + "(?! with asr)(?! apply)", 3 * len(atoms))
        if rows is not None:
            labels["born_effective_charges"] = rows.reshape(-1, 3, 3)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not labels:
        only = ", only (d P / du)" if "(d P / du)" in text else ""
        raise ValueError(
            f"{name}: holds no dielectric constant or effective charges (d Force / dE){only}; "
            "run ph.x with epsil=.true. at q = 0"
        )
    return [Frame(atoms, net_charge=charge, source=f"{name}, frame 0", **labels)]


def _section(text: str, heading: str, n: int) -> Array | None:
    """Rows in brackets right after the first such heading, those of atoms in order."""
    found = re.search(rf"^ +{heading}", text, re.M)
    if found is None:
        return None
    rows: list[tuple[str, ...]] = []
    atom = 0
    for line in text[found.end() : found.end() + 200 * (n + 20)].split("\n")[1:]:
        words = line.split()
        row = _ROW.fullmatch(line)
        if row is not None:
            axis, *numbers = row.groups()
            if axis is not None and axis != "xyz"[len(rows) % 3]:
                raise ValueError(f"`{heading}` must be in order x, y, z, got {line.strip()!r}")
            rows.append(tuple(numbers))
        elif words[:1] == ["atom"]:
            atom += 1
            if words[1:2] != [str(atom)] or len(rows) != 3 * (atom - 1):
                raise ValueError(f"`{heading}` must be of atoms in order, got {line.strip()!r}")
        elif words:
            break
    if len(rows) != n:
        raise ValueError(f"`{heading}` must have {n} rows, got {len(rows)}; truncated?")
    return table(rows)
