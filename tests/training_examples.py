"""Small crystals whose dipole has a closed form, and tasks to learn it."""

from __future__ import annotations

import numpy as np
import torch
from ase.build import bulk
from numpy.typing import NDArray

from ase_bec.data import Frame
from ase_bec.models import (
    EquivariantNetwork,
    MessagePassingNetwork,
    PolarizationModel,
    VAFNetwork,
)
from ase_bec.neighbours import neighbour_list
from ase_bec.terms.term import LocalDipole
from ase_bec.training.tasks.polarization import PolarizationTask

ELEMENTS = ("Li", "F")
FORMAL = {"Li": 1.0, "F": -1.0}
CUTOFF = 4.0
SHELL = 3.5  # Å, where the polarisable shells below end


def pair_dipole(frame_atoms, scale=1.0) -> tuple[NDArray, NDArray]:
    r"""Dipole and Born charges of :math:`D = \sum_a q_a r_a + \sum_{ij} c_j h(r_{ij}) r_{ij}`.

    With h(r) = (1 - (r/SHELL)²)³ and c of the neighbour's element; Z is its exact derivative.
    """
    i, j, shift = neighbour_list(frame_atoms, SHELL)
    v = frame_atoms.positions[j] - frame_atoms.positions[i] + shift @ frame_atoms.cell.array
    x = 1 - (v**2).sum(axis=1) / SHELL**2
    c = np.where(frame_atoms.numbers[j] == 9, -1.0, 0.5) * scale
    dipole = ((c * x**3)[:, None] * v).sum(axis=0)
    outer = (-6 * c * x**2 / SHELL**2)[:, None, None] * v[:, :, None] * v[:, None, :]
    pair = (c * x**3)[:, None, None] * np.eye(3) + outer
    charges = np.where(frame_atoms.numbers == 3, 1.0, -1.0)
    z = charges[:, None, None] * np.eye(3)
    np.add.at(z, j, pair)
    np.add.at(z, i, -pair)
    return dipole + charges @ frame_atoms.positions, z


def crystals(n: int, seed: int = 0) -> list[Frame]:
    """Rattled and strained LiF, 8 or 16 atoms each, with dipole and Born charges."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        atoms = bulk("LiF", "rocksalt", a=4.1, cubic=True) * ((1, 1, 2) if k % 3 == 2 else 1)
        strain = np.eye(3) + 0.03 * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.positions += 0.12 * rng.normal(size=atoms.positions.shape)
        dipole, z = pair_dipole(atoms)
        frames.append(
            Frame(
                atoms,
                born_effective_charges=z,
                polarization=dipole / atoms.get_volume(),
                config_type="long" if k % 3 == 2 else f"short{k % 2}",
            )
        )
    return frames


def network(kind: str) -> LocalDipole:
    """A tiny network of each kind."""
    if kind == "equivariant":
        return EquivariantNetwork(2, CUTOFF, radial=6, degree=2, channels=3, hidden=(12,))
    if kind == "message-passing":
        return MessagePassingNetwork(2, CUTOFF, 6, 2, channels=3, hidden=(12,), messages=2)
    v1 = [(1.0, r) for r in (1.5, 2.0, 2.5, 3.0, 3.5)]
    return VAFNetwork(2, CUTOFF, v1, [(0.2, 1.0, 0.0, 0.0), (0.2, 2.0, 1.0, 0.0)], hidden=(8,))


def polarization_task(
    kind: str = "equivariant",
    weights: dict[str, float] | None = None,
    dtype: torch.dtype = torch.float64,
) -> PolarizationTask:
    """A task with a tiny network, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = PolarizationModel(ELEMENTS, network(kind), FORMAL)
    return PolarizationTask(model, weights, dtype)
