"""Structures for the bundled Li3PO4 potential, labelled with the released one.

    python bundle/li3po4/generate.py ../shared/data out/

Runs molecular dynamics of beta and gamma Li3PO4 with the released potential of Shimizu et al.:
pristine, with a Li vacancy, strained, molten and quenched; some trajectories are kept for the
test set. Each trajectory is one file and one `config_type`; finished ones are not run again, so
the script can be interrupted.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.optimize import FIRE
from tqdm import tqdm

from ase_bec import NeuralNetworkPotential, NNPCalculator, read_released_nnp
from ase_bec.workflows import find_path, interpolate_path

STEP = 1.0  # fs
EVERY = 20  # steps between frames
HOPS = 24


@dataclass(frozen=True)
class Run:
    """One trajectory: supercell of a phase, temperatures in K with their lengths in ps."""

    name: str
    phase: str
    repeat: tuple[int, int, int]
    schedule: tuple[tuple[float, float], ...]  # the last entry is sampled, the others prepare
    vacancies: int = 0
    strain: float = 0.0


def runs() -> list[Run]:
    """Training trajectories, then those of the test set (names begin with test)."""
    out = []
    for t in (300, 600, 900, 1200, 1600):
        out.append(Run(f"beta_vacancy_{t}K", "beta", (2, 2, 2), ((t, 0.2), (t, 0.8)), 1))
    for t in (300, 900, 2000):
        out.append(Run(f"beta_{t}K", "beta", (2, 2, 2), ((t, 0.2), (t, 0.6))))
    for k, strain in enumerate((-0.04, -0.02, 0.02, 0.04)):
        repeat = ((2, 2, 1), (2, 1, 2), (1, 2, 2), (2, 2, 1))[k]
        t = (500, 1000, 1500, 2000)[k]
        out.append(
            Run(f"beta_strain{strain:+.2f}", "beta", repeat, ((t, 0.2), (t, 0.8)), 1, strain)
        )
    for t in (300, 1000, 1800):
        out.append(Run(f"gamma_{t}K", "gamma", (1, 2, 2), ((t, 0.2), (t, 0.5)), t == 1000))
    melt = ((3500, 1.5), (2500, 0.5))  # not sampled itself: the potential has false minima there
    out.append(Run("quench_1500K", "beta", (2, 2, 2), (*melt, (1500, 0.6))))
    out.append(Run("quench_600K", "beta", (2, 2, 2), (*melt, (1500, 0.5), (900, 0.5), (600, 0.6))))
    out.append(Run("quench_300K", "gamma", (1, 2, 2), (*melt, (1200, 0.5), (300, 0.5))))
    out.append(Run("test_beta_vacancy_800K", "beta", (2, 2, 2), ((800, 0.3), (800, 0.5)), 1))
    out.append(Run("test_beta_1500K", "beta", (2, 2, 2), ((1500, 0.3), (1500, 0.5))))
    out.append(Run("test_gamma_700K", "gamma", (1, 2, 2), ((700, 0.3), (700, 0.5)), 1))
    out.append(Run("test_quench_900K", "beta", (2, 2, 2), (*melt, (1500, 0.4), (900, 0.5))))
    return out


def crystals(data: Path, calculator: NNPCalculator) -> dict[str, Atoms]:
    """Unit cells of both phases, from our own first-principles set, relaxed."""
    frames = read(data / "li3po4_dfpt/li3po4_dfpt.xyz", ":")
    out = {}
    for phase in ("beta", "gamma"):
        found = next(f for f in frames if f.info["config_type"] == f"pristine_{phase}")
        atoms = Atoms(found.numbers, found.positions, cell=found.cell, pbc=True)
        atoms.calc = calculator
        FIRE(atoms, logfile=None).run(fmax=0.02, steps=500)
        out[phase] = atoms
    return out


def labelled(atoms: Atoms, name: str) -> Atoms:
    """Copy of a frame with its labels."""
    frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    frame.info["config_type"] = name
    frame.calc = SinglePointCalculator(
        frame,
        energy=atoms.get_potential_energy(),
        forces=atoms.get_forces(),
        stress=atoms.get_stress(),
    )
    return frame


def trajectory(
    run: Run, cell: Atoms, calculator: NNPCalculator, rng: np.random.Generator
) -> list[Atoms]:
    """Frames of one run."""
    atoms = cell.repeat(run.repeat)
    for _ in range(run.vacancies):
        del atoms[rng.choice(np.flatnonzero(atoms.numbers == 3))]
    shear = rng.normal(scale=0.01, size=(3, 3))
    deformation = np.eye(3) * (1 + run.strain) + (shear + shear.T) / 2
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    atoms.calc = calculator
    sigma = np.sqrt(units.kB * 2 * run.schedule[0][0] * atoms.get_masses())[:, None]
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * sigma)
    frames: list[Atoms] = []
    for k, (temperature, length) in enumerate(run.schedule):
        dynamics = Langevin(
            atoms, STEP * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng
        )
        if k == len(run.schedule) - 1:
            dynamics.attach(lambda: frames.append(labelled(atoms, run.name)), interval=EVERY)
        dynamics.run(round(1000 * length / STEP))
    return frames


def hops(cell: Atoms, nnp: NeuralNetworkPotential, rng: np.random.Generator) -> list[Atoms]:
    """Images of short Li hops into a vacancy of the 2 x 2 x 2 crystal, and rattled copies."""
    crystal = cell.repeat((2, 2, 2))
    ions = np.flatnonzero(crystal.numbers == 3)
    calculator = NNPCalculator(nnp)
    frames = []
    for _ in range(HOPS):
        vacancy = int(rng.choice(ions))
        distances = crystal.get_distances(vacancy, ions, mic=True)
        ion = int(rng.choice(ions[(distances > 0.1) & (distances < 3.8)]))
        ends = [crystal.copy(), crystal.copy()]
        ends[1].positions[ion] += crystal.get_distance(ion, vacancy, mic=True, vector=True)
        for end in ends:
            del end[vacancy]
            strain = np.eye(3) + np.diag(rng.normal(scale=0.012, size=3))
            end.set_cell(ends[0].cell.array if end is ends[1] else end.cell.array @ strain, True)
        band = interpolate_path(*ends, images=5)
        path = find_path(
            band, lambda: NNPCalculator(nnp), climb=False, fmax=0.1, max_steps=60, relax_ends=True
        )
        for image in path.images:
            for scale in (0.0, 0.05):
                frame = image.copy()
                frame.positions += rng.normal(scale=scale, size=frame.positions.shape)
                frame.calc = calculator
                frames.append(labelled(frame, "beta_hops"))
    return frames


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", message=".*environment outside")
    torch.set_num_threads(1)
    nnp = read_released_nnp(options.data / "shimizu_li3po4/models/lammps-force.nnp")
    calculator = NNPCalculator(nnp)
    cells = crystals(options.data, calculator)
    save(
        options.output / "beta_hops.xyz",
        lambda: hops(cells["beta"], nnp, np.random.default_rng(99)),
    )
    for number, run in enumerate(tqdm(runs(), unit="trajectory")):
        cell, rng = cells[run.phase], np.random.default_rng(number)
        save(
            options.output / f"{run.name}.xyz",
            partial(trajectory, run, cell, calculator, rng),
        )


def save(path: Path, make: Callable[[], list[Atoms]]) -> None:
    """Make and write frames, unless they are there already."""
    if not path.exists():
        write(path.with_suffix(".part"), make(), format="extxyz")
        os.replace(path.with_suffix(".part"), path)


if __name__ == "__main__":
    main()
