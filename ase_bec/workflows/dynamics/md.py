"""Molecular dynamics that can be interrupted at any moment and continued exactly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.md import MolecularDynamics

from ase_bec.calculators.schedule import attach_field
from ase_bec.interruption import interruption
from ase_bec.progress import progress_bar
from ase_bec.workflows.dynamics.observables import Observables
from ase_bec.workflows.dynamics.record import Frame, FrameWriter, RowMaker, Table, first_frame
from ase_bec.workflows.dynamics.resumption import compare_fields, place, start_frame
from ase_bec.workflows.dynamics.settings import (
    MDSettings,
    integrator,
    restore_thermostat,
    set_temperature,
    thermostat_state,
)

COLUMNS = (
    "step",
    "time_fs",
    "temperature_K",
    "enthalpy_eV",
    "enthalpy_plus_kinetic_eV",
)


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
    check: Callable[[Atoms], None] | None = None,
) -> MDRun:
    """Run molecular dynamics at constant cell and volume, in a constant or changing field.

    Every ``settings.interval`` steps a frame goes to the trajectory (unwrapped positions,
    momenta, enthalpy, forces) and a row to the table of the same name ending in ``.csv``: step,
    time, temperature, enthalpy H, H + kinetic energy, field, and the mean displacement of each
    element from the first frame (Å). With a `FieldCalculator` whose charges have a dipole come
    the polarization P = D/Ω (e/Å²), on the branch of the unwrapped positions, and the current
    density ΔP/Δt since the frame before (e/(Å² fs)).

    Each frame carries the state of the thermostat and its random numbers, so the run can be
    killed at any moment and continued with ``resume=True`` on the same trajectory: no frame is
    lost or doubled, and where the calculator's forces depend on nothing but the positions (our
    models: on one machine, with one number of threads), the continued run equals an uninterrupted
    one bit for bit. Ctrl-C and SIGTERM end it between two steps, and then act as they do without
    it; within :func:`~ase_bec.interruption.handling_interruption` the run returns instead.

    A `FieldCalculator` whose field is a function of the time follows the run from time zero at
    the first frame. H + kinetic energy is then not conserved, not even without thermostat: it
    changes by the work −∫ D·dE, which the table gives as ``work_eV`` (trapezoidal rule over the
    steps).

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
    check
        Called with each frame before it is written; what it raises ends the run.

    Raises
    ------
    FileExistsError
        If the trajectory exists and neither `resume` nor `overwrite` is set.
    FileNotFoundError
        If there is no trajectory to resume.
    ValueError
        If `duration` is not a whole number of frames; on resuming, if the structure, the
        settings, the forces or the field are not those of the trajectory.
    """
    path = Path(trajectory)
    steps = settings.steps(duration)
    frame = start_frame(atoms, path, settings, resume, overwrite)
    observables = Observables(atoms if frame is None else first_frame(path), atoms.calc)
    dynamics = _dynamics(atoms, settings, frame)
    if frame is not None:
        compare_fields(atoms.calc, path, settings)
        observables.resume(frame.atoms, frame.values)
    if observables.driven:
        attach_field(dynamics, atoms.calc)

    columns = (*COLUMNS, *observables.columns)
    table = Table(path.with_suffix(".csv"), columns, _row_maker(observables, settings))
    with FrameWriter(path, {"md": asdict(settings)}, append=frame is not None) as writer:
        if frame is None:
            table.begin()
        else:
            table.mend(path)
        recorder = _Recorder(writer, table, observables, settings.interval, frame, check)
        _propagate(dynamics, settings, steps, recorder, progress)
    return MDRun(recorder.step, steps, recorder.step // settings.interval + 1)


def _dynamics(atoms: Atoms, settings: MDSettings, frame: Frame | None) -> MolecularDynamics:
    """Make the integrator, at the first step or at that of a frame."""
    rng = np.random.default_rng(settings.seed)
    if frame is None:
        _draw_velocities(atoms, settings.temperature_at(0), rng)
        return integrator(atoms, settings, rng)
    if getattr(atoms.calc, "time_dependent", False):
        atoms.calc.time = frame.step * settings.timestep
    place(atoms, frame)
    dynamics = integrator(atoms, settings, rng)
    dynamics.nsteps = frame.step
    restore_thermostat(dynamics, frame.state)
    return dynamics


def _draw_velocities(atoms: Atoms, temperature: float | None, rng: np.random.Generator) -> None:
    """Draw from the Maxwell-Boltzmann distribution, without a drift where nothing is fixed."""
    if temperature is None or np.any(atoms.get_momenta()):
        return
    masses = atoms.get_masses()[:, None]
    momenta = np.sqrt(masses * units.kB * temperature) * rng.standard_normal((len(atoms), 3))
    if not atoms.constraints:
        momenta -= masses * momenta.sum(axis=0) / masses.sum()
    atoms.set_momenta(momenta)


def _row_maker(observables: Observables, settings: MDSettings) -> RowMaker:
    interval = settings.interval * settings.timestep

    def row(frame: Atoms, values: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[Any]:
        energy, step = _energy(frame), values["step"]
        total = "" if energy is None else energy + float(frame.get_kinetic_energy())
        return [
            step,
            step * settings.timestep,
            float(frame.get_temperature()),
            "" if energy is None else energy,
            total,
            *observables.row(frame, values, before, interval),
        ]

    return row


def _energy(atoms: Atoms) -> float | None:
    try:
        return float(atoms.get_potential_energy())
    except PropertyNotImplementedError:  # a field whose energy is not asked for
        return None


class _Recorder:
    """Writes a frame and its row at every interval, each step once."""

    def __init__(
        self,
        writer: FrameWriter,
        table: Table,
        observables: Observables,
        interval: int,
        frame: Frame | None,
        check: Callable[[Atoms], None] | None,
    ) -> None:
        self._writer, self._table, self._interval = writer, table, interval
        self._observables, self._check = observables, check
        self.step = -1 if frame is None else frame.step  # of the last recorded frame
        self._values = None if frame is None else frame.values

    def __call__(self, dynamics: MolecularDynamics) -> bool:
        """Record this step where it is due, and tell whether it was."""
        atoms, step = dynamics.atoms, dynamics.nsteps
        if step <= self.step:
            return False
        self._observables.follow(atoms)
        if step % self._interval:
            return False
        _energy(atoms)  # both are to be among the results that the frame takes along
        atoms.get_forces()
        if self._check is not None:
            self._check(atoms)
        values = self._observables.values(atoms)
        self._writer.write(atoms, step, thermostat_state(dynamics), values)
        values["step"] = step
        self._table.write(atoms, values, self._values)
        self.step, self._values = step, values
        return True


def _propagate(
    dynamics: MolecularDynamics,
    settings: MDSettings,
    steps: int,
    record: _Recorder,
    progress: bool,
) -> None:
    """Take the steps that are left, or as many as there are before a request to stop."""
    first, begin = dynamics.nsteps, time.perf_counter()
    nanoseconds = dynamics.dt / (1e6 * units.fs)
    with progress_bar(None, "step", progress, steps, first) as bar, interruption() as asked:
        for _ in dynamics.irun(max(steps - first, 0)):
            if record(dynamics):
                days = (time.perf_counter() - begin) / 86400
                speed = (record.step - first) * nanoseconds / days
                temperature = dynamics.atoms.get_temperature()
                bar.set_postfix_str(f"{temperature:.0f} K, {speed:.3g} ns/day", refresh=False)
                bar.update(record.step - bar.n)
            if asked:
                break
            if settings.ramp:
                set_temperature(dynamics, settings.temperature_at(dynamics.nsteps) or 0.0)
