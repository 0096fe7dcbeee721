"""ASE's dynamics and optimizers in a constant field."""

import numpy as np
import pytest
from ase import units
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS, FIRE, BFGSLineSearch
from field_examples import (
    FIELD,
    CountingEMT,
    PairCharges,
    neutral_charges,
    random_tensors,
    skewed_alloy,
)

from ase_bec.calculators.field import FieldCalculator

CHARGED = {"Cu": 1.0, "Au": -2.0, "Al": 3.0}


def heated(charges, base=None, temperature=300, **options):
    atoms = skewed_alloy()
    atoms.calc = FieldCalculator(base or EMT(), charges, field=FIELD, **options)
    spread = np.sqrt(units.kB * temperature * atoms.get_masses())[:, None]
    atoms.set_momenta(spread * np.random.default_rng(3).normal(size=(8, 3)))
    return atoms


CONSERVED = {
    "neutral": (neutral_charges(), {}),
    "charged": (CHARGED, {}),
    "charged, kept": (CHARGED, {"net_force": "keep"}),
    "tensors": (random_tensors(8), {}),
    "network-like": (PairCharges(skewed_alloy(), neutral_charges()), {}),
    "work": (
        PairCharges(skewed_alloy(), neutral_charges()),
        {"energy": "work", "reference": skewed_alloy(rattle=0)},
    ),
}


def enthalpy_range(atoms, steps, timestep=1.0):
    """Peak-to-peak variation of K + H and of H alone in eV/atom."""
    totals, potentials = [], []
    dyn = VelocityVerlet(atoms, timestep * units.fs)
    for _ in dyn.irun(steps):
        potentials.append(atoms.get_potential_energy())
        totals.append(potentials[-1] + atoms.get_kinetic_energy())
    return np.ptp(totals) / len(atoms), np.ptp(potentials) / len(atoms)


@pytest.mark.parametrize("kind", CONSERVED)
def test_dynamics_conserve_kinetic_energy_plus_enthalpy(kind):
    charges, options = CONSERVED[kind]
    total, potential = enthalpy_range(heated(charges, **options), 150, timestep=0.5)
    assert total < 1e-4
    assert potential > 50 * total


def test_enthalpy_is_conserved_to_second_order_in_the_step():
    fine = enthalpy_range(heated(neutral_charges()), 100, timestep=1.0)[0]
    coarse = enthalpy_range(heated(neutral_charges()), 50, timestep=2.0)[0]
    assert 2.5 < coarse / fine < 6


def test_an_atom_dragged_across_the_boundary_conserves_the_enthalpy():
    atoms = heated(neutral_charges())
    velocities = atoms.get_velocities()
    velocities[0] = 0.03 * atoms.cell[0] / units.fs / 10  # through a third of the cell
    velocities -= velocities.mean(axis=0)
    atoms.set_velocities(velocities)
    atoms.positions -= atoms.positions[0] - 0.9 * atoms.cell.array.sum(axis=0)
    inside = atoms.get_scaled_positions(wrap=False)[0]
    total, _ = enthalpy_range(atoms, 120, timestep=0.5)
    crossed = atoms.get_scaled_positions(wrap=False)[0]
    assert inside[0] < 1 < crossed[0]
    assert total < 1e-3
    assert -FIELD @ atoms.cell[0] < -0.01  # a wrapped dipole would have jumped by this


def test_base_runs_once_per_step():
    base = CountingEMT()
    atoms = heated(neutral_charges(), base)
    dyn = VelocityVerlet(atoms, units.fs, logfile="/dev/null")
    dyn.run(10)
    assert base.calculations == 11


@pytest.mark.parametrize("integrator", ["langevin", "nose-hoover"])
def test_thermostats_run_and_equal_a_field_added_by_hand(integrator):
    """The trajectory is that of a calculator whose forces were written by hand."""

    class EMTWithForce(EMT):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            charges = np.array([neutral_charges()[s] for s in self.atoms.symbols])
            self.results["forces"] = self.results["forces"] + charges[:, None] * FIELD

    ends = []
    for by_hand in (False, True):
        atoms = heated(neutral_charges())
        if by_hand:
            atoms.calc = EMTWithForce()
        if integrator == "langevin":
            dyn = Langevin(
                atoms,
                units.fs,
                temperature_K=300,
                friction=0.01 / units.fs,
                fixcm=False,
                rng=np.random.default_rng(7),
            )
        else:
            dyn = NoseHooverChainNVT(atoms, units.fs, temperature_K=300, tdamp=50 * units.fs)
        dyn.run(20)
        ends.append(atoms.positions)
    assert ends[0] == pytest.approx(ends[1], abs=1e-10)


def test_conserved_quantity_of_a_thermostat_holds_the_field_energy():
    atoms = heated(neutral_charges())
    dyn = NoseHooverChainNVT(atoms, 0.5 * units.fs, temperature_K=300, tdamp=50 * units.fs)
    conserved = [dyn.get_conserved_energy() for _ in dyn.irun(100)]
    assert np.ptp(conserved) / len(atoms) < 2e-4


@pytest.mark.parametrize("optimizer", [BFGS, FIRE, BFGSLineSearch])
def test_optimizers_find_the_minimum_of_the_enthalpy(optimizer):
    atoms = skewed_alloy()
    atoms.calc = FieldCalculator(EMT(), neutral_charges(), field=FIELD)
    start = atoms.get_potential_energy()
    optimizer(atoms, logfile=None).run(fmax=1e-3, steps=200)
    assert np.abs(atoms.get_forces()).max() < 1e-3
    assert atoms.get_potential_energy() < start
    unbiased = EMT().get_forces(atoms)
    for symbol, force in zip(atoms.symbols, unbiased, strict=True):
        assert force == pytest.approx(-neutral_charges()[symbol] * FIELD, abs=2e-3)
