"""Quantum ESPRESSO: Born charges and dielectric tensor in the text output of ph.x."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ase_bec.data.frame import Array, Frame
from ase_bec.data.readers.espresso import NUMBER, header

_ROW = rf"\( *({NUMBER}) +({NUMBER}) +({NUMBER})"


def read_ph(text: str, name: str, allow_unconverged: bool = False) -> list[Frame]:
    """Frame of the electric-field response in the output of ph.x.

    Read are the effective charges "(d Force / dE)", whose rows are the field, as they were
    computed: where ph.x prints them also with the sum rule imposed, those without. They have no
    energy; :func:`~ase_bec.data.join.join_responses` adds them to the frame of pw.x.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take responses that have not converged, and files that end early.

    Raises
    ------
    ValueError
        If the file is damaged, ends early, has not converged, or holds no such response.
    """
    if not allow_unconverged:
        if "JOB DONE" not in text:
            raise ValueError(f"{name}: ends early (no JOB DONE); allow_unconverged=True takes it")
        if re.search(r"No convergence has been achieved", text):
            raise ValueError(
                f"{name}: a response has not converged; allow_unconverged=True takes it"
            )
    atoms, net_charge = header(text, name)
    labels: dict[str, Any] = {}
    dielectric = _section(text, r"Dielectric constant in cartesian axis", 3)
    if dielectric is not None:
        labels["dielectric_tensor"] = dielectric
    heading = r"Effective charges \(d Force / dE\) in cartesian axis"
    rows = _section(text, heading + "(?! with asr)(?! apply)", 3 * len(atoms), f"{name}: ")
    if rows is not None:
        labels["born_effective_charges"] = rows.reshape(-1, 3, 3)
    if not labels:
        only = ", only (d P / du)" if "(d P / du)" in text else ""
        raise ValueError(
            f"{name}: holds no dielectric constant or effective charges (d Force / dE){only}; "
            "run ph.x with epsil=.true. at q = 0"
        )
    return [Frame(atoms, net_charge=net_charge, source=f"{name}, frame 0", **labels)]


def _section(text: str, heading: str, n: int, where: str = "") -> Array | None:
    """Rows in brackets after the first such heading."""
    found = re.search(rf"^ +{heading}", text, re.M)
    if found is None:
        return None
    rows: list[tuple[str, ...]] = []
    for line in text[found.end() : found.end() + 200 * (n + 20)].split("\n")[1:]:
        row = re.search(_ROW, line)
        if row:
            rows.append(row.groups())
        elif rows and line.strip() and not line.split()[0].startswith("atom"):
            break
        if len(rows) == n:
            return np.array(rows, dtype=float)
    raise ValueError(f"{where}`{heading}` must have {n} rows, got {len(rows)}; truncated?")
