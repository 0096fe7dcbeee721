"""Neighbour list under any periodic boundary condition."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ase_bec.kernels.cache import HAS_NUMBA, announce_compilation

__all__ = ["Pairs", "check_atoms", "neighbour_list", "neighbour_pairs"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LARGEST_COORDINATE = 1e8  # Å; beyond it, float64 no longer resolves 1e-8 Å
_SMALLEST_VOLUME = 1e-6  # of the periodic vectors, relative to the product of their lengths
_SMALLEST_DISTANCE = 1e-6  # Å; closer atoms are the same atom listed twice
_SHORTEST_TRANSLATION = 0.1  # Å; atoms closer than this to their own image are no structure
_FEW_ATOMS = 2048  # up to so many, trying all images is faster than a tree
_MOST_IMAGES = 2e7


class Pairs(NamedTuple):
    """Neighbours of every atom.

    Attributes
    ----------
    first : ndarray, (n_atoms + 1,) int64
        Those of atom i are ``first[i]:first[i + 1]``.
    neighbour : ndarray, (n_pairs,) int64
        Atoms j.
    shift : ndarray, (n_pairs, 3) int32
        Lattice shifts S.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.neighbours import neighbour_pairs
    >>> pairs = neighbour_pairs(bulk("NaCl", "rocksalt", 5.64), cutoff=3.0)
    >>> pairs.first.tolist()  # six neighbours of each of the two atoms
    [0, 6, 12]
    >>> pairs.neighbour[pairs.first[0] : pairs.first[1]].tolist()
    [1, 1, 1, 1, 1, 1]
    """

    first: IntArray
    neighbour: IntArray
    shift: NDArray[np.int32]


def neighbour_list(atoms: Atoms, cutoff: float) -> tuple[IntArray, IntArray, IntArray]:
    r"""All pairs of atoms within a cutoff, periodic images included.

    Pair :math:`(i, j, S)` stands for the vector

    .. math:: \mathbf r_{ij} = \mathbf r_j - \mathbf r_i + S \cdot \mathrm{cell}

    of the positions *as given*: atoms may lie outside the cell and are never wrapped. Each pair
    is listed from both ends. In a small cell an atom is a neighbour of its own images
    (:math:`i = j`, :math:`S \ne 0`), of several images of one atom, and so on. The cell may be
    skewed, left-handed, or much smaller than the cutoff. Cell vectors of non-periodic directions
    are not used and may be zero.

    Parameters
    ----------
    atoms
        The structure.
    cutoff
        Longest distance :math:`|\mathbf r_{ij}|` in Å, up to rounding.

    Returns
    -------
    i, j : ndarray, shape (n_pairs,), int64
        Centres, in ascending order, and neighbours.
    S : ndarray, shape (n_pairs, 3), int64
        Lattice shifts; zero along non-periodic directions.

    Raises
    ------
    TypeError
        If `atoms` is not an :class:`ase.Atoms`.
    ValueError
        If `cutoff` is not positive and finite; if there are no atoms, dummy atoms, two atoms in
        one place, positions that are not finite; if the cell is not finite or its periodic
        vectors span no volume.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from ase_bec.neighbours import neighbour_list
    >>> salt = bulk("NaCl", "rocksalt", 5.64)
    >>> i, j, shifts = neighbour_list(salt, cutoff=3.0)
    >>> i.tolist()
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    >>> vectors = salt.positions[j] - salt.positions[i] + shifts @ salt.cell.array
    >>> bool(np.allclose(np.linalg.norm(vectors, axis=1), 5.64 / 2))
    True
    """
    pairs = neighbour_pairs(atoms, cutoff)
    centre = np.repeat(np.arange(len(atoms)), np.diff(pairs.first))
    return centre, pairs.neighbour, pairs.shift.astype(np.int64)


def neighbour_pairs(atoms: Atoms, cutoff: float) -> Pairs:
    """The same pairs, in the same order, as arrays of least size; errors as `neighbour_list`.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.neighbours import neighbour_pairs
    >>> pairs = neighbour_pairs(bulk("Cu", a=3.6), cutoff=3.0)
    >>> len(pairs.neighbour), pairs.shift.shape
    (12, (12, 3))
    """
    check_distance("cutoff", cutoff)
    check_atoms(atoms)
    _check_lattice(atoms)
    found = _of_few(atoms, cutoff) if HAS_NUMBA and len(atoms) <= _FEW_ATOMS else None
    return _of_many(atoms, cutoff) if found is None else found


def _of_few(atoms: Atoms, cutoff: float) -> Pairs | None:
    """Pairs by trying all images; None where there would be too many to try."""
    from ase_bec.kernels.neighbours import image_pairs

    cell = atoms.cell.array if atoms.pbc.all() else _periodic_cell(atoms)
    inverse = np.linalg.inv(cell)
    # Rounding must not cost a pair, so look a little further than the cutoff.
    reach = cutoff * (1.0 + 1e-6) * np.sqrt((inverse**2).sum(axis=0)) + 1e-9
    reach[~atoms.pbc] = -1.0
    images = np.prod(np.where(atoms.pbc, 2 * reach + 1, 1))
    if len(atoms) ** 2 * float(images) > _MOST_IMAGES:
        return None
    announce_compilation(image_pairs)
    positions = np.ascontiguousarray(atoms.positions, dtype=np.float64)
    first = np.empty(len(atoms) + 1, np.int64)
    given = (positions, positions @ inverse, cell, reach, float(cutoff), first)
    nearest, i, j = image_pairs(*given, np.empty(0, np.int64), np.empty((0, 3), np.int32))
    _check_distinct(math.sqrt(nearest), i, j)
    neighbour, shift = np.empty(first[-1], np.int64), np.empty((first[-1], 3), np.int32)
    if first[-1]:
        image_pairs(*given, neighbour, shift)
    return Pairs(first, neighbour, shift)


def _of_many(atoms: Atoms, cutoff: float) -> Pairs:
    """Pairs by a tree of all atoms and their images near by."""
    vectors, operation = _reduced_lattice(atoms)
    positions: FloatArray = np.asarray(atoms.positions, dtype=np.float64)
    to_fraction: FloatArray = np.linalg.pinv(vectors).astype(np.float64)  # [3, k]
    home = np.floor(positions @ to_fraction)  # [n_atoms, k]
    wrapped = positions - home @ vectors

    points, image_of, image_shift = _images(wrapped, vectors, to_fraction, cutoff)
    found = cKDTree(wrapped).sparse_distance_matrix(cKDTree(points), cutoff, output_type="ndarray")
    found = found[found["i"] != found["j"]]  # the first n_atoms points are the atoms themselves
    i, image = found["i"].astype(np.int32), found["j"].astype(np.int64)
    j = image_of[image]
    if len(found):
        nearest = int(found["v"].argmin())
        _check_distinct(found["v"][nearest], i[nearest], j[nearest])
    del found
    home_shift = np.rint(home @ operation).astype(np.int32)  # [n_atoms, 3]
    shift = np.rint(image_shift @ operation).astype(np.int32) - home_shift[image_of]
    pair_shift = shift[image] + home_shift[i]
    # By i, j, S, which wrapping leaves alone: sums over a list kept for a while and over a new
    # one then agree to the last bit.
    order = np.lexsort((*pair_shift.T, j, i))
    first = np.searchsorted(i[order], np.arange(len(atoms) + 1)).astype(np.int64)
    return Pairs(first, j[order], pair_shift[order])


def check_atoms(atoms: Atoms) -> None:
    """Refuse what is not a structure: see the ``Raises`` of :func:`neighbour_list`.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.neighbours import check_atoms
    >>> check_atoms(Atoms("LiF", [[0, 0, 0], [0, 0, 1.6]]))
    >>> check_atoms(Atoms())
    Traceback (most recent call last):
        ...
    ValueError: `atoms` must hold at least one atom, got none.
    """
    if not isinstance(atoms, Atoms):
        raise TypeError(f"`atoms` must be an ase.Atoms, got {type(atoms).__name__}.")
    if len(atoms) == 0:
        raise ValueError("`atoms` must hold at least one atom, got none.")
    dummies = np.flatnonzero(atoms.numbers <= 0)
    if len(dummies):
        raise ValueError(
            f"`atoms.numbers` must be atomic numbers of elements, got {atoms.numbers[dummies[0]]}"
            f" for atom {dummies[0]}; remove dummy atoms ('X')."
        )
    bad = np.flatnonzero(~(np.abs(atoms.positions) < _LARGEST_COORDINATE).all(axis=1))
    if len(bad):
        raise ValueError(
            f"`atoms.positions` must be finite and below {_LARGEST_COORDINATE:g} Å, got"
            f" {atoms.positions[bad[0]].tolist()} for atom {bad[0]}; check the input file, or the"
            " time step and the forces of the run that made it."
        )
    if not np.isfinite(atoms.cell.array).all():
        raise ValueError(
            f"`atoms.cell` must be finite, got {atoms.cell.array.tolist()}; set it with"
            " atoms.set_cell()."
        )


def check_distance(name: str, value: float, smallest: float = math.ulp(0.0)) -> None:
    """Refuse what is not a finite distance of at least `smallest`.

    Examples
    --------
    >>> from ase_bec.neighbours import check_distance
    >>> check_distance("skin", 0.0, smallest=0.0)
    >>> check_distance("cutoff", -6.0)
    Traceback (most recent call last):
        ...
    ValueError: `cutoff` must be a positive, finite distance in Å, got -6.0.
    """
    if not smallest <= value < math.inf:
        kind = "zero or a positive" if smallest == 0.0 else "a positive"
        raise ValueError(f"`{name}` must be {kind}, finite distance in Å, got {value!r}.")


def _check_distinct(distance: float, i: int, j: int) -> None:
    if distance < _SMALLEST_DISTANCE:
        i, j = sorted((int(i), int(j)))
        raise ValueError(
            f"`atoms` must not hold two atoms in one place, got atoms {i} and {j},"
            f" {distance:.1g} Å apart (periodic images included); remove one of them, for example"
            " with ase.geometry.get_duplicate_atoms."
        )


def _periodic_cell(atoms: Atoms) -> FloatArray:
    """The cell, its vectors along other than periodic directions of any length and normal."""
    cell: FloatArray = Cell(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)).complete().array
    return cell


def _check_lattice(atoms: Atoms) -> None:
    periodic = np.flatnonzero(atoms.pbc)
    vectors = atoms.cell.array[periodic]
    lengths = np.linalg.norm(vectors, axis=1)
    volume = math.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0)) if len(periodic) else 1.0
    if not volume > _SMALLEST_VOLUME * np.prod(lengths):
        raise ValueError(
            "`atoms.cell` must have non-zero, linearly independent vectors along periodic"
            f" directions, got {atoms.cell.array.tolist()} with pbc {atoms.pbc.tolist()}; set the"
            " cell, or switch directions off with atoms.pbc = (...)."
        )
    # No translation is shorter than the smallest distance between lattice planes.
    spacings = 1 / np.linalg.norm(np.linalg.pinv(vectors), axis=0)
    if spacings.min(initial=math.inf) >= _SHORTEST_TRANSLATION:
        return
    reduced, _ = _reduced_lattice(atoms)
    shortest = np.linalg.norm(reduced, axis=1).min()
    if shortest < _SHORTEST_TRANSLATION:
        raise ValueError(
            f"`atoms.cell` must have lattice translations of {_SHORTEST_TRANSLATION} Å or more,"
            f" got {atoms.cell.array.tolist()} with a translation of {shortest:.3g} Å; is the cell"
            " in Å?"
        )


def _reduced_lattice(atoms: Atoms) -> tuple[FloatArray, FloatArray]:
    """Compact lattice vectors of the periodic directions, as rows, and ``vectors = op @ cell``."""
    cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    reduced, operation = minkowski_reduce(cell, atoms.pbc)
    return reduced[atoms.pbc], operation[atoms.pbc].astype(np.float64)


def _images(
    wrapped: FloatArray, lattice: FloatArray, to_fraction: FloatArray, cutoff: float
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Every atom and periodic image that can lie within `cutoff` of an atom of `wrapped`.

    Returns their positions [n, 3], the atom each is an image of [n], and its shift [n, k]; the
    first entries are the atoms themselves.
    """
    points = wrapped
    image_of = np.arange(len(wrapped), dtype=np.int64)
    shift = np.zeros((len(wrapped), len(lattice)))
    for axis, vector in enumerate(lattice):
        fraction = wrapped @ to_fraction[:, axis]
        # Rounding must not cost a pair, so look a little further than the cutoff.
        reach = cutoff * (1.0 + 1e-6) * float(np.linalg.norm(to_fraction[:, axis])) + 1e-9
        low, high = fraction.min() - reach, fraction.max() + reach
        furthest = math.ceil(high - low)
        fraction = fraction[image_of]
        steps = sorted(range(-furthest, furthest + 1), key=abs)  # 0 first
        kept = [(s, np.flatnonzero((fraction + s >= low) & (fraction + s <= high))) for s in steps]
        points = np.concatenate([points[index] + s * vector for s, index in kept])
        image_of = np.concatenate([image_of[index] for _, index in kept])
        shift = np.concatenate([shift[index] for _, index in kept])
        shift[:, axis] = np.repeat([float(s) for s, _ in kept], [len(index) for _, index in kept])
    return points, image_of, shift
