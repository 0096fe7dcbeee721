"""Data sets of the tests: shared ones where they are there, and small made ones."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from ase_bec.data import Frame

SHARED = Path(__file__).parents[2] / "shared" / "data"


def shared(*parts: str) -> Path:
    """Path of shared data; skips the test where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"shared data `{'/'.join(parts)}` is absent")
    return path


def salt(seed: int = 0, amplitude: float = 0.1) -> Atoms:
    """Rattled triclinic cell of NaCl, some atoms outside of it."""
    rng = np.random.default_rng(seed)
    atoms = bulk("NaCl", "rocksalt", 5.64, cubic=True)
    atoms.set_cell(atoms.cell.array + [[0, 0, 0], [0.4, 0, 0], [-0.3, 0.5, 0]], scale_atoms=True)
    atoms.positions += amplitude * rng.normal(size=(8, 3))
    atoms.positions[3] += 2 * atoms.cell[0] - atoms.cell[2]
    return atoms


def labelled(seed: int = 0, **labels: object) -> Frame:
    """Frame with every label, none of them symmetric beyond what physics asks."""
    rng = np.random.default_rng(seed)
    atoms = salt(seed)
    stress = 0.01 * rng.normal(size=(3, 3))
    given: dict = {
        "energy": float(rng.normal()),
        "forces": rng.normal(size=(8, 3)),
        "stress": stress + stress.T,
        "born_effective_charges": rng.normal(size=(8, 3, 3)),
        "polarization": 0.01 * rng.normal(size=3),
        "dielectric_tensor": rng.normal(size=(3, 3)),
        "config_type": "rattled",
    }
    return Frame(atoms, **(given | labels))


def harmonic(n: int, stiffness: float = 2.0, **scales: float) -> list[Frame]:
    """Frames of an Einstein crystal, whose forces do exactly the work that energies rise by.

    Labels of `scales` are multiplied, as if they were in other units.
    """
    rng = np.random.default_rng(5)
    perfect = salt(amplitude=0.0)
    frames = []
    for _ in range(n):
        shift = 0.1 * rng.normal(size=(8, 3))
        atoms = perfect.copy()
        atoms.positions += shift
        labels = {"energy": 0.5 * stiffness * (shift**2).sum(), "forces": -stiffness * shift}
        for key, factor in scales.items():
            if key == "positions":
                atoms.set_cell(factor * atoms.cell.array, scale_atoms=True)
            else:
                labels[key] = factor * labels[key]
        frames.append(Frame(atoms, **labels))
    return frames


def assert_equal_frames(a: Frame, b: Frame) -> None:
    """All numbers equal to the last bit."""
    assert a.labels == b.labels
    for label in (*a.labels, "net_charge"):
        np.testing.assert_array_equal(getattr(a, label), getattr(b, label))
    assert a.atoms == b.atoms
    assert a.config_type == b.config_type
