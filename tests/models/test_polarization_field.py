"""Polarization models in FieldCalculator: one energy, its forces, and the work of a field."""

from itertools import pairwise, product

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.md.verlet import VelocityVerlet
from field_examples import (
    FIELD,
    NoForces,
    neutral_charges,
    numerical_forces,
    skewed_alloy,
)
from polarization_examples import NETWORKS, equivariant, polarization_model, vaf

from ase_bec import FieldCalculator, PolarizationModel

networks = pytest.mark.parametrize("network", list(NETWORKS))
ALLOY = ("Cu", "Au", "Al")
CHARGED = {"Cu": 1.0, "Au": -2.0, "Al": 3.0}  # Q = +1
CUTOFF = 4.2


def model_of(
    network: str, charges: dict[str, float] | None, elements: tuple[str, ...], atoms: Atoms
) -> PolarizationModel:
    """Random weights, with charges of some e that change by some e for an ångström."""
    if network == "vaf":
        return polarization_model(vaf(elements=elements), charges, elements)
    made = equivariant(0, elements, atoms)
    made.size *= 5
    return polarization_model(made, charges, elements)


def alloy_model(network: str, charges: dict[str, float]) -> PolarizationModel:
    return model_of(network, charges, ALLOY, skewed_alloy())


@networks
@pytest.mark.parametrize(
    ("charges", "net_force"),
    [(neutral_charges(), "remove"), (CHARGED, "remove"), (CHARGED, "keep")],
)
def test_forces_are_the_gradient_of_the_enthalpy(network, charges, net_force) -> None:
    atoms = skewed_alloy()
    model = alloy_model(network, charges)
    atoms.calc = FieldCalculator(EMT(), model, field=10 * FIELD, net_force=net_force)
    found = atoms.get_forces()
    assert np.abs(found - EMT().get_forces(atoms)).max() > 0.3
    assert np.abs(found - numerical_forces(atoms, 2e-5)).max() < 1e-6


@networks
def test_polarization_and_born_charges_of_the_calculator(network) -> None:
    model, atoms = alloy_model(network, neutral_charges()), skewed_alloy()
    calc = FieldCalculator(NoForces(), model, field=FIELD)
    np.testing.assert_allclose(
        calc.get_property("polarization", atoms),
        model.dipole(atoms) / atoms.get_volume(),
        rtol=0,
        atol=1e-12,
    )
    charges = calc.get_property("born_effective_charges", atoms)
    np.testing.assert_allclose(charges, model.born_charges(atoms), rtol=0, atol=1e-12)
    forces = np.einsum("i,aij->aj", FIELD, charges)
    np.testing.assert_allclose(calc.get_forces(atoms), forces, rtol=0, atol=1e-12)
    calc.get_potential_energy(atoms)
    assert calc.extras["field_energy"] == pytest.approx(-FIELD @ model.dipole(atoms), abs=1e-12)
    assert calc.extras["sum_rule_residual"] < 1e-10


class Tethers(Calculator):
    """U = k/2 Σ |r - r_0|²."""

    implemented_properties = ("energy", "forces")

    def __init__(self, home: np.ndarray, stiffness: float = 2.0) -> None:
        super().__init__()
        self.home, self.stiffness = home.copy(), stiffness

    def calculate(
        self, atoms: Atoms | None = None, properties: object = (), system_changes: object = ()
    ) -> None:
        super().calculate(atoms, ["forces"], all_changes)
        moved = self.atoms.positions - self.home
        self.results = {
            "energy": float(self.stiffness / 2 * (moved**2).sum()),
            "forces": -self.stiffness * moved,
        }


@networks
@pytest.mark.parametrize("charges", [neutral_charges(), CHARGED])
def test_energy_is_conserved_in_a_strong_field(network, charges) -> None:
    """What is left is the error of the time step: it falls with its square."""
    model = alloy_model(network, charges)

    def wander(step: float) -> float:
        atoms = skewed_alloy()
        atoms.calc = FieldCalculator(Tethers(atoms.positions), model, field=5 * FIELD)
        spread = np.sqrt(atoms.get_masses() * units.kB * 600)[:, None]
        atoms.set_momenta(spread * np.random.default_rng(0).normal(size=(8, 3)))
        dynamics = VelocityVerlet(atoms, timestep=step * units.fs)
        energies, work = [], []
        for _ in range(round(40 / step)):
            dynamics.run(1)
            energies.append(atoms.get_total_energy())
            work.append(atoms.calc.extras["field_energy"])
        assert np.ptp(work) > 0.5  # the field matters
        return float(np.ptp(energies))

    coarse, fine = wander(2.0), wander(1.0)
    assert coarse < 0.02
    assert coarse / fine == pytest.approx(4, rel=0.35)


def channel() -> Atoms:
    """Li2O in a skewed cell, with room for one Li to be carried straight through it."""
    cell = [[5.2, 0.3, -0.2], [0.9, 5.6, 0.2], [-0.4, 0.7, 6.1]]
    places = [[0.05, 0.1, 0.02], [0.5, 0.62, 0.4], [0.1, 0.52, 0.61]]
    return Atoms("Li2O", cell=cell, pbc=True, scaled_positions=places)


def smooth_parts(atoms: Atoms, vector: np.ndarray) -> np.ndarray:
    """Short parts of the way of atom 0, from 0 to 1, in which no other atom crosses its cutoff."""
    crossings = list(np.linspace(0, 1, 9))
    for shift in product(range(-4, 5), repeat=3):
        for other in atoms.positions[1:] + shift @ atoms.cell.array:
            start = atoms.positions[0] - other
            terms = [vector @ vector, 2 * start @ vector, start @ start - CUTOFF**2]
            roots = np.roots(terms)
            crossings += [r.real for r in roots if abs(r.imag) < 1e-9 and 0 < r.real < 1]
    return np.unique(crossings)


@networks
@pytest.mark.parametrize("axis", [0, 2])
def test_work_on_an_ion_carried_through_the_cell(network, axis) -> None:
    """q E·L with formal charges; nothing in the single-valued model."""
    elements, atoms = ("Li", "O"), channel()
    vector = atoms.cell.array[axis]
    edges = smooth_parts(atoms, vector)
    nodes, weights = np.polynomial.legendre.leggauss(12)
    for charges, expected in (({"Li": 1.0, "O": -2.0}, FIELD @ vector), (None, 0.0)):
        model = model_of(network, charges, elements, atoms)
        calc = FieldCalculator(NoForces(), model, field=FIELD, net_force="keep")
        works, powers = [], []
        for start, stop in pairwise(edges):
            for node, weight in zip(nodes, weights, strict=True):
                moved = atoms.copy()
                moved.positions[0] += (start + (stop - start) * (node + 1) / 2) * vector
                powers.append(calc.get_forces(moved)[0] @ vector)
                works.append(weight * (stop - start) / 2 * powers[-1])
        assert sum(works) == pytest.approx(expected, abs=1e-9)
        assert np.ptp(powers) > 0.02  # the charge is not constant on the way
        end = atoms.copy()
        end.positions[0] += vector
        difference = calc.get_potential_energy(atoms) - calc.get_potential_energy(end)
        assert difference == pytest.approx(expected, abs=1e-10)
        np.testing.assert_allclose(calc.get_forces(end), calc.get_forces(atoms), atol=1e-11)
