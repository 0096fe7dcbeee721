"""What a polarization model keeps between calls, and never serves for something else."""

import copy
import io
import pickle
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from ase import Atoms
from descriptor_examples import skewed
from field_examples import NoForces
from polarization_examples import CHARGED, NETWORKS, equivariant, polarization_model

from ase_bec import FieldCalculator, PolarizationModel

networks = pytest.mark.parametrize("network", list(NETWORKS))
FIELD = np.array([0.03, -0.05, 0.08])


def answers(model: PolarizationModel, atoms: Atoms) -> list[np.ndarray]:
    """Field forces and the dipole kept with them, then the charges."""
    return [model.field_forces(atoms, FIELD), model.dipole(atoms), model.born_charges(atoms)]


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
    model = polarization_model(network)
    before = answers(model, skewed())
    after = changed_atoms(change)
    expected = answers(polarization_model(network), after)
    assert before[1] is not expected[1]
    assert np.abs(before[1] - expected[1]).max() > 1e-6
    check_equal(answers(model, after), expected)
    model = polarization_model(network)
    model.dipole(skewed())
    np.testing.assert_allclose(model.dipole(after), expected[1], rtol=0, atol=1e-12)


def test_a_structure_changed_in_place_is_seen() -> None:
    model, atoms = polarization_model(), skewed()
    answers(model, atoms)
    atoms.positions[1] += 0.05
    atoms.cell[2, 2] += 0.05
    check_equal(answers(model, atoms), answers(polarization_model(), atoms))


def adam(model: PolarizationModel) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def data(model: PolarizationModel) -> None:
    """As older code writes it: no version counter of the parameter sees it."""
    next(model.network.networks.parameters()).data.mul_(1.5)


def load(model: PolarizationModel) -> None:
    model.load_state_dict(polarization_model(equivariant(seed=7)).state_dict())


def assign(model: PolarizationModel) -> None:
    model.load_state_dict(polarization_model(equivariant(seed=7)).state_dict(), assign=True)


def scale(model: PolarizationModel) -> None:
    model.network.size *= 1.1


def single(model: PolarizationModel) -> None:
    model.float()


def there_and_back(model: PolarizationModel) -> None:
    model.float().double()


@pytest.mark.parametrize("change", [adam, data, load, assign, scale, single, there_and_back])
def test_a_change_of_the_parameters_is_seen(change: Callable[[PolarizationModel], None]) -> None:
    """After training, or loading others, nothing of before is served."""
    model, fresh = polarization_model(), polarization_model()
    before = answers(model, skewed())
    change(model)
    change(fresh)
    expected = answers(fresh, skewed())
    assert all(np.abs(a - b).max() > 1e-9 for a, b in zip(before, expected, strict=True))
    check_equal(answers(model, skewed()), expected)
    other = polarization_model()
    other.dipole(skewed())
    change(other)
    np.testing.assert_allclose(other.dipole(skewed()), expected[1], rtol=0, atol=1e-12)


def test_field_forces_and_dipole_of_a_structure_cost_one_evaluation(monkeypatch) -> None:
    model, calls = polarization_model(), []
    evaluate = PolarizationModel._evaluate

    def counted(*arguments):
        calls.append(arguments)
        return evaluate(*arguments)

    monkeypatch.setattr(PolarizationModel, "_evaluate", counted)
    for _ in range(2):
        model.field_forces(skewed(), FIELD)
        model.dipole(skewed())
    assert len(calls) == 1
    model.field_forces(skewed(), 2 * FIELD)
    assert len(calls) == 2


def test_the_response_is_forces_and_dipole_at_once(monkeypatch) -> None:
    model, atoms = polarization_model(), skewed()
    forces, dipole = polarization_model().field_response(atoms, FIELD)
    check_equal([forces, dipole], answers(model, atoms)[:2])
    calc, asked = FieldCalculator(NoForces(), model, field=FIELD), []
    monkeypatch.setattr(PolarizationModel, "dipole", lambda *given: asked.append(given))
    expected = -FIELD @ dipole + forces.sum(axis=0) @ atoms.get_center_of_mass()
    assert calc.get_potential_energy(atoms) == pytest.approx(expected, abs=1e-12)
    assert not asked  # nothing is compared twice in a step


