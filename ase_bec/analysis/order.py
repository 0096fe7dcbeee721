"""Bond-orientational order: how crystalline the surroundings of each atom are."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.special import sph_harm_y

from ase_bec.analysis.statistics import Array
from ase_bec.analysis.trajectory import Integers
from ase_bec.neighbours import neighbour_list

__all__ = ["bond_order", "disordered_fraction"]

Q4_FCC, Q6_FCC = 0.190941, 0.574524  # of twelve neighbours in fcc
DISORDERED = 0.75


def bond_order(atoms: Atoms, element: str, neighbours: int = 12) -> Array:
    r"""Order of each atom's bonds to its nearest neighbours of the same element, 1 in fcc.

    .. math:: \sqrt{\frac{Q_4^2 + Q_6^2}{Q_{4,fcc}^2 + Q_{6,fcc}^2}} , \qquad
              Q_l^2 = \frac{4\pi}{2l+1}\sum_m \Big|\frac1n\sum_j Y_{lm}(\hat r_{ij})\Big|^2

    In an oxide take the sublattice of the metal, whose twelve neighbours make nearly fcc; bonds to
    oxygen, or of all atoms together, do not tell a crystal from a glass.

    Parameters
    ----------
    atoms : Atoms
    element : str
        Chemical symbol of the sublattice.
    neighbours : int
        How many nearest ones count.

    Returns
    -------
    ndarray, shape (n,)
        For the atoms of the element, in their order.

    Raises
    ------
    ValueError
        If there are no such atoms, or not so many neighbours.

    References
    ----------
    P. J. Steinhardt, D. R. Nelson and M. Ronchetti, Phys. Rev. B 28, 784 (1983).

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import bond_order
    >>> print(bond_order(bulk("MgO", "rocksalt", 4.21), "Mg").round(3))
    [1.]
    """
    if neighbours < 1:
        raise ValueError(f"`neighbours` must be 1 or more, got {neighbours}")
    chosen = atoms[[k for k, symbol in enumerate(atoms.symbols) if symbol == element]]
    if not len(chosen):
        raise ValueError(f"`element` must be one of the atoms', got {element!r}")
    vectors = _nearest(chosen, neighbours)  # [i, j, x]
    unit = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    polar, azimuth = np.arccos(np.clip(unit[..., 2], -1, 1)), np.arctan2(unit[..., 1], unit[..., 0])
    square = sum(_q_squared(degree, polar, azimuth) for degree in (4, 6))
    order: Array = np.sqrt(square / (Q4_FCC**2 + Q6_FCC**2))
    return order


def disordered_fraction(
    atoms: Atoms, element: str, neighbours: int = 12, threshold: float = DISORDERED
) -> float:
    """Part of the atoms of an element whose :func:`bond_order` lies below a threshold.

    Between 0 and 1. Atoms of amorphous HfO₂ have about 0.6, those of the crystal 0.9: with 0.5 as
    the threshold both count as ordered.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import disordered_fraction
    >>> atoms = bulk("MgO", "rocksalt", 4.21, cubic=True)
    >>> disordered_fraction(atoms, "Mg")
    0.0
    >>> atoms.rattle(0.4, seed=0)
    >>> disordered_fraction(atoms, "Mg")
    0.5
    """
    return float((bond_order(atoms, element, neighbours) < threshold).mean())


def _q_squared(degree: int, polar: Array, azimuth: Array) -> Array:
    orders = np.arange(-degree, degree + 1)[:, None, None]
    means = sph_harm_y(degree, orders, polar[None], azimuth[None]).mean(axis=2)
    found: Array = 4 * np.pi / (2 * degree + 1) * (np.abs(means) ** 2).sum(axis=0)
    return found


def _nearest(atoms: Atoms, count: int) -> Array:
    """Vectors to the nearest neighbours of each atom, [i, count, 3]."""
    reach, n = 4.0, len(atoms)
    periodic = bool(atoms.pbc.any())
    while True:
        i, vectors = _vectors(atoms, reach)
        if (np.bincount(i, minlength=n) >= count).all():
            break
        if not periodic and n <= count:
            raise ValueError(f"`neighbours` must be below the number of atoms, {n}, got {count}")
        reach *= 1.3
    out = np.empty((n, count, 3))
    for atom in range(n):
        own = vectors[i == atom]
        out[atom] = own[np.argsort((own**2).sum(axis=1), kind="stable")[:count]]
    return out


def _vectors(atoms: Atoms, reach: float) -> tuple[Integers, Array]:
    i, j, shift = neighbour_list(atoms, reach)
    vectors: Array = atoms.positions[j] - atoms.positions[i] + shift @ atoms.cell.array
    return i, vectors
