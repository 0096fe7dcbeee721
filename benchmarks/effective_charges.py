"""What separating charges is worth where the answer is known: ZnO labelled by an ionic model.

A linear model of local invariants learns what charges of q leave in cells of 4 to 16 atoms, and
is tested on cells of the same size, and on waves along 64 atoms.

python benchmarks/effective_charges.py
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk

from ase_bec import NNPCalculator
from ase_bec.models.ionic import ZNO, ionic_model
from ase_bec.terms.coulomb import Coulomb
from ase_bec.terms.model import Model
from ase_bec.training.local_basis import LocalBasis

BASIS = LocalBasis(("Zn", "O"))
RIDGES = (1e-10, 1e-8, 1e-6, 1e-4)


def small(count: int, rng: np.random.Generator) -> list[Atoms]:
    found = []
    crystals = [
        bulk("ZnO", "wurtzite", 3.27, 5.14),
        bulk("ZnO", "zincblende", 4.57, orthorhombic=True),
        bulk("ZnO", "rocksalt", 4.32, orthorhombic=True),
    ]
    for k in range(count):
        atoms = crystals[k % 3].repeat([(1, 1, 1), (2, 1, 1), (1, 1, 2), (2, 2, 1)][k % 4])
        strain = rng.normal(scale=0.03, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), True)
        atoms.positions += rng.normal(size=(len(atoms), 3)) * rng.uniform(0.03, 0.12)
        found.append(atoms)
    return found


def waves(axis: int) -> list[Atoms]:
    """Zn against O along 8 cells of zinc blende, lengthwise (axis 0) or across."""
    found = []
    for amplitude in (0.05, 0.1):
        atoms = bulk("ZnO", "zincblende", 4.57, cubic=True).repeat((8, 1, 1))
        sign = np.where(atoms.symbols == "Zn", 1, -1)
        phase = 2 * np.pi * atoms.positions[:, 0] / (8 * 4.57)
        atoms.positions[:, axis] += amplitude * sign * np.cos(phase + 0.3)
        found.append(atoms)
    return found


def rows(frames: list[Atoms], charge: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of energies per atom and forces."""
    labels = NNPCalculator(ionic_model({"Zn": 2, "O": -2}, ZNO))
    coulomb = NNPCalculator(Model(["Zn", "O"], [Coulomb(2, [charge, -charge], width)]))
    x, y = [], []
    for atoms in frames:
        found, n = BASIS.rows(atoms), len(atoms)
        x += [found.energy[None] * 10 / n, found.forces.reshape(3 * n, -1)]
        energies = [c.get_potential_energy(atoms) for c in (labels, coulomb)]
        forces = [c.get_forces(atoms).ravel() for c in (labels, coulomb)]
        y += [[(energies[0] - energies[1]) * 10 / n], forces[0] - forces[1]]
    return np.concatenate(x), np.concatenate(y)


def main() -> None:
    rng = np.random.default_rng(0)
    train, check = small(90, rng), small(30, rng)
    print("force errors in meV/Å: cells of the same size, longitudinal and transverse waves")
    for width in (1.2, 0.0):
        for charge in (0.0, 0.5, 1.0, 1.5, 2.0):
            x, y = rows(train, charge, width)
            size = np.sqrt((x**2).sum(axis=0)) + 1e-12
            best: tuple[float, np.ndarray] = (np.inf, size)
            held, label = rows(check, charge, width)
            for ridge in RIDGES:
                matrix = (x / size).T @ (x / size) + ridge * np.eye(len(size))
                weights = np.linalg.solve(matrix, (x / size).T @ y) / size
                wrong = held @ weights - label
                best = min(best, (float(np.sqrt(np.mean(wrong**2))), weights), key=lambda b: b[0])
            tests = [rows(waves(axis), charge, width) for axis in (0, 1)]
            errors = [np.sqrt(np.mean((a @ best[1] - b) ** 2)) for a, b in tests]
            figures = "".join(f"{1e3 * e:9.2f}" for e in (best[0], *errors))
            print(f"width {width} Å, q {charge}: {figures}", flush=True)


if __name__ == "__main__":
    main()
