"""Sites of a crystal, and pairs of them, under its symmetry operations."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ase_bec.data.space_group import Operation
from ase_bec.lattice import shortest_vectors

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_SAME_DIRECTION = 0.01  # by which a rotation may move the unit vector of a direction


def near_pairs(sites: Array, crystal: Atoms, cutoff: float) -> tuple[Indices, Indices, Array]:
    """Ordered pairs of sites nearer than the cutoff, and the vectors between them."""
    starts, targets, vectors = [], [], []
    for start, site in enumerate(sites):
        shortest = shortest_vectors(sites - site, crystal.cell.array, crystal.pbc)
        lengths = np.linalg.norm(shortest, axis=1)
        near = np.flatnonzero((lengths < cutoff) & (np.arange(len(sites)) != start))
        starts += [start] * len(near)
        targets += near.tolist()
        vectors.append(shortest[near])
    return np.array(starts, dtype=int), np.array(targets, dtype=int), np.concatenate(vectors)


def pair_classes(
    starts: Indices, targets: Indices, sites: int, permutations: list[Indices]
) -> Indices:
    """Label of each pair; permutations of the sites take pairs to pairs with the same label."""
    number = np.full((sites, sites), -1)
    number[starts, targets] = np.arange(len(starts))
    images = np.array([number[p[starts], p[targets]] for p in permutations])  # [operation, pair]
    there = images >= 0
    pairs = np.broadcast_to(np.arange(len(starts)), images.shape)[there]
    shape = (len(starts), len(starts))
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs, images[there])), shape=shape)
    labels = connected_components(graph, directed=False)[1]
    return np.asarray(labels, dtype=np.int64)


def keeping(found: list[Operation], direction: Array | None) -> list[Operation]:
    """Operations whose rotations keep a direction."""
    if direction is None:
        return found
    moved = [np.linalg.norm(op.rotation @ direction - direction) for op in found]
    return [op for op, change in zip(found, moved, strict=True) if change < _SAME_DIRECTION]


def moved_points(points: Array, crystal: Atoms, operation: Operation) -> Array:
    """Points after an operation, up to lattice vectors."""
    rotated: Array = crystal.positions @ operation.rotation.T
    shifts = crystal.positions[operation.images] - rotated
    shift = shifts[0] + _residues(shifts - shifts[0], crystal).mean(axis=0)
    moved: Array = points @ operation.rotation.T + shift
    return moved


def nearest_sites(points: Array, sites: Array, crystal: Atoms) -> Indices:
    """Site that coincides, up to a lattice vector, with each point."""
    distances = np.linalg.norm(_residues(sites[None] - points[:, None], crystal), axis=2)
    nearest: Indices = distances.argmin(axis=1)
    return nearest


def completed_sites(
    sites: Array, crystal: Atoms, found: list[Operation], tolerance: float
) -> Array:
    """Sites and their images under all operations, each once."""
    placed = np.empty((0, 3))
    for points in (sites, *(moved_points(sites, crystal, op) for op in found)):
        for point in points:
            distances = np.linalg.norm(_residues(placed - point, crystal), axis=1)
            if (distances > 4 * tolerance).all():
                placed = np.vstack([placed, point])
    return placed


def _residues(vectors: Array, crystal: Atoms) -> Array:
    """Vectors less the nearest lattice vectors, for those that are nearly lattice vectors."""
    cell = crystal.cell.array
    residues: Array = vectors - np.rint(vectors @ np.linalg.inv(cell)) @ cell
    return residues
