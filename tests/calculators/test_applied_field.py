"""A second field under a field calculator, found in what its base calculator holds."""

from functools import partial

import numpy as np
import pytest
from ase.calculators.calculator import all_changes
from ase.calculators.checkpoint import CheckpointCalculator
from ase.calculators.emt import EMT
from ase.calculators.fd import FiniteDifferenceCalculator
from ase.calculators.lj import LennardJones
from ase.calculators.loggingcalc import LoggingCalculator
from ase.calculators.mixing import AverageCalculator, MixedCalculator, SumCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import Trajectory, read
from field_examples import FIELD, CountingEMT, NoForces, neutral_charges, skewed_alloy

from ase_bec.calculators import applied_field
from ase_bec.calculators.field import FieldCalculator
from ase_bec.calculators.object_graph import held_objects

GOOD = neutral_charges()
REFUSED = "`calculator` must not apply a field itself, got "


def over(calculator):
    return FieldCalculator(calculator, GOOD, FIELD)


class Delegating:
    """Answers like a calculator, and keeps the one that it asks out of sight."""

    def __init__(self, calculator):
        self.ask = lambda *args, **kwargs: calculator.get_property(*args, **kwargs)
        self.implemented_properties = calculator.implemented_properties

    def get_property(self, name, atoms=None, allow_calculation=True):
        return self.ask(name, atoms, allow_calculation)


class Slotted:
    __slots__ = ("inner", "unset")

    def __init__(self, inner):
        self.inner = inner

    def get_property(self, *args, **kwargs):
        return self.inner.get_property(*args, **kwargs)


class ByMethod:
    """Holds a bound method and a partial function only."""

    def __init__(self, calculator):
        self.get = partial(calculator.get_property)

    def get_property(self, *args, **kwargs):
        return self.get(*args, **kwargs)


class Embedding(NoForces):
    """Asks the calculator of Atoms of its own."""

    def __init__(self, calculator):
        super().__init__()
        self.region = skewed_alloy()
        self.region.calc = calculator


WRAPPERS = {
    "logging": LoggingCalculator,
    "finite differences": FiniteDifferenceCalculator,
    "checkpoint": lambda calc: CheckpointCalculator(calc, db="unused.db"),
    "sum": lambda calc: SumCalculator([EMT(), calc]),
    "mixture": lambda calc: MixedCalculator(calc, EMT(), 0.5, 0.5),
    "mean": lambda calc: AverageCalculator([EMT(), EMT(), calc]),
    "closure": Delegating,
    "slots": Slotted,
    "bound method": ByMethod,
    "embedding": Embedding,
    "three deep": lambda calc: LoggingCalculator(SumCalculator([LoggingCalculator(calc), EMT()])),
}


@pytest.mark.parametrize("kind", WRAPPERS)
@pytest.mark.parametrize("field", [FIELD, (0, 0, 0)])
def test_field_calculators_inside_wrappers(kind, field):
    inner = FieldCalculator(EMT(), GOOD, field)
    with pytest.raises(ValueError, match=REFUSED + "FieldCalculator at .*; give its base"):
        over(WRAPPERS[kind](inner))
    over(WRAPPERS[kind](EMT()))


def test_where_it_was_found_is_said():
    inner = LoggingCalculator(FieldCalculator(EMT(), GOOD, FIELD))
    with pytest.raises(ValueError, match=r"at SumCalculator\.mixer\.calcs\[1\]\.calculator;"):
        over(SumCalculator([EMT(), inner]))
    with pytest.raises(ValueError, match=r"got SumCalculator\.mixer\.calcs\[1\] with efield=0\.3"):
        over(SumCalculator([EMT(), LennardJones(efield=0.3)]))


def test_frames_of_a_field_are_no_base(tmp_path):
    atoms = skewed_alloy()
    atoms.calc = over(EMT())
    atoms.get_forces()
    with Trajectory(tmp_path / "field.traj", "w") as trajectory:
        trajectory.write(atoms)
    with pytest.raises(ValueError, match=REFUSED + "SinglePointCalculator with field="):
        over(read(tmp_path / "field.traj").calc)


