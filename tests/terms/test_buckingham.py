"""Buckingham energies by hand, and the ionic model of ZnO against its published crystal."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.stress import voigt_6_to_full_3x3_stress
from zno_examples import FORMAL, calculator

from ase_bec import NNPCalculator, load
from ase_bec.models.ionic import ZNO, Pair, ionic_model
from ase_bec.terms.buckingham import Buckingham
from ase_bec.terms.ewald import COULOMB
from ase_bec.terms.model import Model


def test_pair_by_hand(tmp_path) -> None:
    model = ionic_model({"Zn": 2, "O": -2}, ZNO, cutoff=9.0)
    model.save(tmp_path / "ionic.pt")
    for one in (model, load(tmp_path / "ionic.pt")):
        atoms = Atoms("OO", [[0, 0, 0], [0, 0, 2.5]])
        found = NNPCalculator(one).get_potential_energy(atoms)
        strength, length, dispersion, _ = ZNO["O", "O"]
        pair = strength * np.exp(-2.5 / length) - dispersion / 2.5**6
        assert found == pytest.approx(pair + 4 * COULOMB / 2.5, rel=1e-10)


def test_forces_and_stress_against_finite_differences() -> None:
    atoms = bulk("ZnO", "wurtzite", 3.25, 5.2)
    atoms.rattle(0.1, seed=0)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + [[0, 0.1, 0], [0, 0, 0], [0.2, 0, 0]]), True)
    calc = NNPCalculator(Model(["Zn", "O"], [ionic_model(FORMAL, ZNO).terms[0]]))  # type: ignore[list-item]
    forces, stress = calc.get_forces(atoms), voigt_6_to_full_3x3_stress(calc.get_stress(atoms))
    step = 1e-4

    def slope(change) -> float:
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            change(moved, sign * step)
            energies.append(calc.get_potential_energy(moved))
        return (energies[0] - energies[1]) / (2 * step)

    def move(moved: Atoms, h: float) -> None:
        moved.positions[1, 2] += h

    def bend(moved: Atoms, h: float) -> None:
        strain = np.array([[0, h / 2, 0], [h / 2, h, 0], [0, 0, 0]])
        moved.set_cell(moved.cell.array @ (np.eye(3) + strain), scale_atoms=True)

    assert -slope(move) == pytest.approx(forces[1, 2], abs=1e-6)
    assert slope(bend) / atoms.get_volume() == pytest.approx(stress[0, 1] + stress[1, 1], abs=1e-7)


def test_no_jump_at_the_cutoff() -> None:
    term = Buckingham(1, [[1000.0]], [[0.4]], [[500.0]], cutoff=4.0)
    calc = NNPCalculator(Model(["O"], [term]))
    at = [calc.get_forces(Atoms("OO", [[0, 0, 0], [0, 0, d]]))[0, 2] for d in (4 - 1e-4, 4 + 1e-4)]
    assert abs(at[0]) < 1e-6
    assert at[1] == 0


def test_published_wurtzite() -> None:
    """Lattice constants that Binks and Grimes' parameters give: within 1 % of experiment."""
    atoms = bulk("ZnO", "wurtzite", 3.3, 5.3)
    atoms.calc = calculator()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(1e-3, 200)
    a, _, c, *_ = atoms.cell.cellpar()
    assert a == pytest.approx(3.250, rel=0.01)
    assert c == pytest.approx(5.207, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strength": [[1.0, 2.0], [3.0, 1.0]]}, "`strength` must be a symmetric table"),
        ({"dispersion": [[-1.0, 0.0], [0.0, 0.0]]}, "`dispersion` must hold numbers of zero"),
        ({"range": [[0.0, 0.0], [0.0, 0.3]]}, "`range` must be positive"),
        ({"cutoff": 1.0}, "`cutoff` must be more than"),
    ],
)
def test_bad_tables(changes: dict, message: str) -> None:
    tables = {"strength": [[1.0, 0.0], [0.0, 1.0]], "range": [[0.3, 0.0], [0.0, 0.3]]}
    settings = {**tables, "dispersion": [[0.0, 0.0], [0.0, 0.0]], **changes}
    with pytest.raises(ValueError, match=message):
        Buckingham(2, **settings)


def test_bad_pairs() -> None:
    with pytest.raises(ValueError, match="`pairs` must be of the elements"):
        ionic_model({"Zn": 2, "O": -2}, {("Li", "O"): Pair(1.0, 0.3)})
    both = {("Zn", "O"): Pair(1.0, 0.3), ("O", "Zn"): Pair(1.0, 0.3)}
    with pytest.raises(ValueError, match="`pairs` must name"):
        ionic_model({"Zn": 2, "O": -2}, both)
