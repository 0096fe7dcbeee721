"""A new term needs its own file and a line in the table, to be used for everything there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.md.verlet import VelocityVerlet
from ase.units import fs
from contract_examples import structure
from toy_terms import TOYS, ToyDipole, ToyEnergy, ToyWhole

from ase_bec import FieldCalculator, NNPCalculator, load, write_dataset
from ase_bec.calculators.charges import as_charge_source
from ase_bec.cli.main import main
from ase_bec.evaluation.evaluator import Evaluator
from ase_bec.terms.formal_charges import FormalCharges
from ase_bec.terms.model import Model
from ase_bec.training import Config, DataOptions, TrainingOptions, train

ELEMENTS = ("Li", "P", "O")
FIELD = np.array([0.02, 0.05, -0.04])
pytestmark = pytest.mark.usefixtures("toys_in_the_table")


def truth(toy: type) -> Model:
    """The toy with other numbers than it begins with."""
    term = toy(3)
    (parameter,) = term.parameters()
    parameter.data *= 1.3
    terms = [FormalCharges(3, [1, 5, -2]), term] if toy is ToyDipole else [term]
    return Model(ELEMENTS, terms)


def labelled(toy: type, path: Path) -> Path:
    """Frames with the labels of `truth`."""
    model, frames = truth(toy), []
    for seed in range(6):
        atoms = structure(seed)
        if model.has_energy:
            values = Evaluator(model, "nothing").values(atoms)[0]
            atoms.info["energy"] = values.energy
            atoms.arrays["forces"] = values.forces
        else:
            atoms.arrays["born_effective_charges"] = as_charge_source(model).born_charges(atoms)
            atoms.info["net_charge"] = 2.0
        frames.append(atoms)
    write_dataset(path, frames)
    return path


def trained(toy: type, folder: Path) -> Path:
    options: dict[str, object] = {"kind": toy.kind, "elements": list(ELEMENTS)}
    if toy is ToyDipole:
        options["formal_charges"] = {"Li": 1, "P": 5, "O": -2}
    config = Config(
        DataOptions((str(labelled(toy, folder / "frames.xyz")),), validation=0.2),
        options,
        training=TrainingOptions(epochs=300, batch=2, rate=0.05, dtype="float64"),
        output=str(folder / "toy.pt"),
    )
    result = train(config, progress=False)
    assert result.outcome.completed
    return folder / "toy.pt"


@pytest.mark.parametrize("toy", TOYS, ids=lambda t: t.kind)
def test_trained_saved_loaded_and_evaluated(toy: type, tmp_path: Path, capsys) -> None:
    path = trained(toy, tmp_path)
    model, expected = load(path), truth(toy)
    assert isinstance(model, Model)
    unseen, untrained = structure(99), toy(3)
    first = Model(ELEMENTS, [*expected.terms[:-1], untrained])
    errors = [difference(x, expected, unseen) for x in (model, first)]
    assert errors[0] < 0.02 * errors[1]
    assert main(["evaluate", str(path), str(tmp_path / "frames.xyz")]) == 0
    assert ("forces" if model.has_energy else "Z") in capsys.readouterr().out


def difference(model: Model, other: Model, atoms: Atoms) -> float:
    """Of forces, or of Born charges."""
    if model.has_energy:
        found = [Evaluator(m, "nothing").values(atoms)[0].forces for m in (model, other)]
    else:
        found = [as_charge_source(m).born_charges(atoms) for m in (model, other)]
    return float(np.abs(found[0] - found[1]).max())


def in_field(toy: type) -> FieldCalculator:
    """The toy as potential, as charges, or as both."""
    base = truth(ToyEnergy) if toy is ToyDipole else truth(toy)
    charges = {"Li": 1, "P": 5, "O": -2} if toy is ToyEnergy else truth(toy)
    return FieldCalculator(NNPCalculator(base), charges, FIELD)


@pytest.mark.parametrize("toy", TOYS, ids=lambda t: t.kind)
def test_under_a_field(toy: type) -> None:
    atoms = structure()
    atoms.calc = in_field(toy)
    forces, step = atoms.get_forces(), 1e-4
    for atom, axis in [(0, 1), (4, 0)]:
        values = []
        for shift in (-2, -1, 1, 2):
            moved = atoms.copy()
            moved.positions[atom, axis] += shift * step
            moved.calc = in_field(toy)
            values.append(moved.get_potential_energy())
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-7)
    charges = atoms.calc.get_property("born_effective_charges", atoms)
    ends = []
    for sign in (1, -1):
        atoms.calc.field = FIELD + sign * np.array([0, 0, 0.1])
        ends.append(atoms.get_forces())
    assert charges[:, 2] == pytest.approx((ends[0] - ends[1]) / 0.2, abs=1e-9)


@pytest.mark.parametrize("toy", TOYS, ids=lambda t: t.kind)
def test_dynamics_conserve_the_enthalpy(toy: type) -> None:
    atoms = structure()
    atoms.calc = in_field(toy)
    energies = []
    dynamics = VelocityVerlet(atoms, 0.2 * fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    dynamics.run(100)
    kinetic = atoms.get_kinetic_energy()
    assert np.ptp(energies) < 2e-3 * kinetic


def test_polarization_answers_the_field() -> None:
    atoms = structure()
    calculator = in_field(ToyWhole)
    found = []
    for size in (0.0, 1.0):
        calculator.field = size * FIELD
        found.append(calculator.get_property("polarization", atoms) * atoms.get_volume())
    assert np.abs(found[0]).max() < 1e-12
    assert np.abs(found[1]).min() > 1e-2


def test_terms_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match="terms"):
        Model(ELEMENTS, [Atoms("Li")])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"3 elements, got 'toy-energy' for 2"):
        Model(ELEMENTS, [ToyEnergy(2)])
    with pytest.raises(ValueError, match="at least one term"):
        Model(ELEMENTS, [])
    with pytest.raises(TypeError, match="with an energy"):
        NNPCalculator(truth(ToyDipole))
    with pytest.raises(ValueError, match="does not feel a field"):
        FieldCalculator(NNPCalculator(truth(ToyEnergy)), truth(ToyEnergy), FIELD)
