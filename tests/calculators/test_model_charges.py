"""What a model keeps between calls as a source of charges, and never serves for something else."""

import copy
import pickle
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from ase import Atoms
from descriptor_examples import skewed
from field_examples import NoForces
from model_examples import potential
from polarization_examples import CHANGES, CHARGED, NETWORKS, polarization_model

from ase_bec import FieldCalculator, NNPCalculator
from ase_bec.calculators.charges import as_charge_source
from ase_bec.calculators.model_charges import ModelCharges
from ase_bec.evaluation.evaluator import Evaluator
from ase_bec.evaluation.frozen import FrozenModel

networks = pytest.mark.parametrize("network", list(NETWORKS))
FIELD = np.array([0.03, -0.05, 0.08])


def source(network: str = "equivariant") -> ModelCharges:
    made = as_charge_source(polarization_model(network))
    assert isinstance(made, ModelCharges)
    return made


def answers(asked: ModelCharges, atoms: Atoms) -> list[np.ndarray]:
    """Field forces and the dipole kept with them, then the charges."""
    return [
        asked.response(atoms, FIELD).forces,
        asked.dipole(atoms),
        asked.born_charges(atoms),
    ]


def check_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def changed_atoms(change: str) -> Atoms:
    atoms = skewed()
    if change == "positions":
        atoms.positions[2] += 1e-3
    elif change == "far":
        atoms.positions[2] += 1.3
    elif change == "cell":
        atoms.set_cell(atoms.cell.array * 1.01)
    elif change == "numbers":
        atoms.symbols[0] = "P" if atoms.symbols[0] == "Li" else "Li"
    elif change == "pbc":
        atoms.pbc = (True, True, False)
    else:
        atoms = atoms[:6]
    return atoms


@networks
@pytest.mark.parametrize("change", ["positions", "far", "cell", "numbers", "pbc", "count"])
def test_a_change_of_the_structure_is_seen(network, change) -> None:
    asked = source(network)
    before = answers(asked, skewed())
    after = changed_atoms(change)
    expected = answers(source(network), after)
    assert before[1] is not expected[1]
    assert np.abs(before[1] - expected[1]).max() > 1e-6
    check_equal(answers(asked, after), expected)
    asked = source(network)
    asked.dipole(skewed())
    np.testing.assert_allclose(asked.dipole(after), expected[1], rtol=0, atol=1e-12)


def test_a_structure_changed_in_place_is_seen() -> None:
    asked, atoms = source(), skewed()
    answers(asked, atoms)
    atoms.positions[1] += 0.05
    atoms.cell[2, 2] += 0.05
    check_equal(answers(asked, atoms), answers(source(), atoms))


