"""Infrared spectra of a harmonic diatomic, known in closed form, and intensities of modes."""

import matplotlib
import numpy as np
import pytest
from ase import Atoms, units
from ase.vibrations import VibrationsData
from scipy import constants
from scipy.integrate import trapezoid
from trajectory_examples import trajectory

from ase_bec.analysis import current, infrared_modes, infrared_spectrum, mode_dipoles
from ase_bec.analysis.infrared import KM_PER_MOL, PER_CM

matplotlib.use("Agg")
VOLUME, TEMPERATURE, SPRING, CHARGE = 900.0, 300.0, 12.0, 0.8
AXIS = np.array([2.0, -1.0, 3.0]) / np.sqrt(14)


def diatomic() -> tuple[Atoms, np.ndarray, np.ndarray]:
    """Two ions on a spring along AXIS: structure, Hessian, Born charges."""
    atoms = Atoms("LiF", [[0, 0, 0], 1.6 * AXIS], cell=np.eye(3) * VOLUME ** (1 / 3), pbc=True)
    block = SPRING * np.outer(AXIS, AXIS)
    hessian = np.block([[block, -block], [-block, block]])
    charges = np.array([CHARGE * np.eye(3), -CHARGE * np.eye(3)])
    return atoms, hessian, charges


def reduced_mass(atoms: Atoms) -> float:
    return float(1 / (1 / atoms.get_masses()).sum())


def wavenumber(atoms: Atoms) -> float:
    """ν = √(k/μ)/(2πc) from SI constants."""
    omega = np.sqrt(SPRING * constants.e / 1e-20 / (reduced_mass(atoms) * constants.atomic_mass))
    return float(omega / (2 * np.pi * constants.c * 100))


def test_diatomic_in_motion_has_the_lines_of_its_modes() -> None:
    atoms, hessian, charges = diatomic()
    mu, nu = reduced_mass(atoms), wavenumber(atoms)
    omega = nu / PER_CM  # 1/fs
    times = np.arange(40000) * 1.0
    speed = np.sqrt(2 * units.kB * TEMPERATURE / mu) * units.fs  # kT on average in μ v²
    v = speed * np.cos(omega * times)[:, None, None] * AXIS
    shares = np.array([mu, -mu])[:, None] / atoms.get_masses()[:, None]
    still = np.tile(atoms.positions, (len(times), 1, 1))
    given = trajectory(times, still, ["Li", "F"], atoms.cell.array, velocities=v * shares)
    flow = current(given, charges)
    found = infrared_spectrum(times, flow, VOLUME, TEMPERATURE, max_time=2000.0)
    mean = found.absorption.mean(axis=1)
    assert found.wavenumbers[mean.argmax()] == pytest.approx(nu, abs=2.0)
    assert found.wavenumbers[-1] == pytest.approx(16678.2, rel=1e-4)

    step = found.wavenumbers[1]
    strength = step * (found.absorption.sum(axis=0) - found.absorption[[0, -1]].sum(axis=0) / 2)
    # π q²/(2 Ω μ) of σ, over ε0 c and 2πc, in SI and then 1/cm²
    si = CHARGE**2 * constants.e**2 / (VOLUME * 1e-30 * mu * constants.atomic_mass)
    exact = si / (4 * constants.epsilon_0 * constants.c**2) / 1e4
    assert strength == pytest.approx(exact * AXIS**2, rel=2e-3)

    modes = infrared_modes(atoms.get_masses(), hessian, charges)
    grid = np.linspace(0, 2 * nu, 20001)
    lines = modes.spectrum(grid, VOLUME, 1.0)
    assert trapezoid(lines.absorption, x=grid, axis=0) == pytest.approx(exact * AXIS**2, rel=2e-3)
    assert grid[lines.absorption[:, 2].argmax()] == pytest.approx(nu, abs=0.1)


