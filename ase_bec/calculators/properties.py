"""Which ASE properties there are in a field: refused, combined, or computed on demand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_bec.calculators.electric import Contribution, ElectricTerm

Array = NDArray[np.float64]

ENERGIES = ("energy", "free_energy")
ON_DEMAND = ("born_effective_charges", "polarization", "charges")


def offered(base: Iterable[str], term: ElectricTerm) -> list[str]:
    """List the properties in a field over a base calculator that has those of `base`."""
    own = (*ENERGIES, "forces", *ON_DEMAND[:2])
    energies = () if term.energy == "none" else ENERGIES
    on_demand = ON_DEMAND[:2] if term.has_dipole else ON_DEMAND[:1]
    kept = [name for name in base if name not in own]
    if has_charges(term) and "charges" not in kept:
        kept.append("charges")
    return [*kept, *energies, "forces", *on_demand]


def has_charges(term: ElectricTerm) -> bool:
    """Whether the source of Born charges gives charges of atoms in a field."""
    return bool(getattr(term.source, "has_charges", False))


def combined(
    base: dict[str, Any], contribution: Contribution, term: ElectricTerm, stress: str
) -> dict[str, Any]:
    """Add what a field contributes to the results of the base calculator.

    Results that are refused or computed on demand are left out, as are energies if the field's was
    not computed.
    """
    results = {
        name: value
        for name, value in base.items()
        if name not in ON_DEMAND[:2] and refusal(name, term, stress) is None
    }
    if has_charges(term):
        results.pop("charges", None)  # those without field
    if "forces" in results:
        results["forces"] = results["forces"] + contribution.forces
    for name in ENERGIES:
        energy = results.pop(name, None)
        if energy is not None and contribution.energy is not None:
            results[name] = energy + contribution.energy
    return results


def labels(
    field: Array, base: dict[str, Any], contribution: Contribution, results: dict[str, Any]
) -> dict[str, Any]:
    """Return the labels that Atoms carry in a field; see `ase_bec.data.field_labels`.

    Parameters
    ----------
    field
        V/Å, (3,).
    base
        Results of the base calculator.
    contribution
        What the field adds to them.
    results
        The combined results.
    """
    found: dict[str, Any] = {"electric_field": field}
    if "energy" in results:
        found |= {"energy_zero_field": base["energy"], "field_energy": contribution.energy}
    if "forces" in results:
        size = float(np.sqrt(np.mean(contribution.forces**2)))
        found |= {"forces_zero_field": base["forces"].copy(), "field_force": size}
    return found


def refusal(name: str, term: ElectricTerm, stress: str) -> str | None:
    """Explain why a property is not defined in this field and what to use instead.

    Parameters
    ----------
    name : str
        Property, by its ASE name.
    term : ElectricTerm
        The field with its options.
    stress : {"error", "zero-field"}
        Whether the stress without field may stand for that in the field.

    Returns
    -------
    str or None
        None where the property is defined.
    """
    if name in ENERGIES and term.energy == "none":
        return (
            'the energy is not defined with energy="none"; use energy="work" with a `reference`, '
            'or charges with a dipole and energy="potential"'
        )
    if name == "polarization" and not term.has_dipole:
        return "the polarization is not defined for charges without a dipole"
    if not term.field.any():
        return None
    if name == "charges" and not has_charges(term):
        return (
            "charges respond to a field, those of the base calculator do not: give `charges` a "
            "model that has them, or ask the base calculator"
        )
    if name in ("stress", "stresses") and stress == "error":
        return (
            f"the {name} at fixed field depends on the branch of the dipole; use "
            'stress="zero-field" to have that of the base calculator'
        )
    if name == "energies":
        return "per-atom energies do not add up to the energy in a field; ask the base calculator"
    return None
