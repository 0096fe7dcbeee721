"""Quantum ESPRESSO: XML output of pw.x (prefix.xml), with all its digits."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase import Atoms, units

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import Array, Frame
from ase_bec.data.readers.espresso import DIPOLE, FIELD, element


def read_pw_xml(text: str, name: str, allow_unconverged: bool = False) -> list[Frame]:
    """Frames of the XML file of pw.x, as :func:`~ase_bec.data.readers.espresso.read_pw` gives them.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take structures whose electrons have not converged.

    Raises
    ------
    ValueError
        If the file is damaged, ends early, or a structure has not converged.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{name}: XML is damaged or ends early ({error})") from error
    output = root.find("output")
    if output is None or output.find("total_energy") is None:
        raise ValueError(f"{name}: holds no <output> with a total energy; has the run ended?")
    vector = _vector(root)
    net_charge = root.findtext("output//tot_charge") or root.findtext("input//tot_charge") or "0"
    parts = [*root.findall("step"), output]
    frames: list[Frame] = []
    for part in parts:
        source = f"{name}, frame {len(frames)}"
        converged = (part.findtext(".//convergence_achieved") or "true").strip() == "true"
        if not converged and not allow_unconverged:
            raise ValueError(
                f"{source}: electrons have not converged; allow_unconverged=True takes it"
            )
        try:
            atoms, labels = _labels(part)
            charge = float(net_charge)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{source}: parts are missing or damaged ({error})") from error
        if frames and part is output and _same(frames[-1].atoms, atoms):
            source = frames.pop().source  # the output repeats the last step, with its stress
        frames.append(
            Frame(atoms, electric_field=vector, net_charge=charge, source=source, **labels)
        )
    return frames


def _vector(root: Any) -> Array | None:
    """Homogeneous field in V/Å, None where there is none."""
    found = root.find("input/electric_field")
    if found is None or found.findtext("electric_potential") != "homogenous_field":
        return None
    vector = _numbers(found.find("electric_field_vector")) * FIELD
    return vector if vector.any() else None


def _labels(part: Any) -> tuple[Atoms, dict[str, Any]]:
    structure = part.find("atomic_structure")
    rows = structure.findall("atomic_positions/atom")
    cell = np.array([_numbers(structure.find(f"cell/a{k}")) for k in (1, 2, 3)]) * units.Bohr
    if abs(np.linalg.det(cell)) < 1e-3:
        raise ValueError("cell must have a volume")
    positions = np.array([_numbers(row) for row in rows]) * units.Bohr
    symbols = [element(row.get("name"), "atom") for row in rows]
    atoms = Atoms(symbols, positions=positions, cell=cell, pbc=True)
    labels: dict[str, Any] = {"energy": float(part.findtext("total_energy/etot")) * units.Ha}
    forces, stress = part.find("forces"), part.find("stress")
    if forces is not None:
        labels["forces"] = _numbers(forces).reshape(-1, 3) * units.Ha / units.Bohr
    if stress is not None:
        labels["stress"] = -_numbers(stress).reshape(3, 3) * units.Ha / units.Bohr**3
    dipoles = part.find("electric_field/finiteElectricFieldInfo")
    if dipoles is not None:
        both = _numbers(dipoles.find("electronicDipole")) + _numbers(dipoles.find("ionicDipole"))
        labels["polarization"] = smallest_dipole(both * DIPOLE, cell) / atoms.get_volume()
    return atoms, labels


def _numbers(found: Any) -> Array:
    return np.array([float(word) for word in found.text.split()])


def _same(a: Atoms, b: Atoms) -> bool:
    return np.array_equal(a.positions, b.positions) and np.array_equal(a.cell.array, b.cell.array)
