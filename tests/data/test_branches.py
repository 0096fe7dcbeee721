"""Folding of polarization in any cell, and index order of Born charges against it."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from ase import Atoms
from data_examples import labelled, salt, shared
from hypothesis import given, settings
from hypothesis import strategies as st

from ase_bec.data import Frame, fold_polarization, read_dataset
from ase_bec.data.branches import formal_dipole, smallest_dipole
from ase_bec.paths import unwrap_images

SILICA = {"Si": 4, "O": -2}
TITANATE = {"Ba": 2, "Ti": 4, "O": -2}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 2))
def test_shortest_dipole_of_skewed_cells(seed: int, kind: int) -> None:
    """Against all combinations of quanta of a cell that is much skewed, flat or left-handed."""
    rng = np.random.default_rng(seed)
    tame = np.diag(rng.uniform(3, 6, 3)) + 0.5 * rng.normal(size=(3, 3))
    if kind == 1:
        tame[2] *= -0.3
    skewed = tame
    if kind == 2:
        skewed = np.array([[1, 0, 0], [3, 1, 0], [-2, 3, 1]]) @ tame  # the same lattice
    dipole = 20 * rng.normal(size=3)
    found = smallest_dipole(dipole, skewed)
    quanta = (dipole - found) @ np.linalg.inv(skewed)
    np.testing.assert_allclose(quanta, np.rint(quanta), atol=1e-9)
    centre = np.rint(dipole @ np.linalg.inv(tame))
    grid = np.array(list(product(range(-4, 5), repeat=3)))
    lengths = np.linalg.norm(dipole - (centre + grid) @ tame, axis=1)
    assert np.linalg.norm(found) <= lengths.min() + 1e-9


def test_folding_undoes_quanta_and_follows_wrapped_atoms() -> None:
    charges = {"Na": 1, "Cl": -1}
    rng = np.random.default_rng(3)
    near = 0.5 * rng.normal(size=3)  # of the network, beyond the formal charges
    for seed in range(5):
        atoms = salt(seed)
        true = Frame(atoms)
        dipole = formal_dipole(true, charges) + near
        n = rng.integers(-5, 6, size=3)
        shifted = Frame(atoms, polarization=(dipole + n @ atoms.cell.array) / atoms.get_volume())
        (folded,) = fold_polarization([shifted], charges)
        np.testing.assert_allclose(folded.dipole, dipole, atol=1e-10)
        atoms = atoms.copy()
        atoms.positions[2] -= 3 * atoms.cell[0]  # Na: its branch follows
        assert atoms.symbols[2] == "Na"
        (moved,) = fold_polarization([replace(shifted, atoms=atoms)], charges)
        np.testing.assert_allclose(moved.dipole, dipole - 3 * atoms.cell[0], atol=1e-10)


def test_reference_and_quantum() -> None:
    atoms = Atoms("NaCl", [[0, 0, 0], [0, 0, 3]], cell=[4, 4, 6], pbc=True)
    charges = {"Na": 1, "Cl": -1}

    def frame(dipole: float, z: float = 3.0, **labels: object) -> Frame:
        moved = atoms.copy()
        moved.positions[1, 2] = z
        return Frame(moved, polarization=np.array([0, 0, dipole]) / 96, **labels)

    def folded(which: Frame, **options: object) -> float:
        return float(fold_polarization([which], charges, **options)[0].dipole[2])

    np.testing.assert_allclose(folded(frame(0.2)), -5.8)  # 3.2 above the formal -3
    np.testing.assert_allclose(folded(frame(0.2), reference=frame(-2.0)), 0.2)
    np.testing.assert_allclose(folded(frame(0.2), quantum=2), 0.2)
    born = np.array([5 * np.eye(3), -5 * np.eye(3)])
    steep = frame(0.2, z=2.9, born_effective_charges=born)  # formal -2.9, but -3 + Z·Δr = -2.5
    np.testing.assert_allclose(folded(steep), -5.8)
    np.testing.assert_allclose(folded(steep, reference=Frame(atoms)), 0.2)
    mean = frame(-3.0, born_effective_charges=-born)  # means of Z cancel: -3 is nearest
    np.testing.assert_allclose(folded(steep, reference=mean), -5.8)


def test_what_cannot_be_folded() -> None:
    bare = labelled(polarization=None)
    assert fold_polarization([bare], {"Na": 1, "Cl": -1}) == [bare]
    with pytest.raises(ValueError, match="`charges` must cover all elements, got none for Cl"):
        fold_polarization([labelled()], {"Na": 1})
    with pytest.raises(ValueError, match="`quantum` must be positive"):
        fold_polarization([labelled()], {"Na": 1, "Cl": -1}, quantum=0)
    other = Frame(Atoms("Na8", np.eye(8, 3), cell=np.eye(3) * 9, pbc=True))
    with pytest.raises(ValueError, match="`reference` must have the same atoms in the same order"):
        fold_polarization([labelled()], {"Na": 1, "Cl": -1}, reference=other)
    cluster = labelled().atoms.copy()
    cluster.pbc = (True, True, False)
    with pytest.raises(ValueError, match="polarization folds in periodic cells only"):
        fold_polarization([replace(labelled(), atoms=cluster)], {"Na": 1, "Cl": -1})


def test_path_of_barium_titanate_is_continuous() -> None:
    """Berry phases of VASP from cubic to tetragonal; 46.29 µC/cm² is the published end."""
    steps = ["nonpolar", *(f"interpolation_{k}" for k in range(8, 0, -1)), "polar"]
    folder = "readers/vasp/BTO_polarization"
    paths = [shared(*folder.split("/"), f"{step}_polarization", "OUTCAR") for step in steps]
    frames = list(read_dataset(paths))
    images = [frames[0].atoms]
    for frame in frames[1:]:  # atoms that left the cell on one side come in on the other
        cell = frame.atoms.copy()
        cell.set_cell(images[0].cell, scale_atoms=True)
        images.append(unwrap_images([images[0], cell])[1])
        images[-1].set_cell(frame.atoms.cell, scale_atoms=True)
    raw = [replace(f, atoms=a) for f, a in zip(frames, images, strict=True)]
    quanta = [(2 * k % 5 - 2) * frame.atoms.cell[2] for k, frame in enumerate(raw)]
    lost = [
        replace(f, polarization=f.polarization + q / f.atoms.get_volume())
        for f, q in zip(raw, quanta, strict=True)
    ]
    folded = fold_polarization(lost, TITANATE)
    along_z = 1602.176634 * np.array([f.polarization[2] for f in folded])  # µC/cm²
    assert abs(along_z[0]) < 1e-3
    np.testing.assert_allclose(along_z[-1], 46.29, atol=0.01)
    rises = np.diff(along_z)
    assert rises.min() > 2
    assert rises.max() < 9
    # cations move up against the oxygen: Z* > q, and of one sign
    formal = np.array([formal_dipole(f, TITANATE)[2] for f in folded])
    actual = np.array([f.dipole[2] for f in folded])
    assert 1.2 < (actual[-1] - actual[0]) / (formal[-1] - formal[0]) < 2.5


def change_errors(frames: list[Frame], largest_step: float) -> dict[str, np.ndarray]:
    """D of frames less that of the one before less mean Z times the step, in both index orders."""
    errors: dict[str, list] = {"aij,aj->i": [], "aji,aj->i": []}
    for a, b in pairwise(frames):
        z = 0.5 * (a.born_effective_charges + b.born_effective_charges)
        step = b.atoms.positions - a.atoms.positions
        if np.abs(step).max() < largest_step:
            for order, found in errors.items():
                found.append(b.dipole - a.dipole - np.einsum(order, z, step))
    return {order: np.array(found) for order, found in errors.items()}


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def test_dipoles_of_silica_follow_born_charges() -> None:
    """Field first: right to 0.015 e Å for steps below 0.6 Å; transposed, ten times worse."""
    raw = read_dataset(shared("sio2", "sio2.xyz"))
    errors = change_errors(fold_polarization(raw, SILICA), 0.6)
    assert len(errors["aij,aj->i"]) > 60
    assert rms(errors["aij,aj->i"]) < 0.016
    assert rms(errors["aji,aj->i"]) > 0.15


def test_dipoles_of_titanate_follow_born_charges() -> None:
    """A ferroelectric of 135 atoms: the dipole is quanta away from that of formal charges."""
    raw = read_dataset(shared("batio3", "batio3.xyz"))
    ideal = raw[0].atoms.copy()
    ideal.set_scaled_positions(np.rint(6 * ideal.get_scaled_positions(wrap=False)) / 6)
    for reference in (Frame(ideal), fold_polarization(raw[:1], TITANATE)[0]):
        frames = fold_polarization(raw, TITANATE, reference=reference)
        errors = change_errors(frames, 1.0)
        assert len(errors["aij,aj->i"]) > 50
        assert np.abs(errors["aij,aj->i"]).max() < 1.2  # a quantum is 11.9 or 12.9
        assert rms(errors["aij,aj->i"]) < 0.22
        assert rms(errors["aji,aj->i"]) > 0.29
    formal_only = change_errors(fold_polarization(raw, TITANATE), 1.0)
    assert np.abs(formal_only["aij,aj->i"]).max() > 11
