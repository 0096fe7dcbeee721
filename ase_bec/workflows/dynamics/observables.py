"""What a run records besides energies: field, polarization, work, range and more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.calculators.field import FieldCalculator
from ase_bec.calculators.wrapped import exclusive
from ase_bec.workflows.dynamics.outside import outside_counts

Array = NDArray[np.float64]
AXES = "xyz"


class Dipole:
    """Polarization along a run, from the dipole that comes with each force evaluation.

    P(t) = P(0) + [D(t) − D(0) − S·(R(t) − R(0))]/Ω with S = Σ_a Z_a of the first frame, which no
    motion changes, and R the centre of mass; S is left out with ``net_force="keep"`` or
    ``"error"``. So P is the calculator's ``polarization``, on the branch of the unwrapped
    positions, without the three rows of Born charges that it asks for each time.

    Parameters
    ----------
    calculator : FieldCalculator
        With charges that have a dipole.
    first : Atoms
        First frame of the run.
    """

    def __init__(self, calculator: FieldCalculator, first: Atoms) -> None:
        self._source, self._first = calculator.source, first.copy()
        self._start: Array = calculator.get_property("polarization", self._first)
        self._dipole = self._source.dipole(self._first)
        self._net = np.zeros((3, 3))
        if calculator.todict()["net_force"] == "remove":
            self._net = self._source.born_charges(self._first).sum(axis=0)

    def polarization(self, atoms: Atoms) -> Array:
        """Give P in e/Å², (3,)."""
        with exclusive(self._source):
            change = self._source.dipole(atoms) - self._dipole
        change -= self._net @ (atoms.get_center_of_mass() - self._first.get_center_of_mass())
        polarization: Array = self._start + change / self._first.get_volume()
        return polarization


class Observables:
    """Follows a run and gives what is to be recorded of a step.

    Parameters
    ----------
    first : Atoms
        First frame of the run: where displacements are zero.
    calculator : ASE calculator
        That of the run, which has computed its first frame. Polarization and current are there
        for a `FieldCalculator` whose charges have a dipole, in a cell with a volume; the work
        where its field changes with time.
    models : iterable of str, optional
        Those of which atoms outside their range are counted; by default, all that do count.
    """

    def __init__(self, first: Atoms, calculator: Any, models: Iterable[str] | None = None) -> None:
        self._positions = first.get_positions()
        self._calculator = calculator
        self._models = list(outside_counts(calculator) if models is None else models)
        self._members = {
            symbol: first.symbols == symbol
            for symbol in dict.fromkeys(first.get_chemical_symbols())
        }
        self._dipole: Dipole | None = None
        self._volume = 0.0
        self.driven = isinstance(calculator, FieldCalculator) and calculator.time_dependent
        if isinstance(calculator, FieldCalculator) and first.cell.rank == 3:
            self._volume = float(first.get_volume())
            if "polarization" in calculator.implemented_properties:
                self._dipole = Dipole(calculator, first)
        self._work = 0.0
        self._before: tuple[Array, Array] | None = None  # polarization and field

    @property
    def columns(self) -> list[str]:
        """Names of the columns that :meth:`row` fills."""
        names = [f"field_{axis}_V_per_A" for axis in AXES]
        names += [f"displacement_{s}_{axis}_A" for s, axis in product(self._members, AXES)]
        if self._dipole is not None:
            names += [f"polarization_{axis}_e_per_A2" for axis in AXES]
            names += [f"current_{axis}_e_per_A2_fs" for axis in AXES]
            names += ["work_eV"] if self.driven else []
        return names + [f"outside_{model}" for model in self._models]

    def resume(self, atoms: Atoms, recorded: Mapping[str, Any]) -> None:
        """Go on from what :meth:`values` gave for a frame."""
        self._work = float(recorded.get("work", 0.0))
        if self.driven and self._dipole is not None:
            polarization = recorded.get("polarization", self._dipole.polarization(atoms))
            field = recorded.get("field", self._calculator.field)
            self._before = np.array(polarization), np.array(field)

    def follow(self, atoms: Atoms) -> None:
        """Add the work of the last step, −Ω ∫ P·dE by the trapezoidal rule; call at each step."""
        if not self.driven or self._dipole is None:
            return
        now = self._dipole.polarization(atoms), np.array(self._calculator.field)
        if self._before is not None:
            mean, change = (self._before[0] + now[0]) / 2, now[1] - self._before[1]
            self._work -= self._volume * float(mean @ change)
        self._before = now

    def values(self, atoms: Atoms) -> dict[str, Any]:
        """Give field, polarization, work and atoms outside of a frame, where there are any."""
        field = self._field()
        values: dict[str, Any] = {} if field is None else {"field": field}
        if self._dipole is not None:
            values["polarization"] = self._dipole.polarization(atoms).tolist()
            if self.driven:
                values["work"] = self._work
        if self._models:
            values["outside"] = outside_counts(self._calculator, self._models)
        return values

    def _field(self) -> list[float] | None:
        field: Any = getattr(self._calculator, "field", None)
        return [float(x) for x in field] if np.shape(field) == (3,) else None

    def row(
        self,
        atoms: Atoms,
        recorded: Mapping[str, Any],
        before: Mapping[str, Any] | None,
        interval: float,
    ) -> list[Any]:
        """Give the values of the columns from a frame and what was recorded of it.

        Parameters
        ----------
        atoms
            The frame.
        recorded, before
            Values of the frame, and of the one before it.
        interval
            Time from one to the other in fs.
        """
        row: list[Any] = list(recorded.get("field", self._field() or [0.0, 0.0, 0.0]))
        moved = atoms.positions - self._positions
        for members in self._members.values():
            row += moved[members].mean(axis=0).tolist()
        if self._dipole is not None:
            polarization = recorded.get("polarization")
            earlier = None if before is None else before.get("polarization")
            current: list[Any] = [""] * 3
            if polarization is not None and earlier is not None:
                current = ((np.array(polarization) - np.array(earlier)) / interval).tolist()
            row += ["", "", ""] if polarization is None else polarization
            row += current
            row += [recorded.get("work", "")] if self.driven else []
        return row + [recorded.get("outside", {}).get(model, "") for model in self._models]
