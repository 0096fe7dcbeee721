"""Repulsive walls between atoms nearer than any that a potential was fitted to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import covalent_radii
from numpy.typing import NDArray

from ase_bec.neighbours import neighbour_list

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

ANIONS = ("N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I")
_LIKE = 2.0  # Å
_UNLIKE = 0.75  # of the sum of covalent radii
_STIFFNESS = 50.0  # eV/Å²


class Walls(Calculator):
    r"""Energy and forces of a calculator with walls between close atoms.

    .. math:: U = U_0 + \tfrac{k}{2} \sum_{a<b} \max(0, d_{ab} - r_{ab})^2

    with d = 2.0 Å between two anions (N, O, S, Se, Te, halogens) or two cations, 0.75 of the sum
    of covalent radii between an anion and a cation, none for hydrogen, and k = 50 eV/Å². In a hot
    melt ions come closer than in any solid that potentials are fitted to, and some potentials
    attract there without bound; in a solid the walls are never reached.

    Parameters
    ----------
    calculator : ASE calculator
        Gives U_0 and its forces.
    closest : mapping, optional
        d in Å of other pairs, such as ``{("P", "P"): 2.7}``, in place of those above.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import Walls
    >>> atoms = Atoms("O2", [[0, 0, 0], [0, 0, 1.5]])
    >>> atoms.calc = EMT()
    >>> bare = atoms.get_potential_energy()
    >>> atoms.calc = Walls(EMT())
    >>> round(float(atoms.get_potential_energy() - bare), 6)  # 50/2 · (2.0 − 1.5)² eV
    6.25
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(
        self, calculator: Any, closest: Mapping[tuple[str, str], float] | None = None
    ) -> None:
        Calculator.__init__(self)
        self.calculator = calculator
        self.closest = dict(closest or {})

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Iterable[str] = ("energy",),
        system_changes: Iterable[str] = tuple(all_changes),
    ) -> None:
        """Compute energy (eV) and forces (eV/Å)."""
        Calculator.calculate(self, atoms, properties, system_changes)
        structure: Any = self.atoms
        energy, forces = wall_energy(structure, self.closest)
        self.results = {
            "energy": float(self.calculator.get_property("energy", structure)) + energy,
            "forces": self.calculator.get_property("forces", structure) + forces,
        }

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Give the options as plain values, for ASE's files."""
        closest = {"-".join(pair): distance for pair, distance in self.closest.items()}
        name = type(self.calculator).__name__
        return {"calculator": name, "stiffness": _STIFFNESS, "closest": closest}


def wall_energy(
    atoms: Atoms, closest: Mapping[tuple[str, str], float] | None = None
) -> tuple[float, Array]:
    """Give the energy of the walls in eV and their forces in eV/Å, (natoms, 3)."""
    radii, given = covalent_radii[atoms.numbers], closest or {}
    reach = max([_LIKE, 2 * _UNLIKE * float(radii.max()), *given.values()])
    i, j, shifts = neighbour_list(atoms, reach)
    vectors = atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array
    lengths = np.linalg.norm(vectors, axis=1)
    symbols = np.array(atoms.get_chemical_symbols())
    anion = np.isin(symbols, ANIONS)
    hydrogen = (atoms.numbers[i] == 1) | (atoms.numbers[j] == 1)
    walls = np.where(anion[i] == anion[j], _LIKE, _UNLIKE * (radii[i] + radii[j]))
    for pair, distance in given.items():
        for one, other in {pair, pair[::-1]}:
            walls[(symbols[i] == one) & (symbols[j] == other)] = distance
    depth = np.where(hydrogen, 0.0, np.maximum(walls - lengths, 0.0))
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, -_STIFFNESS * (depth / lengths)[:, None] * vectors)
    return float(_STIFFNESS / 4 * (depth @ depth)), forces
