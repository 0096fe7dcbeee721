"""Ewald sums against Madelung constants, derivatives, and sums done by hand."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from torch import Tensor

from ase_bec.terms.ewald import (
    COULOMB,
    ewald_matrix,
    ewald_potentials,
    open_potentials,
    self_potentials,
)

# Nearest distance in units of the cubic lattice constant (of a for wurtzite), product of the
# charges of a bond, constant per formula unit.
CUBE, HALF = 4.0, math.sqrt(3) / 2
IDEAL = bulk("ZnO", "wurtzite", CUBE, CUBE * math.sqrt(8 / 3))
MADELUNG = {
    "rock salt": (bulk("NaCl", "rocksalt", CUBE), 1 / 2, 1, 1.7475645946331822),
    "caesium chloride": (bulk("CsCl", "cesiumchloride", CUBE), HALF, 1, 1.76267477307099),
    "zinc blende": (bulk("ZnS", "zincblende", CUBE), HALF / 2, 1, 1.63805505338879),
    "wurtzite": (IDEAL, math.sqrt(3 / 8), 1, 1.64132162737),
    "fluorite": (bulk("CaF2", "fluorite", CUBE), HALF / 2, 2, 5.03878487984 / 2),
}
CATIONS = {"Na": 1.0, "Cs": 1.0, "Zn": 1.0, "Ca": 2.0}


def tensors(atoms: Atoms) -> tuple[Tensor, Tensor]:
    return torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)


def skewed(seed: int = 0, n: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, cell and charges, not neutral, of a cell far from cubic."""
    rng = np.random.default_rng(seed)
    cell = torch.tensor([[4.1, 0.3, -0.2], [5.9, 3.7, 0.4], [-3.1, 1.2, 5.2]], dtype=torch.float64)
    positions = torch.tensor(rng.random((n, 3))) @ cell
    return positions, cell, torch.tensor(rng.normal(size=n))


def energy(positions: Tensor, cell: Tensor, charges: Tensor, widths: Tensor) -> Tensor:
    return 0.5 * (charges * ewald_potentials(positions, cell, charges, widths)).sum()


@pytest.mark.parametrize("name", MADELUNG)
def test_madelung_constants(name: str) -> None:
    atoms, nearest, product_of_charges, constant = MADELUNG[name]
    charges = torch.tensor([CATIONS.get(s, -1.0) for s in atoms.symbols], dtype=torch.float64)
    units = int((charges > 0).sum())
    found = energy(*tensors(atoms), charges, torch.zeros_like(charges))
    expected = -constant * COULOMB * product_of_charges * units / (CUBE * nearest)
    assert float(found) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("widths", [(0.0,) * 5, (0.5,) * 5, (0.0, 0.3, 0.9, 1.4, 0.0)])
