"""Structures of ZnO labelled by an ionic model, to train a network on before first principles.

python bundle/zno/generate.py ../shared/data out
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ase_bec import NNPCalculator, read_dataset
from ase_bec.models.ionic import ZNO, ionic_model

FRAMES = 240  # of each crystal


def crystals() -> dict[str, Atoms]:
    """Polymorphs in cells of four atoms or so, near their PBE volumes."""
    layers = bulk("ZnO", "wurtzite", 3.45, 4.6)
    layers.set_scaled_positions([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5],
                                    [1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0]])  # fmt: skip
    return {
        "wurtzite": bulk("ZnO", "wurtzite", 3.28, 5.30),
        "zinc blende": bulk("ZnO", "zincblende", 4.63, orthorhombic=True),
        "rock salt": bulk("ZnO", "rocksalt", 4.34, orthorhombic=True),
        "hexagonal layers, like on like": layers,
        "caesium chloride": bulk("ZnO", "cesiumchloride", 2.70).repeat((2, 1, 1)),
    }


def variants(crystal: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
    """Strained and rattled cells of 4 to 16 atoms, some with an atom missing."""
    shapes = [np.eye(3), np.diag([2, 1, 1]), np.diag([1, 1, 2]), np.diag([2, 2, 1])]
    for k in range(FRAMES):
        atoms = make_supercell(crystal, shapes[rng.choice(4, p=[0.4, 0.2, 0.2, 0.2])])
        strain = rng.normal(scale=0.04, size=(3, 3))
        deform = np.eye(3) + (strain + strain.T) / 2 + rng.normal(scale=0.02) * np.eye(3)
        atoms.set_cell(atoms.cell.array @ deform, scale_atoms=True)
        atoms.positions += rng.normal(size=(len(atoms), 3)) * rng.uniform(0, 0.22)
        if len(atoms) >= 8 and k % 8 == 0:
            del atoms[int(rng.integers(len(atoms)))]
        yield atoms


def main(data: Path, out: Path) -> None:
    """Write the frames, with the elements' energies of the first-principles set."""
    rng = np.random.default_rng(0)
    calculator = NNPCalculator(ionic_model({"Zn": 2, "O": -2}, ZNO))
    frames = [f for f in read_dataset(data / "zno_pbe" / "zno_pbe.xyz") if f.energy is not None]
    counts = np.array([[f.atoms.symbols.count(e) for e in ("Zn", "O")] for f in frames])
    above = [f.energy - calculator.get_potential_energy(f.atoms) for f in frames]
    shift = np.linalg.lstsq(counts, np.array(above), rcond=None)[0]
    written = []
    for name, crystal in crystals().items():
        for atoms in variants(crystal, rng):
            if (atoms.get_all_distances(mic=True) + 9 * np.eye(len(atoms))).min() < 1.55:
                continue
            count = [atoms.symbols.count(e) for e in ("Zn", "O")]
            labels = {
                "energy": float(calculator.get_potential_energy(atoms) + shift @ count),
                "forces": calculator.get_forces(atoms),
                "stress": calculator.get_stress(atoms),
            }
            if np.abs(labels["forces"]).max() > 15:
                continue
            atoms.calc = SinglePointCalculator(atoms, **labels)
            atoms.info["config_type"] = name
            written.append(atoms)
    out.mkdir(exist_ok=True)
    write(out / "zno_ionic.xyz", written, format="extxyz")
    print(f"{len(written)} frames in {out / 'zno_ionic.xyz'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
