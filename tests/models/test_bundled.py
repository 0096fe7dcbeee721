"""The models that come with the package."""

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

import ase_bec
from ase_bec import FieldCalculator, NNPCalculator
from ase_bec.calculators.charges import as_charge_source
from ase_bec.workflows.barriers.neb import find_path, interpolate_path
from ase_bec.workflows.structures.crystals import beta_lithium_phosphate, vacancy_hop

FIELD = np.array([0.0, 0.0, 0.1])


def test_every_bundled_model_loads_is_small_and_has_a_card() -> None:
    names = ase_bec.bundled()
    lithium = ("Li", "P", "O")
    made_for = {"li3po4-nnp": lithium, "li3po4-bec": lithium, "hfo2": ("Hf", "O")}
    made_for["zno"] = ("Zn", "O")
    assert set(names) == set(made_for)
    folder = Path(ase_bec.models.__file__).parent / "bundled"
    for name in names:
        model = ase_bec.load(name)
        assert tuple(model.elements) == made_for[name]
        assert model.metadata["errors"]["validation" if name == "zno" else "test"]
        assert (folder / f"{name}.pt").stat().st_size < 2e6
        assert "Limits" in (folder / f"{name}.md").read_text()


def test_born_charges_of_the_crystal_are_those_of_an_ionic_solid() -> None:
    crystal = beta_lithium_phosphate((1, 1, 1))
    charges = ase_bec.load("li3po4-bec").born_charges(crystal)
    assert np.abs(charges.sum(axis=0)).max() < 1e-10
    mean = {
        symbol: np.trace(charges[crystal.symbols == symbol].mean(axis=0)) / 3
        for symbol in ("Li", "P", "O")
    }
    # First-principles values are about 1.0, 3.1 and -1.1 … -2.2 (mean -1.5 by neutrality).
    assert mean["Li"] == pytest.approx(1.0, abs=0.1)
    assert mean["P"] == pytest.approx(3.1, abs=0.25)
    assert mean["O"] == pytest.approx(-1.5, abs=0.15)


# As close to others as this, the model knows nothing.
@pytest.mark.filterwarnings("ignore:.*environment outside the range")
def test_one_lithium_through_the_cell_takes_up_one_charge_times_field_times_length() -> None:
    crystal = beta_lithium_phosphate((2, 2, 2))
    del crystal[40]
    model = ase_bec.load("li3po4-bec")
    length = crystal.cell.array[2]
    crystal.positions[0, :2] = 5.932, 9.979  # a line along z, 1.15 Å clear of every atom
    start, steps = crystal.positions[0].copy(), 400
    source = as_charge_source(model)
    before, work = model.dipole(crystal), 0.0
    for step in range(steps):  # the force repeats after the loop, so equal weights serve best
        crystal.positions[0] = start + step / steps * length
        work += source.response(crystal, FIELD).forces[0] @ length / steps
    crystal.positions[0] = start + length
    gained = FIELD @ (model.dipole(crystal) - before)
    assert gained / (FIELD @ length) == pytest.approx(1.0, abs=1e-9)
    assert work / (FIELD @ length) == pytest.approx(1.0, abs=1e-5)  # limited by the quadrature


def test_the_field_lowers_the_barrier_of_a_hop_along_it() -> None:
    ends = vacancy_hop(beta_lithium_phosphate((2, 2, 2)), "Li", axis=2)
    options = {"fmax": 0.05, "relax_ends": True}
    zero = find_path(
        interpolate_path(*ends, images=3), lambda: NNPCalculator("li3po4-nnp"), **options
    )
    biased = {
        sign: find_path(
            zero.images,
            lambda sign=sign: FieldCalculator(
                NNPCalculator("li3po4-nnp"), "li3po4-bec", sign * FIELD
            ),
            **options,
        )
        for sign in (1, -1)
    }
    assert zero.converged
    assert biased[1].forward_barrier < zero.forward_barrier - 0.03
    assert biased[-1].forward_barrier > zero.forward_barrier + 0.03
    # Over the whole hop the field does work on about one elementary charge.
    moved = np.abs(zero.images[-1].positions - zero.images[0].positions)[:, 2].max()
    gain = zero.energies[-1] - zero.energies[0] - (biased[1].energies[-1] - biased[1].energies[0])
    assert gain == pytest.approx(0.1 * moved, rel=0.15)


def test_polymorphs_of_zinc_oxide() -> None:
    """Crystals and energies of the first-principles set: 4.335 Å, 0.285 and 0.011 eV apart."""
    calculator, energies, volumes = NNPCalculator("zno"), {}, {}
    crystals = {
        "wurtzite": bulk("ZnO", "wurtzite", 3.3, 5.2),
        "zinc blende": bulk("ZnO", "zincblende", 4.6),
        "rock salt": bulk("ZnO", "rocksalt", 4.3),
    }
    for name, atoms in crystals.items():
        atoms.calc = calculator
        assert BFGS(FrechetCellFilter(atoms), logfile=None).run(2e-3, 100)
        formula = len(atoms) // 2
        energies[name] = atoms.get_potential_energy() / formula
        volumes[name] = atoms.get_volume() / formula
    a, _, c, *_ = crystals["wurtzite"].cell.cellpar()
    assert a == pytest.approx(3.27, rel=0.01)
    assert c == pytest.approx(5.29, rel=0.01)
    assert (4 * volumes["rock salt"]) ** (1 / 3) == pytest.approx(4.335, rel=0.005)
    assert energies["rock salt"] - energies["wurtzite"] == pytest.approx(0.285, abs=0.03)
    assert energies["zinc blende"] - energies["wurtzite"] == pytest.approx(0.011, abs=0.01)


def test_zinc_oxide_holds_together_when_hot() -> None:
    """Constant energy at 600 K, in a cell larger than any that it was trained on."""
    atoms = bulk("ZnO", "wurtzite", 3.28, 5.3).repeat((3, 3, 2))
    atoms.calc = NNPCalculator("zno")
    masses = atoms.get_masses()[:, None]
    chance = np.random.default_rng(0).normal(size=(len(atoms), 3))
    atoms.set_velocities(chance * np.sqrt(units.kB * 1200 / masses))
    dynamics = VelocityVerlet(atoms, 1.0 * units.fs)
    start = atoms.get_total_energy()
    dynamics.run(100)
    assert atoms.get_total_energy() == pytest.approx(start, abs=2e-4 * len(atoms))
    assert atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)].min() > 1.6
