"""Packing, walls and bonds of structures to melt."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.lj import LennardJones

from ase_bec.workflows import (
    Walls,
    beta_lithium_phosphate,
    count_bonds,
    density_of,
    random_structure,
    scaled_to_density,
)
from ase_bec.workflows.structures.walls import wall_energy


def test_density_scales_cell_and_positions() -> None:
    crystal = beta_lithium_phosphate()
    # 16 atoms of Li3PO4: 2 formula units of 115.794 amu
    grams, litres = 2 * 115.794 * 1.66053907e-24, crystal.get_volume() * 1e-24
    assert density_of(crystal) == pytest.approx(grams / litres, rel=1e-4)
    scaled = scaled_to_density(crystal, 2.0)
    assert density_of(scaled) == pytest.approx(2.0)
    assert scaled.get_scaled_positions() == pytest.approx(crystal.get_scaled_positions())


def test_random_structure_has_its_groups_and_distances() -> None:
    atoms = random_structure("Li3PO4", 4, 2.2, seed=1)
    assert atoms.get_chemical_formula() == "Li12O16P4"
    assert density_of(atoms) == pytest.approx(2.2)
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    lithium, phosphorus, oxygen = (atoms.symbols == s for s in ("Li", "P", "O"))
    assert np.sort((distances[phosphorus][:, oxygen] < 1.7).sum(axis=1)).tolist() == [4] * 4
    assert np.sort(distances[phosphorus][:, oxygen], axis=1)[:, 4].min() > 2.5
    assert distances[phosphorus][:, phosphorus].min() > 3.5
    assert distances[lithium][:, lithium].min() > 0.92 * 2.6
    assert distances[lithium][:, oxygen].min() > 0.92 * 0.95 * (1.28 + 0.66)
    assert np.array_equal(atoms.positions, random_structure("Li3PO4", 4, 2.2, 1).positions)
    assert not np.array_equal(atoms.positions, random_structure("Li3PO4", 4, 2.2, 2).positions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Li3Xy", 2, 2.0), "`formula` must be a formula"),
        (("Li3PO4", 0, 2.0), "`formula` and `formula_units` must give atoms"),
        (("Li3PO4", 1, 0.0), "`density` must be positive"),
        (("Li3PO4", 2, 9.0), "`density` must leave room"),
    ],
)
def test_bad_random_structures(arguments: tuple[str, int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_structure(*arguments)


def test_walls_at_given_distances() -> None:
    atoms = Atoms("P2O", [[0, 0, 0], [2.4, 0, 0], [0, 2.4, 0]], cell=[9, 9, 9], pbc=True)
    assert wall_energy(atoms)[0] == 0.0
    energy, forces = wall_energy(atoms, {("P", "P"): 2.7})
    assert energy == pytest.approx(0.5 * 50.0 * 0.3**2)
    assert forces == pytest.approx(np.array([[-15.0, 0, 0], [15.0, 0, 0], [0, 0, 0]]))
    for pair in (("P", "O"), ("O", "P")):
        assert wall_energy(atoms, {pair: 2.5})[0] == pytest.approx(0.5 * 50.0 * 0.1**2)


def test_walls_push_and_are_out_of_reach_in_the_crystal() -> None:
    assert wall_energy(beta_lithium_phosphate())[0] == 0.0
    assert wall_energy(molecule("H2O", vacuum=3.0))[0] == 0.0
    pair = Atoms("LiP", [[0.1, 0, 0], [1.6, 0, 0]], cell=[9, 9, 9], pbc=True)
    energy, forces = wall_energy(pair)
    assert energy == pytest.approx(0.5 * 50.0 * 0.5**2)
    assert forces == pytest.approx(np.array([[-25.0, 0, 0], [25.0, 0, 0]]))
    atoms = random_structure("Li3PO4", 1, 2.0)
    atoms.positions *= 0.7  # unwrapped, and too dense
    atoms.set_cell(atoms.cell * 0.7)
    atoms.calc = Walls(LennardJones(sigma=1.0, epsilon=0.1, rc=3.0, smooth=True))
    assert wall_energy(atoms)[0] > 1.0
    forces, step = atoms.get_forces(), 1e-5
    for a, j in ((0, 0), (3, 1), (5, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[a, j] += sign * step
            energies.append(moved.get_potential_energy())
        assert forces[a, j] == pytest.approx((energies[1] - energies[0]) / (2 * step), abs=1e-5)


def test_bonds_of_the_crystal() -> None:
    bonds = count_bonds(beta_lithium_phosphate())
    assert bonds["P", "O"].numbers.tolist() == [4, 4]
    assert bonds["P", "O"].fraction(4) == 1.0
    assert bonds["P", "O"].cutoff == pytest.approx(1.3 * (1.07 + 0.66))
    assert bonds["Li", "O"].mean == 4.0
    assert bonds["O", "Li"].mean == 3.0
    assert bonds["O", "O"].mean == bonds["P", "P"].mean == 0.0
