"""Charges that respond: what physics asks of them beyond the contract of terms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from split_examples import ELEMENTS, model, monoclinic, split_charges

from ase_bec.evaluation.charges import atomic_charges
from ase_bec.evaluation.evaluate import Response, born_charges, evaluate, polarizability
from ase_bec.system import System
from ase_bec.terms import gaussian_charges
from ase_bec.terms import split_charges as module
from ase_bec.terms.equilibration import Bonds, equilibrate, require_positive
from ase_bec.terms.ewald import ewald_matrix
from ase_bec.terms.gaussian_charges import interaction
from ase_bec.terms.model import Model
from ase_bec.terms.species import species_of

FOUR_PI = 4 * np.pi * 14.399645  # V Å/e
FIELD = np.array([0.03, -0.05, 0.08])


def system_of(atoms: Atoms) -> System:
    return System.from_atoms(atoms, 4.7)


def respond(m: Model, atoms: Atoms, field: np.ndarray = FIELD) -> Response:
    return evaluate(m, system_of(atoms), torch.as_tensor(field))


def charges(m: Model, atoms: Atoms, field: np.ndarray = FIELD) -> np.ndarray:
    return atomic_charges(m, system_of(atoms), torch.as_tensor(field)).numpy()


def test_charges_minimise_the_enthalpy() -> None:
    """Against the minimum over p itself, by solving for all bonds at once."""
    rng = np.random.default_rng(0)
    n, b = 5, 9
    ends = torch.tensor([(i, j) for i, j in rng.integers(0, n, (40, 2)) if i != j][:b])
    bonds = Bonds(*ends.T, torch.zeros(b, 3), torch.as_tensor(rng.uniform(0.1, 1, b)))
    a = torch.as_tensor(rng.normal(size=(n, n)))
    stiffness = a @ a.T + torch.eye(n)
    chi, reference = (torch.as_tensor(rng.normal(size=n)) for _ in range(2))
    work = torch.as_tensor(rng.normal(size=b))
    found = equilibrate(stiffness, chi, reference, bonds, work)
    incidence = torch.zeros(b, n, dtype=torch.float64)
    incidence[torch.arange(b), ends[:, 0]] -= 1
    incidence[torch.arange(b), ends[:, 1]] += 1
    hessian = incidence @ stiffness @ incidence.T + torch.diag(1 / bonds.softness)
    slope = incidence @ (chi + stiffness @ reference) - work
    p = torch.linalg.solve(hessian, -slope)
    assert found.tension * bonds.softness == pytest.approx(p, abs=1e-12)
    assert found.charges == pytest.approx(reference + incidence.T @ p, abs=1e-12)


def test_interaction_is_the_ewald_sum() -> None:
    atoms = monoclinic(0.1)
    positions, cell = torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
    found = interaction(positions, cell, torch.ones(3, dtype=torch.bool), 0.9).dense()
    expected = ewald_matrix(positions, cell, torch.full((12,), 0.9, dtype=torch.float64))
    assert found == pytest.approx(expected, abs=1e-10)


def test_molecules_are_crystals_with_much_vacuum() -> None:
    """Up to the dipoles' interaction with images, which falls as the volume grows."""
    atoms, m = monoclinic(0.1), model()
    atoms.pbc = False
    alone, before = respond(m, atoms), None
    for length in (25.0, 50.0):
        boxed = Atoms(atoms.numbers, atoms.positions, cell=[length] * 3, pbc=True)
        away = float((respond(m, boxed, 0 * FIELD).energy - respond(m, atoms, 0 * FIELD).energy)[0])
        assert before is None or abs(away) < abs(before) / 6
        before = away
    assert float(alone.forces.sum(dim=0).abs().max()) < 1e-10


