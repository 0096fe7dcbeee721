"""Molecular dynamics that can be interrupted at any moment and continued exactly."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from ase_bec.calculators.schedule import attach_field
from ase_bec.data.field_labels import remove_field_labels
from ase_bec.interruption import interruption
from ase_bec.locks import locked
from ase_bec.progress import progress_bar
from ase_bec.workflows.calculator_description import describe_calculator
from ase_bec.workflows.dynamics.observables import Observables
from ase_bec.workflows.dynamics.record import (
    FrameWriter,
    Head,
    RecordedFrame,
    read_head,
    recorded_frames,
)
from ase_bec.workflows.dynamics.recorder import Recorder, make_table
from ase_bec.workflows.dynamics.resumption import (
    compare_calculators,
    compare_constraints,
    compare_fields,
    compare_forces,
    place,
    start_frame,
)
from ase_bec.workflows.dynamics.settings import (
    MDSettings,
    integrator,
    restore_thermostat,
    set_temperature,
)


@dataclass(frozen=True)
class MDRun:
    """How far a run has come.

    Attributes
    ----------
    step
        Number of the last recorded step.
    steps
        Number of steps that were asked for.
    frames
        Number of frames in the trajectory.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import MDSettings, run_md
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> with TemporaryDirectory() as folder:
    ...     settings = MDSettings(temperature=300.0, interval=5)
    ...     run_md(atoms, Path(folder) / "md.traj", settings, duration=20.0)
    MDRun(step=20, steps=20, frames=5)
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
    begin: Callable[[], None] | None = None,
) -> MDRun:
    """Run molecular dynamics at constant cell and volume, in a constant or changing field.

    Every ``settings.interval`` steps a frame goes to the trajectory (unwrapped positions,
    momenta, enthalpy, forces) and a row to the table of the same name ending in ``.csv``: step,
    time, temperature, enthalpy H, H + kinetic energy, field, and the mean displacement of each
    element from the first frame (Å). With a `FieldCalculator` whose charges have a dipole come
    the polarization P = D/Ω (e/Å²), on the branch of the unwrapped positions, and the current
    density ΔP/Δt since the frame before (e/(Å² fs)). Where the calculator counts them, the
    numbers of atoms outside the range of its potential and of its model of Born charges follow.

    A run that becomes unphysical, beyond the limits of the settings, stops with an error; its
    frames are kept.

    Each frame carries the state of the thermostat and its random numbers, so the run can be
    killed at any moment and continued with ``resume=True`` on the same trajectory: no frame is
    lost or duplicated, and if the calculator's forces depend on nothing but the positions (our
    models: on one machine, with one number of threads), the continued run equals an uninterrupted
    one bit for bit. Ctrl-C and SIGTERM end it between two steps, and then act as usual; within
    :func:`~ase_bec.interruption.handling_interruption` the run returns instead.

    A `FieldCalculator` whose field is a function of the time follows the run from time zero at
    the first frame. H + kinetic energy is then not conserved, not even without thermostat: it
    changes by the work −∫ D·dE, which the table gives as ``work_eV`` (trapezoidal rule over the
    steps).

    Parameters
    ----------
    atoms
        Structure with its calculator. Velocities are kept where it has any, else drawn at the
        temperature. Under "langevin", a structure without constraints gets a fixed centre of
        mass. Positions and momenta end as those of the last step, or, after an interruption,
        of the last frame.
    trajectory
        ASE trajectory to write, or to continue.
    settings
        Time step, thermostat and interval.
    duration
        Total time in fs, from the first frame.
    resume
        Continue an existing trajectory, from the same start or from its last frame; if it holds no
        frame yet, start it.
    overwrite
        Replace an existing trajectory.
    progress
        Show a progress bar on standard error.
    check
        Called with each frame before it is written; what it raises ends the run.
    begin
        Called once all input has been checked, before anything is written.

    Raises
    ------
    FileExistsError
        If the trajectory exists and neither `resume` nor `overwrite` is set.
    FileNotFoundError
        If there is no trajectory to resume.
    ValueError
        If `duration` is not a whole number of frames, or another run writes to the trajectory; on
        resuming, if the structure, a setting, the calculator, its forces or the field are not
        those of the trajectory, or a frame of it is damaged.
    UnphysicalStructure
        If the run is no longer physical.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import MDSettings, run_md
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> settings = MDSettings(timestep=2.0, temperature=300.0, interval=5)
    >>> with TemporaryDirectory() as folder:
    ...     run = run_md(atoms, Path(folder) / "md.traj", settings, duration=20.0)
    ...     longer = run_md(atoms, Path(folder) / "md.traj", settings, duration=40.0, resume=True)
    >>> run.completed, run.frames, longer.frames
    (True, 3, 5)
    """
    path = Path(trajectory)
    remove_field_labels(atoms)  # of an earlier calculation
    steps = settings.steps(duration)
    with locked(path, path.with_suffix(".csv")):
        frame = start_frame(atoms, path, settings, resume, overwrite)
        head = _head(atoms, settings) if frame is None else read_head(path)
        models = None if frame is None else head.values.get("outside", {})
        observables = Observables(head.atoms, atoms.calc, models)
        dynamics = _dynamics(atoms, settings, frame)
        if frame is not None:
            _compare(atoms, path, settings, head, frame)
            observables.resume(frame.atoms, frame.values)
        if observables.driven:
            attach_field(dynamics, atoms.calc)
        if begin is not None:
            begin()
        with FrameWriter(path, head.settings, append=frame is not None) as writer:
            table = make_table(path, observables, settings, mend=frame is not None)
            recorder = Recorder(writer, table, observables, settings, atoms, check)
            if frame is not None:
                recorder.go_on(recorded_frames(path, recorder.watch.needed))
            try:
                _propagate(dynamics, settings, steps, recorder, progress)
            finally:
                if isinstance(sys.exception(), KeyboardInterrupt | None):
                    _put_back(dynamics, recorder, path)
    return MDRun(recorder.step, steps, recorder.step // settings.interval + 1)


def _put_back(dynamics: MolecularDynamics, recorder: Recorder, path: Path) -> None:
    """Put the atoms of an interrupted run back to the last frame, from which it can go on."""
    if 0 <= recorder.step != dynamics.nsteps:
        place(dynamics.atoms, recorded_frames(path, lambda count: [count - 1])[-1])


def _head(atoms: Atoms, settings: MDSettings) -> Head:
    """What a new run begins with; a calculator that fails does so before anything is replaced."""
    atoms.get_forces()
    recorded = {name: value for name, value in asdict(settings).items() if name != "limits"}
    described = describe_calculator(atoms.calc, atoms)
    return Head(atoms, {}, {"md": recorded, "calculator": described})


def _compare(
    atoms: Atoms, path: Path, settings: MDSettings, head: Head, frame: RecordedFrame
) -> None:
    """Check that atoms placed at a frame are those of its run, with the same calculator."""
    compare_calculators(head, describe_calculator(atoms.calc, head.atoms), path)
    compare_constraints(atoms, frame, path)
    compare_fields(atoms.calc, path, settings)
    if getattr(atoms.calc, "time_dependent", False):
        atoms.calc.time = frame.step * settings.timestep
    compare_forces(atoms, frame)


def _dynamics(atoms: Atoms, settings: MDSettings, frame: RecordedFrame | None) -> MolecularDynamics:
    """Make the integrator, at the first step or at that of a frame."""
    rng = np.random.default_rng(settings.seed)
    if frame is None:
        _draw_velocities(atoms, settings.temperature_at(0), rng)
        return integrator(atoms, settings, rng)
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


def _propagate(
    dynamics: MolecularDynamics,
    settings: MDSettings,
    steps: int,
    record: Recorder,
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
