"""Born charges from calculations of one structure in several electric fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ase_bec.data.branches import smallest_dipole
from ase_bec.data.frame import COULOMB, Array, Frame

_RANK = 1e-6  # of the largest field, below which a direction counts as missing


def charges_from_fields(frames: Iterable[Frame]) -> list[Frame]:
    r"""Replace structures computed in fields by one frame each, with Born charges.

    Each structure needs one frame without field and others in fields along three independent
    directions; least squares solve

    .. math:: F_{aj}(E) - F_{aj}(0) = \sum_i E_i Z_{a,ij}, \qquad
              D_i(E) - D_i(0) = \sum_j \alpha_{ij} E_j

    for the Born charges, [field, displacement], and, where polarizations are there, for the
    dielectric tensor :math:`1 + \alpha/(\varepsilon_0\Omega)`. Fields in both directions of an
    axis cancel the terms of second order.

    Parameters
    ----------
    frames
        Those in fields have an `electric_field`. Structures without such a frame are returned as
        they are.

    Returns
    -------
    list of Frame
        The frames without field, in order.

    Raises
    ------
    ValueError
        If a structure lacks its frame without field, forces, or a direction.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from ase_bec.data import Frame, charges_from_fields
    >>> atoms = bulk("MgO", "rocksalt", 4.2)
    >>> frames = [Frame(atoms, forces=np.zeros((2, 3)))]
    >>> for field in 0.01 * np.eye(3):
    ...     frames.append(Frame(atoms, forces=np.outer([2, -2], field), electric_field=field))
    >>> [frame] = charges_from_fields(frames)
    >>> frame.born_effective_charges[:, 2, 2].round(6)
    array([ 2., -2.])
    """
    frames = list(frames)
    bare = [frame for frame in frames if frame.electric_field is None]
    groups: dict[int, list[Frame]] = {k: [] for k in range(len(bare))}
    for frame in frames:
        if frame.electric_field is not None:
            groups[_without_field(frame, bare)].append(frame)
    return [_solved(frame, groups[k]) if groups[k] else frame for k, frame in enumerate(bare)]


def _without_field(frame: Frame, bare: list[Frame]) -> int:
    for k, other in enumerate(bare):
        if (
            np.array_equal(other.atoms.numbers, frame.atoms.numbers)
            and np.allclose(other.atoms.cell.array, frame.atoms.cell.array, rtol=0, atol=1e-5)
            and np.allclose(other.atoms.positions, frame.atoms.positions, rtol=0, atol=1e-5)
        ):
            return k
    raise ValueError(f"{frame.source}: has no frame of the same structure without field")


def _solved(bare: Frame, others: list[Frame]) -> Frame:
    fields = np.array([frame.electric_field for frame in others])  # [m, i]
    if np.linalg.matrix_rank(fields, tol=_RANK * np.abs(fields).max()) < 3:
        raise ValueError(
            f"{bare.source}: needs fields along three independent directions, got {fields.tolist()}"
        )
    changes = np.array([_force_change(frame, bare).ravel() for frame in others])  # [m, a j]
    charges = np.linalg.lstsq(fields, changes, rcond=None)[0].reshape(3, -1, 3)
    solved = replace(bare, born_effective_charges=charges.transpose(1, 0, 2))
    dipoles = [frame.dipole for frame in (bare, *others)]
    known = np.array([dipole for dipole in dipoles if dipole is not None])
    if len(known) < len(dipoles):
        return solved
    cell, volume = bare.atoms.cell.array, bare.atoms.get_volume()
    steps = smallest_dipole(known[1:] - known[0], cell)  # [m, i]
    response = np.linalg.lstsq(fields, steps, rcond=None)[0].T
    return replace(solved, dielectric_tensor=np.eye(3) + 4 * np.pi * COULOMB * response / volume)


def _force_change(frame: Frame, bare: Frame) -> Array:
    if frame.forces is None or bare.forces is None:
        raise ValueError(f"{frame.source}: needs `forces`, with and without field")
    return frame.forces - bare.forces
