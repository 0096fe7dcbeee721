"""Branches of the polarization: folding multiples of the quantum away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase.geometry import find_mic

from ase_bec.data.frame import Array, Frame


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
        Charge, e, that the dipole is determined up to a lattice vector of.
    """
    shortest, _ = find_mic(np.atleast_2d(dipole), quantum * np.asarray(cell), pbc=True)
    return np.asarray(shortest.reshape(np.shape(dipole)), dtype=np.float64)


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
    offset: Sequence[float] | Array = (0.0, 0.0, 0.0),
    quantum: float = 1.0,
) -> list[Frame]:
    r"""Put the polarization of every frame on the branch nearest to that of formal charges.

    The cell dipole :math:`D = \Omega P` of a crystal is known up to
    :math:`\sum_i n_i\,e\,\mathbf a_i`. Of all integers :math:`n` these are chosen that make

    .. math:: \Big| D + \sum_i n_i\,e\,\mathbf a_i - \sum_a q_a \mathbf r_a - D_0 \Big|

    smallest. With constant integer charges, an atom wrapped or moved by a lattice vector takes
    its baseline along, so that structures near one another come on one branch.

    Parameters
    ----------
    frames
        Those without polarization are returned as they are.
    charges
        Formal charge per element, e.
    offset
        :math:`D_0` in e·Å: the dipole beyond that of the formal charges about which to fold, for
        structures where it is near half a quantum.
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
        If an element has no charge, or a cell has no volume.

    References
    ----------
    King-Smith & Vanderbilt, Phys. Rev. B 47, 1651 (1993); Spaldin, J. Solid State Chem. 195,
    2 (2012).
    """
    if not quantum > 0:
        raise ValueError(f"`quantum` must be positive, got {quantum}")
    centre = np.asarray(offset, dtype=np.float64)
    if centre.shape != (3,):
        raise ValueError(f"`offset` must have shape (3,), got {centre.shape}")
    folded = []
    for frame in frames:
        dipole = frame.dipole
        if dipole is not None:
            if not frame.atoms.pbc.all():
                raise ValueError(f"{frame.source}: polarization folds in periodic cells only")
            baseline = formal_dipole(frame, charges) + centre
            rest = smallest_dipole(dipole - baseline, frame.atoms.cell.array, quantum)
            volume = frame.atoms.get_volume()
            frame = replace(frame, polarization=(baseline + rest) / volume)
        folded.append(frame)
    return folded
