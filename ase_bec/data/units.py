"""Units in which files may give their labels."""

from __future__ import annotations

from collections.abc import Mapping

from ase import units as ase_units

from ase_bec.data.frame import COULOMB

_GPA = ase_units.GPa
_C_PER_M2 = ase_units.C / ase_units.m**2  # e/Å²

FACTORS: dict[str, dict[str, float]] = {
    "positions": {"Å": 1.0, "bohr": ase_units.Bohr, "nm": 10.0},
    "energy": {
        "eV": 1.0,
        "meV": 1e-3,
        "Ha": ase_units.Ha,
        "Ry": ase_units.Ry,
        "kcal/mol": ase_units.kcal / ase_units.mol,
        "kJ/mol": ase_units.kJ / ase_units.mol,
    },
    "forces": {
        "eV/Å": 1.0,
        "meV/Å": 1e-3,
        "Ha/bohr": ase_units.Ha / ase_units.Bohr,
        "Ry/bohr": ase_units.Ry / ase_units.Bohr,
        "kcal/mol/Å": ase_units.kcal / ase_units.mol,
        "kJ/mol/Å": ase_units.kJ / ase_units.mol,
    },
    "stress": {
        "eV/Å^3": 1.0,
        "GPa": _GPA,
        "kbar": 0.1 * _GPA,
        "Ha/bohr^3": ase_units.Ha / ase_units.Bohr**3,
        "Ry/bohr^3": ase_units.Ry / ase_units.Bohr**3,
    },
    "polarization": {"e/Å^2": 1.0, "C/m^2": _C_PER_M2, "µC/cm^2": 0.01 * _C_PER_M2},
    "dipole": {"e Å": 1.0, "e bohr": ase_units.Bohr, "debye": ase_units.Debye},
    "polarizability": {"e Å^2/V": 1.0, "Å^3": 1 / COULOMB, "bohr^3": ase_units.Bohr**3 / COULOMB},
}


def factors(units: Mapping[str, str] | None) -> dict[str, tuple[str, float]]:
    """Kind of quantity and factor to internal units for every label whose unit is given.

    The kind is the name of the label, except for a polarization given as a dipole.

    Raises
    ------
    ValueError
        If a label or unit is not known.
    """
    found = {}
    for label, unit in (units or {}).items():
        if label not in FACTORS:
            raise ValueError(f"`units` must be of {', '.join(FACTORS)}, got {label!r}")
        kinds = ("polarization", "dipole") if label == "polarization" else (label,)
        plain = _plain(unit)
        for kind in kinds:
            for name, factor in FACTORS[kind].items():
                if plain == _plain(name):
                    found[label] = (kind, factor)
        if label not in found:
            known = [f"'{name}'" for kind in kinds for name in FACTORS[kind]]
            raise ValueError(f"`units` of {label!r} must be {' or '.join(known)}, got {unit!r}")
    return found


def _plain(unit: str) -> str:
    """Spell a unit in one way."""
    text = str(unit).replace("Angstrom", "Å").replace("Ang", "Å").replace("\u00c5", "A")
    text = text.replace("\u212b", "A").replace("**", "^").replace("µ", "u").replace("μ", "u")
    return (
        text.replace(" ", "")
        .replace("*", "")
        .replace("·", "")
        .replace("²", "^2")
        .replace("³", "^3")
        .lower()
    )
