"""Atoms put at random into a cell, none too near to another."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers, covalent_radii
from ase.formula import Formula
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from ase_bec.neighbours import neighbour_list
from ase_bec.workflows.structures.walls import ANIONS

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_GROUPS = {"B": 3, "C": 3, "Si": 4, "P": 4, "Ge": 4, "As": 4}  # anions bound to each such atom
_LIKE = 2.6  # Å, between two anions or two cations
_UNLIKE = 0.95  # of the sum of covalent radii, between an anion and a cation
_BOUND = 0.9  # of that sum, between the centre of a group and its anions
_AROUND = 1.2  # Å, that the centre of a group adds to that length towards other atoms
_TOLERANCE = 0.08
_TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
_TRIANGLE = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [-0.5, -np.sqrt(0.75), 0]])
_STEPS = 400
_ATTEMPTS = 10


def random_structure(formula: str, formula_units: int, density: float, seed: int = 0) -> Atoms:
    """Put the atoms of some formula units at random into a cubic periodic cell.

    B and C are surrounded with three anions and Si, P, Ge and As with four, as long as any are
    left, since a melt in which they are bound to each other may stay that way; S, Se and Te count
    as anions. Then all atoms are pushed apart until an anion and a cation are no nearer than 0.95
    of the sum of their covalent radii, and two of a kind no nearer than 2.6 Å, to within 8 %.
    The result is meant as the start of a melt, not as a final structure.

    Parameters
    ----------
    formula
        Such as "Li3PO4".
    formula_units
        How many.
    density
        In g/cm³.
    seed
        Of the random numbers.

    Returns
    -------
    Atoms
        Elements in the order of the formula.

    Raises
    ------
    ValueError
        If the formula is not one, an argument not positive, or the density too high.

    Examples
    --------
    >>> from ase_bec.workflows import density_of, random_structure
    >>> atoms = random_structure("Li3PO4", 4, density=2.4, seed=1)
    >>> atoms.get_chemical_formula(), round(density_of(atoms), 3)
    ('Li12O16P4', 2.4)
    """
    try:
        numbers = [
            atomic_numbers[symbol]
            for symbol, count in Formula(formula).count().items()
            for _ in range(count * formula_units)
        ]
    except (ValueError, KeyError) as error:
        raise ValueError(f"`formula` must be a formula such as Li3PO4, got {formula!r}") from error
    if not numbers:
        raise ValueError(
            f"`formula` and `formula_units` must give atoms, got {formula!r} and {formula_units}"
        )
    atoms = scaled_to_density(Atoms(numbers, cell=[1.0, 1.0, 1.0], pbc=True), density)
    rng = np.random.default_rng(seed)
    for _ in range(_ATTEMPTS):
        atoms.set_scaled_positions(rng.random((len(atoms), 3)))
        if _push_apart(atoms, _grouped(atoms, rng)):
            return atoms
    raise ValueError(
        f"`density` must leave room for the atoms, got {density:g} g/cm³ for "
        f"{atoms.get_chemical_formula()}: take a lower one, or start from a crystal"
    )


def density_of(atoms: Atoms) -> float:
    """Give the density in g/cm³.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.workflows import density_of
    >>> round(density_of(bulk("NaCl", "rocksalt", 5.64)), 2)
    2.16
    """
    grams = atoms.get_masses().sum() / units.kg * 1000
    return float(grams / (atoms.get_volume() * 1e-24))


def scaled_to_density(atoms: Atoms, density: float) -> Atoms:
    """Give a copy with cell and positions scaled to a density in g/cm³.

    Raises
    ------
    ValueError
        If the density is not positive or the cell has no volume.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.workflows import density_of, scaled_to_density
    >>> denser = scaled_to_density(bulk("NaCl", "rocksalt", 5.64), 2.3)
    >>> round(density_of(denser), 6)
    2.3
    """
    if not 0 < density < np.inf:
        raise ValueError(f"`density` must be positive (g/cm³), got {density}")
    if atoms.cell.rank < 3:
        raise ValueError("`atoms` must have a cell with a volume, got none")
    scaled: Atoms = atoms.copy()
    scaled.set_cell(atoms.cell * (density_of(atoms) / density) ** (1 / 3), scale_atoms=True)
    return scaled


def _grouped(atoms: Atoms, rng: np.random.Generator) -> Integers:
    """Put anions about the atoms that bind them; give each atom the number of its centre."""
    symbols = np.array(atoms.get_chemical_symbols())
    centres = np.arange(len(atoms))
    kinds, counts = np.unique(symbols[np.isin(symbols, ANIONS)], return_counts=True)
    if not len(kinds):
        return centres
    free = np.flatnonzero(symbols == kinds[np.argmax(counts)]).tolist()
    for centre in np.flatnonzero(np.isin(symbols, list(_GROUPS))):
        bound, free = free[: _GROUPS[symbols[centre]]], free[_GROUPS[symbols[centre]] :]
        corners = _TETRAHEDRON if _GROUPS[symbols[centre]] == 4 else _TRIANGLE
        directions = corners[: len(bound)] @ Rotation.random(random_state=rng).as_matrix()
        lengths = _BOUND * (covalent_radii[atoms.numbers[bound]] + _radius(atoms, int(centre)))
        atoms.positions[bound] = atoms.positions[centre] + lengths[:, None] * directions
        centres[bound] = centre
    return centres


def _radius(atoms: Atoms, index: int) -> float:
    return float(covalent_radii[atoms.numbers[index]])


def _push_apart(atoms: Atoms, centres: Integers) -> bool:
    """Minimize the squares of what pairs lack in distance; tell whether little enough is left."""
    outer = _outer_radii(atoms, centres)

    def penalty(flat: Array) -> tuple[float, Array]:
        atoms.positions[:] = flat.reshape(-1, 3)
        i, vectors, lack, lengths, _ = _lacking(atoms, centres, outer)
        gradient = np.zeros_like(atoms.positions)
        np.add.at(gradient, i, (2 * lack / lengths)[:, None] * vectors)
        return float(lack @ lack) / 2, gradient.ravel()

    found = minimize(
        penalty, atoms.positions.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}
    )
    atoms.positions[:] = found.x.reshape(-1, 3)
    _, _, lack, _, wanted = _lacking(atoms, centres, outer)
    return bool(np.all(np.abs(lack) <= _TOLERANCE * wanted))


def _lacking(
    atoms: Atoms, centres: Integers, outer: Array
) -> tuple[Integers, Array, Array, Array, Array]:
    """Pairs: first atom, vector to the second, what its length lacks, length, and wanted length."""
    anion = np.isin(atoms.get_chemical_symbols(), ANIONS)
    radii = covalent_radii[atoms.numbers]
    reach = float(max(_LIKE, _UNLIKE * 2 * radii.max(), np.sqrt(2) * outer.max()))
    i, j, shifts = neighbour_list(atoms, reach)
    vectors = atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array
    lengths = np.linalg.norm(vectors, axis=1)
    wanted = np.where(anion[i] == anion[j], _LIKE, _UNLIKE * (radii[i] + radii[j]))
    wanted = np.maximum(wanted, np.hypot(outer[i], outer[j]))
    bound = ((centres[i] == j) | (centres[j] == i)) & ~shifts.any(axis=1)
    wanted[bound] = _BOUND * (radii[i] + radii[j])[bound]
    lack = np.where(bound, wanted - lengths, np.maximum(wanted - lengths, 0.0))
    return i, vectors, lack, lengths, wanted


def _outer_radii(atoms: Atoms, centres: Integers) -> Array:
    """How far the centres of groups keep others off, in Å; zero for all other atoms."""
    radii, outer = covalent_radii[atoms.numbers], np.zeros(len(atoms))
    for anion in np.flatnonzero(centres != np.arange(len(atoms))):
        centre = centres[anion]
        outer[centre] = _BOUND * (radii[centre] + radii[anion]) + _AROUND
    return outer
