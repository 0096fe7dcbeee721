"""Branches of the polarization: folding multiples of the quantum away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ase_bec.data.frame import Array, Frame
from ase_bec.lattice import shortest_vectors


def smallest_dipole(dipole: Array, cell: Array, quantum: float = 1.0) -> Array:
    r"""Shortest of the equivalent cell dipoles :math:`D + \sum_i n_i\,e\,\mathbf a_i`.

    Exact in any cell, however skewed.

    Parameters
    ----------
    dipole : array, shape (3,) or (m, 3)
        e·Å.
    cell : array, shape (3, 3)
        Å, rows are lattice vectors.
    quantum
        Charge in e; the dipole is defined up to this charge times a lattice vector.
    """
    return shortest_vectors(dipole, quantum * np.asarray(cell))


def formal_dipole(frame: Frame, charges: Mapping[str, Any]) -> Array:
    r""":math:`\sum_a q_a \mathbf r_a` in e·Å of the positions as given.

    Parameters
    ----------
    frame
        The structure.
    charges
        Formal charge per element in e.

    Raises
    ------
    ValueError
        If an element has no charge.
    """
    missing = sorted(set(frame.atoms.get_chemical_symbols()) - set(charges))
    if missing:
        raise ValueError(f"`charges` must cover all elements, got none for {', '.join(missing)}")
    q = np.array([float(charges[s]) for s in frame.atoms.get_chemical_symbols()])
    return np.asarray(q @ frame.atoms.positions, dtype=np.float64)


def fold_polarization(
    frames: Sequence[Frame],
    charges: Mapping[str, float],
    *,
    reference: Frame | None = None,
    quantum: float = 1.0,
) -> list[Frame]:
    r"""Put the polarization of every frame on the branch nearest to a baseline of formal charges.

    The cell dipole :math:`D = \Omega P` of a crystal is known up to
    :math:`\sum_i n_i\,e\,\mathbf a_i`. The integers :math:`n` are chosen to make

    .. math:: \Big| D + \sum_i n_i\,e\,\mathbf a_i - \sum_a q_a \mathbf r_a - D_0 \Big|

    smallest. With constant integer charges, an atom wrapped or moved by a lattice vector takes
    its baseline along, so that similar structures end up on the same branch.

    Without a reference, :math:`D_0 = 0`: correct if the dipole beyond that of the formal charges
    is less than half a quantum. In large cells of a ferroelectric, whose Born charges are far from
    the formal ones, it is more; then give a reference:

    .. math:: D_0 = D^{ref} - \sum_a q_a \mathbf r_a^{ref}
              + \sum_a \big(\bar Z_a - q_a 1\big) \cdot \Delta\mathbf r_a

    with the mean Born charges of frame and reference (those of one where the other has none; no
    such term where both have none), and the shortest displacements.

    Parameters
    ----------
    frames
        Those without polarization are returned as they are.
    charges
        Formal charge per element, e: whole numbers, with which an atom in another cell takes its
        baseline along by whole quanta.
    reference
        Structure of the same atoms in the same order, such as the paraelectric one. Without
        polarization of its own, its :math:`D^{ref}` is that of the formal charges.
    quantum
        Charge of the quantum, e: 1, or 2 where the code gives the electrons of both spins
        together.

    Returns
    -------
    list of Frame
        In order, with positions as given.

    Raises
    ------
    ValueError
        If an element has no charge or one that is not whole, a cell is not periodic, or the
        reference has other atoms.

    References
    ----------
    King-Smith & Vanderbilt, Phys. Rev. B 47, 1651 (1993); Spaldin, J. Solid State Chem. 195,
    2 (2012).

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.data import Frame, fold_polarization
    >>> atoms = bulk("MgO", "rocksalt", 4.2)
    >>> frame = Frame(atoms, polarization=(0, 0, 0))  # the branch that the code happened to give
    >>> [folded] = fold_polarization([frame], {"Mg": 2, "O": -2})
    >>> folded.dipole.round(6) + 0.0  # e·Å, that of the formal charges
    array([-4.2,  0. ,  0. ])
    """
    if not quantum > 0:
        raise ValueError(f"`quantum` must be positive, got {quantum}")
    _require_whole(charges)
    folded = []
    for frame in frames:
        dipole = frame.dipole
        if dipole is not None:
            if not frame.atoms.pbc.all():
                raise ValueError(f"{frame.source}: polarization folds in periodic cells only")
            baseline = formal_dipole(frame, charges)
            if reference is not None:
                baseline += _beyond_formal(frame, reference, charges)
            rest = smallest_dipole(dipole - baseline, frame.atoms.cell.array, quantum)
            volume = frame.atoms.get_volume()
            frame = replace(frame, polarization=(baseline + rest) / volume)
        folded.append(frame)
    return folded


def _require_whole(charges: Mapping[str, float]) -> None:
    """Refuse charges that would make the branch depend on which cell each atom is in."""
    parts = {s: float(q) for s, q in charges.items() if abs(float(q) - round(float(q))) > 1e-6}
    if parts:
        listed = ", ".join(f"{s} {q:g} (nearest: {round(q):+d})" for s, q in parts.items())
        raise ValueError(
            f"`charges` must be whole formal charges, got {listed}: an atom moved by a lattice "
            "vector would change the baseline by a part of a quantum; give oxidation numbers, not "
            "nominal or Born charges"
        )


def _beyond_formal(frame: Frame, reference: Frame, charges: Mapping[str, float]) -> Array:
    """Dipole beyond that of formal charges, as reference and Born charges have it."""
    if not np.array_equal(frame.atoms.numbers, reference.atoms.numbers):
        raise ValueError(f"{frame.source}: `reference` must have the same atoms in the same order")
    beyond = np.zeros(3)
    if reference.dipole is not None:
        beyond += reference.dipole - formal_dipole(reference, charges)
    known = [f.born_effective_charges for f in (frame, reference)]
    born = [z for z in known if z is not None]
    if born:
        moved = frame.atoms.get_scaled_positions(wrap=False)
        moved -= reference.atoms.get_scaled_positions(wrap=False)
        steps = shortest_vectors(moved @ frame.atoms.cell.array, frame.atoms.cell.array)
        q = np.array([charges[s] for s in frame.atoms.get_chemical_symbols()])
        excess = np.mean(born, axis=0) - q[:, None, None] * np.eye(3)
        beyond += np.einsum("aij,aj->i", excess, steps)
    return beyond
