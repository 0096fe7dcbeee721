"""Slow and obvious sums over explicit periodic images: the oracle of lists and descriptors.

Nothing of the package is used here, on purpose.
"""

from itertools import combinations_with_replacement, permutations, product
from math import ceil

import numpy as np
from ase import Atoms


def brute_force_pairs(atoms: Atoms, cutoff: float) -> list[tuple[int, int, int, int, int]]:
    """All (i, j, S_x, S_y, S_z) with |r_j - r_i + S·cell| <= cutoff, sorted."""
    cell, positions = atoms.cell.array, atoms.positions
    periodic = [axis for axis in range(3) if atoms.pbc[axis]]
    reach = [0, 0, 0]
    if periodic:
        inverse = np.linalg.pinv(cell[periodic])  # columns: reciprocal vectors, 1/|column| = height
        spread = np.ptp(positions @ inverse, axis=0)
        for axis, column, width in zip(periodic, inverse.T, spread, strict=True):
            reach[axis] = ceil(cutoff * np.linalg.norm(column) + width) + 1
    pairs = []
    for shift in product(*(range(-n, n + 1) for n in reach)):
        translation = sum((shift[axis] * cell[axis] for axis in periodic), np.zeros(3))
        vectors = positions[None, :, :] - positions[:, None, :] + translation
        for i, j in np.argwhere(np.linalg.norm(vectors, axis=2) <= cutoff).tolist():
            if i != j or shift != (0, 0, 0):
                pairs.append((i, j, *shift))
    return sorted(pairs)


def brute_force_features(
    atoms: Atoms,
    elements: list[str] | tuple[str, ...],
    cutoff: float,
    kind: str,
    functions: np.ndarray | list[tuple[float, ...]],
) -> np.ndarray:
    """Descriptors of every atom.

    Parameters
    ----------
    elements
        Symbols in the model's order; pair types are
        ``combinations_with_replacement(elements, 2)``.
    kind
        "G2", "G4", "G5", "V1" or "V2"; V1 and V2 along z, vectors from centre to neighbour.
    functions
        Rows (eta, R_s) for G2 and V1, (eta, zeta, lambda) for G4 and G5,
        (eta, zeta, R_s, theta_s) for V2.

    Returns
    -------
    ndarray, shape (n_atoms, n_elements, n_functions) for G2 and V1, and
    (n_atoms, n_pair_types, n_functions) for the others.
    """
    symbols = atoms.get_chemical_symbols()
    vectors: list[list[np.ndarray]] = [[] for _ in atoms]
    species: list[list[str]] = [[] for _ in atoms]
    for i, j, *shift in brute_force_pairs(atoms, cutoff):
        periodic_shift = np.where(atoms.pbc, shift, 0)
        vectors[i].append(
            atoms.positions[j] - atoms.positions[i] + periodic_shift @ atoms.cell.array
        )
        species[i].append(symbols[j])

    width = 1 if kind in ("G2", "V1") else 2
    types = list(combinations_with_replacement(elements, width))
    features = np.zeros((len(atoms), len(types), len(functions)))
    for i, t in product(range(len(atoms)), range(len(types))):
        # Every ordered choice of different neighbours with the wanted elements.
        chosen = [
            group
            for group in permutations(range(len(vectors[i])), width)
            if tuple(species[i][j] for j in group) == types[t]
        ]
        if chosen:
            groups = np.array([[vectors[i][j] for j in group] for group in chosen])
            for f, parameters in enumerate(functions):
                terms = TERMS[kind](*groups.transpose(1, 0, 2), cutoff, *parameters)
                features[i, t, f] = terms.sum()
    return features


def _length(vector: np.ndarray) -> np.ndarray:
    return np.sqrt((vector**2).sum(axis=-1))


def _cosine_cutoff(r: np.ndarray, cutoff: float) -> np.ndarray:
    return np.where(r < cutoff, 0.5 * (np.cos(np.pi * r / cutoff) + 1), 0.0)


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.arctan2(_length(np.cross(a, b)), (a * b).sum(axis=-1))


def _g2(a: np.ndarray, cutoff: float, eta: float, r_s: float) -> np.ndarray:
    r = _length(a)
    return np.exp(-eta * (r - r_s) ** 2) * _cosine_cutoff(r, cutoff)


def _v1(a: np.ndarray, cutoff: float, eta: float, r_s: float) -> np.ndarray:
    return a[:, 2] / _length(a) * _g2(a, cutoff, eta, r_s)


def _g5(
    a: np.ndarray, b: np.ndarray, cutoff: float, eta: float, zeta: float, lambda_: float
) -> np.ndarray:
    return (
        2 ** (1 - zeta)
        * (1 + lambda_ * np.cos(_angle(a, b))) ** zeta
        * np.exp(-eta * (_length(a) ** 2 + _length(b) ** 2))
        * _cosine_cutoff(_length(a), cutoff)
        * _cosine_cutoff(_length(b), cutoff)
    )


def _g4(
    a: np.ndarray, b: np.ndarray, cutoff: float, eta: float, zeta: float, lambda_: float
) -> np.ndarray:
    r = _length(b - a)
    return _g5(a, b, cutoff, eta, zeta, lambda_) * np.exp(-eta * r**2) * _cosine_cutoff(r, cutoff)


def _v2(
    a: np.ndarray,
    b: np.ndarray,
    cutoff: float,
    eta: float,
    zeta: float,
    r_s: float,
    theta_s: float,
) -> np.ndarray:
    r_j, r_k = _length(a), _length(b)
    return (
        2 ** (1 - zeta)
        * (a + b)[:, 2]
        * (1 + np.cos(_angle(a, b) - theta_s)) ** zeta
        * np.exp(-eta * (0.5 * (r_j + r_k) - r_s) ** 2)
        * _cosine_cutoff(r_j, cutoff)
        * _cosine_cutoff(r_k, cutoff)
    )


TERMS = {"G2": _g2, "V1": _v1, "G4": _g4, "G5": _g5, "V2": _v2}