@pytest.mark.parametrize("change", CHANGES)
def test_training_the_model_afterwards_changes_nothing(change) -> None:
    """A source has a copy of its own, whatever was asked of it before."""
    model, expected = polarization_model(), answers(source(), skewed())
    asked, unasked = as_charge_source(model), as_charge_source(model)
    calc = FieldCalculator(NoForces(), model, field=FIELD)
    forces = calc.get_forces(skewed())
    asked.response(skewed(), FIELD)
    change(model)
    for found in (asked, unasked):
        for a, b in zip(answers(found, skewed()), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    calc.reset()
    np.testing.assert_array_equal(calc.get_forces(skewed()), forces)
    after = answers(as_charge_source(model), skewed())
    assert all(np.abs(a - b).max() > 1e-9 for a, b in zip(after, expected, strict=True))


@pytest.fixture
def evaluations(monkeypatch) -> list[int]:
    """Number of structures of each evaluation."""
    calls: list[int] = []
    response = FrozenModel.response

    def counted(self, system, field):
        calls.append(system.n_structures)
        return response(self, system, field)

    monkeypatch.setattr(FrozenModel, "response", counted)
    return calls


def test_field_forces_and_dipole_of_a_structure_cost_one_evaluation(evaluations) -> None:
    asked = source()
    for _ in range(2):
        asked.response(skewed(), FIELD)
        asked.dipole(skewed())
    assert len(evaluations) == 1
    asked.response(skewed(), 2 * FIELD)
    assert len(evaluations) == 2


def test_the_response_is_forces_dipole_and_energy_at_once(monkeypatch, evaluations) -> None:
    model, atoms = polarization_model(), skewed()
    forces, energy, dipole, outside = as_charge_source(model).response(atoms, FIELD)
    check_equal([forces, dipole], answers(source(), atoms)[:2])
    assert energy == pytest.approx(-FIELD @ dipole, abs=1e-12)
    assert outside.shape == (len(atoms),)
    calc, asked = FieldCalculator(NoForces(), model, field=FIELD), []
    monkeypatch.setattr(ModelCharges, "dipole", lambda *given: asked.append(given))
    expected = energy + forces.sum(axis=0) @ atoms.get_center_of_mass()
    evaluations.clear()
    assert calc.get_potential_energy(atoms) == pytest.approx(expected, abs=1e-12)
    assert calc.get_forces(atoms).sum() == pytest.approx(0, abs=1e-12)
    assert not asked
    assert len(evaluations) == 1


def test_what_is_given_away_is_not_what_is_kept() -> None:
    asked, direction = source(), FIELD.copy()
    forces, dipole = asked.response(skewed(), direction).forces, asked.dipole(skewed())
    also = asked.response(skewed(), direction).dipole
    outside = asked.response(skewed(), direction).outside
    expected = forces.copy(), dipole.copy(), outside.copy()
    for given in (forces, dipole, also, outside, direction):
        given += 1.0
    found = asked.response(skewed(), FIELD)
    np.testing.assert_array_equal(found.forces, expected[0])
    np.testing.assert_array_equal(found.dipole, expected[1])
    np.testing.assert_array_equal(found.outside, expected[2])
    np.testing.assert_array_equal(asked.dipole(skewed()), expected[1])


@networks
@pytest.mark.parametrize("make", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_answer_the_same_and_stand_alone(network, make) -> None:
    asked, far = source(network), changed_atoms("far")
    expected = answers(asked, skewed())
    other = make(asked)
    check_equal(answers(other, skewed()), expected)
    check_equal(answers(other, far), answers(source(network), far))
    check_equal(answers(asked, skewed()), expected)


@pytest.mark.parametrize("make", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_calculators_answer_the_same_and_stand_alone(make) -> None:
    calc = FieldCalculator(NNPCalculator(potential(margin=5)), polarization_model(), field=FIELD)
    names = ("energy", "forces", "born_effective_charges", "polarization")

    def results(of: FieldCalculator, atoms: Atoms) -> list[np.ndarray]:
        return [np.array(of.get_property(name, atoms)) for name in names]

    expected = results(calc, skewed())
    other = make(calc)
    check_equal(results(other, skewed()), expected)
    other.field = 2 * FIELD
    doubled = results(other, skewed())
    assert np.abs(doubled[1] - expected[1]).max() > 1e-3
    check_equal(results(calc, skewed()), expected)
    moved = changed_atoms("positions")
    check_equal(results(make(other), moved), results(other, moved))


def test_copies_take_only_the_model_along() -> None:
    asked = source()
    size = len(pickle.dumps(asked))
    answers(asked, skewed() * (3, 3, 3))
    assert len(pickle.dumps(asked)) == size


@pytest.fixture
def quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(works: list[Callable[[], None]]) -> None:
    """Run all at once and raise what any raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(works))

    def guarded(work: Callable[[], None]) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def structures(n: int) -> list[Atoms]:
    """Different positions; every second one of another length."""
    found = [skewed() for _ in range(n)]
    for k, atoms in enumerate(found):
        atoms.rattle(0.1, seed=k)
    return [atoms[:6] if k % 2 else atoms for k, atoms in enumerate(found)]


def test_threads_share_a_source(quick_switches) -> None:
    shared, frames = source(), structures(4)
    expected = [answers(source(), atoms) for atoms in frames]

    def asks(atoms: Atoms, known: list[np.ndarray]) -> Callable[[], None]:
        def work() -> None:
            for _ in range(15):
                check_equal(answers(shared, atoms), known)

        return work

    together([asks(*pair) for pair in zip(frames, expected, strict=True)])


class Interrupted(Evaluator):
    """Whenever it keeps something, another thread at once keeps what it has for other atoms."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_kept" and value:
            other = Evaluator(polarization_model(), "Born charges")
            other.values(changed_atoms("far"), FIELD)
            value = other._kept
        super().__setattr__(name, value)


def test_another_thread_may_come_between_keeping_and_giving() -> None:
    asked = source()
    expected = answers(asked, skewed())
    asked._evaluator.__class__ = Interrupted
    asked._evaluator._kept = ()
    check_equal(answers(asked, skewed()), expected)


def test_field_calculators_in_threads_share_a_model(quick_switches) -> None:
    """As images of a path do, or replicas: each is what it is alone."""
    shared, frames = source(), structures(4)

    def ask(shared: ModelCharges, atoms: Atoms) -> list[np.ndarray]:
        net_charge = sum(CHARGED[symbol] for symbol in atoms.symbols)
        calc = FieldCalculator(NoForces(), shared, field=FIELD, net_charge=net_charge)
        forces = calc.get_forces(atoms)
        charges = calc.get_property("born_effective_charges", atoms)
        return [forces, charges, np.array(calc.get_potential_energy(atoms))]

    expected = [ask(source(), atoms) for atoms in frames]

    def asks(atoms: Atoms, known: list[np.ndarray]) -> Callable[[], None]:
        def work() -> None:
            for _ in range(8):
                check_equal(ask(shared, atoms), known)

        return work

    together([asks(*pair) for pair in zip(frames, expected, strict=True)])
