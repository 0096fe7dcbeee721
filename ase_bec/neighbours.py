"""Neighbour list under any periodic boundary condition, and its Verlet skin."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from ase_bec.system import System

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LARGEST_COORDINATE = 1e8  # Å; beyond it, float64 no longer resolves 1e-8 Å
_SMALLEST_VOLUME = 1e-6  # of the periodic vectors, relative to the product of their lengths
_SMALLEST_DISTANCE = 1e-6  # Å; closer atoms are the same atom listed twice
_SHORTEST_TRANSLATION = 0.1  # Å; atoms closer than this to their own image are no structure


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
    """
    _check_distance("cutoff", cutoff)
    check_atoms(atoms)
    positions: FloatArray = np.asarray(atoms.positions, dtype=np.float64)

    # The most compact vectors of the same lattice: few images to look at, also in skewed cells.
    lattice, operation = _reduced_lattice(atoms)  # [k, 3], [k, 3], k periodic directions
    to_fraction: FloatArray = np.linalg.pinv(lattice).astype(np.float64)  # [3, k]
    home = np.floor(positions @ to_fraction)  # [n_atoms, k]
    wrapped = positions - home @ lattice

    points, image_of, image_shift = _images(wrapped, lattice, to_fraction, cutoff)
    found = cKDTree(wrapped).sparse_distance_matrix(cKDTree(points), cutoff, output_type="ndarray")
    found = found[found["i"] != found["j"]]  # the first n_atoms points are the atoms themselves
    i, image = found["i"].astype(np.int64), found["j"]
    j = image_of[image]
    _check_distinct(found, image_of)

    home_shift = np.rint(home @ operation).astype(np.int64)  # [n_atoms, 3]
    shift = np.rint(image_shift @ operation).astype(np.int64) - home_shift[image_of]
    pair_shift = shift[image] + home_shift[i]
    # By i, j, S, which wrapping leaves alone: sums over a list kept for a while and over a new
    # one then agree to the last bit.
    order = np.lexsort((*pair_shift.T, j, i))
    return i[order], j[order], pair_shift[order]


def check_atoms(atoms: Atoms) -> None:
    """Refuse what is not a structure: see the ``Raises`` of :func:`neighbour_list`."""
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


def _check_distance(name: str, value: float, smallest: float = math.ulp(0.0)) -> None:
    if not smallest <= value < math.inf:
        kind = "zero or a positive" if smallest == 0.0 else "a positive"
        raise ValueError(f"`{name}` must be {kind}, finite distance in Å, got {value!r}.")


def _check_distinct(found: NDArray[Any], image_of: IntArray) -> None:
    same = np.flatnonzero(found["v"] < _SMALLEST_DISTANCE)
    if len(same):
        i, j, distance = found[same[0]]
        i, j = sorted((int(i), int(image_of[j])))
        raise ValueError(
            f"`atoms` must not hold two atoms in one place, got atoms {i} and {j},"
            f" {distance:.1g} Å apart (periodic images included); remove one of them, for example"
            " with ase.geometry.get_duplicate_atoms."
        )


def _reduced_lattice(atoms: Atoms) -> tuple[FloatArray, FloatArray]:
    """Compact lattice vectors of the periodic directions, as rows, and ``vectors = op @ cell``."""
    periodic = np.flatnonzero(atoms.pbc)
    cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    vectors = cell[periodic]
    lengths = np.linalg.norm(vectors, axis=1)
    volume = math.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0)) if len(periodic) else 1.0
    if not volume > _SMALLEST_VOLUME * np.prod(lengths):
        raise ValueError(
            "`atoms.cell` must have non-zero, linearly independent vectors along periodic"
            f" directions, got {atoms.cell.array.tolist()} with pbc {atoms.pbc.tolist()}; set the"
            " cell, or switch directions off with atoms.pbc = (...)."
        )
    reduced, operation = minkowski_reduce(cell, atoms.pbc)
    shortest = np.linalg.norm(reduced[periodic], axis=1).min(initial=math.inf)
    if shortest < _SHORTEST_TRANSLATION:
        raise ValueError(
            f"`atoms.cell` must have lattice translations of {_SHORTEST_TRANSLATION} Å or more,"
            f" got {atoms.cell.array.tolist()} with a translation of {shortest:.3g} Å; is the cell"
            " in Å?"
        )
    return reduced[periodic], operation[periodic].astype(np.float64)


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


class _Build(NamedTuple):
    """What the list was built for, and the result; never changed in place."""

    positions: FloatArray
    numbers: NDArray[Any]
    cell: FloatArray
    pbc: NDArray[np.bool_]
    system: System

    def serves(self, atoms: Atoms, allowance: float) -> bool:
        """Whether the same structure is given, no atom further than `allowance` (Å) away."""
        if not (
            np.array_equal(self.numbers, atoms.numbers)
            and np.array_equal(self.cell, atoms.cell.array)
            and np.array_equal(self.pbc, atoms.pbc)
        ):
            return False
        moved = atoms.positions - self.positions
        # NaN compares false, so that bad positions meet the checks of a new list.
        return bool(np.einsum("ij,ij->i", moved, moved).max() <= allowance**2)


class NeighbourList:
    """Neighbour list with a Verlet skin, for runs in which atoms move little from step to step.

    The list holds all pairs within ``cutoff + skin``, so it stays complete up to `cutoff` until
    an atom has moved by more than ``skin / 2``. It is built anew then, and whenever the cell, the
    boundary conditions or the elements change; an atom put back into the cell by a lattice vector
    counts as moved. Pairs beyond `cutoff` are part of the result: descriptors must ignore them,
    which every one with a cutoff function does.

    Instances can be copied and pickled; copies are independent.

    Parameters
    ----------
    cutoff
        Distance in Å up to which the list must be complete.
    skin
        Additional distance in Å, 0 or more; 0 means a new list for every change of positions.
    dtype
        Floating dtype of the systems.
    device
        Where they live.

    Raises
    ------
    ValueError
        If `cutoff` is not positive and finite, or `skin` negative or not finite.
    """

    def __init__(
        self,
        cutoff: float,
        skin: float = 0.5,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        _check_distance("cutoff", cutoff)
        _check_distance("skin", skin, smallest=0.0)
        self.cutoff = float(cutoff)
        self.skin = float(skin)
        self.dtype = dtype
        self.device = device
        self.builds = 0  #: how many times the list has been built
        self._build: _Build | None = None

    def update(self, atoms: Atoms) -> System:
        """System of `atoms` as they are now, with at least all pairs within `cutoff`.

        Parameters
        ----------
        atoms
            The structure.

        Returns
        -------
        System
            Its positions are those of `atoms`; its pairs reach as far as ``cutoff + skin``.

        Raises
        ------
        TypeError, ValueError
            As :func:`neighbour_list`, when the list is built.
        """
        build = self._build
        if build is not None and build.serves(atoms, 0.5 * self.skin):
            positions = torch.tensor(atoms.positions, dtype=self.dtype, device=self.device)
            return replace(build.system, positions=positions)
        from ase_bec.system import System  # made from pairs itself, so not at the top

        system = System.from_atoms(atoms, self.cutoff + self.skin, self.dtype, self.device)
        self._build = _Build(
            atoms.positions.copy(),
            atoms.numbers.copy(),
            atoms.cell.array.copy(),
            atoms.pbc.copy(),
            system,
        )
        self.builds += 1
        return system
