"""Labels of frames in a field: the field, and energy and forces without it.

They travel with the Atoms, in ``info`` and ``arrays``, through ASE's trajectories and extended XYZ:

===================== ====================================================================
``electric_field``    field in V/Å that energy and forces of the frame are in, (3,)
``energy_zero_field`` energy without field in eV, where the frame has an energy
``field_energy``      what the field adds to it in eV
``forces_zero_field`` forces without field in eV/Å, (natoms, 3), where the frame has forces
``field_force``       root mean square of what the field adds to a force in eV/Å
===================== ====================================================================

The second of each pair tells whether the labels are those of the frame's energy and forces: Atoms
keep their ``info`` when they move or get another calculator. Forces stand in ``info`` as well as
in ``arrays``, since ASE's trajectories keep only the former.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIELD, FORCES = "electric_field", "forces_zero_field"
PROOFS = ("field_energy", "field_force")  # that labels are those of the frame
FIELD_LABELS = (FIELD, "energy_zero_field", FORCES, *PROOFS)
_TOLERANCE = 1e-5  # eV and eV/Å; files keep at least seven digits


def field_labels(atoms: Atoms) -> dict[str, Any]:
    """Return the field labels that Atoms carry, by name."""
    found = {name: atoms.info[name] for name in FIELD_LABELS if name in atoms.info}
    if FORCES in atoms.arrays:
        found[FORCES] = atoms.arrays[FORCES]
    return found


def set_field_labels(atoms: Atoms, labels: Mapping[str, Any]) -> None:
    """Put field labels on Atoms in place of those that they carry."""
    for name in FIELD_LABELS:
        atoms.info.pop(name, None)
    atoms.arrays.pop(FORCES, None)
    atoms.info.update(labels)
    if FORCES in labels:
        atoms.arrays[FORCES] = labels[FORCES]


def remove_field_labels(atoms: Atoms) -> None:
    """Take field labels off Atoms, before they get a calculator that puts on none."""
    set_field_labels(atoms, {})


def field_labels_hold(atoms: Atoms) -> bool:
    """Whether field labels are those of the energy and forces in the results of Atoms.

    Labels that were left from another structure, field or calculator do not hold. Where there is
    nothing that they could disagree with, they do.
    """
    labels, results = field_labels(atoms), getattr(atoms.calc, "results", {})
    energy, forces = results.get("energy"), results.get("forces")
    holds = True
    if energy is not None and "energy_zero_field" in labels:
        added = energy - labels["energy_zero_field"]
        holds &= _near(added, labels.get("field_energy"))
    if forces is not None and FORCES in labels:
        zero = np.asarray(labels[FORCES])
        holds &= zero.shape == np.shape(forces)
        holds = holds and _near(np.sqrt(np.mean((forces - zero) ** 2)), labels.get("field_force"))
    return holds


def known_field(atoms: Atoms) -> Array | None:
    """Field in V/Å that Atoms were computed in, (3,), None where they do not know it."""
    parameters = getattr(atoms.calc, "parameters", {})
    field = atoms.info.get(FIELD)
    if field is None and {"field", "charges", "net_force"} <= set(parameters):
        field = parameters["field"]  # of a trajectory of a field calculator
    elif field is not None and not field_labels_hold(atoms):
        return None
    return None if field is None or np.shape(field) != (3,) else np.array(field, dtype=float)


def _near(value: float, label: float | None) -> bool:
    return label is not None and bool(abs(value - label) <= _TOLERANCE)
