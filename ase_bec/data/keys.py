"""Names under which files keep their labels, and the labels of Atoms by these names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from ase_bec.data.frame import COULOMB, Array, Frame
from ase_bec.data.units import factors

# In order of preference. Kinds that are no labels (dipole, polarizability, virial) are converted.
ALIASES: dict[str, tuple[str, ...]] = {
    "energy": ("energy", "total_energy", "REF_energy", "dft_energy", "toten", "free_energy"),
    "forces": ("forces", "force", "REF_forces", "dft_forces"),
    "stress": ("stress", "REF_stress", "dft_stress"),
    "virial": ("virial", "virials", "REF_virial"),
    "born_effective_charges": (
        "born_effective_charges",
        "born_charge",
        "born_charges",
        "becs",
        "bec",
        "REF_becs",
        "REF_bec",
    ),
    "polarization": ("polarization", "REF_polarization"),
    "dipole": ("dipole", "REF_dipole"),
    "dielectric_tensor": ("dielectric_tensor", "eps", "epsilon", "dielectric"),
    "polarizability": ("polarizability", "REF_polarizability"),
    "charges": ("charges", "charges_bader", "bader_charges", "REF_charges"),
    "electric_field": ("electric_field",),
    "net_charge": ("net_charge", "tot_charge", "total_charge", "charge"),
    "config_type": ("config_type",),
}


def frame_from_atoms(
    atoms: Atoms,
    source: str = "frame",
    keys: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    displacement_first: bool = False,
) -> Frame:
    r"""Frame of Atoms that carry labels in their calculator's results, `info` or `arrays`.

    Born charges may be (n, 3, 3), (n, 9) row by row, or 9n numbers. A `polarization` beside a
    `born_charge` is a dipole in e·Å, as in the data sets that use that key; elsewhere it is in
    e/Å². Polarizabilities become dielectric tensors,
    :math:`\varepsilon_\infty = 1 + \alpha/(\varepsilon_0\Omega)`, virials stresses,
    :math:`\sigma = -W/\Omega`.

    Parameters
    ----------
    atoms
        Structure; not changed.
    source
        File and frame, for messages.
    keys
        Label to the key that holds it, where it is none of the usual ones.
    units
        Label to its unit, where it is not that of :class:`Frame`.
    displacement_first
        Whether the Born charges given are [displacement, field], to be transposed.

    Raises
    ------
    ValueError
        If a label has the wrong shape or a number that is not finite.
    """
    scales = factors(units)
    rest = atoms.copy()
    found = _labels(rest, atoms, require_keys(keys))
    if _polarization_is_dipole(atoms) and "polarization" not in {**scales, **(keys or {})}:
        found["dipole"] = found.pop("polarization")
    if "positions" in scales:
        rest.set_cell(rest.cell.array * scales["positions"][1])
        rest.positions *= scales["positions"][1]
    key, values = {k: v[0] for k, v in found.items()}, {k: v[1] for k, v in found.items()}
    for label, (kind, factor) in scales.items():
        if label in values:
            values[kind] = _numbers(source, key[label], values.pop(label)) * factor
    _convert(values, rest, source, key)
    if displacement_first and "born_effective_charges" in values:
        values["born_effective_charges"] = values["born_effective_charges"].transpose(0, 2, 1)
    if "config_type" in values:
        values["config_type"] = str(values["config_type"])
    return Frame(rest, source=source, **values)


def require_keys(keys: Mapping[str, str] | None) -> dict[str, str]:
    """Raise ValueError unless all labels of `keys` are known."""
    for label in keys or {}:
        if label not in ALIASES:
            raise ValueError(f"`keys` must name labels of {', '.join(ALIASES)}, got {label!r}")
    return dict(keys or {})


def _labels(rest: Atoms, atoms: Atoms, keys: dict[str, str]) -> dict[str, tuple[str, Any]]:
    """Take the labels, with their keys, out of `rest` and the results of `atoms`."""
    results = dict(getattr(atoms.calc, "results", None) or {})
    places = (results, rest.info, rest.arrays)
    found = {}
    for label, aliases in ALIASES.items():
        for key in (keys[label],) if label in keys else aliases:
            holders = [place for place in places if key in place]
            if not holders or (label == "net_charge" and np.ndim(holders[0][key]) > 0):
                continue
            found[label] = (key, holders[0][key])
            for place in holders:
                del place[key]
            break
    return found


def _polarization_is_dipole(atoms: Atoms) -> bool:
    """Whether the Atoms have the keys of data sets that call the cell dipole polarization."""
    return "born_charge" in atoms.arrays and "polarization" in atoms.info


def _convert(values: dict[str, Any], atoms: Atoms, source: str, key: dict[str, str]) -> None:
    """Bring what has been found to the shapes and kinds of :class:`Frame`, in place."""
    for label in ("born_effective_charges", "stress", "virial", "dielectric_tensor"):
        if label in values:
            shape = (len(atoms), 3, 3) if label == "born_effective_charges" else (3, 3)
            values[label] = _tensor(source, key[label], values[label], shape)
    if "virial" in values:
        virial = values.pop("virial")
        values.setdefault("stress", -virial / _volume(atoms, source, key["virial"]))
    if "dipole" in values:
        name = key.get("dipole", "polarization")
        dipole = _numbers(source, name, values.pop("dipole"))
        if not _has_volume(atoms):
            atoms.info["dipole"] = dipole
        else:
            values.setdefault("polarization", dipole / atoms.get_volume())
    if "polarizability" in values:
        alpha = _tensor(source, "polarizability", values.pop("polarizability"), (3, 3))
        if "dielectric_tensor" not in values:
            volume = _volume(atoms, source, "polarizability")
            values["dielectric_tensor"] = np.eye(3) + 4 * np.pi * COULOMB * alpha / volume


def _tensor(source: str, key: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = _numbers(source, key, value)
    if shape == (3, 3) and array.shape == (6,):
        return np.asarray(voigt_6_to_full_3x3_stress(array))
    if array.size != np.prod(shape) or (array.ndim > 1 and array.shape[0] != shape[0]):
        rows = f"({shape[0]}, 3, 3) or ({shape[0]}, 9)" if len(shape) == 3 else "(3, 3) or (9,)"
        raise ValueError(f"{source}: `{key}` must have shape {rows}, got {array.shape}")
    return array.reshape(shape)


def _numbers(source: str, key: str, value: Any) -> Array:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: `{key}` must be numbers, got {value!r}") from error


def _has_volume(atoms: Atoms) -> bool:
    return bool(atoms.cell.rank == 3)


def _volume(atoms: Atoms, source: str, key: str) -> float:
    if not _has_volume(atoms):
        raise ValueError(f"{source}: `{key}` needs a cell with three lattice vectors")
    return float(atoms.get_volume())
