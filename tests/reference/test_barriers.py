"""Bands of the published vacancy hop, relaxed from its end points."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.io.lammpsdata import read_lammps_data

from ase_bec import FieldCalculator, NNPCalculator, read_released_nnp
from ase_bec.workflows import find_path, interpolate_path

DATA = Path(__file__).parents[3] / "shared/data/shimizu_li3po4"
FIELD = np.array([0.0, 0.0, 0.1])

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the published models in {DATA}")


def image(number: int) -> Atoms:
    path = DATA / f"neb/8to1/data.neb{number}.lammps"
    return read_lammps_data(path, atom_style="atomic", Z_of_type={1: 3, 2: 15, 3: 8})


def test_barriers_without_and_with_field() -> None:
    potential = read_released_nnp(DATA / "models/lammps-force.nnp")

    def without() -> Calculator:
        return NNPCalculator(potential)

    def within() -> Calculator:
        return FieldCalculator(without(), {"Li": 1, "P": 5, "O": -2}, FIELD)

    zero = find_path(interpolate_path(image(1), image(8), 6), without, fmax=0.02)
    assert zero.converged
    assert zero.forward_barrier == pytest.approx(0.157, abs=0.003)
    assert zero.backward_barrier == pytest.approx(0.444, abs=0.003)

    biased = find_path(zero.images, within, fmax=0.02, relax_ends=True)
    assert biased.converged
    # To first order the field takes E·D off the energies of the zero-field path.
    first_order = []
    for structure in zero.images:
        calculator = within()
        energy = calculator.get_potential_energy(structure)
        first_order.append(energy)
    first_order = np.array(first_order)
    difference = biased.energies[-1] - biased.energies[0]
    assert difference == pytest.approx(first_order[-1] - first_order[0], abs=0.01)
    assert biased.forward_barrier == pytest.approx(np.ptp(first_order[:4]), abs=0.01)
    assert biased.forward_barrier < zero.forward_barrier - 0.05
    assert biased.backward_barrier > zero.backward_barrier + 0.1
