"""Hops of ions in a crystal that its symmetry, and a field, leave distinct."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atom, Atoms
from numpy.typing import ArrayLike, NDArray

from ase_bec.data.space_group import operations
from ase_bec.directions import unit_vector
from ase_bec.lattice import shortest_vectors
from ase_bec.workflows.barriers.sites import (
    completed_sites,
    keeping,
    moved_points,
    near_pairs,
    nearest_sites,
    pair_classes,
)
from ase_bec.workflows.barriers.supercells import needed_repeats, shortest_lattice_vector

__all__ = ["Hop", "interstitial_hops", "vacancy_ends", "vacancy_hops"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Hop:
    """One of the equivalent hops of a class.

    Attributes
    ----------
    initial, final
        Structures before and after, atoms in the same order, the ion on one branch; not relaxed.
    ion
        Index of the moving ion in both.
    start, end
        Sites: atoms of the crystal for a vacancy (which lies at `end` before the hop), else
        indices of the symmetry-completed list of interstitial sites.
    vector
        Displacement of the ion in Å, (3,).
    multiplicity
        Equivalent hops from each site that is equivalent to `start`.
    count
        Equivalent hops in the whole cell.
    reverse
        Position in the list of the class of the hop back. One band covers both.
    clearance
        Distance in Å from the straight line to the nearest other atom.
    along
        Displacement along the field in Å, NaN without field.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.workflows import vacancy_hops
    >>> hop = vacancy_hops(bulk("Li", cubic=True) * (2, 2, 2), "Li", cutoff=3.2)[0]
    >>> hop.multiplicity, round(hop.length, 3)  # eight equivalent neighbours
    (8, 3.022)
    >>> moved = hop.final.positions - hop.initial.positions
    >>> bool(abs(moved[hop.ion] - hop.vector).max() < 1e-9)
    True
    """

    initial: Atoms
    final: Atoms
    ion: int
    start: int
    end: int
    vector: Array
    multiplicity: int
    count: int
    reverse: int
    clearance: float
    along: float

    @property
    def length(self) -> float:
        """Distance of the two sites in Å."""
        return float(np.linalg.norm(self.vector))


def vacancy_hops(
    crystal: Atoms,
    species: str,
    cutoff: float,
    field: ArrayLike | None = None,
    tolerance: float = 0.01,
) -> list[Hop]:
    r"""Distinct hops of an ion from its site into a vacancy of its own species.

    Hops :math:`j \to i` are equivalent if a space-group operation of the crystal takes one to the
    other, in a field one with :math:`R\,\mathbf E = \mathbf E`. A hop and its reverse are listed
    separately unless they are equivalent.

    Parameters
    ----------
    crystal
        Supercell without vacancy. Operations are those of the supercell, so a supercell of
        lower symmetry than its crystal splits classes, as the periodic images of the vacancy do.
    species
        Element of the ion.
    cutoff
        Largest distance of the sites in Å, less than half the shortest lattice vector.
    field
        Three numbers; only their direction counts. A field within 0.3 degrees of a symmetry
        element is taken to be along it.
    tolerance
        Å, by which an atom may miss its symmetric image.

    Returns
    -------
    list of Hop
        By length, then from along to against the field.

    Raises
    ------
    ValueError
        If the cell is too small for the cutoff or not periodic, there are fewer than two such
        ions, or an argument has no meaning.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.workflows import vacancy_hops
    >>> crystal = bulk("Li", cubic=True) * (2, 2, 2)
    >>> for hop in vacancy_hops(crystal, "Li", cutoff=3.2, field=[0, 0, 1]):
    ...     print(f"{hop.length:.2f} Å, {hop.multiplicity} alike, {hop.along:+.2f} Å along")
    3.02 Å, 4 alike, +1.75 Å along
    3.02 Å, 4 alike, -1.75 Å along
    """
    direction = _checked(crystal, cutoff, field, tolerance)
    ions = np.flatnonzero(crystal.numbers == _atomic_number(species))
    if len(ions) < 2:
        raise ValueError(f"`crystal` must have at least two {species}, got {len(ions)}")
    found = operations(crystal, tolerance)
    local = np.full(len(crystal), -1)
    local[ions] = np.arange(len(ions))
    permutations = [local[op.images[ions]] for op in keeping(found, direction)]
    sites = crystal.positions[ions]

    def ends(start: int, end: int, vector: Array) -> tuple[Atoms, Atoms, int]:
        return vacancy_ends(crystal, int(ions[start]), int(ions[end]), vector)

    return _hops(crystal, sites, ions, permutations, cutoff, direction, tolerance, ends)


def interstitial_hops(
    crystal: Atoms,
    species: str,
    sites: ArrayLike,
    cutoff: float,
    field: ArrayLike | None = None,
    tolerance: float = 0.01,
) -> list[Hop]:
    """Distinct direct hops of an added ion between interstitial sites.

    Knock-on hops, in which the ion pushes another one along, are not among them.

    Parameters
    ----------
    crystal
        Supercell without interstitial.
    species
        Element of the ion.
    sites
        Cartesian positions in Å, (m, 3), at least one of each kind; those equivalent by the
        symmetry of the crystal are added.
    cutoff, field, tolerance
        As for :func:`vacancy_hops`.

    Returns
    -------
    list of Hop
        Their ``start`` and ``end`` count the sites given and added; the ion is the last atom.

    Raises
    ------
    ValueError
        As :func:`vacancy_hops`, or if `sites` are not finite, (m, 3), or lie on an atom.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.workflows import interstitial_hops
    >>> crystal = bulk("CsCl", "cesiumchloride", 4.12) * (2, 2, 2)
    >>> face = [[2.06, 2.06, 0]]  # the others follow by symmetry
    >>> for hop in interstitial_hops(crystal, "Li", face, cutoff=3.0):
    ...     print(f"{hop.length:.2f} Å, {hop.multiplicity} alike")
    2.91 Å, 8 alike
    """
    direction = _checked(crystal, cutoff, field, tolerance)
    _atomic_number(species)
    given = np.array(sites, dtype=float)
    if given.ndim != 2 or given.shape[1] != 3 or not len(given) or not np.isfinite(given).all():
        raise ValueError(f"`sites` must be finite positions of shape (m, 3), got {given.shape}")
    if min(_clearance(crystal.positions, site[None], crystal) for site in given) < 0.1:
        raise ValueError("`sites` must be interstitial, got one within 0.1 Å of an atom")
    found = operations(crystal, tolerance)
    placed = completed_sites(given, crystal, found, tolerance)
    permutations = [
        nearest_sites(moved_points(placed, crystal, op), placed, crystal)
        for op in keeping(found, direction)
    ]

    def ends(start: int, _: int, vector: Array) -> tuple[Atoms, Atoms, int]:
        initial, final = crystal.copy(), crystal.copy()
        initial.append(Atom(species, placed[start]))
        final.append(Atom(species, placed[start] + vector))
        return initial, final, len(crystal)

    names = np.arange(len(placed))
    return _hops(crystal, placed, names, permutations, cutoff, direction, tolerance, ends)


def vacancy_ends(crystal: Atoms, ion: int, vacancy: int, vector: Array) -> tuple[Atoms, Atoms, int]:
    """Remove atom `vacancy` and move atom `ion` by a vector in Å.

    Returns
    -------
    initial, final : Atoms
        Before and after the hop.
    index : int
        Of the ion in both.
    """
    initial, final = crystal.copy(), crystal.copy()
    final.positions[ion] += vector
    del initial[vacancy], final[vacancy]
    return initial, final, ion - (vacancy < ion)


def _hops(
    crystal: Atoms,
    sites: Array,
    names: Indices,
    permutations: list[Indices],
    cutoff: float,
    direction: Array | None,
    tolerance: float,
    ends: Callable[[int, int, Array], tuple[Atoms, Atoms, int]],
) -> list[Hop]:
    """One hop of each class of pairs of sites that permutations of the sites leave distinct."""
    margin = cutoff + 4 * tolerance  # so that the cutoff does not cut through a class
    starts, targets, vectors = near_pairs(sites, crystal, margin)
    labels = pair_classes(starts, targets, len(sites), permutations)
    label_of = dict(zip(zip(starts.tolist(), targets.tolist(), strict=True), labels, strict=True))
    lengths = np.linalg.norm(vectors, axis=1)
    kept = [c for c in np.unique(labels) if lengths[labels == c].mean() <= cutoff]
    along = vectors @ (np.full(3, np.nan) if direction is None else direction)
    first = {c: int(np.flatnonzero(labels == c)[0]) for c in kept}
    steepness = np.nan_to_num(along)
    kept.sort(key=lambda c: (round(lengths[first[c]], 3), -round(steepness[first[c]], 3)))
    place = {c: k for k, c in enumerate(kept)}
    hops = []
    for c in kept:
        k, members = first[c], np.flatnonzero(labels == c)
        start, end, vector = int(starts[k]), int(targets[k]), vectors[k]
        initial, final, ion = ends(start, end, vector)
        line = sites[start] + np.linspace(0, 1, 41)[:, None] * vector
        hops.append(
            Hop(
                initial=initial,
                final=final,
                ion=ion,
                start=int(names[start]),
                end=int(names[end]),
                vector=vector,
                multiplicity=len(members) // len(np.unique(starts[members])),
                count=len(members),
                reverse=place[label_of[end, start]],
                clearance=_clearance(np.delete(initial.positions, ion, axis=0), line, crystal),
                along=float(along[k]),
            )
        )
    return hops


def _checked(
    crystal: Atoms, cutoff: float, field: ArrayLike | None, tolerance: float
) -> Array | None:
    """Check what both kinds of hops are given; return the unit vector of the field."""
    if not crystal.pbc.all() or crystal.cell.rank < 3:
        raise ValueError(f"`crystal` must be periodic in three directions, got {crystal.pbc}")
    repeats = needed_repeats(crystal, cutoff, tolerance)
    if repeats != (1, 1, 1):
        half = shortest_lattice_vector(crystal.cell.array) / 2
        raise ValueError(
            f"`cutoff` must be less than half the shortest lattice vector, {half:.2f} Å, "
            f"got {cutoff:g}; repeat the crystal, {repeats} is enough"
        )
    return None if field is None else unit_vector(field, "field")


def _atomic_number(species: str) -> int:
    try:
        return int(Atoms(species).numbers.item())
    except (KeyError, ValueError):
        raise ValueError(f"`species` must be the symbol of an element, got {species!r}") from None


def _clearance(others: Array, points: Array, crystal: Atoms) -> float:
    """Shortest distance in Å from points to other atoms."""
    vectors = shortest_vectors(others[None] - points[:, None], crystal.cell.array, crystal.pbc)
    return float(np.linalg.norm(vectors, axis=2).min())
