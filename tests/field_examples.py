"""Atoms, base calculators and charge sources for the tests of fields."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from ase_bec.evaluation.field_response import FieldResponse

FIELD = np.array([0.03, -0.05, 0.08])  # V/Å, along no axis


def skewed_alloy(seed: int = 1, rattle: float = 0.08) -> Atoms:
    """Eight atoms Cu4Au3Al (neutral with `neutral_charges`) in a triclinic, left-handed cell."""
    atoms = bulk("Cu", "fcc", a=3.8) * (2, 2, 2)
    atoms.symbols = ["Cu", "Au", "Cu", "Al", "Au", "Cu", "Au", "Cu"]
    strain = np.array([[1.03, 0.05, -0.02], [0.0, 0.97, 0.04], [0.03, 0.0, 1.01]])
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.rattle(rattle, seed=seed)
    return atoms


def neutral_charges() -> dict[str, float]:
    return {"Cu": 1.0, "Au": -2.0, "Al": 2.0}


def random_tensors(natoms: int, seed: int = 5) -> np.ndarray:
    """Non-symmetric tensors without a sum rule, (natoms, 3, 3); Q, their mean trace, is 1 e."""
    tensors = np.random.default_rng(seed).normal(size=(natoms, 3, 3))
    net_charge = np.trace(tensors.sum(axis=0)) / 3
    return tensors + (1.0 - net_charge) / natoms * np.eye(3)


def numerical_forces(atoms: Atoms, step: float = 1e-4) -> np.ndarray:
    """Minus the central difference of the energy of `atoms`, (natoms, 3)."""
    forces = np.zeros((len(atoms), 3))
    moved = atoms.copy()
    moved.calc = atoms.calc
    for a, j in np.ndindex(*forces.shape):
        energies = []
        for sign in (1, -1):
            moved.positions[:] = atoms.positions
            moved.positions[a, j] += sign * step
            energies.append(moved.get_potential_energy(force_consistent=True))
        forces[a, j] = (energies[1] - energies[0]) / (2 * step)
    return forces


class CountingEMT(EMT):
    """EMT that counts its calculations."""

    calculations = 0

    def calculate(self, *args, **kwargs):
        self.calculations += 1
        super().calculate(*args, **kwargs)


class NoForces(Calculator):
    """A base calculator with zero energy, forces and stress."""

    implemented_properties = ("energy", "forces", "stress")
    calculations = 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.calculations += 1
        self.results = {
            "energy": 0.0,
            "forces": np.zeros((len(atoms), 3)),
            "stress": np.zeros((3, 3)),
        }


class PairCharges:
    """D = Σ_a q_a r_a + Σ_{a<b} s_ab sin(G·(r_a − r_b)), G a reciprocal vector: formal charges plus
    a single-valued, translation-invariant part with non-symmetric Z."""

    has_dipole = True

    def __init__(self, atoms: Atoms, charges: dict[str, float], seed: int = 2) -> None:
        rng = np.random.default_rng(seed)
        n = len(atoms)
        strength = rng.normal(scale=0.3, size=(n, n, 3))
        self.strength = strength - strength.transpose(1, 0, 2)  # s_ab = −s_ba
        self.wave = 2 * np.pi * np.linalg.inv(atoms.cell.array) @ np.array([1, -1, 0])
        self.charges = charges
        self.calls = 0

    def _formal(self, atoms):
        return np.array([self.charges[symbol] for symbol in atoms.symbols])

    def _phases(self, atoms):
        phase = atoms.positions @ self.wave
        return phase[:, None] - phase[None, :]

    def dipole(self, atoms):
        short = 0.5 * np.einsum("abi,ab->i", self.strength, np.sin(self._phases(atoms)))
        return self._formal(atoms) @ atoms.positions + short

    def born_charges(self, atoms, field=None):
        self.calls += 1
        short = np.einsum("abi,ab,j->aij", self.strength, np.cos(self._phases(atoms)), self.wave)
        return self._formal(atoms)[:, None, None] * np.eye(3) + short

    def response(self, atoms, field):
        forces = np.einsum("i,aij->aj", field, self.born_charges(atoms))
        dipole = self.dipole(atoms)
        return FieldResponse(forces, -float(np.dot(field, dipole)), dipole)

    def check(self, atoms, field):
        pass


class CurledCharges:
    """Z_a = c cos(G·(r_a − r_0)) for a > 0, balanced on atom 0: no dipole has this gradient."""

    has_dipole = False

    def __init__(self, atoms: Atoms, seed: int = 3) -> None:
        self.tensor = np.random.default_rng(seed).normal(size=(3, 3))
        self.wave = 2 * np.pi * np.linalg.inv(atoms.cell.array) @ np.array([0, 1, 0])

    def dipole(self, atoms):
        raise AssertionError("has no dipole")

    def born_charges(self, atoms, field=None):
        phase = (atoms.positions - atoms.positions[0]) @ self.wave
        charges = np.cos(phase)[:, None, None] * self.tensor
        charges[0] -= charges.sum(axis=0)
        return charges

    def response(self, atoms, field):
        return FieldResponse(np.einsum("i,aij->aj", field, self.born_charges(atoms)))

    def check(self, atoms, field):
        pass


class BornCalculator(Calculator):
    """An ASE calculator that gives the Born charges of a source."""

    implemented_properties = ("born_effective_charges",)
    calculations = 0

    def __init__(self, source) -> None:
        super().__init__()
        self.source = source

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.calculations += 1
        self.results = {"born_effective_charges": self.source.born_charges(atoms)}


class HalfKnownCharges:
    """Only the row of Z for a field along z, as weights trained for one axis give."""

    has_dipole = False

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows  # (natoms, 3)

    def born_charges(self, atoms, field=None):
        charges = np.full((len(atoms), 3, 3), np.nan)
        charges[:, 2] = self.rows
        return charges

    def dipole(self, atoms):
        raise AssertionError("has no dipole")

    def response(self, atoms, field):
        return FieldResponse(field[2] * self.rows)

    def check(self, atoms, field):
        if field[0] or field[1]:
            raise ValueError(f"`field` must be along z for these charges, got {field}")
