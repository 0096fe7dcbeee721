"""Quantum ESPRESSO: XML output of pw.x (prefix.xml), with all its digits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase import Atoms, units

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import Array, Frame
from ase_bec.data.net_charge import settled_charge
from ase_bec.data.numbers import real, reals, table, whole
from ase_bec.data.readers.crystal import crystal
from ase_bec.data.readers.espresso import ACCURACY, DIPOLE, FIELD, element

_ROUNDING = 1e-8  # Å


def read_pw_xml(
    text: str, name: str, allow_unconverged: bool = False, net_charge: float | None = None
) -> list[Frame]:
    """Frames of the XML file of pw.x, as :func:`~ase_bec.data.readers.espresso.read_pw` gives them.

    ``<output>`` repeats the last step: with its structure, or with that of a step which was not
    computed any more. Energy, forces and stress are then those of the last step.

    Parameters
    ----------
    text, name
        The file, and its name for messages.
    allow_unconverged
        Take structures whose electrons have not converged.
    net_charge
        e; must be that of the file.

    Raises
    ------
    ValueError
        If the file is damaged or contradicts itself, ends early, a structure has not converged, or
        the field is that of a sawtooth.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{name}: XML is damaged or ends early ({error})") from error
    output = root.find("output")
    if output is None or output.find("total_energy") is None:
        raise ValueError(f"{name}: holds no <output> with a total energy; has the run ended?")
    own = root.findtext("output//tot_charge") or root.findtext("input//tot_charge") or "0"
    try:
        vector = _vector(root)
        charge = settled_charge("tot_charge", real(own), net_charge)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error
    parts = [*root.findall("step"), output]
    if len(parts) != sum(part.tag in ("step", "output") for part in root.iter()):
        raise ValueError(f"{name}: a <step> or <output> lies within another; is it damaged?")
    frames: list[Frame] = []
    for part in parts:
        source = f"{name}, frame {len(frames)}"
        failed = _unconverged(part, root)
        if failed and not allow_unconverged:
            raise ValueError(
                f"{source}: electrons have not converged ({failed}); "
                "allow_unconverged=True accepts it"
            )
        try:
            atoms, labels = _labels(part)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{source}: parts are missing or damaged ({error})") from error
        if frames and not np.array_equal(atoms.numbers, frames[0].atoms.numbers):
            raise ValueError(f"{source}: must have the atoms of the other steps in their order")
        frame = Frame(atoms, electric_field=vector, net_charge=charge, source=source, **labels)
        if frames and part is output:
            if _same(frames[-1], frame):
                frame = replace(frame, source=frames.pop().source)
            elif _repeats(frames[-1], frame):
                last = frames.pop()
                frame = last if last.stress is not None else replace(last, stress=frame.stress)
        frames.append(frame)
    return frames


def _unconverged(part: Any, root: Any) -> str:
    """Why the electrons of a step have not converged, or an empty string."""
    if (part.findtext(".//convergence_achieved") or "true").strip() != "true":
        return "convergence_achieved is false"
    error = part.findtext(".//scf_conv/scf_error")
    threshold = root.findtext("input/electron_control/conv_thr")
    if error is None or threshold is None or not float(error) > ACCURACY * float(threshold):
        return ""
    return f"scf_error is {error.strip()}, conv_thr {threshold.strip()}"


def _vector(root: Any) -> Array | None:
    """Homogeneous field in V/Å, None where there is none."""
    found = root.find("input/electric_field")
    if found is None:
        return None
    kind = (found.findtext("electric_potential") or "").strip()
    if kind == "homogenous_field":
        vector = _numbers(found.find("electric_field_vector")) * FIELD
        return vector if vector.any() else None
    if kind == "sawtooth_potential" and real(found.findtext("electric_field_amplitude") or "0"):
        raise ValueError(
            "computed with a sawtooth potential (tefield), which energy and forces contain; give "
            "the run without it"
        )
    return None


def _labels(part: Any) -> tuple[Atoms, dict[str, Any]]:
    structure = part.find("atomic_structure")
    rows = structure.findall("atomic_positions/atom")
    cell = np.array([_numbers(structure.find(f"cell/a{k}")) for k in (1, 2, 3)]) * units.Bohr
    told = structure.get("nat", str(len(rows)))
    order = [row.get("index", str(k)) for k, row in enumerate(rows, start=1)]
    if whole(told) != len(rows) or order != [str(k + 1) for k in range(len(rows))]:
        raise ValueError(f"must list the {told} atoms of `nat` in order, got {len(rows)}")
    positions = table([row.text.split() for row in rows]) * units.Bohr
    symbols = [element(row.get("name")) for row in rows]
    atoms = crystal(symbols, cell, positions)
    labels: dict[str, Any] = {"energy": real(part.findtext("total_energy/etot")) * units.Ha}
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
    return reals(found.text.split())


def _same(a: Frame, b: Frame) -> bool:
    """Whether two frames are of one structure, up to rounding."""
    return np.allclose(
        a.atoms.positions, b.atoms.positions, rtol=0, atol=_ROUNDING
    ) and np.allclose(a.atoms.cell.array, b.atoms.cell.array, rtol=0, atol=_ROUNDING)


def _repeats(a: Frame, b: Frame) -> bool:
    """Whether the second frame has the energy and forces of the first, to all their digits."""
    alike = [
        np.allclose(x, y, rtol=1e-12, atol=1e-15)
        for x, y in ((a.energy, b.energy), (a.forces, b.forces))
        if x is not None and y is not None
    ]
    return bool(alike) and all(alike)
