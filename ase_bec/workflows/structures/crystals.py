"""Crystals to start from."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from ase_bec.workflows.barriers.distinct_hops import vacancy_ends

__all__ = ["beta_lithium_phosphate", "vacancy_hop"]

# Relaxed with the released potential of Shimizu et al. (arXiv:2305.19546); Pmn2_1, polar axis x.
_CELL = (4.94355, 6.23682, 5.33574)  # Å
_FRACTIONS = {
    "Li": (
        (0.98934, 0.24662, 0.32529),
        (0.48934, 0.25338, 0.67471),
        (0.48934, 0.74662, 0.67471),
        (0.98934, 0.75338, 0.32529),
        (0.48833, 0.00000, 0.15453),
        (0.98833, 0.50000, 0.84547),
    ),
    "P": ((0.99704, 0.00000, 0.82342), (0.49704, 0.50000, 0.17658)),
    "O": (
        (0.89212, 0.20550, 0.68667),
        (0.39212, 0.29450, 0.31333),
        (0.39212, 0.70550, 0.31333),
        (0.89212, 0.79450, 0.68667),
        (0.89638, 0.00000, 0.10093),
        (0.39638, 0.50000, 0.89907),
        (0.31231, 0.00000, 0.81810),
        (0.81231, 0.50000, 0.18190),
    ),
}


def beta_lithium_phosphate(repeat: tuple[int, int, int] = (1, 1, 1)) -> Atoms:
    """β-Li3PO4, 16 atoms in a unit cell.

    Parameters
    ----------
    repeat : tuple of int
        Unit cells along each axis; (2, 2, 2) is the supercell of the source paper.

    Examples
    --------
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> beta_lithium_phosphate().get_chemical_formula()
    'Li6O8P2'
    >>> len(beta_lithium_phosphate((2, 2, 2)))
    128
    """
    symbols = [symbol for symbol, rows in _FRACTIONS.items() for _ in rows]
    fractions = np.concatenate([np.array(rows) for rows in _FRACTIONS.values()])
    cell = Atoms(symbols, scaled_positions=fractions, cell=_CELL, pbc=True)
    crystal: Atoms = cell.repeat(repeat)
    return crystal


def vacancy_hop(crystal: Atoms, species: str, axis: int) -> tuple[Atoms, Atoms]:
    """Ends of the shortest hop of an ion into a vacancy that leads mostly along +axis.

    :func:`ase_bec.workflows.barriers.distinct_hops.vacancy_hops` lists all distinct hops.

    Parameters
    ----------
    crystal : Atoms
        Crystal without vacancy.
    species : str
        Element of the ion.
    axis : int
        0, 1 or 2.

    Returns
    -------
    initial, final : Atoms
        The crystal less one ion, atoms in the same order, before and after the hop; not relaxed.

    Raises
    ------
    ValueError
        If there are fewer than two such ions, or no hop within 45 degrees of the axis.

    Examples
    --------
    >>> from ase_bec.workflows import beta_lithium_phosphate, vacancy_hop
    >>> initial, final = vacancy_hop(beta_lithium_phosphate((1, 1, 2)), "Li", axis=2)
    >>> initial.get_chemical_formula()
    'Li11O16P4'
    >>> moved = final.positions - initial.positions
    >>> int((abs(moved).max(axis=1) > 0).sum())  # one ion
    1
    """
    ions = np.flatnonzero(crystal.numbers == Atoms(species).numbers[0]).tolist()
    best: tuple[float, int, int] | None = None
    for vacancy in ions:
        vectors = -crystal.get_distances(vacancy, ions, mic=True, vector=True)
        for ion, vector in zip(ions, vectors, strict=True):
            length = float(np.linalg.norm(vector))
            steep = ion != vacancy and vector[axis] > length * np.sqrt(0.5)
            if steep and (best is None or length < best[0] - 1e-6):
                best = length, ion, vacancy
    if best is None:
        raise ValueError(
            f"`crystal` must have two {species} with a hop mostly along axis {axis}, got none"
        )
    _, ion, vacancy = best
    vector = crystal.get_distance(ion, vacancy, mic=True, vector=True)
    initial, final, _ = vacancy_ends(crystal, ion, vacancy, vector)
    return initial, final
