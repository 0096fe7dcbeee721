"""Bonds counted by covalent radii, and structures that cannot be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from ase_bec.neighbours import neighbour_list
from ase_bec.workflows.dynamics.limits import UnphysicalStructure

BOND = 1.3  # of the sum of covalent radii
OVERLAP = 0.5


@dataclass(frozen=True, eq=False)
class Bonds:
    """Neighbours of one element around the atoms of another.

    Attributes
    ----------
    centre, neighbour
        Elements.
    cutoff
        1.3 times the sum of their covalent radii, in Å.
    numbers
        Of each atom of the centre's element, [atom].

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.workflows import count_bonds
    >>> bonds = count_bonds(bulk("NaCl", "rocksalt", 5.64, cubic=True))["Na", "Cl"]
    >>> bonds.mean, bonds.fraction(6), round(bonds.cutoff, 2)
    (6.0, 1.0, 3.48)
    """

    centre: str
    neighbour: str
    cutoff: float
    numbers: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Mean number over the atoms."""
        return float(self.numbers.mean())

    def fraction(self, number: int) -> float:
        """Fraction of the centres that have this number of neighbours."""
        return float(np.mean(self.numbers == number))


def count_bonds(atoms: Atoms) -> dict[tuple[str, str], Bonds]:
    """Count neighbours within 1.3 times the sum of covalent radii, for each pair of elements.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from ase_bec.workflows import count_bonds
    >>> bonds = count_bonds(molecule("CH4"))
    >>> bonds["C", "H"].numbers.tolist(), bonds["H", "C"].numbers.tolist()
    ([4], [1, 1, 1, 1])
    """
    elements = dict.fromkeys(atoms.get_chemical_symbols())
    i, j, cutoffs, lengths = _pairs(atoms, BOND)
    near = lengths < cutoffs
    found = {}
    for a in elements:
        for b in elements:
            chosen = near & (atoms.symbols[j] == b)
            numbers = np.bincount(i[chosen], minlength=len(atoms))[atoms.symbols == a]
            radii = [covalent_radii[chemical_symbols.index(symbol)] for symbol in (a, b)]
            found[a, b] = Bonds(a, b, float(BOND * sum(radii)), numbers)
    return found


def require_apart(atoms: Atoms) -> None:
    """Raise where two atoms are nearer than 0.5 of the sum of their covalent radii.

    Raises
    ------
    UnphysicalStructure
        With the two atoms and their distance.
    """
    i, j, cutoffs, lengths = _pairs(atoms, OVERLAP)
    if not len(i) or np.all(lengths >= cutoffs):
        return
    k = int(np.argmin(lengths / cutoffs))
    a, b = (f"{atoms.symbols[n]}{n}" for n in (i[k], j[k]))
    raise UnphysicalStructure(
        f"{a} and {b} are {lengths[k]:.2f} Å apart, less than {OVERLAP} of the sum of their "
        "covalent radii: the potential has left the range that it was made for"
    )


def require_temperature(atoms: Atoms, highest: float) -> None:
    """Raise where the temperature of the atoms is above a bound in K, or not a number.

    Raises
    ------
    UnphysicalStructure
        With the temperature.
    """
    temperature = float(atoms.get_temperature())
    if not temperature <= highest:
        raise UnphysicalStructure(
            f"the temperature is {temperature:.0f} K, above the limit of {highest:.0f} K: take a "
            "shorter time step, or a potential trained on such structures"
        )


def _pairs(
    atoms: Atoms, factor: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Pairs that may be within a factor of the sum of radii: atoms, cutoffs, lengths."""
    radii = factor * covalent_radii[atoms.numbers]
    i, j, shifts = neighbour_list(atoms, 2 * float(radii.max()))
    vectors = atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array
    return i, j, radii[i] + radii[j], np.linalg.norm(vectors, axis=1)
