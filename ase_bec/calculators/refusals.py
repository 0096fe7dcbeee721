"""Which properties are not defined in a field, and what to use instead."""

from __future__ import annotations

from ase_bec.calculators.electric import ElectricTerm

ENERGIES = ("energy", "free_energy")
ON_DEMAND = ("born_effective_charges", "polarization")


def refusal(name: str, term: ElectricTerm, stress: str) -> str | None:
    """Say why a property is not defined in this field and what to use instead.

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
    if name in ("stress", "stresses") and stress == "error":
        return (
            f"the {name} at fixed field depends on the branch of the dipole; use "
            'stress="zero-field" to have that of the base calculator'
        )
    if name == "energies":
        return "per-atom energies do not add up to the energy in a field; ask the base calculator"
    return None
