"""Split charges of hafnia, with numbers by chance, and structures."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from ase.spacegroup import crystal

from ase_bec.terms.model import Model
from ase_bec.terms.split_charges import SplitCharges

ELEMENTS = ("Hf", "O")


def split_charges(seed: int = 0, **options: object) -> SplitCharges:
    torch.manual_seed(seed)
    g2 = [(2.0, r) for r in np.linspace(1.5, 4.0, 5)]
    g5 = [(0.05, 1, 1), (0.05, 2, -1), (0.2, 4, 1)]
    term = SplitCharges(2, [4, -2], 4.5, g2, g5, (8,), **options)  # type: ignore[arg-type]
    term.scaling.high.fill_(4.0)
    return term


def model(seed: int = 0, **options: object) -> Model:
    return Model(ELEMENTS, [split_charges(seed, **options)]).eval()


def monoclinic(rattle: float = 0.0) -> Atoms:
    """m-HfO2, P2₁/c."""
    atoms = crystal(
        ["Hf", "O", "O"],
        [(0.2759, 0.0404, 0.2083), (0.0741, 0.3323, 0.3466), (0.4483, 0.7581, 0.4792)],
        spacegroup=14,
        cellpar=[5.117, 5.175, 5.292, 90, 99.22, 90],
    )
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    if rattle:
        atoms.rattle(rattle, seed=3)
    return atoms
