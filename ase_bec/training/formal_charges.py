"""Oxidation numbers from Born charges and composition."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np

from ase_bec.data import Frame
from ase_bec.data.net_charge import WHOLE, charge_text

__all__ = ["guess_formal_charges", "warn_of_net_charges"]

# Elements that have one oxidation number in nearly all of their insulators.
_USUAL = {
    1: "Li Na K Rb Cs Ag",
    2: "Be Mg Ca Sr Ba Zn Cd",
    3: "Al Ga In Sc Y La Nd Gd Lu B",
    4: "Si Ti Zr Hf Th",
    5: "Ta",
    -1: "F Cl Br I",
    -2: "O",
}
USUAL = {symbol: q for q, symbols in _USUAL.items() for symbol in symbols.split()}
REACH = 3  # whole charges of other elements on either side of the mean Born charge that are tried


def guess_formal_charges(frames: Iterable[Frame]) -> dict[str, float]:
    r"""Whole charge of each element that adds up to the net charges of the frames.

    Alkali metals, alkaline earths, oxygen, halogens and the like get their usual one. For others,
    whole charges near the mean of tr Z/3 are tried, which is not the oxidation number itself: in
    Li3PO4 it is about +3 for P, which has +5. Of those that fit most frames, the ones with the
    smallest :math:`\sum_e (q_e - \bar Z_e)^2/\max(|\bar Z_e|, 1)` are taken.

    Parameters
    ----------
    frames : iterable of Frame
        With Born charges.

    Raises
    ------
    ValueError
        If there are no Born charges, or none of several choices fits half of the frames.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from ase_bec.data import Frame
    >>> from ase_bec.training import guess_formal_charges
    >>> charges = [1.96 * np.eye(3), -1.96 * np.eye(3)]
    >>> guess_formal_charges([Frame(bulk("MgO", "rocksalt", 4.2), born_effective_charges=charges)])
    {'Mg': 2.0, 'O': -2.0}
    """
    known, traces = [], []
    for frame in frames:
        if frame.born_effective_charges is not None:
            known.append(frame)
            traces.append(np.trace(frame.born_effective_charges, axis1=1, axis2=2) / 3)
    if not known:
        raise ValueError("`formal_charges` must be given: no frame has Born charges to guess from")
    symbols = [np.array(f.atoms.get_chemical_symbols()) for f in known]
    elements = sorted({str(s) for row in symbols for s in row})
    counts = np.array([[(row == e).sum() for e in elements] for row in symbols])
    total = np.array([f.net_charge for f in known])
    every = np.concatenate(traces)
    means = np.array([every[np.concatenate(symbols) == e].mean() for e in elements])

    ranges = [_candidates(e, m) for e, m in zip(elements, means.tolist(), strict=True)]
    tried = np.array(list(product(*ranges)))
    fits = (np.abs(tried @ counts.T - total) < 0.01).mean(axis=1)
    if fits.max() < 0.5 and len(tried) > 1:
        listed = ", ".join(f"{e} {m:+.2f}" for e, m in zip(elements, means, strict=True))
        raise ValueError(
            "`formal_charges` must be given: no usual whole charges add up to the net charge of "
            f"most frames (mean Born charges: {listed})"
        )
    cost = ((tried - means) ** 2 / np.maximum(np.abs(means), 1)).sum(axis=1)
    best = tried[np.argmin(np.where(fits == fits.max(), cost, np.inf))]
    return {e: float(q) for e, q in zip(elements, best, strict=True)}


def warn_of_net_charges(charges: Mapping[str, float] | None, frames: Iterable[Frame]) -> None:
    """Warn if formal charges do not add up to the net charge of a frame, naming the frames.

    The network adds nothing to the sum of Born charges, so such frames cannot be fitted, and a
    field would push the cell as a whole.

    Parameters
    ----------
    charges : mapping, optional
        Formal charge of each element in e; without it, zero.
    frames : iterable of Frame
        Frames with elements that have a charge.
    """
    wrong: dict[tuple[str, str], list[str]] = {}
    for frame in frames:
        total = sum((charges or {}).get(symbol, 0.0) for symbol in frame.atoms.symbols)
        if abs(total - frame.net_charge) > WHOLE:
            key = charge_text(total), charge_text(frame.net_charge)
            wrong.setdefault(key, []).append(frame.source)
    if not wrong:
        return
    count = sum(map(len, wrong.values()))
    cases = "; ".join(
        f"{total} instead of the frame's {own} in {_listed(sources)}"
        for (total, own), sources in wrong.items()
    )
    warnings.warn(
        f"`formal_charges` do not add up to the net charge of {count} frames: {cases}. Correct "
        "`formal_charges`, or give these frames their `net_charge`",
        stacklevel=2,
    )


def _listed(sources: list[str]) -> str:
    more = len(sources) - 3
    return ", ".join(sources[:3]) + (f" and {more} more" if more > 0 else "")


def _candidates(element: str, mean: float) -> list[int]:
    if element in USUAL:
        return [USUAL[element]]
    return list(range(round(mean) - REACH, round(mean) + REACH + 1))
