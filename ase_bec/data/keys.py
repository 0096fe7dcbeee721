"""Labels of Atoms, by the names under which files keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import COULOMB, Array, Frame
from ase_bec.data.in_field import require_own_labels, results_of, take_zero_field
from ase_bec.data.label_names import ALIASES, PER_ATOM, label_of, suspect
from ase_bec.data.net_charge import settled_charge
from ase_bec.data.units import factors

# Kinds that are converted, and the labels that they become.
_BECOME = {"virial": "stress", "dipole": "polarization", "polarizability": "dielectric_tensor"}
# Differences of two values of one label that are rounding: absolute, and relative.
_ROUNDING = {
    "energy": (1e-3, 1e-7),
    "forces": (1e-3, 1e-4),
    "stress": (1e-4, 1e-3),
    "born_effective_charges": (1e-3, 1e-3),
    "polarization": (1e-4, 1e-3),
    "dielectric_tensor": (1e-2, 1e-3),
    "electric_field": (1e-9, 1e-6),
    "charges": (1e-4, 1e-3),
    "net_charge": (1e-6, 0.0),
}
_ENTROPY = 0.1  # eV per atom, by which a free energy may differ from the energy


class _Candidate(NamedTuple):
    """A value that holds a label, and the key that it stands under."""

    label: str
    key: str
    value: Any


def frame_from_atoms(
    atoms: Atoms,
    source: str = "frame",
    keys: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    displacement_first: bool = False,
    net_charge: float | None = None,
) -> Frame:
    r"""Frame of Atoms that carry labels in their calculator's results, `info` or `arrays`.

    Born charges may be (n, 3, 3), (n, 9) row by row, or 9n numbers. A `polarization` next to a
    `born_charge` is a dipole in e·Å, as in the data sets that use that key; elsewhere it is in
    e/Å². Polarizabilities become dielectric tensors,
    :math:`\varepsilon_\infty = 1 + \alpha/(\varepsilon_0\Omega)`, virials stresses,
    :math:`\sigma = -W/\Omega`.

    Values under keys that end in `_zero_field` are those without the field of `electric_field`:
    they become the labels, and what the file has in the field alone is left out.

    Parameters
    ----------
    atoms
        Structure; not changed.
    source
        File and frame, for messages.
    keys
        The key that holds each label, if it is not a usual one, or one of several.
    units
        The unit of each label, if it is not that of :class:`Frame`.
    displacement_first
        Whether the Born charges given are [displacement, field], to be transposed.
    net_charge
        Net charge in e of structures that don't give their own.

    Raises
    ------
    ValueError
        If a label has the wrong shape or a number that is not finite, two values of one label
        disagree, or an unknown key holds an electric field.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.data import frame_from_atoms
    >>> atoms = bulk("MgO", "rocksalt", 4.2)
    >>> atoms.info["energy_pbe"] = -0.437
    >>> frame = frame_from_atoms(atoms, keys={"energy": "energy_pbe"}, units={"energy": "Ha"})
    >>> round(frame.energy, 2)
    -11.89
    """
    scales = factors(units)
    chosen = require_keys(keys)
    rest = atoms.copy()
    try:
        require_own_labels(atoms)
        results = results_of(atoms)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    places = (results, rest.info, rest.arrays)
    take_zero_field(places, rest.info)
    is_dipole = _polarization_is_dipole(atoms) and "polarization" not in {**scales, **chosen}
    found = _candidates(places, chosen)
    if "positions" in scales:
        rest.set_cell(rest.cell.array * scales["positions"][1])
        rest.positions *= scales["positions"][1]
    for index, candidate in enumerate(found):
        if candidate.label in scales:
            kind, factor = scales[candidate.label]
            value = _numbers(source, candidate.key, candidate.value) * factor
            found[index] = _Candidate(kind, candidate.key, value)
        elif candidate.label == "polarization" and is_dipole:
            found[index] = candidate._replace(label="dipole")
    values = _agreed(found, rest, source)
    _refuse_unread_field(rest, results, source)
    if displacement_first and "born_effective_charges" in values:
        values["born_effective_charges"] = values["born_effective_charges"].transpose(0, 2, 1)
    if "electric_field" in values and not values["electric_field"].any():
        del values["electric_field"]
    values["net_charge"] = settled_charge(source, values.get("net_charge"), net_charge)
    return Frame(rest, source=source, **values)


def require_keys(keys: Mapping[str, str] | None) -> dict[str, str]:
    """Raise ValueError unless all labels of `keys` are known."""
    for label in keys or {}:
        if label not in ALIASES:
            raise ValueError(f"`keys` must name labels of {', '.join(ALIASES)}, got {label!r}")
    return dict(keys or {})


def _candidates(places: tuple[dict[str, Any], ...], chosen: dict[str, str]) -> list[_Candidate]:
    """Take all values that hold labels out of the places, in order of preference."""
    settled = {_BECOME.get(label, label) for label in chosen}
    by_key = {key: label for label, key in chosen.items()}
    found = []
    for place in places:
        for key in list(place):
            label = by_key.get(key) or label_of(key)
            if label is None or (label == "net_charge" and np.ndim(place[key]) > 0):
                continue
            if place is places[-1] and key not in by_key and label not in PER_ATOM:
                continue
            value = place.pop(key)
            if key in by_key or _BECOME.get(label, label) not in settled:
                found.append(_Candidate(label, key, value))
    order = list(ALIASES)
    return sorted(found, key=lambda c: (order.index(c.label), _preference(c)))


def _preference(candidate: _Candidate) -> int:
    aliases = ALIASES[candidate.label]
    return aliases.index(candidate.key) if candidate.key in aliases else len(aliases)


def _polarization_is_dipole(atoms: Atoms) -> bool:
    """Whether the Atoms have the keys of data sets that call the cell dipole polarization."""
    return "born_charge" in atoms.arrays and "polarization" in atoms.info


def _agreed(found: list[_Candidate], atoms: Atoms, source: str) -> dict[str, Any]:
    """One value for each label of :class:`Frame`; refuse those that disagree."""
    values: dict[str, Any] = {}
    keys: dict[str, str] = {}
    for candidate in found:
        if candidate.label == "config_type":
            values.setdefault("config_type", str(candidate.value))
            continue
        if candidate.label in ("dipole", "polarization") and not _has_volume(atoms):
            dipole = _numbers(source, candidate.key, candidate.value)
            if candidate.label == "dipole":
                atoms.info.setdefault("dipole", dipole)  # of a molecule
                continue
        name = _BECOME.get(candidate.label, candidate.label)
        value = _converted(candidate, atoms, source)
        if name not in values:
            values[name], keys[name] = value, candidate.key
        elif not _alike(name, values[name], value, candidate.key, atoms):
            raise ValueError(
                f"{source}: `{keys[name]}` and `{candidate.key}` must agree, got "
                f"{_shown(values[name])} and {_shown(value)} for `{name}`; choose with "
                f"keys={{'{candidate.label}': '{candidate.key}'}}"
            )
    return values


def _alike(name: str, a: Array, b: Array, key: str, atoms: Atoms) -> bool:
    """Whether two values of a label are equal up to rounding."""
    if a.shape != b.shape:
        return False
    difference = a - b
    if name == "polarization":
        difference = smallest_dipole(difference * atoms.get_volume(), atoms.cell.array)
        difference /= atoms.get_volume()
    absolute, relative = _ROUNDING[name]
    if name == "energy" and "free_energy" in key.lower():
        absolute = _ENTROPY * len(atoms)
    allowed = absolute + relative * max(float(np.abs(a).max()), float(np.abs(b).max()))
    return bool(np.abs(difference).max() <= allowed)


def _shown(value: Array) -> str:
    """Value in a few words."""
    return f"{float(value):g}" if value.size == 1 else f"{value.ravel()[:3].tolist()} …"


def _converted(candidate: _Candidate, atoms: Atoms, source: str) -> Array:
    """Value in the shape and of the kind of a label of :class:`Frame`."""
    label, key, value = candidate
    if label in ("stress", "virial", "dielectric_tensor", "polarizability"):
        tensor = _tensor(source, key, value, (3, 3), voigt=label in ("stress", "virial"))
        if label == "virial":
            return -tensor / _volume(atoms, source, key)
        if label == "polarizability":
            return np.eye(3) + 4 * np.pi * COULOMB * tensor / _volume(atoms, source, key)
        return tensor
    if label == "born_effective_charges":
        return _tensor(source, key, value, (len(atoms), 3, 3))
    array = _numbers(source, key, value)
    if label == "dipole":
        return array / _volume(atoms, source, key)
    return array


def _tensor(
    source: str, key: str, value: Any, shape: tuple[int, ...], voigt: bool = False
) -> Array:
    """Tensor of nine numbers, or of six in ASE's order, which has a meaning for stress only."""
    array = _numbers(source, key, value)
    if voigt and array.shape == (6,):
        return np.asarray(voigt_6_to_full_3x3_stress(array))
    if array.size != np.prod(shape) or (array.ndim > 1 and array.shape[0] != shape[0]):
        rows = f"({shape[0]}, 3, 3) or ({shape[0]}, 9)" if len(shape) == 3 else "(3, 3) or (9,)"
        raise ValueError(f"{source}: `{key}` must have shape {rows}, got {array.shape}")
    return array.reshape(shape)


def _numbers(source: str, key: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
        if array.dtype.kind in "fiu":
            return np.array(array, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{source}: `{key}` must be numbers, got {repr(value)[:60]}")


def _refuse_unread_field(atoms: Atoms, results: dict[str, Any], source: str) -> None:
    """Refuse a key that means an electric field and is not the one that is read."""
    for place in (atoms.info, results):
        for key, value in place.items():
            if suspect(key, value, len(atoms)) == "electric_field" and np.any(value):
                shown = _shown(np.asarray(value))
                raise ValueError(
                    f"{source}: `{key}` looks like an electric field that is not read, got "
                    f"{shown}; give keys={{'electric_field': '{key}'}} if it is one, three numbers "
                    "in V/Å, or take the key out of the file"
                )


def _has_volume(atoms: Atoms) -> bool:
    return bool(atoms.cell.rank == 3)


def _volume(atoms: Atoms, source: str, key: str) -> float:
    if not _has_volume(atoms):
        raise ValueError(f"{source}: `{key}` needs a cell with three lattice vectors")
    return float(atoms.get_volume())
