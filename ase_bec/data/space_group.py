"""Space-group operations of a crystal, and tensors of equivalent atoms."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from ase_bec.data.frame import Array


class Operation(NamedTuple):
    """Rotation, (3, 3), of Cartesian vectors, and the atom that each atom is taken to."""

    rotation: Array
    images: NDArray[np.int64]


def operations(atoms: Atoms, tolerance: float = 1e-5) -> list[Operation]:
    r"""All operations :math:`r \to R\,r + t` that take a crystal onto itself.

    Parameters
    ----------
    atoms
        Periodic in three directions.
    tolerance
        Å, by which an atom may miss its image.

    Returns
    -------
    list of Operation
        One for each rotation and translation; the identity is among them.

    Raises
    ------
    ValueError
        If two atoms are in one place.
    """
    scaled = atoms.get_scaled_positions(wrap=False)
    cell = atoms.cell.array
    rarest = min(set(atoms.numbers), key=lambda z: int((atoms.numbers == z).sum()))
    origin, *_ = candidates = np.flatnonzero(atoms.numbers == rarest)
    found = []
    for rotation in _lattice_rotations(cell, tolerance):
        turned = scaled @ (cell @ rotation.T @ np.linalg.inv(cell))
        for target in candidates:
            moved = turned + (scaled[target] - turned[origin])
            images = _images(moved, scaled, atoms.numbers, cell, tolerance)
            if images is not None:
                found.append(Operation(rotation, images))
    if not found:  # not even the identity
        raise ValueError("structure must have no two atoms in one place")
    return found


def orbits(found: list[Operation]) -> NDArray[np.int64]:
    """For each atom the first atom that it is equivalent to."""
    first: NDArray[np.int64] = np.min([operation.images for operation in found], axis=0)
    return first


def expand(tensors: Array, found: list[Operation]) -> Array:
    r"""Tensors of all atoms from those of the first atom of each orbit.

    .. math:: Z_b = \langle R\, Z_a R^T \rangle_{R: a \to b}

    Parameters
    ----------
    tensors : array, shape (m, 3, 3)
        Of inequivalent atoms, in order of their first atoms.
    found
        Operations of the crystal.

    Returns
    -------
    array, shape (n, 3, 3)

    Raises
    ------
    ValueError
        If there are not as many tensors as orbits, or one breaks the symmetry of its site.
    """
    first = np.unique(orbits(found))
    if len(first) != len(tensors):
        raise ValueError(f"must have {len(first)} tensors, one per inequivalent atom")
    n = len(found[0].images)
    total, count = np.zeros((n, 3, 3)), np.zeros(n)
    for rotation, images in found:
        for a, tensor in zip(first, tensors, strict=True):
            total[images[a]] += rotation @ tensor @ rotation.T
            count[images[a]] += 1
    expanded: Array = total / count[:, None, None]
    broken = np.abs(expanded[first] - tensors).max(axis=(1, 2))
    worst = int(broken.argmax())
    if broken[worst] > 0.05:
        raise ValueError(
            f"tensor {worst} breaks the symmetry of its site (atom {first[worst]}) by "
            f"{broken[worst]:.3f} e; are tensors and atoms in the same order and axes?"
        )
    return expanded


def _lattice_rotations(cell: Array, tolerance: float) -> list[Array]:
    """Orthogonal matrices that take the lattice onto itself."""
    reduced, _ = minkowski_reduce(cell)
    grid = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)))
    points = grid @ reduced
    lengths = np.linalg.norm(points, axis=1)
    alike = [points[abs(lengths - np.linalg.norm(v)) < 2 * tolerance] for v in reduced]
    inverse = np.linalg.inv(reduced)
    gram = reduced @ reduced.T
    allowed = 4 * tolerance * np.sqrt(np.outer(np.diag(gram), np.diag(gram))).max() ** 0.5
    rotations = []
    for a, b in product(alike[0], alike[1]):
        if abs(a @ b - gram[0, 1]) > allowed:
            continue
        for c in alike[2]:
            if abs(a @ c - gram[0, 2]) > allowed or abs(b @ c - gram[1, 2]) > allowed:
                continue
            rotations.append(_orthogonal((inverse @ np.array([a, b, c])).T))
    return rotations


def _orthogonal(matrix: Array) -> Array:
    """Nearest orthogonal matrix."""
    u, _, v = np.linalg.svd(matrix)
    return np.asarray(u @ v)


def _images(
    moved: Array, scaled: Array, numbers: NDArray[np.int64], cell: Array, tolerance: float
) -> NDArray[np.int64] | None:
    """Atom that lies at each moved position, or None where one has none."""
    images = np.full(len(scaled), -1)
    for a, position in enumerate(moved):
        same = np.flatnonzero(numbers == numbers[a])
        difference = scaled[same] - position
        distance = np.linalg.norm((difference - np.rint(difference)) @ cell, axis=1)
        nearest = int(distance.argmin())
        if distance[nearest] > tolerance:
            return None
        images[a] = same[nearest]
    return images if len(set(images.tolist())) == len(images) else None
