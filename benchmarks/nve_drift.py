"""How well dynamics without thermostat conserve energy, in fields and without.

    nice -n 15 python benchmarks/nve_drift.py --time 10

Runs the crystal Li47P16O64 (127 atoms, some 800 K) with the bundled models at several time steps,
and prints the table of docs/reliability.md: drift (slope of the energy per atom) and wander
(standard deviation about the line). In a pulse the work of the field is taken off.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np

from ase_bec import FieldCalculator, NNPCalculator
from ase_bec.calculators import PulseField
from ase_bec.workflows import MDSettings, beta_lithium_phosphate, read_table, run_md

KELVIN = 1600.0  # of the first velocities, half of which the springs take
FIELD = (0.02, -0.05, 0.08)
CASES = {
    "no field": None,
    "E = (0.02, −0.05, 0.08) V/Å": FIELD,
    "pulse of that, 100 fs at 1 ps": PulseField(FIELD, 1000.0, 100.0),
}


def energies(timestep: float, field: object, duration: float) -> tuple[np.ndarray, np.ndarray]:
    """Times in ps, and H + kinetic energy − work in meV per atom."""
    atoms = beta_lithium_phosphate((2, 2, 2))
    del atoms[0]
    atoms.calc = NNPCalculator("li3po4-nnp")
    if field is not None:
        atoms.calc = FieldCalculator(atoms.calc, "li3po4-bec", field)
    interval = round(10 / timestep)
    settings = MDSettings(timestep, "none", KELVIN, interval=interval, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "md.traj"
        run_md(atoms, path, settings, duration)
        table = read_table(path)
    total = table["enthalpy_plus_kinetic_eV"] - table.get("work_eV", 0.0)
    later = table["time_fs"] >= 100.0
    return table["time_fs"][later] / 1000, 1000 * total[later] / len(atoms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", type=float, default=10.0, help="ps")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| | time step (fs) | drift (meV/atom in 1 ps) | wander (meV/atom) |\n|---|---|---|---|")
    for name, field in CASES.items():
        for timestep in (0.5, 1.0, 2.0):
            times, values = energies(timestep, field, 1000 * options.time)
            slope, constant = np.polyfit(times, values, 1)
            spread = np.std(values - slope * times - constant)
            print(f"| {name} | {timestep:g} | {slope:+.4f} | {spread:.3f} |", flush=True)


if __name__ == "__main__":
    main()
