"""What charge equilibration on positions gives in a crystal, beside split charges.

    python benchmarks/charge_equilibration.py [model]

The form of the HfO2 paper (npj Comput. Mater.), q = −A⁻¹(χ − z E), with a diagonal A, as its
released weights have it, and charges that add up to zero; forces q E beside those of H.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

from ase_bec import NNPCalculator, load
from ase_bec.calculators.model_charges import ModelCharges
from ase_bec.data.frame import COULOMB

FIELD = 0.1  # V/Å along z
HARDNESS = 12.0  # V/e


def monoclinic() -> Atoms:
    """m-HfO2, which has inversion (P2₁/c)."""
    atoms = crystal(
        ["Hf", "O", "O"],
        [(0.2759, 0.0404, 0.2083), (0.0741, 0.3323, 0.3466), (0.4483, 0.7581, 0.4792)],
        spacegroup=14,
        cellpar=[5.117, 5.1754, 5.2915, 90, 99.22, 90],
    )
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


def on_positions(atoms: Atoms, field: float) -> np.ndarray:
    """Change of charges q(E) − q(0) of the paper's form."""
    z = atoms.positions[:, 2]
    change: np.ndarray = (z - z.mean()) * field / HARDNESS
    return change


def on_bonds(model: Any, atoms: Atoms, field: float) -> np.ndarray:
    """The same of split charges."""
    source = ModelCharges(model)
    pair = [source.charges(atoms, np.array([0, 0, e])) for e in (field, 0.0)]
    change: np.ndarray = pair[0] - pair[1]
    return change


def susceptibility(model: Any, atoms: Atoms, field: float) -> tuple[float, float]:
    """4πχ along z of both."""
    source, volume = ModelCharges(model), atoms.get_volume()
    first = on_positions(atoms, field) @ atoms.positions[:, 2]
    ends = [source.response(atoms, np.array([0, 0, e])).dipole for e in (field, 0.0)]
    second = float(ends[0][2] - ends[1][2])  # type: ignore[index]
    scale = 4 * np.pi * COULOMB / (volume * field)
    return float(first * scale), second * scale


def main(name: str) -> None:
    """Print the comparison."""
    model, cell = load(name), monoclinic()
    print("4πχ of 1, 2 and 3 cells along z")
    for repeat in (1, 2, 3):
        first, second = susceptibility(model, cell * (1, 1, repeat), FIELD)
        print(f"  {repeat}   on positions {first:8.3f}   on bonds {second:8.5f}")
    atoms = cell * (1, 1, 2)
    moved = atoms.copy()
    moved.positions += [0, 0, 3.0]
    moved.wrap()
    hafnium = atoms.numbers == 72
    for title, one in (("positions", on_positions), ("bonds", lambda a, e: on_bonds(model, a, e))):
        before, after = one(atoms, FIELD), one(moved, FIELD)
        print(
            f"on {title}: mean change of Hf {before[hafnium].mean():.2e} e, after a shift of the "
            f"origin and wrapping {after[hafnium].mean():.2e} e; largest difference of a charge "
            f"{np.abs(before - after).max():.2e} e"
        )
    rattled = cell * (2, 2, 2)
    rattled.rattle(0.05, seed=0)
    source, field = ModelCharges(model), np.array([0, 0, FIELD])
    charges = NNPCalculator(model).get_property("charges", rattled)
    full = source.response(rattled, field).forces
    short = np.outer(charges + on_bonds(model, rattled, FIELD), field)
    wrong = np.sqrt(((full - short) ** 2).mean() / (full**2).mean())
    print(f"q E instead of -∂H/∂R: {100 * wrong:.0f} % of the field's forces are wrong (rms)")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "hfo2")
