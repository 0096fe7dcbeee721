"""Small potentials whose answers are known in closed form."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms

HEIGHT, HALF_WIDTH, CURVATURE, STIFFNESS = 0.4, 1.2, 0.3, 5.0


class DoubleWell(Calculator):
    """U = h [(x/a)² − 1]² + k/2 [(y − c x²)² + z²] with x, y, z relative to a second atom."""

    implemented_properties = ("energy", "forces")

    def calculate(
        self, atoms: Atoms | None = None, properties: object = (), system_changes: object = ()
    ) -> None:
        super().calculate(atoms, ["energy"], all_changes)
        x, y, z = self.atoms.positions[0] - self.atoms.positions[1]
        well = (x / HALF_WIDTH) ** 2 - 1
        bend = y - CURVATURE * x**2
        slope = 4 * HEIGHT * well * x / HALF_WIDTH**2 - 2 * STIFFNESS * bend * CURVATURE * x
        force = -np.array([slope, STIFFNESS * bend, STIFFNESS * z])
        self.results = {
            "energy": float(HEIGHT * well**2 + STIFFNESS / 2 * (bend**2 + z**2)),
            "forces": np.array([force, -force]),
        }


def wells(lattice: float = 6.0) -> tuple[Atoms, Atoms]:
    """Two minima, the second one wrapped into the cell."""
    structures = []
    for x in (-HALF_WIDTH, HALF_WIDTH):
        place = [x, CURVATURE * HALF_WIDTH**2, 0]
        atoms = Atoms("LiO", [place, [0, 0, 0]], cell=[lattice] * 3, pbc=True)
        atoms.set_constraint(FixAtoms([1]))
        structures.append(atoms)
    structures[1].positions[0] += [-lattice, lattice, 0]
    return structures[0], structures[1]


def stationary_energies(field: float) -> list[float]:
    """H of left minimum, saddle and right minimum along the valley y = c x², in eV."""
    roots = np.roots([4 * HEIGHT / HALF_WIDTH**4, 0, -4 * HEIGHT / HALF_WIDTH**2, -field])
    x = np.sort(roots.real)
    return list(HEIGHT * ((x / HALF_WIDTH) ** 2 - 1) ** 2 - field * x)


class Springs(Calculator):
    """Anharmonic springs between all atoms: forces of the positions alone, to the last bit."""

    implemented_properties = ("energy", "forces")

    def __init__(self, length: float = 3.0) -> None:
        super().__init__()
        self.length = length

    def calculate(
        self, atoms: Atoms | None = None, properties: object = (), system_changes: object = ()
    ) -> None:
        super().calculate(atoms, ["forces"], all_changes)
        vectors = self.atoms.positions[:, None] - self.atoms.positions
        distances = np.linalg.norm(vectors, axis=2) + np.eye(len(vectors))
        stretch = (distances - self.length) * (1 - np.eye(len(vectors)))
        slope = 0.1 * stretch + 0.4 * stretch**3
        self.results = {
            "energy": float((0.05 * stretch**2 + 0.1 * stretch**4).sum() / 2),
            "forces": -(slope[:, :, None] * vectors / distances[:, :, None]).sum(axis=1),
        }
