"""Labels computed in an electric field, kept apart from those without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from ase import Atoms

from ase_bec.data.field_labels import PROOFS, field_labels_hold
from ase_bec.data.frame import Frame
from ase_bec.data.label_names import label_of

SUFFIX = "_zero_field"
SAMPLED = "sampled_in_field"  # key in `info` of the field, V/Å, that frames were sampled in
_ANYWAY = ("net_charge", "config_type")  # labels that a field does not change


def results_of(atoms: Atoms) -> dict[str, Any]:
    """Results of the calculator of the Atoms; with the field and the values without it, if known.

    Raises
    ------
    ValueError
        If the calculator keeps the results of another structure.
    """
    calculator: Any = atoms.calc
    results = dict(getattr(calculator, "results", None) or {})
    if not results:
        return results
    if getattr(calculator, "atoms", None) is not None and hasattr(calculator, "check_state"):
        changed = calculator.check_state(atoms)
        if changed:
            raise ValueError(
                f"results of the calculator must be of this structure, got other {changed[0]}; "
                "compute them again, or remove the calculator"
            )
    if getattr(calculator, "applies_field", False):
        extras = calculator.extras
        results.setdefault("electric_field", np.array(calculator.field))
        for label in ("energy", "forces"):
            if label in results and f"field_{label}" in extras:
                plain = results[label] - extras[f"field_{label}"]
                results.setdefault(label + SUFFIX, plain)
    elif getattr(calculator, "name", None) == "fieldcalculator":  # as trajectories keep it
        field = (getattr(calculator, "parameters", None) or {}).get("field")
        if field is not None:
            results.setdefault("electric_field", field)
    return results


def take_zero_field(places: Iterable[dict[str, Any]], info: dict[str, Any]) -> None:
    """Put values without field in the place of labels, where any are there; in place.

    Labels without such a value are left out then, and the field goes to `info` as the one that the
    structure was sampled in.

    Parameters
    ----------
    places
        Results, `info` and `arrays`.
    info
        That of them which gets the field.
    """
    places = list(places)
    for name in PROOFS:
        info.pop(name, None)
    found: dict[str, Any] = {}
    for place in places:
        for key in [key for key in place if key.endswith(SUFFIX)]:
            value = place.pop(key)
            if label_of(key.removesuffix(SUFFIX)) is not None:
                found.setdefault(key.removesuffix(SUFFIX), value)
    if not found:
        return
    for place in places:
        for key in list(place):
            label = label_of(key)
            if label == "electric_field":
                field = place.pop(key)
                if np.any(field):
                    info[SAMPLED] = np.asarray(field)
            elif label is not None and label not in _ANYWAY:
                del place[key]
    places[0].update(found)


def require_own_labels(atoms: Atoms) -> None:
    """Refuse values without field that were left from another structure, field or calculator.

    Raises
    ------
    ValueError
        If what they say that the field adds to energy and forces is not what it does.
    """
    if any(name in atoms.info for name in PROOFS) and not field_labels_hold(atoms):
        raise ValueError(
            "energy and forces without field must belong to the energy and forces of this frame, "
            "got those of another structure, field or calculator; compute them again, or take "
            "them off with ase_bec.data.field_labels.remove_field_labels"
        )


def require_zero_field(frames: Iterable[Frame], remedy: str) -> None:
    """Refuse frames whose labels contain an electric field.

    Raises
    ------
    ValueError
        Names the first of them, and their number.
    """
    inside = [frame for frame in frames if frame.electric_field is not None]
    if inside:
        field = np.array2string(np.asarray(inside[0].electric_field), separator=", ")
        raise ValueError(
            f"{inside[0].source}: labels must be without electric field, got those in {field} V/Å "
            f"({len(inside)} such frames, without `energy_zero_field`, `forces_zero_field`); "
            f"{remedy}; labels that were computed without field must not stand beside the key "
            "`electric_field`"
        )
