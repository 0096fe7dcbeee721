"""VASP vasprun.xml: every ionic step, Born charges and dielectric tensor."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase import Atoms, units

from ase_bec.data.frame import Array, Frame

_KBAR = 0.1 * units.GPa


def read_vasprun(text: str, name: str, allow_unconverged: bool = False) -> list[Frame]:
    """Frames of all ionic steps of a vasprun.xml, as :func:`~.outcar.read_outcar` gives them.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take steps that used up all of their NELM electronic steps.

    Raises
    ------
    ValueError
        If the file is damaged, ends early, or a step has not converged.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{name}: XML is damaged or ends early ({error})") from error
    if root.tag != "modeling":
        raise ValueError(f"{name}: must be a vasprun.xml (<modeling>), got <{root.tag}>")
    try:
        symbols, net_charge = _composition(root)
        limit = int(_parameter(root, "NELM"))
        calculations = [c for c in root.findall("calculation") if c.find("structure") is not None]
        frames = []
        for index, calculation in enumerate(calculations):
            source = f"{name}, frame {index}"
            frames.append(_frame(calculation, symbols, net_charge, source))
            if _electronic_steps(calculation) >= limit and not allow_unconverged:
                raise ValueError(
                    f"{source}: electrons have not converged in NELM = {limit} steps; "
                    "allow_unconverged=True takes it"
                )
    except (AttributeError, TypeError, IndexError, KeyError) as error:
        raise ValueError(f"{name}: parts of the file are missing or damaged ({error})") from error
    if not frames:
        raise ValueError(f"{name}: holds no complete ionic step")
    return frames


def _frame(calculation: Any, symbols: list[str], net_charge: float, source: str) -> Frame:
    structure = calculation.find("structure")
    cell = _table(structure.find("crystal/varray[@name='basis']"))
    scaled = _table(structure.find("varray[@name='positions']"))
    labels: dict[str, Any] = {}
    energy = calculation.find("energy/i[@name='e_fr_energy']")
    if energy is not None:
        labels["energy"] = float(energy.text)
    for label, path, factor in (
        ("forces", "varray[@name='forces']", 1.0),
        ("stress", "varray[@name='stress']", -_KBAR),
        ("dielectric_tensor", "varray[@name='epsilon']", 1.0),
        ("dielectric_tensor", "varray[@name='epsilon_scf']", 1.0),
    ):
        table = calculation.find(path)
        if table is not None:
            labels[label] = factor * _table(table)
    born = calculation.findall("array[@name='born_charges']/set")
    if born:
        labels["born_effective_charges"] = np.array([_table(tensor) for tensor in born])
    if len(scaled) != len(symbols):
        raise ValueError(f"{source}: `positions` must be of {len(symbols)} atoms")
    atoms = Atoms(symbols, scaled_positions=scaled, cell=cell, pbc=True)
    return Frame(atoms, net_charge=net_charge, source=source, **labels)


def _composition(root: Any) -> tuple[list[str], float]:
    """Symbols of all atoms, and net charge."""
    rows = root.findall("atominfo/array[@name='atoms']/set/rc")
    symbols = [row.find("c").text.strip() for row in rows]
    types = root.findall("atominfo/array[@name='atomtypes']/set/rc")
    valence = sum(int(t[0].text) * float(t[3].text) for t in types)
    return symbols, round(valence - float(_parameter(root, "NELECT")), 4) + 0.0


def _parameter(root: Any, name: str) -> str:
    found = root.find(f"parameters//i[@name='{name}']")
    if found is None:
        raise KeyError(f"no parameter {name}")
    return str(found.text)


def _electronic_steps(calculation: Any) -> int:
    """Steps of the ground state, which come before the structure; those of responses follow."""
    count = 0
    for element in calculation:
        if element.tag == "structure":
            break
        count += element.tag == "scstep"
    return count


def _table(element: Any) -> Array:
    rows = [[float(x) for x in v.text.split()] for v in element.findall("v")]
    if len({len(row) for row in rows}) > 1:
        raise KeyError(f"table {element.get('name')} has unequal rows")
    return np.array(rows)
