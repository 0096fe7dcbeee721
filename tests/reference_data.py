"""Published structures of Li3PO4 and what the released interface computes for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io.lammpsdata import read_lammps_data

DATA = Path(__file__).parents[2] / "shared/data/shimizu_li3po4"
NNP, BEC = DATA / "models/lammps-force.nnp", DATA / "models/lammps_rot_bec.nnp"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the published data in {DATA}")


def read(path: str) -> Atoms:
    """A LAMMPS file below the data folder, atoms in the order of their numbers."""
    numbers = {1: 3, 2: 15, 3: 8}
    return read_lammps_data(DATA / path, atom_style="atomic", Z_of_type=numbers)


@dataclass(frozen=True)
class Reference:
    """What the compiled original gives; keys as in its README."""

    atoms: Atoms
    values: dict[str, np.ndarray]

    def __getitem__(self, key: str) -> np.ndarray:
        return self.values[key]


def reference(name: str) -> Reference:
    values = dict(np.load(DATA / f"reference/{name}.npz"))
    atoms = Atoms(
        values["numbers"], values["positions"], cell=values["cell"], pbc=values["pbc"].astype(bool)
    )
    return Reference(atoms, values)


def totals(path: str) -> list[float]:
    """Published total energies of the images, eV."""
    lines = (DATA / path / "toten").read_text().splitlines()
    return [float(line.split()[1]) for line in lines if line.strip()]
