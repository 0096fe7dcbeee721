"""A field over CHGNet, a pretrained universal potential."""

import contextlib
import io

import numpy as np
import pytest
from ase.build import bulk

from ase_bec.calculators.field import FieldCalculator

dynamics = pytest.importorskip("chgnet.model.dynamics")

# CHGNet copies its cell volumes to a tensor in a way that torch warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")

FIELD = (0.02, -0.03, 0.1)


@pytest.fixture(scope="module")
def chgnet():
    with contextlib.redirect_stdout(io.StringIO()):
        return dynamics.CHGNetCalculator(use_device="cpu")


def lithium_fluoride():
    atoms = bulk("LiF", "rocksalt", a=4.05)
    atoms.rattle(0.05, seed=1)
    return atoms


def test_formal_charges_over_chgnet(chgnet):
    atoms = lithium_fluoride()
    calc = FieldCalculator(chgnet, {"Li": 1, "F": -1}, field=FIELD)
    atoms.calc = calc
    forces = atoms.get_forces()
    energy = atoms.get_potential_energy()
    assert type(energy) is float
    assert forces.dtype == np.float64
    assert atoms.get_potential_energy(force_consistent=True) == energy
    assert "crystal_fea" not in calc.results
    assert forces[0] - chgnet.get_forces(atoms)[0] == pytest.approx(FIELD, abs=1e-6)
    dipole = atoms.positions[0] - atoms.positions[1]
    plain = float(chgnet.get_potential_energy(atoms))
    assert energy - plain == pytest.approx(-np.dot(FIELD, dipole), abs=1e-6)


def test_forces_over_chgnet_are_the_gradient_of_the_enthalpy(chgnet):
    """To the single precision of CHGNet."""
    atoms = lithium_fluoride()
    atoms.calc = FieldCalculator(chgnet, {"Li": 1, "F": -1}, field=FIELD)
    force = atoms.get_forces()[1, 2]
    energies = []
    for step in (0.02, -0.04):
        atoms.positions[1, 2] += step
        energies.append(atoms.get_potential_energy())
    assert (energies[1] - energies[0]) / 0.04 == pytest.approx(force, abs=5e-3)
