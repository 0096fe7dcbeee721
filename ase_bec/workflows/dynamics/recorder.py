"""Recording of a run: frames, rows of the table, and a look at each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.md import MolecularDynamics

from ase_bec.workflows.dynamics.conservation import conserved_energy, conserves
from ase_bec.workflows.dynamics.limits import UnphysicalStructure
from ase_bec.workflows.dynamics.observables import Observables
from ase_bec.workflows.dynamics.record import FrameWriter, RecordedFrame, RowMaker, Table
from ase_bec.workflows.dynamics.settings import MDSettings, thermostat_state
from ase_bec.workflows.dynamics.watch import Look, Watch

__all__ = ["Recorder", "make_table"]

COLUMNS = (
    "step",
    "time_fs",
    "temperature_K",
    "enthalpy_eV",
    "enthalpy_plus_kinetic_eV",
)


def make_table(path: Path, observables: Observables, settings: MDSettings, mend: bool) -> Table:
    """Begin the table of a trajectory, or bring it in line with the frames."""
    columns = (*COLUMNS, *observables.columns)
    table = Table(path.with_suffix(".csv"), columns, _row_maker(observables, settings))
    if mend:
        table.mend(path)
    else:
        table.begin()
    return table


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


class Recorder:
    """Writes a frame and its row at every interval, each step once, and looks at it.

    Parameters
    ----------
    writer, table
        Where they go.
    observables
        What else is recorded.
    settings, atoms
        Of the run.
    check
        Called with each frame before it is written.
    """

    def __init__(
        self,
        writer: FrameWriter,
        table: Table,
        observables: Observables,
        settings: MDSettings,
        atoms: Atoms,
        check: Callable[[Atoms], None] | None,
    ) -> None:
        self._writer, self._table, self._settings = writer, table, settings
        self._observables, self._check = observables, check
        self.watch = Watch(settings, atoms)
        self.step = -1  # of the last recorded frame
        self._values: Mapping[str, Any] | None = None

    def go_on(self, frames: Sequence[RecordedFrame]) -> None:
        """Go on from recorded frames: the one that settles what is conserved, and the last ones.

        Raises
        ------
        UnphysicalStructure
            If the run was no longer physical there.
        """
        for frame in frames:
            self._look(frame.atoms, frame.step, frame.values)
        self.step, self._values = frames[-1].step, frames[-1].values

    def __call__(self, dynamics: MolecularDynamics) -> bool:
        """Record this step where it is due, and tell whether it was."""
        atoms, step = dynamics.atoms, dynamics.nsteps
        if step <= self.step:
            return False
        self._observables.follow(atoms)
        if step % self._settings.interval:
            return False
        _energy(atoms)  # both are to be among the results that the frame takes along
        _require_finite(atoms, step)
        if self._check is not None:
            self._check(atoms)
        values = self._observables.values(atoms)
        values |= self._conserved(dynamics, values)
        self._writer.write(atoms, step, thermostat_state(dynamics), values)
        values["step"] = step
        self._table.write(atoms, values, self._values)
        self.step, self._values = step, values
        self._look(atoms, step, values)
        return True

    def _conserved(
        self, dynamics: MolecularDynamics, values: Mapping[str, Any]
    ) -> dict[str, float]:
        """Give the energy that the run conserves, where there is one."""
        energy = _energy(dynamics.atoms)
        if energy is None or not conserves(self._settings, dynamics.atoms.calc, "work" in values):
            return {}
        now = conserved_energy(dynamics, energy)
        return {} if now is None else {"conserved": now - values.get("work", 0.0)}

    def _look(self, atoms: Atoms, step: int, values: Mapping[str, Any]) -> None:
        temperature, outside = float(atoms.get_temperature()), values.get("outside", {})
        self.watch.look(Look(step, temperature, outside, values.get("conserved")))


def _require_finite(atoms: Atoms, step: int) -> None:
    """Raise where positions, momenta or forces are not numbers: no frame is worth keeping then."""
    arrays = (atoms.positions, atoms.get_momenta(), atoms.get_forces())
    if not all(np.isfinite(array).all() for array in arrays):
        raise UnphysicalStructure(
            f"positions, momenta or forces are not finite at step {step}: take a shorter time "
            "step, or a potential trained on such structures"
        )
