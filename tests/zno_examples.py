"""ZnO labelled by an ionic model, so that the charges behind the labels are known."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.stress import voigt_6_to_full_3x3_stress

from ase_bec import NNPCalculator
from ase_bec.data import Frame
from ase_bec.models.ionic import ZNO, ionic_model

FORMAL = {"Zn": 2.0, "O": -2.0}
CRYSTALS = {
    "wurtzite": bulk("ZnO", "wurtzite", 3.27, 5.14).repeat((4, 2, 2)),
    "rock salt": bulk("ZnO", "rocksalt", 4.32, cubic=True).repeat((2, 2, 1)),
    "zinc blende": bulk("ZnO", "zincblende", 4.57, cubic=True).repeat((2, 2, 1)),
}


def calculator() -> NNPCalculator:
    return NNPCalculator(ionic_model(FORMAL, ZNO))


@lru_cache
def frames(count: int = 20, seed: int = 1, kinds: bool = True) -> tuple[Frame, ...]:
    """Strained and rattled cells of 32 and 64 atoms; labels of the ionic model."""
    rng, calc, found = np.random.default_rng(seed), calculator(), []
    for kind, crystal in CRYSTALS.items():
        for _ in range(count):
            atoms = crystal.copy()
            strain = rng.normal(scale=0.03, size=(3, 3))
            deform = np.eye(3) + (strain + strain.T) / 2
            atoms.set_cell(atoms.cell.array @ deform, scale_atoms=True)
            atoms.positions += rng.normal(size=(len(atoms), 3)) * rng.uniform(0.03, 0.12)
            found.append(labelled(atoms, calc, kind if kinds else None))
    return tuple(found)


def small(count: int, seed: int = 0) -> list[Frame]:
    """Wurtzite cells of four atoms with energy, forces and stress."""
    rng, calc, found = np.random.default_rng(seed), calculator(), []
    for _ in range(count):
        atoms = bulk("ZnO", "wurtzite", 3.27, 5.14)
        atoms.positions += rng.normal(scale=0.1, size=(4, 3))
        found.append(labelled(atoms, calc, None))
    return found


def labelled(atoms: Atoms, calc: NNPCalculator, kind: str | None) -> Frame:
    energy, forces = calc.get_potential_energy(atoms), calc.get_forces(atoms)
    stress = voigt_6_to_full_3x3_stress(calc.get_stress(atoms))
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    return Frame(bare, energy=energy, forces=forces, stress=stress, config_type=kind)
