"""Coulomb energy of effective charges: alone, beside a network, in files and committees."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from torch import Tensor

import ase_bec
from ase_bec import NNPCalculator
from ase_bec.evaluation.evaluate import Response, evaluate
from ase_bec.system import System
from ase_bec.terms.coulomb import FEW, Coulomb
from ase_bec.terms.energy import NetworkEnergy
from ase_bec.terms.ewald import COULOMB, ewald_potentials, self_potentials
from ase_bec.terms.model import Model
from ase_bec.terms.repulsion import CoreRepulsion

CHARGES = {"Zn": 1.1, "O": -0.9}
WIDTHS = [0.0, 0.5, 1.2]


def coulomb(width: float = 1.2) -> Model:
    return Model(list(CHARGES), [Coulomb(2, [*CHARGES.values()], width)])


def whole(seed: int = 0) -> Model:
    """Network, repulsion and Coulomb energy."""
    torch.manual_seed(seed)
    network = NetworkEnergy(2, 4.5, g2=[(1.0, 2.0), (2.0, 3.0)], g5=[(0.05, 1, 1), (0.05, 2, -1)])
    network.scaling.low.fill_(-400.0)
    network.scaling.high.fill_(400.0)
    repulsion = CoreRepulsion(2)
    repulsion.closest.copy_(torch.tensor([[2.0, 1.9], [1.9, 2.0]]))
    return Model(list(CHARGES), [network, repulsion, Coulomb(2, [*CHARGES.values()])])


def zno(*repeat: int, seed: int = 0) -> Atoms:
    """Rattled, skewed wurtzite, with an atom missing: a charged cell."""
    atoms = bulk("ZnO", "wurtzite", 3.25, 5.2).repeat(repeat or (2, 1, 1))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + [[0, 0.1, 0], [0, 0, 0.2], [-0.1, 0, 0]]), True)
    atoms.rattle(0.15, seed=seed)
    del atoms[3]
    return atoms


def response(model: Model, atoms: Atoms | list[Atoms], **options) -> Response:
    return evaluate(model.eval(), System.from_atoms(atoms, max(model.cutoff, 1.0)), **options)


def by_waves(atoms: Atoms, width: float) -> Tensor:
    """Energies of the atoms by the exact sum."""
    charges = torch.tensor([CHARGES[s] for s in atoms.symbols], dtype=torch.float64)
    widths = torch.full_like(charges, width)
    positions, cell = torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
    own = self_potentials(widths) * charges
    return 0.5 * charges * (ewald_potentials(positions, cell, charges, widths) - own)


@pytest.mark.parametrize("width", WIDTHS)
def test_energies_are_those_of_the_sum(width: float) -> None:
    atoms = zno()
    found = response(coulomb(width), atoms).energies
    torch.testing.assert_close(found, by_waves(atoms, width), rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(2, 1, 1), (5, 4, 3)], ids=["waves", "mesh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_forces_and_stress_against_finite_differences(
    width: float, size: tuple[int, int, int]
) -> None:
    atoms, model = zno(*size), coulomb(width)
    found, rng, step = response(model, atoms), np.random.default_rng(0), 1e-3
    direction = rng.normal(size=(len(atoms), 3))
    direction /= np.linalg.norm(direction)
    bend = rng.normal(size=(3, 3))
    bend = (bend + bend.T) / 20
    energies: dict[str, list[float]] = {"move": [], "bend": []}
    for k in (-2, -1, 1, 2):
        moved, bent = atoms.copy(), atoms.copy()
        moved.positions += k * step * direction
        bent.set_cell(atoms.cell.array @ (np.eye(3) + k * step * bend), scale_atoms=True)
        for name, one in (("move", moved), ("bend", bent)):
            energies[name].append(float(response(model, one).energy[0]))
    slope = {
        name: (e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * step) for name, e in energies.items()
    }
    expected = -float((found.forces.numpy() * direction).sum())
    assert slope["move"] == pytest.approx(expected, abs=1e-7)
    expected = float((found.virial[0].numpy() * bend).sum())
    assert slope["bend"] / atoms.get_volume() == pytest.approx(
        expected / atoms.get_volume(), abs=1e-7
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_mesh_agrees_with_the_sum_over_waves(width: float) -> None:
    atoms = zno(5, 4, 3, seed=1)
    assert len(atoms) > FEW
    found = response(coulomb(width), atoms).energies
    torch.testing.assert_close(found, by_waves(atoms, width), rtol=0, atol=3e-6)
    total = float(by_waves(atoms, width).sum())
    assert float(found.sum()) == pytest.approx(total, abs=1e-6 * len(atoms))


def test_larger_cell_is_the_same_crystal() -> None:
    atoms = zno()
    small, large = (response(coulomb(), a) for a in (atoms, atoms.repeat((3, 3, 3))))
    assert len(large.energies) > FEW >= len(small.energies)
    torch.testing.assert_close(large.energies[:7], small.energies, rtol=0, atol=1e-6)
    torch.testing.assert_close(large.forces[:7], small.forces, rtol=0, atol=3e-6)
    torch.testing.assert_close(large.virial / 27, small.virial, rtol=0, atol=2e-5)


def test_batch_is_the_loop() -> None:
    molecule = Atoms("ZnO", [[0, 0, 0], [1.7, 0.2, 0.1]])
    frames = [zno(), molecule, zno(5, 4, 3), zno(1, 1, 1, seed=3)]
    for width in WIDTHS:
        model = coulomb(width)
        together = response(model, frames)
        alone = [response(model, atoms) for atoms in frames]
        for name in ("energy", "energies", "forces", "virial"):
            expected = torch.cat([getattr(one, name) for one in alone])
            torch.testing.assert_close(getattr(together, name), expected, rtol=0, atol=1e-12)


def test_molecule_by_hand() -> None:
    atoms = Atoms("ZnO", [[0, 0, 0], [0, 0, 2.0]])
    found = response(coulomb(0), atoms)
    product = CHARGES["Zn"] * CHARGES["O"] * COULOMB
    assert float(found.energy[0]) == pytest.approx(product / 2.0, rel=1e-12)
    assert float(found.forces[1, 2]) == pytest.approx(product / 4.0, rel=1e-12)


def test_field_and_branch_are_of_no_account() -> None:
    atoms, model = zno(), coulomb()
    assert not model.has_dipole
    assert model.has_energy
    alone = response(model, atoms)
    field = response(model, atoms, field=torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64))
    atoms.positions[2] += atoms.cell.array[0] - atoms.cell.array[2]
    image = response(model, atoms)
    for other in (field, image):
        torch.testing.assert_close(other.forces, alone.forces, rtol=0, atol=1e-9)
        torch.testing.assert_close(other.virial, alone.virial, rtol=0, atol=1e-9)


def test_sum_of_terms_in_calculator_file_and_committee(tmp_path: Path) -> None:
    atoms, models = zno(), [whole(0), whole(1)]
    models[0].save(tmp_path / "zno.pt")
    loaded = ase_bec.load(tmp_path / "zno.pt")
    assert isinstance(loaded, Model)
    assert loaded.config() == models[0].config()
    calculators = [NNPCalculator(model) for model in (*models, loaded)]
    results = [c.get_forces(atoms) for c in calculators]
    energies = [c.get_potential_energy(atoms) for c in calculators]
    assert energies[2] == energies[0]
    committee = NNPCalculator(models)
    assert committee.get_forces(atoms) == pytest.approx(np.mean(results[:2], axis=0), abs=1e-12)
    assert committee.get_potential_energy(atoms) == pytest.approx(np.mean(energies[:2]))
    parts = [Model(list(CHARGES), [term]) for term in models[0].terms]  # type: ignore[list-item]
    summed = sum(response(part, atoms).energies.numpy() for part in parts)
    assert calculators[0].get_potential_energies(atoms) == pytest.approx(summed, abs=1e-10)
    assert calculators[0].get_stress(atoms).shape == (6,)


def stiffness(width: float, cells: int, axis: int) -> float:
    """Of a long wave along x of displaced Zn in zinc blende, per atom, in eV/Å²."""
    atoms = bulk("ZnO", "zincblende", 4.6, cubic=True).repeat((cells, 1, 1))
    zinc = atoms.symbols == "Zn"
    wave = np.cos(2 * np.pi * atoms.positions[:, 0] / (cells * 4.6)) * zinc
    model = Model(list(CHARGES), [Coulomb(2, [1.0, -1.0], width)])
    forces = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[:, axis] += sign * 0.01 * wave
        forces.append(response(model, moved).forces.numpy()[:, axis])
    return float(-((forces[0] - forces[1]) @ wave) / (0.02 * (wave @ wave)))


@pytest.mark.parametrize("width", [0.0, 1.2])
def test_longitudinal_and_transverse_waves_split(width: float) -> None:
    """By 4π k_e q̃²/Ω where waves are long, as in any polar crystal; a local energy has none."""
    split = {n: stiffness(width, n, 0) - stiffness(width, n, 1) for n in (8, 16)}
    long_waves = split[16] + (split[16] - split[8]) / 3  # what is left falls as k²
    analytic = 4 * np.pi * COULOMB / (4.6**3 / 4)
    assert long_waves == pytest.approx(analytic, rel=2e-3)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="`charges` must be 2 numbers"):
        Coulomb(2, [1.0])
    with pytest.raises(ValueError, match="`charges` must be 2 numbers"):
        Coulomb(2, [1.0, float("nan")])
    with pytest.raises(ValueError, match="`width` must be 0"):
        Coulomb(2, [1.0, -1.0], -0.5)
    slab = zno()
    slab.pbc = (True, True, False)
    with pytest.raises(ValueError, match=r"`atoms.pbc` must be all true or all false"):
        NNPCalculator(coulomb()).get_potential_energy(slab)


def test_time_grows_like_the_number_of_atoms() -> None:
    seconds = []
    for size in ((6, 6, 6), (12, 12, 12)):
        system = System.from_atoms(zno(*size), 1.0)
        found = []
        for _ in range(3):
            start = time.process_time()
            evaluate(coulomb(), system)
            found.append(time.process_time() - start)
        seconds.append(min(found))
    assert seconds[1] / seconds[0] < 8**1.5  # a sum over pairs or waves takes 64 times as long
