"""The published crystal Li47P16O64 in a field: energies, forces and dynamics belong together."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.io.lammpsdata import read_lammps_data
from ase.md.verlet import VelocityVerlet

from ase_bec import FieldCalculator, NNPCalculator, read_released_nnp

DATA = Path(__file__).parents[3] / "shared/data/shimizu_li3po4"
FORMAL = {"Li": 1, "P": 5, "O": -2}

pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the published models in {DATA}"),
    pytest.mark.filterwarnings("ignore:.*have an environment outside the range:UserWarning"),
]


def crystal() -> Atoms:
    path = DATA / "md/crystal/data.lammps"
    return read_lammps_data(path, atom_style="atomic", Z_of_type={1: 3, 2: 15, 3: 8})


def in_field(field: tuple[float, float, float], **options: str) -> FieldCalculator:
    nnp = NNPCalculator(read_released_nnp(DATA / "models/lammps-force.nnp"))
    return FieldCalculator(nnp, FORMAL, field, **options)


def test_forces_are_the_gradient_of_the_enthalpy_in_a_skewed_cell() -> None:
    atoms = crystal()
    strain = np.array([[1.01, 0.04, -0.02], [0.0, 0.99, 0.05], [0.0, 0.0, 1.02]])
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.rattle(0.05, seed=3)
    atoms.calc = in_field((0.05, -0.08, 0.11))
    forces = atoms.get_forces()
    step = 1e-4
    for a, axis in ((0, 0), (3, 2), (50, 1), (126, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[a, axis] += sign * step
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        slope = (energies[0] - energies[1]) / (2 * step)
        assert abs(slope + forces[a, axis]) < 1e-6


def test_dynamics_conserve_kinetic_energy_plus_enthalpy_across_the_boundary() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    atoms = crystal()
    rng = np.random.default_rng(11)
    momenta = rng.normal(size=(len(atoms), 3)) * np.sqrt(
        atoms.get_masses()[:, None] * units.kB * 300
    )
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    # Every atom is dragged across the cell boundary: 10.6 Å along z in 2 ps, one cell and more.
    speed = 10.7 / (2000 * units.fs)
    atoms.set_velocities(atoms.get_velocities() + [0.0, 0.0, speed])
    atoms.calc = in_field((0.0, 0.0, 0.1))
    first = atoms.get_scaled_positions(wrap=False)[:, 2]
    dynamics = VelocityVerlet(atoms, timestep=0.5 * units.fs)
    totals = [atoms.get_total_energy()]
    dynamics.attach(lambda: totals.append(atoms.get_total_energy()), interval=5)
    try:
        dynamics.run(4000)
    finally:
        torch.set_num_threads(threads)
    crossed = np.floor(atoms.get_scaled_positions(wrap=False)[:, 2]) > np.floor(first)
    assert crossed.mean() > 0.9
    per_atom = np.array(totals) / len(atoms)
    tenth = len(per_atom) // 10
    assert abs(per_atom[-tenth:].mean() - per_atom[:tenth].mean()) < 1e-5
    assert np.ptp(per_atom) < 5e-5  # nowhere a jump: one quantum would be 8e-3 eV per atom


@pytest.mark.parametrize("net_force", ["keep", "remove"])
def test_another_image_of_an_atom_changes_no_force(net_force: str) -> None:
    field = np.array([0.03, -0.02, 0.1])
    atoms = crystal()
    atoms.calc = in_field(tuple(field), net_force=net_force)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    for a, shift in ((0, (0, 0, 1)), (20, (1, -2, 0)), (60, (0, 3, -1))):
        moved = atoms.copy()
        translation = np.array(shift) @ atoms.cell.array
        moved.positions[a] += translation
        moved.calc = atoms.calc
        assert np.abs(moved.get_forces() - forces).max() < 1e-10
        charge = FORMAL[atoms.symbols[a]]
        if net_force == "remove":  # of a cell with Q = -1 each atom gives up its share
            charge += atoms.get_masses()[a] / atoms.get_masses().sum()
        change = moved.get_potential_energy() - energy
        assert change == pytest.approx(-charge * field @ translation, abs=1e-9)


def test_one_lithium_through_the_cell_takes_up_one_charge_times_field_times_length() -> None:
    field = np.array([0.0, 0.0, 0.1])
    atoms = crystal()
    calculator = in_field(tuple(field), net_force="keep")
    lithium = int(np.flatnonzero(atoms.numbers == 3)[0])
    length = atoms.cell.array[2]
    start = atoms.positions.copy()
    work, steps = 0.0, 50
    nodes, weights = np.polynomial.legendre.leggauss(2)
    for k in range(steps):  # the field's part of the force, along the way
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            atoms.positions[lithium] = start[lithium] + (k + node) / steps * length
            calculator.get_forces(atoms)
            force = calculator.extras["field_forces"][lithium]
            work += weight * force @ length / steps
    assert work == pytest.approx(1.0 * field @ length, abs=1e-9)


def test_charges_sum_to_the_charge_of_the_cell() -> None:
    calculator = in_field((0.0, 0.0, 0.1))
    atoms = crystal()
    calculator.get_forces(atoms)
    assert calculator.extras["net_charge"] == pytest.approx(-1.0, abs=1e-12)
    assert calculator.extras["sum_rule_residual"] < 1e-12