def test_modes_of_the_diatomic() -> None:
    atoms, hessian, charges = diatomic()
    modes = infrared_modes(atoms.get_masses(), hessian.reshape(2, 3, 2, 3), charges)
    ase = VibrationsData(atoms, hessian.reshape(2, 3, 2, 3)).get_frequencies()
    assert modes.wavenumbers[-1] == pytest.approx(ase[-1].real, rel=1e-6)
    assert modes.wavenumbers[-1] == pytest.approx(wavenumber(atoms), rel=1e-9)
    assert modes.wavenumbers[:-1] == pytest.approx(0, abs=1e-3)
    assert modes.intensities[-1] == pytest.approx(CHARGE**2 / reduced_mass(atoms))
    # 42.2561 km/mol for 1 (D/Å)²/amu, and 1 e = 4.80320 D/Å
    assert pytest.approx(42.2561 * 4.80320**2, rel=1e-5) == KM_PER_MOL
    assert modes.in_km_per_mol()[-1] == pytest.approx(KM_PER_MOL * modes.intensities[-1])


def test_mode_dipoles_of_tensors_without_symmetry() -> None:
    rng = np.random.default_rng(13)
    masses, charges = rng.uniform(1, 40, 3), rng.standard_normal((3, 3, 3))
    matrix = rng.standard_normal((9, 9))
    hessian = matrix @ matrix.T
    modes = infrared_modes(masses, hessian, charges)
    weighted = modes.vectors.reshape(9, 9)
    assert weighted @ weighted.T == pytest.approx(np.eye(9), abs=1e-12)
    scale = np.sqrt(np.repeat(masses, 3))
    omega2 = (modes.wavenumbers / PER_CM / units.fs) ** 2
    for mode in range(9):
        step = modes.vectors[mode] / np.sqrt(masses)[:, None]  # ∂r/∂Q
        assert hessian @ step.ravel() == pytest.approx(omega2[mode] * step.ravel() * scale**2)
        expected = np.zeros(3)
        for a in range(3):
            for i in range(3):
                for j in range(3):
                    expected[i] += charges[a, i, j] * step[a, j]
        assert modes.dipoles[mode] == pytest.approx(expected)
        assert modes.intensities[mode] == pytest.approx(expected @ expected)
    assert mode_dipoles(masses, modes.vectors[:2], charges) == pytest.approx(modes.dipoles[:2])


def test_imaginary_modes_are_negative_and_do_not_absorb() -> None:
    charges = np.eye(3)[None]
    modes = infrared_modes([4.0], np.diag([-1.0, 1.0, 4.0]), charges)
    assert modes.wavenumbers[0] == pytest.approx(-modes.wavenumbers[1])
    assert modes.wavenumbers[2] == pytest.approx(2 * modes.wavenumbers[1])
    absorbed = modes.spectrum(np.linspace(0, 1000, 2001), 10.0, 5.0).absorption.max(axis=0)
    assert absorbed[0] == 0
    assert (absorbed[1:] > 1).all()


def test_plot() -> None:
    from matplotlib.figure import Figure

    atoms, hessian, charges = diatomic()
    found = infrared_modes(atoms.get_masses(), hessian, charges).spectrum([1.0, 2.0], 100.0, 5.0)
    line = found.plot(Figure().subplots()).lines[0]
    assert line.get_ydata() == pytest.approx(found.absorption.mean(axis=1) / 1e3)


def test_bad_input() -> None:
    times, flow = np.arange(100.0), np.zeros((100, 3))
    eye, charges = np.eye(3), np.eye(3)[None]
    for call, words in {
        lambda: infrared_spectrum(times, flow, 1.0, 1.0, max_time=60.0): "`max_time`",
        lambda: infrared_spectrum(times, flow, 1.0, 1.0, max_time=10.0, padding=0): "`padding`",
        lambda: infrared_spectrum(times, flow, 0.0, 1.0, max_time=10.0): "`volume`",
        lambda: infrared_modes([0.0], eye, charges): "`masses`",
        lambda: infrared_modes([1.0], np.eye(6), charges): "`hessian` must have the shape",
        lambda: infrared_modes([1.0], eye + np.eye(3, k=1), charges): "symmetric",
        lambda: infrared_modes([1.0], eye, eye): "`born_charges`",
        lambda: mode_dipoles([1.0], np.zeros((1, 2, 3)), charges): "`vectors`",
        lambda: infrared_modes([1.0], eye, charges).spectrum([1.0], 1.0, 0.0): "`width`",
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
