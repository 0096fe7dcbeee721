"""Head of a VASP OUTCAR: atoms, charge and what the electrons must converge to."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers

from ase_bec.data.numbers import real, reals, whole


class Header(NamedTuple):
    """What the beginning of an OUTCAR says; None if missing.

    Attributes
    ----------
    symbols : list of str
        Symbols of all atoms.
    net_charge : float
        e.
    nelm : int
        Largest number of electronic steps.
    ediff : float
        eV, to one digit.
    """

    symbols: list[str]
    net_charge: float | None
    nelm: int | None
    ediff: float | None


def read_header(text: str, name: str) -> Header:
    """Read the header.

    Raises
    ------
    ValueError
        If atoms are not given, their counts contradict one another, or there is a field.
    """
    begin = text.find(" Iteration ")
    head = text if begin < 0 else text[:begin]
    try:
        symbols, counts = _composition(head, text.count("\n"))
        _refuse_field(head)
        charge = _net_charge(head, counts)
        steps = re.search(r" NELM +=\s*([^\s;]+)", head)
        threshold = re.search(r" EDIFF +=\s*(\S+)", head)
        return Header(
            [s for s, n in zip(symbols, counts, strict=True) for _ in range(n)],
            charge,
            None if steps is None else whole(steps[1]),
            None if threshold is None else real(threshold[1]),
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _composition(head: str, lines: int) -> tuple[list[str], list[int]]:
    """Symbol and number of atoms of each type."""
    symbols = [label.strip() for label in re.findall(r"VRHFIN *=([^:\n]*):", head)]
    found = {line.strip() for line in re.findall(r"ions per type =([^\n]*)", head)}
    if not found or not symbols:
        raise ValueError("no elements (VRHFIN) or `ions per type`; is it an OUTCAR?")
    if len(found) > 1:
        raise ValueError(f"`ions per type` must be one, got {' and '.join(sorted(found))}")
    counts = [whole(word) for word in found.pop().split()]
    unknown = [symbol for symbol in symbols if symbol not in atomic_numbers or symbol == "X"]
    if unknown:
        raise ValueError(f"VRHFIN must be an element, got {unknown[0][:40]!r}")
    titles = re.findall(r"TITEL +=\s*\S+\s+([A-Z][a-z]?)", head)
    if titles and titles != symbols:
        raise ValueError(f"VRHFIN and TITEL must agree, got {symbols} and {titles}")
    if len(symbols) != len(counts):
        raise ValueError(f"{len(symbols)} elements (VRHFIN) for {len(counts)} types")
    if min(counts) < 1 or sum(counts) > lines:
        raise ValueError(f"`ions per type` must be of {lines} lines at most, got {counts}")
    totals = {whole(n) for n in re.findall(r"NIONS +=\s*(\S+)", head)}
    if totals - {sum(counts)}:
        raise ValueError(
            f"`ions per type` and NIONS must agree, got {sum(counts)} and {max(totals)}"
        )
    return symbols, counts


def _net_charge(head: str, counts: list[int]) -> float | None:
    """Valences minus electrons, to the rounding of the file."""
    valences = reals(re.findall(r"; ZVAL   = +(\S+)", head))
    electrons = re.search(r"NELECT = +(\S+)", head)
    if electrons is None or len(valences) != len(counts):
        return None
    return round(float(np.dot(valences, counts)) - real(electrons[1]), 4) + 0.0


def _refuse_field(head: str) -> None:
    """Refuse runs in a field, whose labels contain it; LCALCEPS runs have one of their own."""
    if re.search(r"LCALCEPS *= +T", head):
        return
    for key, values in re.findall(r"(EFIELD(?:_PEAD)?) *=([-+.0-9eEdD \t]*)", head):
        if reals(values.split()).any():
            raise ValueError(
                f"computed in an electric field ({key} = {values.strip()}), which energy and "
                "forces contain; give the run without it"
            )
