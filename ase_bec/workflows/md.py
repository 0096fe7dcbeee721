"""Molecular dynamics that can be interrupted at any moment and continued exactly."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.md import MolecularDynamics

from ase_bec.workflows.dynamics import (
    MDSettings,
    integrator,
    restore_thermostat,
    thermostat_state,
)
from ase_bec.workflows.progress import step_bar
from ase_bec.workflows.record import Frame, FrameWriter, Table, last_frame, read_settings

COLUMNS = (
    "step",
    "time_fs",
    "temperature_K",
    "enthalpy_eV",
    "enthalpy_plus_kinetic_eV",
    "field_x_V_per_A",
    "field_y_V_per_A",
    "field_z_V_per_A",
)
_FORCE_TOLERANCE = 1e-3  # eV/Å; another model, charge or field differs by more, rounding by less


@dataclass(frozen=True)
class MDRun:
    """Where a run has come to.

    Attributes
    ----------
    step
        Number of the last recorded step.
    steps
        Number of steps that were asked for.
    frames
        Number of frames in the trajectory.
    """

    step: int
    steps: int
    frames: int

    @property
    def completed(self) -> bool:
        """Whether all steps are done; else the run was interrupted and can be continued."""
        return self.step >= self.steps


def run_md(
    atoms: Atoms,
    trajectory: str | Path,
    settings: MDSettings,
    duration: float,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> MDRun:
    """Run molecular dynamics at constant cell, volume and field.

    Every ``settings.interval`` steps a frame goes to the trajectory (unwrapped positions,
    momenta, enthalpy, forces) and a row to the table of the same name ending in ``.csv`` (step,
    time, temperature, enthalpy H, H + kinetic energy, field). Each frame carries the state of the
    thermostat and its random numbers, so the run can be killed at any moment and continued
    with ``resume=True`` on the same trajectory: no frame is lost or doubled, and where the
    calculator's forces depend on nothing but the positions (our models: on one machine, with one
    number of threads), the continued run equals an uninterrupted one bit for bit. SIGINT and
    SIGTERM end it between two steps.

    Parameters
    ----------
    atoms
        Structure with its calculator. Velocities are kept where it has any, else drawn at the
        temperature. Under "langevin", a structure without constraints gets a fixed centre of
        mass. Positions and momenta end as those of the last step.
    trajectory
        ASE trajectory to write, or to continue.
    settings
        Time step, thermostat and interval.
    duration
        Whole time in fs, from the first frame.
    resume
        Continue an existing trajectory; where it holds no frame yet, start it.
    overwrite
        Replace an existing trajectory.
    progress
        Show a progress bar on standard error.

    Raises
    ------
    FileExistsError
        If the trajectory exists and neither `resume` nor `overwrite` is set.
    FileNotFoundError
        If there is no trajectory to resume.
    ValueError
        If `duration` is not a whole number of frames; on resuming, if the structure, the
        settings or the forces are not those of the trajectory.
    """
    path = Path(trajectory)
    steps = settings.steps(duration)
    frame = _start(atoms, path, settings, resume, overwrite)
    rng = np.random.default_rng(settings.seed)
    if frame is None:
        _draw_velocities(atoms, settings.temperature, rng)
    else:
        _place(atoms, frame)
    dynamics = integrator(atoms, settings, rng)
    if frame is not None:
        dynamics.nsteps = frame.step
        restore_thermostat(dynamics, frame.state)

    table = Table(path.with_suffix(".csv"), COLUMNS, _row_maker(atoms, settings))
    with FrameWriter(path, {"md": asdict(settings)}, append=frame is not None) as writer:
        if frame is None:
            table.begin()
        else:
            table.mend(path)
        recorder = _Recorder(writer, table, settings.interval, -1 if frame is None else frame.step)
        _propagate(dynamics, steps, recorder, progress)
    return MDRun(recorder.step, steps, recorder.step // settings.interval + 1)


def _start(
    atoms: Atoms, path: Path, settings: MDSettings, resume: bool, overwrite: bool
) -> Frame | None:
    """Return the frame to continue from, or None for a new run."""
    if not resume:
        for output in (path, path.with_suffix(".csv")):
            if output.exists() and not overwrite:
                raise FileExistsError(f"`{output}` exists: resume, overwrite, or name another")
        return None
    if not path.exists():
        raise FileNotFoundError(f"`{path}` does not exist: there is nothing to resume")
    frame = last_frame(path)
    if frame is None:
        return None
    before = read_settings(path)["md"]
    for name, value in asdict(settings).items():
        if before[name] != value:
            raise ValueError(
                f"`{name}` must be {before[name]}, as in the frames of `{path}`, got {value}"
            )
    old = frame.atoms
    if not np.array_equal(old.numbers, atoms.numbers) or not np.array_equal(old.pbc, atoms.pbc):
        raise ValueError(f"`atoms` must be those of the frames of `{path}`, got another structure")
    return frame


def _draw_velocities(atoms: Atoms, temperature: float | None, rng: np.random.Generator) -> None:
    """Draw from the Maxwell-Boltzmann distribution, without a drift where nothing is fixed."""
    if temperature is None or np.any(atoms.get_momenta()):
        return
    masses = atoms.get_masses()[:, None]
    momenta = np.sqrt(masses * units.kB * temperature) * rng.standard_normal((len(atoms), 3))
    if not atoms.constraints:
        momenta -= masses * momenta.sum(axis=0) / masses.sum()
    atoms.set_momenta(momenta)


def _place(atoms: Atoms, frame: Frame) -> None:
    """Put the atoms where the frame has them and check that their forces are the same."""
    atoms.set_cell(frame.atoms.cell)
    atoms.set_positions(frame.atoms.positions, apply_constraint=False)
    atoms.set_momenta(frame.atoms.get_momenta(), apply_constraint=False)
    then = frame.atoms.get_forces(apply_constraint=False)
    change = np.abs(atoms.get_forces(apply_constraint=False) - then).max()
    if not change < _FORCE_TOLERANCE:
        raise ValueError(
            f"the calculator must give the forces of the last frame, got {change:.3g} eV/Å more "
            "or less: use the model, charges and field of the first run"
        )


def _row_maker(atoms: Atoms, settings: MDSettings) -> Callable[[Atoms, int], list[Any]]:
    field = np.asarray(getattr(atoms.calc, "field", np.zeros(3)), dtype=float).tolist()

    def row(frame: Atoms, step: int) -> list[Any]:
        energy = _energy(frame)
        total = "" if energy is None else energy + float(frame.get_kinetic_energy())
        return [
            step,
            step * settings.timestep,
            float(frame.get_temperature()),
            "" if energy is None else energy,
            total,
            *field,
        ]

    return row


def _energy(atoms: Atoms) -> float | None:
    try:
        return float(atoms.get_potential_energy())
    except PropertyNotImplementedError:  # a field whose energy is not asked for
        return None


class _Recorder:
    """Writes a frame and its row at every interval, each step once."""

    def __init__(self, writer: FrameWriter, table: Table, interval: int, step: int) -> None:
        self._writer, self._table, self._interval = writer, table, interval
        self.step = step  # of the last recorded frame, -1 before the first

    def __call__(self, dynamics: MolecularDynamics) -> bool:
        """Record this step where it is due, and tell whether it was."""
        atoms, step = dynamics.atoms, dynamics.nsteps
        if step % self._interval or step <= self.step:
            return False
        _energy(atoms)  # both are to be among the results that the frame takes along
        atoms.get_forces()
        self._writer.write(atoms, step, thermostat_state(dynamics))
        self._table.write(atoms, step)
        self.step = step
        return True


def _propagate(dynamics: MolecularDynamics, steps: int, record: _Recorder, progress: bool) -> None:
    """Take the steps that are left, or as many as there are before a request to stop."""
    first, begin = dynamics.nsteps, time.perf_counter()
    nanoseconds = dynamics.dt / (1e6 * units.fs)
    with step_bar(None, progress, steps, first) as bar, _stop_requests() as stop:
        for _ in dynamics.irun(max(steps - first, 0)):
            if record(dynamics):
                days = (time.perf_counter() - begin) / 86400
                speed = (record.step - first) * nanoseconds / days
                temperature = dynamics.atoms.get_temperature()
                bar.set_postfix_str(f"{temperature:.0f} K, {speed:.3g} ns/day", refresh=False)
                bar.update(record.step - bar.n)
            if stop.is_set():
                break


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into a request; a second one acts as it would without."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[signal.Signals, Any] = {}

    def request(number: int, _: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, request)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