def test_what_is_given_away_is_not_what_is_kept() -> None:
    model, direction = polarization_model(), FIELD.copy()
    forces, dipole = model.field_forces(skewed(), direction), model.dipole(skewed())
    expected = forces.copy(), dipole.copy()
    forces += 1.0
    dipole += 1.0
    direction += 1.0
    np.testing.assert_array_equal(model.field_forces(skewed(), FIELD), expected[0])
    np.testing.assert_array_equal(model.dipole(skewed()), expected[1])


def saved(model: PolarizationModel) -> PolarizationModel:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    found = torch.load(file, weights_only=False)
    assert isinstance(found, PolarizationModel)
    return found


@networks
@pytest.mark.parametrize(
    "make", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), saved]
)
def test_copies_answer_the_same_and_stand_alone(network, make) -> None:
    model = polarization_model(network)
    expected = answers(model, skewed())
    other = make(model)
    check_equal(answers(other, skewed()), expected)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter *= 0.9
    assert np.abs(answers(other, skewed())[0] - expected[0]).max() > 1e-6
    check_equal(answers(model, skewed()), expected)


def test_copies_take_only_the_model_along() -> None:
    model = polarization_model()
    size = len(pickle.dumps(model))
    answers(model, skewed() * (3, 3, 3))
    assert len(pickle.dumps(model)) == size


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


def test_threads_share_a_model(quick_switches) -> None:
    model, frames = polarization_model(), structures(4)
    expected = [answers(polarization_model(), atoms) for atoms in frames]

    def asks(atoms: Atoms, known: list[np.ndarray]) -> Callable[[], None]:
        def work() -> None:
            for _ in range(15):
                check_equal(answers(model, atoms), known)

        return work

    together([asks(*pair) for pair in zip(frames, expected, strict=True)])


class Interrupted(PolarizationModel):
    """Whenever it keeps something, another thread at once keeps what it has for other atoms."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_kept" and value is not None:
            value = polarization_model()._evaluate(changed_atoms("far"), FIELD)
        super().__setattr__(name, value)


def test_another_thread_may_come_between_keeping_and_giving() -> None:
    model = polarization_model()
    expected = answers(model, skewed())
    model.__class__ = Interrupted
    model._kept = None
    check_equal(answers(model, skewed()), expected)


def test_field_calculators_in_threads_share_a_model(quick_switches) -> None:
    """As images of a path do, or replicas: each is what it is alone."""
    model, frames = polarization_model(), structures(4)

    def ask(shared: PolarizationModel, atoms: Atoms) -> list[np.ndarray]:
        net_charge = sum(shared.formal_charges[symbol] for symbol in atoms.symbols)
        calc = FieldCalculator(NoForces(), shared, field=FIELD, net_charge=net_charge)
        forces = calc.get_forces(atoms)
        charges = calc.get_property("born_effective_charges", atoms)
        return [forces, charges, np.array(calc.get_potential_energy(atoms))]

    expected = [ask(polarization_model(), atoms) for atoms in frames]

    def asks(atoms: Atoms, known: list[np.ndarray]) -> Callable[[], None]:
        def work() -> None:
            for _ in range(8):
                check_equal(ask(model, atoms), known)

        return work

    together([asks(*pair) for pair in zip(frames, expected, strict=True)])


def test_a_calculator_of_its_own_sees_the_trained_model_after_reset() -> None:
    model = polarization_model(charges=CHARGED)
    calc = FieldCalculator(NoForces(), model, field=FIELD)
    calc.get_forces(skewed())
    load(model)
    calc.reset()
    fresh = polarization_model(equivariant(seed=7))
    expected = FieldCalculator(NoForces(), fresh, field=FIELD).get_forces(skewed())
    np.testing.assert_allclose(calc.get_forces(skewed()), expected, rtol=0, atol=1e-12)
