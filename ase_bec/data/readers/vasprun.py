"""VASP vasprun.xml: every ionic step, Born charges and dielectric tensor."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase import units
from ase.data import atomic_numbers

from ase_bec.data.frame import Array, Frame
from ase_bec.data.net_charge import settled_charge
from ase_bec.data.numbers import real, reals, table, whole
from ase_bec.data.readers.crystal import crystal

_KBAR = 0.1 * units.GPa


def read_vasprun(
    text: str, name: str, allow_unconverged: bool = False, net_charge: float | None = None
) -> list[Frame]:
    """Frames of all ionic steps of a vasprun.xml, as :func:`~.outcar.read_outcar` gives them.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take steps and responses that used up all of their NELM electronic steps.
    net_charge
        e; must be that of the file.

    Raises
    ------
    ValueError
        If the file is damaged or contradicts itself, ends early, a step has not converged, or it
        was computed in an electric field.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{name}: XML is damaged or ends early ({error})") from error
    if root.tag != "modeling":
        raise ValueError(f"{name}: must be a vasprun.xml (<modeling>), got <{root.tag}>")
    try:
        symbols, own = _composition(root, name)
        _refuse_field(root, name)
        charge = settled_charge(name, own, net_charge)
        limit = whole(_parameter(root, "NELM"))
        threshold = real(_parameter(root, "EDIFF", "inf"))
        steps = root.findall("calculation")
        if len(steps) != sum(1 for _ in root.iter("calculation")):
            raise KeyError("a <calculation> lies within another")
        calculations = [step for step in steps if step.find("structure") is not None]
        frames = []
        for index, calculation in enumerate(calculations):
            source = f"{name}, frame {index}"
            frames.append(_frame(calculation, symbols, charge, source))
            what = _unconverged(calculation, limit, threshold, frames[-1].labels)
            if what and not allow_unconverged:
                raise ValueError(
                    f"{source}: {what} not converged in NELM = {limit} steps; "
                    "allow_unconverged=True accepts it"
                )
    except (AttributeError, TypeError, IndexError, KeyError) as error:
        raise ValueError(f"{name}: parts of the file are missing or damaged ({error})") from error
    if not frames:
        raise ValueError(f"{name}: holds no complete ionic step")
    return frames


def _frame(calculation: Any, symbols: list[str], net_charge: float, source: str) -> Frame:
    for path in ("structure", "energy", "varray[@name='forces']", "array[@name='born_charges']"):
        if len(calculation.findall(path)) > 1:
            raise KeyError(f"a <calculation> with two of {path}")
    structure = calculation.find("structure")
    cell = _table(structure.find("crystal/varray[@name='basis']"))
    scaled = _table(structure.find("varray[@name='positions']"))
    labels: dict[str, Any] = {}
    energy = calculation.find("energy/i[@name='e_fr_energy']")
    if energy is not None:
        labels["energy"] = real(energy.text)
    for label, path, factor in (
        ("forces", "varray[@name='forces']", 1.0),
        ("stress", "varray[@name='stress']", -_KBAR),
        ("dielectric_tensor", "varray[@name='epsilon']", 1.0),
        ("dielectric_tensor", "varray[@name='epsilon_scf']", 1.0),
    ):
        rows = calculation.find(path)
        if rows is not None:
            labels[label] = factor * _table(rows)
    born = calculation.findall("array[@name='born_charges']/set")
    if born:
        labels["born_effective_charges"] = np.array([_table(tensor) for tensor in born])
    try:
        atoms = crystal(symbols, cell, scaled=scaled)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return Frame(atoms, net_charge=net_charge, source=source, **labels)


def _composition(root: Any, name: str) -> tuple[list[str], float]:
    """Symbols of all atoms, and net charge."""
    rows = root.findall("atominfo/array[@name='atoms']/set/rc")
    symbols = [row.find("c").text.strip() for row in rows]
    unknown = sorted(set(symbols) - (set(atomic_numbers) - {"X"}))
    if unknown:
        raise ValueError(f"{name}: `atoms` must be elements, got {unknown[0][:40]!r}")
    types = root.findall("atominfo/array[@name='atomtypes']/set/rc")
    counts = [(t[1].text.strip(), whole(t[0].text)) for t in types]
    listed = [symbol for symbol, n in counts for _ in range(min(n, len(symbols) + 1))]
    total = root.findtext("atominfo/atoms")
    if listed != symbols or (total is not None and whole(total) != len(symbols)):
        told = ", ".join(f"{n} {symbol}" for symbol, n in counts)
        raise ValueError(
            f"{name}: `atominfo` must agree with itself, got {total} atoms of types {told} and a "
            f"list of {len(symbols)}"
        )
    valence = sum(whole(t[0].text) * real(t[3].text) for t in types)
    return symbols, round(valence - real(_parameter(root, "NELECT")), 4) + 0.0


def _refuse_field(root: Any, name: str) -> None:
    """Refuse runs in a field, whose labels contain it; LCALCEPS runs have one of their own."""
    own = root.find("parameters//i[@name='LCALCEPS']")
    if own is not None and str(own.text).strip().startswith("T"):
        return
    for key in ("i[@name='EFIELD']", "v[@name='EFIELD_PEAD']"):
        found = root.find(f"parameters//{key}")
        if found is not None and reals(str(found.text).split()).any():
            raise ValueError(
                f"{name}: computed in an electric field ({found.get('name')} = "
                f"{found.text.strip()}), which energy and forces contain; give the run without it"
            )


def _parameter(root: Any, name: str, default: str | None = None) -> str:
    found = root.find(f"parameters//i[@name='{name}']")
    if found is None and default is None:
        raise KeyError(f"no parameter {name}")
    return str(default if found is None else found.text)


def _unconverged(calculation: Any, limit: int, threshold: float, labels: tuple[str, ...]) -> str:
    """What has used up its electronic steps: electrons or a response; or an empty string.

    Steps of the ground state come before the structure. Those of responses follow, one loop behind
    another with nothing between them: a loop has ended when the energy stops changing.
    """
    steps, before, what = 0, math.inf, "electrons have"
    for element in calculation:
        if element.tag == "structure":
            if not {"born_effective_charges", "dielectric_tensor"} & set(labels):
                return ""
            what = "a response has"
        if element.tag in ("structure", "kpoints"):
            steps, before = 0, math.inf
        elif element.tag == "scstep":
            steps += 1
            if steps >= limit:
                return what
            energy = real(element.findtext("energy/i[@name='e_fr_energy']") or "inf")
            if what == "a response has" and not abs(energy - before) > threshold:
                steps, energy = 0, math.inf
            before = energy
    return ""


def _table(element: Any) -> Array:
    rows = element.findall("v")
    if any(row.get("name") for row in rows):
        raise KeyError(f"table {element.get('name')} with a row of another name")
    try:
        return table([row.text.split() for row in rows])
    except ValueError as error:
        raise KeyError(f"table {element.get('name')}: {error}") from error