def test_splitting_is_of_no_account(widths: tuple[float, ...]) -> None:
    positions, cell, charges = skewed()
    sigma = torch.tensor(widths, dtype=torch.float64)
    found = [ewald_potentials(positions, cell, charges, sigma, s) for s in (0.35, 0.6, 0.9, 1.5)]
    found += [ewald_matrix(positions, cell, sigma, s) @ charges for s in (0.4, 1.1)]
    found += [ewald_potentials(positions, cell, charges, sigma)]
    found += [ewald_matrix(positions, cell, sigma) @ charges]
    for potentials in found[1:]:
        torch.testing.assert_close(potentials, found[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("width", [0.0, 0.4, 1.2])
def test_forces_and_strain_against_finite_differences(width: float) -> None:
    positions, cell, charges = skewed(1)
    assert abs(float(charges.sum())) > 0.1
    widths = torch.full_like(charges, width)
    leaf, strain = positions.clone().requires_grad_(), torch.zeros_like(cell).requires_grad_()
    deform = torch.eye(3, dtype=torch.float64) + strain
    energy(leaf @ deform, cell @ deform, charges, widths).backward()

    def difference(step: Tensor, bend: Tensor) -> float:
        values = []
        for sign in (1, -1):
            deform = torch.eye(3, dtype=torch.float64) + sign * bend
            moved = (positions + sign * step) @ deform
            values.append(float(energy(moved, cell @ deform, charges, widths)))
        return (values[0] - values[1]) / 2e-4

    for a, i in product(range(len(charges)), range(3)):
        step = torch.zeros_like(positions)
        step[a, i] = 1e-4
        found = difference(step, torch.zeros_like(cell))
        assert leaf.grad is not None
        assert float(leaf.grad[a, i]) == pytest.approx(found, abs=1e-6)
    for i, j in product(range(3), repeat=2):
        bend = torch.zeros_like(cell)
        bend[i, j] = 1e-4
        found = difference(torch.zeros_like(positions), bend)
        assert strain.grad is not None
        assert float(strain.grad[i, j]) == pytest.approx(found, abs=1e-6)


def test_background_of_a_charged_cell() -> None:
    # A lattice of unit point charges in a background: Madelung constant of a simple cubic crystal.
    one = torch.ones(1, dtype=torch.float64)
    cell = 5.0 * torch.eye(3, dtype=torch.float64)
    origin = torch.zeros(1, 3, dtype=torch.float64)
    found = energy(origin, cell, one, 0 * one)
    assert float(found) == pytest.approx(-2.837297479 / 2 * COULOMB / 5.0, rel=1e-9)
    # A Gaussian's own background: k = 0 is left out, so the difference is that of its size.
    wide = energy(origin, cell, one, 0.3 * one) - 0.5 * float(self_potentials(0.3 * one)[0])
    correction = math.pi * 2 * 0.3**2 * COULOMB / 5.0**3
    assert float(wide - found) == pytest.approx(correction, rel=1e-8)


def test_gaussians_become_points() -> None:
    positions, cell, charges = skewed(2)
    charges = charges - charges.mean()
    point = ewald_potentials(positions, cell, charges, torch.zeros_like(charges))
    away = []
    for width in (0.2, 0.1, 0.05):
        widths = torch.full_like(charges, width)
        own = self_potentials(widths) * charges
        gaussian = ewald_potentials(positions, cell, charges, widths) - own
        away.append(float((gaussian - point).abs().max()))
    # Neutral Gaussians that do not overlap differ from points by their backgrounds alone.
    assert away[2] < 1e-9 + away[0] * 0.1
    torch.testing.assert_close(gaussian, point, rtol=0, atol=2 * away[2] + 1e-12)


def test_pieces_of_a_crystal_are_the_crystal() -> None:
    # One structure in compact, skewed, and larger cells, positions moved by lattice vectors.
    positions, cell, charges = skewed(3)
    widths = torch.linspace(0, 1.2, 5, dtype=torch.float64)
    found = ewald_potentials(positions, cell, charges, widths)
    shear = torch.tensor([[1, 0, 0], [7, 1, 0], [-4, 9, 1]], dtype=torch.float64)
    assert_same = lambda x: torch.testing.assert_close(x, found, rtol=1e-9, atol=1e-9)  # noqa: E731
    assert_same(ewald_potentials(positions, shear @ cell, charges, widths))
    away = torch.tensor(np.random.default_rng(0).integers(-3, 4, (5, 3)), dtype=torch.float64)
    assert_same(ewald_potentials(positions + away @ cell, cell, charges, widths))
    double = torch.cat([positions, positions + cell[1]])
    twice = torch.diag(torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)) @ cell
    both = ewald_potentials(double, twice, charges.repeat(2), widths.repeat(2))
    assert_same(both[:5])
    assert_same(both[5:])


def test_far_apart_in_a_large_cell_it_is_a_molecule() -> None:
    positions = torch.tensor([[0.0, 0, 0], [1.5, 0.2, -0.3], [0.4, 1.1, 0.8]], dtype=torch.float64)
    charges = torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64)
    widths = torch.tensor([0.0, 0.5, 0.2], dtype=torch.float64)
    alone = open_potentials(positions, charges, widths)
    r = (positions[1] - positions[0]).norm()
    by_hand = torch.erf(r / math.sqrt(2 * 0.5**2)) / r * charges[1]
    r = (positions[2] - positions[0]).norm()
    by_hand = COULOMB * (by_hand + torch.erf(r / math.sqrt(2 * 0.2**2)) / r * charges[2])
    assert float(alone[0]) == pytest.approx(float(by_hand), rel=1e-12)
    away = []
    for side in (30.0, 60.0):
        cell = side * torch.eye(3, dtype=torch.float64)
        crystal = ewald_potentials(positions, cell, charges, widths)
        away.append(float((charges * (crystal - alone)).sum()))
    # What remains is the field of the dipoles of the images: it falls with the volume.
    assert away[0] / away[1] == pytest.approx(8, rel=0.05)


def test_slab_in_vacuum() -> None:
    # The potential across a dipole layer between conducting boundaries: 4π k_e σ d / 2 on average.
    area, gap, height = 3.0, 2.0, 40.0
    positions = torch.tensor([[0.0, 0, 0], [0, 0, gap]], dtype=torch.float64)
    cell = torch.diag(torch.tensor([area, area, height], dtype=torch.float64))
    charges = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    widths = torch.full_like(charges, 1.0)
    found = [
        energy(positions, torch.diag(torch.tensor([area, area, h], dtype=torch.float64)),
               charges, widths) for h in (height, 2 * height)
    ]  # fmt: skip
    # The dipole's depolarising energy 2π k_e (q d)²/V is missing with conducting boundaries.
    missing = 2 * math.pi * COULOMB * gap**2 / (area**2 * height)
    assert float(found[1] - found[0]) == pytest.approx(missing / 2, rel=1e-8)
    assert torch.linalg.det(cell) > 0


def test_matrix_is_symmetric_and_positive() -> None:
    positions, cell, _ = skewed(4, 8)
    widths = torch.linspace(0.6, 1.2, 8, dtype=torch.float64)
    matrix = ewald_matrix(positions, cell, widths)
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-11)
    neutral = torch.eye(8, dtype=torch.float64) - 1 / 8
    values = torch.linalg.eigvalsh(neutral @ matrix @ neutral)
    assert float(values[1:].min()) > 0
