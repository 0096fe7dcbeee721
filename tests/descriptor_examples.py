"""Structures and descriptors that the contract of descriptors is tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from brute_force import brute_force_features

from ase_bec.descriptors.local import LocalDescriptor
from ase_bec.descriptors.neighbourhoods import Neighbourhoods, neighbourhoods
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions
from ase_bec.descriptors.vector_functions import VectorFunctions
from ase_bec.system import System

G2 = [(0.0, 0.0), (0.3, 2.0), (2.0, 1.5)]
V1 = [(0.0, 0.0), (0.3, 2.0), (2.0, 3.5)]
G5 = [(0.02, z, lam) for z in (1, 2, 4, 16) for lam in (1, -1)] + [(0.2, 3, 0.7), (0.0, 5, 0)]
MIXED_G5 = [(0.02, 2.5, 1), (0.02, 2, 1), (0.1, 1.3, -1), (0.1, 16, -1), (0.02, 40, 1)]
G4 = [(0.0, 1, 1), (0.03, 2.5, -1), (0.01, 16, 0.7)]
V2 = [(0.1, z, r_s, 0) for z in (1, 2, 16) for r_s in (0, 2)] + [(0.5, 4, 4, 0), (0.0, 3, 1, 0)]
MIXED_V2 = [(0.1, 2, 3, 0.5), (0.1, 2, 3, 0), (0.3, 1.5, 1, 0), (0.3, 16, 1, 0), (0.3, 1, 2, pi)]


@dataclass(frozen=True)
class Example:
    """A descriptor and the same functions for `brute_force_features`, in the order of features."""

    name: str
    make: Callable[[int, float], LocalDescriptor]
    functions: tuple[tuple[str, list[tuple[float, ...]]], ...]

    @property
    def is_vector(self) -> bool:
        return any(kind.startswith("V") for kind, _ in self.functions)

    def brute_force(self, atoms: Atoms, elements: list[str], cutoff: float) -> np.ndarray:
        """All features, and the largest magnitude of the function of each: 2 x (n, n_features)."""
        found, scales = [], []
        for kind, rows in self.functions:
            values = brute_force_features(atoms, elements, cutoff, kind, rows)
            scale = np.broadcast_to(np.abs(values).max(axis=(0, 1)), values.shape)
            found.append(values.reshape(len(atoms), -1))
            scales.append(scale.reshape(len(atoms), -1))
        return np.array([np.hstack(found), np.hstack(scales)])


def _symmetry(name: str, **tables: list[tuple[float, ...]]) -> Example:
    functions = tuple((kind.upper(), rows) for kind, rows in tables.items())
    return Example(name, lambda n, cutoff: SymmetryFunctions(n, cutoff, **tables), functions)


def _vector(name: str, **tables: list[tuple[float, ...]]) -> Example:
    functions = tuple((kind.upper(), rows) for kind, rows in tables.items())
    return Example(name, lambda n, cutoff: VectorFunctions(n, cutoff, **tables), functions)


EXAMPLES = [
    _symmetry("G2", g2=G2),
    _symmetry("G5", g5=G5),
    _symmetry("G4", g4=G4),
    _symmetry("G2-G5-G4", g2=G2, g5=MIXED_G5, g4=G4),
    _vector("V1", v1=V1),
    _vector("V2", v2=V2),
    _vector("V1-V2", v1=V1, v2=MIXED_V2),
]


def skewed() -> Atoms:
    """A triclinic cell shorter than most cutoffs, atoms inside and far outside of it."""
    cell = [[5.6, 0, 0], [1.9, 5.4, 0], [-0.8, 1.7, 5.9]]
    fractions = np.random.default_rng(3).permutation(np.indices((2, 2, 2)).reshape(3, -1).T)[:7] / 2
    atoms = Atoms("Li3PO3", cell=cell, pbc=True, scaled_positions=fractions)
    atoms.rattle(0.25, seed=1)
    atoms.positions[[1, 4]] += [atoms.cell[0] - 2 * atoms.cell[2], -3 * atoms.cell[1]]
    return atoms


def tiny() -> Atoms:
    """A left-handed slab whose atoms see several images of each other and of themselves."""
    cell = [[2.2, 0.1, 0], [0, -2.5, 0], [0.7, 0, 3]]
    return Atoms("LiO", [[0, 0, 0], [1.3, 1, 1.2]], cell=cell, pbc=(True, True, False))


def water() -> Atoms:
    atoms = molecule("H2O")
    atoms.rattle(0.1, seed=0)
    return atoms


def rock_salt() -> Atoms:
    """Rows of atoms: every angle of 0, 90 and 180 degrees."""
    atoms = bulk("LiO", "rocksalt", 4.2)
    atoms.positions[1, 2] += 0.3
    return atoms


#: Structure, elements in the order of the descriptor, cutoff.
STRUCTURES = [
    (skewed, ["Li", "P", "O"], 4.2),
    (tiny, ["O", "H", "Li"], 4.5),
    (rock_salt, ["Li", "O"], 4.5),
    (water, ["O", "H"], 4.0),
]


def seen_by(
    atoms: Atoms, elements: list[str], reach: float, dtype: torch.dtype = torch.float64
) -> tuple[System, Neighbourhoods]:
    """All pairs within `reach`, as a system and as neighbourhoods."""
    system = System.from_atoms(atoms, reach)
    species = torch.tensor([elements.index(symbol) for symbol in atoms.symbols])
    return system, neighbourhoods(system, species, system.vectors().to(dtype), 0, len(atoms))


def around(
    species: list[int], neighbour_species: list[int], vectors: torch.Tensor, first: list[int]
) -> Neighbourhoods:
    """Centres whose neighbours are none of them."""
    indices = (torch.tensor(x, dtype=torch.int64) for x in (species, neighbour_species, first))
    own, others, edges = indices
    return Neighbourhoods(own, others, vectors, edges, len(own) + torch.arange(len(vectors)))


def on_atoms(system: System, by_vectors: torch.Tensor) -> torch.Tensor:
    """Derivative by positions from that by the vectors of all pairs."""
    leaf = system.positions.clone().requires_grad_()
    return torch.autograd.grad(system.with_positions(leaf).vectors(), leaf, by_vectors)[0]


def features(
    descriptor: LocalDescriptor, atoms: Atoms, elements: list[str], skin: float = 0.4
) -> np.ndarray:
    return descriptor(seen_by(atoms, elements, descriptor.cutoff + skin)[1]).detach().numpy()


def gradient(descriptor: LocalDescriptor, nb: Neighbourhoods, weights: torch.Tensor):
    """∂/∂vectors of Σ weights · features."""
    vectors = nb.vectors.detach().requires_grad_()
    values = descriptor(nb._replace(vectors=vectors))
    return torch.autograd.grad((values * weights).sum(), vectors)[0]


def random_weights(n: int, n_features: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn((n, n_features), generator=generator, dtype=torch.float64)