class Remembering(CountingEMT):
    """Keeps the Atoms themselves, as some calculators do: a way back to the field calculator."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.atoms = atoms


def test_the_way_back_from_a_base_calculator_is_no_second_field():
    base = Remembering()
    images = [skewed_alloy(seed) for seed in (1, 2, 3)]
    for image in images:
        image.calc = over(base)  # one base for all, as images of a path have it
    for _ in range(2):
        for image in images:
            image.get_forces()
            image.positions[0, 0] += 0.01
            image.calc.calculator.set(asap_cutoff=not base.parameters.asap_cutoff)
    expected = FieldCalculator(EMT(), GOOD, FIELD)
    expected.calculator.set(asap_cutoff=base.parameters.asap_cutoff)
    assert images[0].get_forces() == pytest.approx(expected.get_forces(images[0]), abs=1e-12)


LATER = {
    "itself": (lambda inner: inner, lambda inner: inner.set(efield=[0, 0, 0.2])),
    "in a sum": (
        lambda inner: SumCalculator([inner, EMT()]),
        lambda inner: inner.set(external_field=0.1),
    ),
    "past its own method": (
        lambda inner: LoggingCalculator(inner),
        lambda inner: inner.parameters.update(electric_field=[0.1] * 3),
    ),
    "in place, nested": (
        LoggingCalculator,
        lambda inner: inner.parameters["input"]["electrons"].update({"efield_cart(3)": 0.01}),
    ),
    "in place, an array": (
        lambda inner: inner,
        lambda inner: inner.parameters["efield"].__setitem__(2, 0.1),
    ),
    "attribute": (lambda inner: inner, lambda inner: setattr(inner, "efield", [0, 0, 0.1])),
}


@pytest.mark.parametrize("kind", LATER)
def test_a_field_set_later_is_refused(kind):
    wrap, change = LATER[kind]
    inner, atoms = LennardJones(), skewed_alloy()
    settings = {"control": {"lelfield": True}, "electrons": {"efield_cart(3)": 0.0}}
    inner.parameters.update(input=settings, efield=np.zeros(3), ragged=[[1], ["a", None]])
    calc = over(wrap(inner))
    calc.get_forces(atoms)
    change(inner)
    atoms.positions[0, 0] += 0.01
    with pytest.raises(ValueError, match=REFUSED):
        calc.get_forces(atoms)
    assert calc.results == {}


def test_all_is_looked_at_only_when_it_changes(monkeypatch):
    walks = []

    def counted(*args, **kwargs):
        walks.append(args)
        return held_objects(*args, **kwargs)

    monkeypatch.setattr(applied_field, "held_objects", counted)
    inner, atoms = LennardJones(), skewed_alloy()
    calc = over(SumCalculator([inner, EMT()]))
    for _ in range(5):
        atoms.positions[0, 0] += 0.01
        calc.get_forces(atoms)
    assert len(walks) == 1
    inner.set(epsilon=0.5)
    calc.reset()
    calc.get_forces(atoms)
    assert len(walks) == 2


def test_the_walk_ends_on_cycles_and_large_objects():
    base = NoForces()
    base.itself = [base, {"again": base}]
    base.large = [[k] for k in range(50_000)]
    chain = base.deep = []
    for _ in range(5_000):
        chain.append([])
        chain = chain[0]
    over(base).get_forces(skewed_alloy())


def test_single_points_of_zero_field_are_a_base():
    atoms = skewed_alloy()
    plain = EMT()
    frozen = SinglePointCalculator(
        atoms, energy=plain.get_potential_energy(atoms), forces=plain.get_forces(atoms)
    )
    fielded = over(frozen)
    assert fielded.get_forces(atoms) == pytest.approx(over(EMT()).get_forces(atoms), abs=1e-12)
