"""Paths of images on one branch of the polarization."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.lattice import shortest_vectors


def unwrap_images(images: Iterable[Atoms]) -> list[Atoms]:
    """Put every image of a path on the branch of its neighbour.

    Each atom of an image is shifted by the lattice vectors that bring it nearest to the same atom
    of the image before, in the periodic directions. The dipole D = Σ q r of an ionic solid jumps
    by q·T when an atom is wrapped by T; along the unwrapped path it is continuous.

    Parameters
    ----------
    images : iterable of Atoms
        In order along the path, with the same elements in the same order, the same cell and the
        same periodicity. Between neighbouring images no atom moves further than half way to its
        next periodic image.

    Returns
    -------
    list of Atoms
        Copies without calculators, whose energies would be on another branch. The first image and
        all atoms that need no shift have exactly the positions given.

    Raises
    ------
    TypeError
        If an image is not Atoms.
    ValueError
        If there is no image, the images don't belong together, or a position is not finite.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec import unwrap_images
    >>> start = bulk("MgO", "rocksalt", 4.2, cubic=True)
    >>> end = start.copy()
    >>> end.positions[0, 0] -= 0.1
    >>> end.wrap()  # takes the atom to the other side of the cell
    >>> [round(float(image.positions[0, 0]), 3) for image in (end, *unwrap_images([start, end]))]
    [4.1, 0.0, -0.1]
    """
    images = list(images)
    require_same_atoms(images)
    unwrapped = [image.copy() for image in images]
    for before, image in pairwise(unwrapped):
        shifts = lattice_shifts(image.positions - before.positions, before)
        image.positions -= shifts @ image.cell.array
    return unwrapped


def lattice_shifts(displacements: NDArray[np.float64], atoms: Atoms) -> NDArray[np.float64]:
    """Whole lattice vectors, (n, 3), that displacements in Å, (n, 3), exceed the shortest by.

    Examples
    --------
    >>> import numpy as np
    >>> from ase import Atoms
    >>> from ase_bec.paths import lattice_shifts
    >>> atoms = Atoms("Li", cell=[4, 4, 4], pbc=True)
    >>> lattice_shifts(np.array([[0.5, 0.0, -3.8]]), atoms).tolist()
    [[0.0, 0.0, -1.0]]
    """
    shortest = shortest_vectors(displacements, atoms.cell.array, atoms.pbc)
    excess = (displacements - shortest) @ np.linalg.inv(atoms.cell.complete().array)
    shifts: NDArray[np.float64] = np.rint(excess)
    return shifts


def require_same_atoms(images: Sequence[Atoms]) -> None:
    """Raise unless all images have the same elements in the same order, cell and periodicity.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.paths import require_same_atoms
    >>> require_same_atoms([Atoms("LiF"), Atoms("LiF", [[0, 0, 0], [0, 0, 1.6]])])
    >>> require_same_atoms([Atoms("LiF"), Atoms("Li")])
    Traceback (most recent call last):
        ...
    ValueError: `images` must have equal numbers of atoms, got 2 in image 0 and 1 in image 1
    """
    if not images:
        raise ValueError("`images` must hold at least one image, got none")
    first = images[0]
    for index, image in enumerate(images):
        if not isinstance(image, Atoms):
            raise TypeError(f"`images` must be Atoms, got {type(image).__name__} at {index}")
        if len(image) != len(first):
            raise ValueError(
                f"`images` must have equal numbers of atoms, got {len(first)} in image 0 and "
                f"{len(image)} in image {index}"
            )
        if not np.array_equal(image.numbers, first.numbers):
            raise ValueError(
                "`images` must have the same elements in the same order, "
                f"got another order or composition in image {index}"
            )
        if not np.allclose(image.cell.array, first.cell.array, rtol=0, atol=1e-6):
            raise ValueError(f"`images` must have one cell, got another in image {index}")
        if (image.pbc != first.pbc).any():
            raise ValueError(f"`images` must have one periodicity, got another in image {index}")
        if not np.isfinite(image.positions).all():
            raise ValueError(f"`images` must have finite positions, got NaN in image {index}")
