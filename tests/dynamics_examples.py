"""Runs of molecular dynamics in known forces, and comparing what was recorded of them."""

from pathlib import Path

import numpy as np
from analytic import Springs
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.io.trajectory import Trajectory
from field_examples import PairCharges, neutral_charges, skewed_alloy

from ase_bec import FieldCalculator
from ase_bec.calculators import SineField
from ase_bec.workflows import MDSettings, MeltQuenchSettings

AMPLITUDE = (0.03, -0.05, 0.08)
WAVE = SineField(AMPLITUDE, period=37.0, phase=0.4)
ARGON = MDSettings(timestep=2.0, temperature=40.0, interval=3, seed=7)
ALLOY = MDSettings(timestep=2.0, temperature=200.0, interval=3, seed=5)
MELT = MeltQuenchSettings(
    melt_temperature=900.0,
    melt_time=100.0,
    quench_rate=4000.0,
    final_temperature=100.0,
    anneal_time=50.0,
    interval=5,
    relaxation_time=20.0,
    seed=3,
)


def argon() -> Atoms:
    """Forces of the positions alone, to the last bit."""
    atoms = Atoms("Ar4", [[0, 0, 0.1], [2.9, 0, 0], [0, 3.1, 0], [0, 0, 3]], cell=[9, 9, 9])
    atoms.calc = Springs()
    return atoms


def cluster() -> Atoms:
    """The same with two elements in a periodic cell."""
    atoms = argon()
    atoms.symbols, atoms.pbc = "LiOLiO", True
    return atoms


class Tethers(Calculator):
    """U = k/2 Σ |r_a − r_a0|²."""

    implemented_properties = ("energy", "forces")

    def __init__(self, centres: np.ndarray, stiffness: float) -> None:
        super().__init__()
        self.centres, self.stiffness = centres, stiffness

    def calculate(
        self, atoms: Atoms | None = None, properties: object = (), system_changes: object = ()
    ) -> None:
        super().calculate(atoms, ["energy"], all_changes)
        moved = self.atoms.positions - self.centres
        energy = 0.5 * self.stiffness * float((moved**2).sum())
        self.results = {"energy": energy, "forces": -self.stiffness * moved}


def alloy(field: object = WAVE) -> Atoms:
    """Triclinic, with non-symmetric Born charges that depend on the positions."""
    atoms = skewed_alloy()
    base = Tethers(skewed_alloy(rattle=0.0).positions, 2.0)
    atoms.calc = FieldCalculator(base, PairCharges(atoms, neutral_charges()), field)
    return atoms


def frames_of(path: Path) -> list[Atoms]:
    """Read all frames."""
    with Trajectory(path) as trajectory:
        return list(trajectory)


def keep_frames(path: Path, count: int) -> None:
    """Set the number of frames of a trajectory."""
    with path.open("r+b") as file:
        file.seek(32)
        file.write(np.int64(count).tobytes())


def assert_same_record(path: Path, other: Path) -> None:
    """Frames, their results, what was recorded of them, and the table, to the last bit."""
    with Trajectory(path) as one, Trajectory(other) as two:
        assert len(one) == len(two)
        for k in range(len(one)):
            a, b = one[k], two[k]
            assert np.array_equal(a.positions, b.positions)
            assert np.array_equal(a.get_momenta(), b.get_momenta())
            assert a.calc.results.keys() == b.calc.results.keys()
            for name, value in a.calc.results.items():
                assert np.array_equal(value, b.calc.results[name]), name
            assert one.backend[k].md == two.backend[k].md
    assert path.with_suffix(".csv").read_text() == other.with_suffix(".csv").read_text()


def vectors(table: dict[str, np.ndarray], name: str) -> np.ndarray:
    head, unit = name.split("*")
    return np.array([table[f"{head}{axis}{unit}"] for axis in "xyz"]).T


def field_of(table: dict[str, np.ndarray]) -> np.ndarray:
    return vectors(table, "field_*_V_per_A")


def polarization_of(table: dict[str, np.ndarray]) -> np.ndarray:
    return vectors(table, "polarization_*_e_per_A2")
