"""Runs killed at random moments and resumed, against runs that nobody killed.

    nice -n 15 python benchmarks/reliability_kills.py --kills 20 --folder /tmp/kills

Starts `ase-bec train`, `neb`, `md` and `amorphous` on the bundled models, sends SIGKILL after
times drawn at random, goes on with --resume, and when a run ends compares it with the one that
nobody killed, bit for bit (of a band, the barriers). Prints the table of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from ase.io import write
from ase.io.trajectory import Trajectory

import ase_bec
from ase_bec.data import Frame, write_dataset
from ase_bec.workflows import beta_lithium_phosphate, vacancy_hop

POTENTIAL, CHARGES = "li3po4-nnp", "li3po4-bec"
TOML = """\
output = "bec.pt"
[data]
files = ["../frames.xyz"]
test = 0.2
[model]
kind = "equivariant"
cutoff = 4.5
radial = 6
channels = 4
hidden = [16]
formal_charges = {Li = 1, P = 5, O = -2}
[training]
epochs = 15
interval = 1
average = 0.9
"""
FIELD = ["--charges", CHARGES, "--field", "0", "0", "0.1"]
COMMANDS = {
    "train": ["train", "bec.toml"],
    "neb": [
        *("neb", "../initial.traj", "../final.traj", "--nnp", POTENTIAL, *FIELD),
        *("--images", "3", "--climb", "--relax-ends", "--fmax", "0.01"),
    ],
    "md": [
        *("md", "../crystal.traj", "--nnp", POTENTIAL, *FIELD),
        *("--temperature", "800", "--thermostat", "langevin", "--time", "1ps", "--interval", "5"),
    ],
    "amorphous": [
        *("amorphous", "../crystal.traj", "--nnp", POTENTIAL, "--melt", "1200", "0.4ps"),
        *("--quench", "2000K/ps", "--anneal", "300", "0.2ps", "--interval", "5"),
    ],
}


@dataclass
class Tally:
    """What has come of the kills of one command."""

    kills: int = 0
    before: int = 0  # kills before anything was written
    rounds: int = 0
    same: int = 0
    worst: float = 0.0  # eV, of barriers
    whole: float = 0.0  # s, of the run that nobody killed
    failures: list[str] = field(default_factory=list)


def prepare(folder: Path) -> None:
    """Write what the commands start from."""
    write(folder / "crystal.traj", beta_lithium_phosphate((2, 1, 1)))
    ends = vacancy_hop(beta_lithium_phosphate((2, 1, 1)), "Li", axis=0)
    for name, atoms in zip(("initial", "final"), ends, strict=True):
        write(folder / f"{name}.traj", atoms)
    model, frames = ase_bec.load(CHARGES), []
    for seed in range(30):
        atoms = beta_lithium_phosphate((1, 1, 1))
        atoms.rattle(0.1, seed=seed)
        frames.append(Frame(atoms, born_effective_charges=model.born_charges(atoms)))
    write_dataset(folder / "frames.xyz", frames)


def start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    (folder / "bec.toml").write_text(TOML)
    with (folder / "log").open("ab") as log:
        command = [sys.executable, "-m", "ase_bec.cli.main", *words]
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def written(folder: Path) -> bool:
    """Whether the run has left something to go on from."""
    names = ("bec.checkpoint", "neb-zero.traj", "md.traj", "amorphous/settings.json")
    return any((folder / name).exists() for name in names)


def trajectories(one: Path, two: Path) -> bool:
    """Whether two trajectories hold the same, to the last bit."""
    with Trajectory(one) as a, Trajectory(two) as b:
        if len(a) != len(b):
            return False
        for k in range(len(a)):
            old, new = a[k], b[k]
            same = all(
                np.array_equal(x, y)
                for x, y in (
                    (old.positions, new.positions),
                    (old.get_momenta(), new.get_momenta()),
                    (old.get_forces(), new.get_forces()),
                    (old.get_potential_energy(), new.get_potential_energy()),
                )
            )
            if not same or a.backend[k].asdict().get("md") != b.backend[k].asdict().get("md"):
                return False
    return True


def same_text(one: Path, two: Path, names: list[str]) -> bool:
    return all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def same_training(one: Path, two: Path) -> float:
    states = [ase_bec.load(folder / "bec.pt").state_dict() for folder in (one, two)]
    same = all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    return 0.0 if same and same_text(one, two, ["bec.csv"]) else np.inf


def same_dynamics(one: Path, two: Path) -> float:
    same = trajectories(one / "md.traj", two / "md.traj")
    return 0.0 if same and same_text(one, two, ["md.csv"]) else np.inf


def same_glass(one: Path, two: Path) -> float:
    one, two = one / "amorphous", two / "amorphous"
    same = all(trajectories(one / name, two / name) for name in ("run.traj", "final.traj"))
    return 0.0 if same and same_text(one, two, ["run.csv"]) else np.inf


def barriers(folder: Path) -> np.ndarray:
    found = []
    for name in ("neb-zero.traj", "neb-field.traj"):
        with Trajectory(folder / name) as images:
            energies = np.array([image.get_potential_energy() for image in images])
        found += [energies.max() - energies[0], energies.max() - energies[-1]]
    return np.array(found)


def same_barriers(one: Path, two: Path) -> float:
    return float(np.abs(barriers(one) - barriers(two)).max())


COMPARE: dict[str, Callable[[Path, Path], float]] = {
    "train": same_training,
    "neb": same_barriers,
    "md": same_dynamics,
    "amorphous": same_glass,
}
ALLOWED = {"neb": 1e-3}  # eV; 0 for the others


def trial(name: str, folder: Path, kills: int, seed: int) -> Tally:
    """Kill one command so many times, in as many rounds as that takes."""
    choice, tally, whole = random.Random(f"{name} {seed}"), Tally(), folder / f"{name}-whole"
    begin = time.monotonic()
    if start(COMMANDS[name], whole).wait() != 0:
        tally.failures.append(f"the run that nobody killed failed, see {whole / 'log'}")
        return tally
    tally.whole = time.monotonic() - begin
    while tally.kills < kills or tally.rounds == 0:
        tally.rounds += 1
        part = folder / f"{name}-{tally.rounds}"
        for _ in range(kills + 1):
            process = start([*COMMANDS[name], "--resume"], part)
            if tally.kills < kills:
                try:
                    process.wait(choice.uniform(0, tally.whole))
                except subprocess.TimeoutExpired:
                    tally.before += not written(part)
                    process.kill()
                    tally.kills += 1
            if process.wait() >= 0:
                break
        difference = COMPARE[name](whole, part) if process.returncode == 0 else np.inf
        tally.worst = max(tally.worst, difference)
        tally.same += difference <= ALLOWED.get(name, 0.0)
        if difference > ALLOWED.get(name, 0.0):
            tally.failures.append(f"{part} differs by {difference}, status {process.returncode}")
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="to keep the runs in; must be empty")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder)
    print(
        "| command | kills | before anything to go on from | runs ended | identical | "
        "largest difference |"
    )
    print("|---|---|---|---|---|---|")
    failures = []
    for name in options.commands:
        found = trial(name, folder, options.kills, options.seed)
        worst = f"{1e3 * found.worst:.3f} meV of a barrier" if name == "neb" else "no bit"
        print(
            f"| {name} ({found.whole:.0f} s) | {found.kills} | {found.before} | {found.rounds} | "
            f"{found.same} | {'see below' if found.failures else worst} |",
            flush=True,
        )
        failures += found.failures
    print("\n".join(failures))
    if options.folder is None:
        shutil.rmtree(folder)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
