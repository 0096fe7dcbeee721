"""Work integral, loop work and curl."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, PropertyNotImplementedError
from ase.calculators.emt import EMT
from field_examples import (
    FIELD,
    BornCalculator,
    CurledCharges,
    NoForces,
    PairCharges,
    neutral_charges,
    numerical_forces,
    random_tensors,
    skewed_alloy,
)
from scipy.integrate import quad

from ase_bec.calculators.diagnostics import curl, loop_work
from ase_bec.calculators.field import FieldCalculator
from ase_bec.calculators.work import straight_line_work


def paths():
    return skewed_alloy(seed=7), skewed_alloy(seed=8, rattle=0.4)


def exact_work(reference):
    return {"energy": "work", "reference": reference, "work_tolerance": 1e-10}


def test_work_energy_of_a_gradient_is_the_potential_difference():
    reference, atoms = paths()
    source = PairCharges(atoms, neutral_charges())
    work = FieldCalculator(
        EMT(), source, field=FIELD, energy="work", reference=reference, work_tolerance=1e-10
    )
    potential = FieldCalculator(EMT(), source, field=FIELD, reference=reference)
    assert work.get_potential_energy(atoms) == pytest.approx(
        potential.get_potential_energy(atoms), abs=1e-9
    )
    assert work.get_potential_energy(reference) == EMT().get_potential_energy(reference)


def test_work_energy_of_a_calculator_without_curl_is_conservative():
    reference, atoms = paths()
    charges = BornCalculator(PairCharges(atoms, neutral_charges()))
    atoms.calc = FieldCalculator(
        NoForces(), charges, field=FIELD, energy="work", reference=reference
    )
    assert np.abs(atoms.get_forces() - numerical_forces(atoms)).max() < 1e-6


def test_work_energy_agrees_with_adaptive_quadrature_where_there_is_curl():
    reference, atoms = paths()
    source = CurledCharges(atoms)
    calc = FieldCalculator(
        NoForces(),
        source,
        field=FIELD,
        energy="work",
        reference=reference,
        net_force="keep",
        work_tolerance=1e-10,
    )
    displacement = atoms.positions - reference.positions

    def power(t):
        point = reference.copy()
        point.positions += t * displacement
        return np.sum(source.response(point, FIELD).forces * displacement)

    expected = -quad(power, 0, 1, epsabs=1e-12)[0]
    assert calc.get_potential_energy(atoms) == pytest.approx(expected, abs=1e-9)
    assert abs(expected) > 1e-3


def test_diagonal_work_of_constant_charges_is_the_closed_form():
    reference, atoms = paths()
    tensors = random_tensors(len(atoms))
    calc = FieldCalculator(
        NoForces(),
        tensors,
        field=FIELD,
        energy="work",
        reference=reference,
        components="diagonal",
        net_force="keep",
    )
    displacement = atoms.positions - reference.positions
    expected = -sum(
        FIELD[i] * tensors[a, i, i] * displacement[a, i]
        for a in range(len(atoms))
        for i in range(3)
    )
    assert calc.get_potential_energy(atoms) == pytest.approx(expected, abs=1e-12)


def test_work_is_integrated_only_when_an_energy_is_asked_for():
    reference, atoms = paths()
    charges = BornCalculator(PairCharges(atoms, neutral_charges()))
    calc = FieldCalculator(NoForces(), charges, field=FIELD, energy="work", reference=reference)
    calc.get_forces(atoms)
    assert charges.calculations == 1
    assert "field_energy" not in calc.extras
    calc.get_potential_energy(atoms)
    assert charges.calculations > 4
    assert calc.extras["field_energy"] == calc.get_potential_energy(atoms)


def along_x(length, force):
    """Work of a force along x on one atom from 0 to `length`, with what it took."""
    start = Atoms("H", positions=[(0, 0, 0)])
    end = Atoms("H", positions=[(length, 0, 0)])
    calls = []

    def forces(atoms):
        calls.append(atoms.positions[0, 0])
        return np.array([[force(calls[-1]), 0, 0]])

    return lambda **options: straight_line_work(forces, start, end, **options), calls


def test_quadrature_is_exact_for_polynomials():
    work, calls = along_x(2.0, lambda x: 5 * x**4 - 3 * x**2 + x)
    assert work() == pytest.approx(32 - 8 + 2, abs=1e-13)
    assert len(calls) == 17
    assert len(set(calls)) == 17


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4])
def test_quadrature_keeps_its_tolerance_where_forces_have_kinks(tolerance):
    counts = []
    for kink in np.linspace(0.13, 1.87, 24):
        work, calls = along_x(2.0, lambda x, kink=kink: abs(x - kink))
        exact = (kink**2 + (2.0 - kink) ** 2) / 2
        assert work(tolerance=tolerance) == pytest.approx(exact, abs=2 * tolerance)
        counts.append(len(calls))
        assert len(calls) == len(set(calls))
    assert max(counts) <= 513


def test_rough_charges_are_reported_as_not_converged():
    reference, atoms = paths()

    def steps(point):
        return np.sign(np.sin(1e4 * point.positions))

    with pytest.raises(CalculationFailed, match="must converge to 1e-05 eV, got a change"):
        straight_line_work(steps, reference, atoms)


def test_without_energy_the_forces_work_and_energies_are_refused():
    atoms = skewed_alloy()
    calc = FieldCalculator(EMT(), CurledCharges(atoms), field=FIELD, energy="none")
    assert calc.get_forces(atoms).shape == (8, 3)
    for name in ("energy", "free_energy"):
        with pytest.raises(PropertyNotImplementedError, match='use energy="work" with a'):
            calc.get_property(name, atoms)
    assert "energy" not in calc.results
    assert "energy" not in calc.implemented_properties


def triangle(atoms, size=0.3):
    """One atom round a triangle."""
    images = [atoms.copy() for _ in range(4)]
    images[1].positions[1] += (size, 0.1, 0)
    images[2].positions[1] += (0, size, -0.2)
    return images


def test_loop_work_vanishes_for_gradients_only():
    atoms = skewed_alloy()
    gradient, curled = PairCharges(atoms, neutral_charges()), CurledCharges(atoms)
    assert abs(loop_work(gradient, triangle(atoms), FIELD)) < 1e-12
    assert abs(loop_work(curled, triangle(atoms), FIELD)) > 1e-4


def test_loop_work_of_a_small_square_is_its_curl():
    atoms = skewed_alloy()
    source = CurledCharges(atoms)
    side = 1e-2
    images = [atoms.copy() for _ in range(5)]
    for image, (x, y) in zip(images, ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)), strict=True):
        image.positions[1, 0] += x * side
        image.positions[1, 1] += y * side
    strength = FIELD @ source.tensor
    phase = (atoms.positions[1] - atoms.positions[0]) @ source.wave + 0.5 * side * (
        source.wave[0] + source.wave[1]
    )
    # F = E·c cos(G·r) on atom 1: ∂F_y/∂x − ∂F_x/∂y
    density = -np.sin(phase) * (strength[1] * source.wave[0] - strength[0] * source.wave[1])
    assert loop_work(source, images, FIELD) == pytest.approx(density * side**2, rel=1e-3)


def test_loop_work_of_a_cycle_is_the_charge_times_the_potential_drop():
    atoms = skewed_alloy()
    end = atoms.copy()
    end.positions[0] += atoms.cell[2]
    formal = PairCharges(atoms, neutral_charges())
    local = PairCharges(atoms, dict.fromkeys(neutral_charges(), 0.0))
    assert loop_work(neutral_charges(), [atoms, end], FIELD) == pytest.approx(
        FIELD @ atoms.cell[2], abs=1e-9
    )
    assert loop_work(formal, [atoms, end], FIELD) == pytest.approx(FIELD @ atoms.cell[2], abs=1e-9)
    assert abs(loop_work(local, [atoms, end], FIELD)) < 1e-9


def test_curl_is_zero_for_gradients_and_that_of_the_jacobian_otherwise():
    atoms = skewed_alloy()
    assert curl(PairCharges(atoms, neutral_charges()), atoms, FIELD) < 1e-7
    source = CurledCharges(atoms)
    found = curl(source, atoms, FIELD, samples=200)
    jacobian = np.zeros((24, 24))
    for k in range(24):
        sides = []
        for sign in (1, -1):
            point = atoms.copy()
            point.positions.flat[k] += sign * 1e-4
            sides.append(source.response(point, FIELD).forces.ravel())
        jacobian[:, k] = (sides[0] - sides[1]) / 2e-4
    largest = np.linalg.norm(jacobian - jacobian.T, 2)
    assert 0.1 * largest < found <= largest


@pytest.mark.parametrize(
    ("shift", "message"),
    [((0.1, 0, 0), "must end where they start, up to lattice vectors"), (None, "got 1 images")],
)
def test_open_paths_are_refused(shift, message):
    atoms = skewed_alloy()
    images = [atoms]
    if shift is not None:
        images.append(atoms.copy())
        images[1].positions[0] += shift
    with pytest.raises(ValueError, match=message):
        loop_work(neutral_charges(), images, FIELD)


def test_curl_needs_samples():
    with pytest.raises(ValueError, match="must be positive, got 0"):
        curl(neutral_charges(), skewed_alloy(), FIELD, samples=0)
