"""Names under which files keep their labels, and names that only look like them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

# In order of preference. Kinds that are not labels (dipole, polarizability, virial) are converted.
ALIASES: dict[str, tuple[str, ...]] = {
    "energy": ("energy", "total_energy", "REF_energy", "dft_energy", "toten", "free_energy"),
    "forces": ("forces", "force", "REF_forces", "dft_forces"),
    "stress": ("stress", "REF_stress", "dft_stress"),
    "virial": ("virial", "virials", "REF_virial", "REF_virials"),
    "born_effective_charges": (
        "born_effective_charges",
        "born_charge",
        "born_charges",
        "becs",
        "bec",
        "REF_becs",
        "REF_bec",
    ),
    "polarization": ("polarization", "REF_polarization", "polarisation", "REF_polarisation"),
    "dipole": ("dipole", "REF_dipole"),
    "dielectric_tensor": ("dielectric_tensor", "eps", "epsilon", "dielectric"),
    "polarizability": (
        "polarizability",
        "REF_polarizability",
        "polarisability",
        "REF_polarisability",
    ),
    "charges": ("charges", "charges_bader", "bader_charges", "REF_charges"),
    "electric_field": ("electric_field", "REF_electric_field"),
    "net_charge": ("net_charge", "tot_charge", "total_charge", "charge"),
    "config_type": ("config_type",),
}
PER_ATOM = ("forces", "born_effective_charges", "charges")
EXACT = {alias: label for label, aliases in ALIASES.items() for alias in aliases}

# Words of a key that make it look like a label, and those that say that it is something else.
_WORDS = {
    "energy": {"energy", "etot", "toten", "enthalpy"},
    "forces": {"force", "forces", "gradient", "gradients"},
    "stress": {"stress", "stresses", "virial", "virials"},
    "born_effective_charges": {"bec", "becs", "born", "zstar"},
    "polarization": {"polarization", "polarisation", "dipole", "dipoles"},
    "dielectric_tensor": {"dielectric", "epsilon", "eps", "polarizability", "polarisability"},
    "electric_field": {"field", "efield"},
    "net_charge": {"charge"},
}
_OTHERWISE = re.compile(
    "raw|std|spread|error|err|uncertainty|variance|weights?|mask|threshold|cutoff|residual|kinetic|"
    "formation|hull|gap|fermi|per|max|min|rms|mean|atomic|local|magnetic|crystal|flow|reaction|"
    "velocity|b|h|sampled"
)
_TOTAL = {"net", "total", "tot", "cell", "system"}


def _canonical(key: str) -> str:
    """Key in lower case, in American spelling, without the prefixes of reference data."""
    return re.sub(r"^(ref|dft)_", "", key.lower().replace("polaris", "polariz"))


_CANONICAL = {_canonical(alias): label for alias, label in EXACT.items()}


@lru_cache(maxsize=4096)
def label_of(key: str) -> str | None:
    """Label that a key holds, in upper or lower case, with REF_ or DFT_ before it, or None."""
    return EXACT.get(key) or _CANONICAL.get(_canonical(key))


def unusual_notes(keys: Iterable[str], name: str) -> tuple[str, ...]:
    """A line about keys that are read though they are not spelt as documented."""
    found = {key: label for key in keys if key not in EXACT and (label := label_of(key))}
    if not found:
        return ()
    listed = ", ".join(f"{label} from `{key}`" for key, label in sorted(found.items()))
    return (f"{name}: labels were read by unusual keys: {listed}",)


@lru_cache(maxsize=4096)
def _looks_like(key: str) -> str | None:
    """Label that the words of a key name, or None."""
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", key)}
    if any(map(_OTHERWISE.fullmatch, words)) or words >= {"force", "field"}:
        return None
    found = next((label for label, known in _WORDS.items() if words & known), None)
    return None if found == "net_charge" and not words & _TOTAL else found


def suspect(key: str, value: Any, n: int) -> str | None:
    """Label that an unread key seems to hold, by its words and the shape of its value, or None.

    Parameters
    ----------
    key, value
        As they are in the file.
    n
        Number of atoms.
    """
    label = _looks_like(key)
    if label is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        return None
    sizes = {
        "energy": (1,),
        "forces": (3 * n,),
        "stress": (6, 9),
        "born_effective_charges": (9 * n,),
        "polarization": (3,),
        "dielectric_tensor": (9,),
        "electric_field": (1, 3),
        "net_charge": (1,),
    }[label]
    fits = array.size in sizes and (label != "forces" or array.ndim == 2)
    return label if fits else None
