"""Dielectric tensors that tell the bundled HfO2 model how its charges respond.

    python bundle/hfo2/generate.py ../shared/data out

writes ``hfo2_epsilon.xyz``: monoclinic HfO2 with the literature's mean dielectric constant, and
rutile HfO2 with its DFPT tensor from Fang et al. (Born charges are left out). Each stands there
many times, in orientations by chance, so that steps of the training often meet one: the model's
answer turns with the crystal, and the loss is the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

from ase_bec.data import Frame, read_dataset, write_dataset

COPIES = 24
MONOCLINIC = 4.9  # first-principles values lie between 4.7 and 5.2, films have 4.2 to 4.4


def monoclinic() -> Atoms:
    """m-HfO2 as measured (Ruh and Corfield 1970, rounded)."""
    atoms = crystal(
        ["Hf", "O", "O"],
        [(0.2759, 0.0404, 0.2083), (0.0741, 0.3323, 0.3466), (0.4483, 0.7581, 0.4792)],
        spacegroup=14,
        cellpar=[5.117, 5.1754, 5.2915, 90, 99.22, 90],
    )
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


def rutile(data: Path) -> Frame:
    """Rutile HfO2 of the crystals of Fang et al."""
    frames = read_dataset(data / "crystals_1520/crystals.xyz")
    (found,) = (f for f in frames if set(f.atoms.symbols) == {"Hf", "O"})
    return found


def turned(atoms: Atoms, epsilon: np.ndarray, rng: np.random.Generator) -> Frame:
    """The same crystal in another orientation."""
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    cell, positions = atoms.cell.array @ turn.T, atoms.positions @ turn.T
    rotated = Atoms(atoms.numbers, positions, cell=cell, pbc=True)
    return Frame(rotated, dielectric_tensor=turn @ epsilon @ turn.T)


def main(data: Path, output: Path) -> None:
    """Write the file."""
    rng, known = np.random.default_rng(0), rutile(data)
    pairs = [(monoclinic(), MONOCLINIC * np.eye(3)), (known.atoms, known.dielectric_tensor)]
    output.mkdir(exist_ok=True)
    frames = [turned(atoms, e, rng) for atoms, e in pairs for _ in range(COPIES)]
    write_dataset(output / "hfo2_epsilon.xyz", frames)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