@pytest.mark.parametrize("way", ["waves", "mesh"])
def test_conjugate_gradients_find_the_same(monkeypatch, way: str) -> None:
    atoms, m = monoclinic(0.1) * (2, 2, 1), model()
    monkeypatch.setattr(gaussian_charges, "FEW", 100)
    expected = respond(m, atoms)
    monkeypatch.setattr(module, "DENSE", 0)
    if way == "mesh":
        monkeypatch.setattr(gaussian_charges, "FEW", 0)
    found = respond(m, atoms)
    tolerance = {"waves": 1e-8, "mesh": 2e-4}[way]
    for name in ("energy", "forces", "dipole"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=tolerance)
    assert found.virial == pytest.approx(expected.virial, abs=30 * tolerance)


def test_forces_of_the_mesh_are_the_gradient(monkeypatch) -> None:
    monkeypatch.setattr(gaussian_charges, "FEW", 0)
    atoms, m, step = monoclinic(0.1), model(), 1e-3
    forces = respond(m, atoms).forces.numpy()
    for atom, axis in ((0, 1), (7, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            ends.append(float(respond(m, moved).energy[0]))
        assert forces[atom, axis] == pytest.approx((ends[1] - ends[0]) / (2 * step), abs=2e-5)


def test_epsilon_is_that_of_one_two_and_three_cells() -> None:
    m, found = model(), []
    for repeat in ((1, 1, 1), (2, 1, 1), (1, 1, 3), (2, 2, 2)):
        atoms = monoclinic(0.05) * repeat
        found.append(polarizability(m, system_of(atoms))[0] / atoms.get_volume())
    for other in found[1:]:
        assert other * FOUR_PI == pytest.approx(found[0] * FOUR_PI, abs=1e-8)


def test_linear_mean_charge_vanishes_with_inversion() -> None:
    m, atoms = model(), monoclinic()
    change = charges(m, atoms) - charges(m, atoms, -FIELD)
    assert np.abs(change).max() > 1e-3
    for number in (72, 8):
        assert change[atoms.numbers == number].mean() == pytest.approx(0, abs=1e-10)


def test_charges_are_linear_in_the_field_and_conserved() -> None:
    m, atoms = model(), monoclinic(0.1)
    at_rest = charges(m, atoms, 0 * FIELD)
    once, thrice = charges(m, atoms), charges(m, atoms, 3 * FIELD)
    assert thrice - at_rest == pytest.approx(3 * (once - at_rest), abs=1e-12)
    assert once.sum() == pytest.approx(0, abs=1e-11)


def test_wrapping_changes_nothing_but_the_branch() -> None:
    m, atoms = model(), monoclinic(0.1)
    atoms.positions += 1.7
    wrapped = atoms.copy()
    wrapped.wrap()
    before, after = respond(m, atoms), respond(m, wrapped)
    assert after.forces == pytest.approx(before.forces, abs=1e-10)
    assert charges(m, wrapped) == pytest.approx(charges(m, atoms), abs=1e-10)
    turns = (after.dipole - before.dipole)[0].numpy() @ np.linalg.inv(atoms.cell)
    assert turns == pytest.approx(2 * np.rint(turns / 2), abs=1e-10)


def test_rest_of_vacancies_is_on_the_immobile_atoms() -> None:
    term = split_charges()
    species = torch.tensor([0] * 8 + [1] * 14)
    found = term.formal_charges(species)
    assert found == pytest.approx(np.array([4 - 2 * 2 / 8] * 8 + [-2.0] * 14))
    atoms = (monoclinic(0.05) * (2, 1, 1))[[k for k in range(24) if k not in (10, 20)]]
    m = model()
    z = born_charges(m, system_of(atoms))
    assert z.sum(dim=0) == pytest.approx(np.zeros((3, 3)), abs=1e-10)
    atoms.positions[15] += atoms.cell[1]
    moved = (respond(m, atoms).dipole - respond(m, _back(atoms)).dipole)[0]
    assert moved == pytest.approx(-2 * atoms.cell.array[1], abs=1e-10)


def _back(atoms: Atoms) -> Atoms:
    other = atoms.copy()
    other.positions[15] -= atoms.cell[1]
    return other


def test_total_charge_is_kept() -> None:
    atoms, m = monoclinic(0.05), model(total=-1.0)
    assert charges(m, atoms).sum() == pytest.approx(-1, abs=1e-10)
    z = born_charges(m, system_of(atoms)).sum(dim=0)
    assert z == pytest.approx(-np.eye(3), abs=1e-10)


def test_in_a_field_alone_it_is_the_difference() -> None:
    atoms = monoclinic(0.1)
    whole, change = model(), model(at_rest=False)
    rest = respond(whole, atoms, 0 * FIELD)
    full, found = respond(whole, atoms), respond(change, atoms)
    assert found.energy == pytest.approx(full.energy - rest.energy, abs=1e-9)
    assert found.forces == pytest.approx(full.forces - rest.forces, abs=1e-9)
    assert found.dipole == pytest.approx(full.dipole, abs=1e-9)
    none = respond(change, atoms, 0 * FIELD)
    assert float(none.energy.abs().max()) == 0
    assert whole.has_energy
    assert not change.has_energy


def test_softness_vanishes_smoothly_at_the_cutoff() -> None:
    term = split_charges().eval()
    species = torch.tensor([0, 1])
    outputs = torch.randn(2, 2 + 2 * term.radial, dtype=torch.float64)
    ends = torch.tensor([0]), torch.tensor([1])
    distance = torch.tensor([term.bond_cutoff - 1e-4], dtype=torch.float64, requires_grad=True)
    w = term.softness(outputs, species, *ends, distance)
    (slope,) = torch.autograd.grad(w.sum(), distance)
    assert 0 < float(w.detach()) < 1e-8
    assert abs(float(slope)) < 1e-4


def test_indefinite_hardness_is_refused() -> None:
    require_positive(torch.tensor([[1.0, 3.0], [3.0, 5.1]]).double() + torch.eye(2))
    with pytest.raises(ValueError, match="hardness of the charges must be positive"):
        require_positive(torch.tensor([[-1.0, 0.0], [0.0, -1.0]]).double())
    m = model()
    with torch.no_grad():
        for network in m.terms[0].networks:
            network[-1].bias[1] = -60.0
    for atoms in (monoclinic(), monoclinic() * (3, 3, 2)):
        with pytest.raises(ValueError, match="hardness of the charges must be positive"):
            respond(m, atoms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "`width` must be positive"),
        ({"bond_cutoff": 1.0}, "`bond_cutoff` must exceed"),
        ({"radial": 1}, "`radial` must be 2 or more"),
        ({"total": float("nan")}, "`total` must be a finite charge"),
        ({"immobile": [2]}, "`immobile` must be indices"),
    ],
)
def test_bad_settings(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_charges(**options)


def test_bad_structures() -> None:
    m = model()
    with pytest.raises(ValueError, match="`cell` must be at least 2 Å wide"):
        respond(m, Atoms("HfO", [[0, 0, 0], [0, 0, 1]], cell=[1.5, 9, 9], pbc=True))
    with pytest.raises(ValueError, match="`pbc` must be true in all directions or in none"):
        respond(m, Atoms("HfO2", np.eye(3) * 2, cell=[9, 9, 9], pbc=[True, True, False]))
    with pytest.raises(ValueError, match="no atom of an immobile element to take the rest"):
        respond(m, Atoms("O2", [[0, 0, 0], [0, 0, 1.2]], cell=[9, 9, 9], pbc=True))
    assert species_of(torch.tensor([8, 72]), ELEMENTS).tolist() == [1, 0]


def test_a_molecule_polarizes_along_every_direction() -> None:
    """A field along directions without periods is as good as any."""
    atoms = monoclinic(0.1)
    atoms.pbc = False
    alpha = polarizability(model(), system_of(atoms))[0]
    assert bool((torch.linalg.eigvalsh(alpha) > 0.1).all())
    shifted = respond(model(), atoms).dipole - respond(model(), atoms, 0 * FIELD).dipole
    assert alpha @ torch.as_tensor(FIELD) == pytest.approx(shifted[0], abs=1e-9)
