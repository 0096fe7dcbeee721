"""Fields that change with time, in step with ASE's molecular dynamics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ase import Atoms, units

from ase_bec.calculators.applied_field import holds
from ase_bec.calculators.field import FieldCalculator


def attach_field(dyn: Any, field_calculator: FieldCalculator, start: float = 0.0) -> None:
    """Let a field calculator's time follow a molecular-dynamics run.

    The forces at the n-th positions are those in the field at t_n = start + n·dt: a step starts
    from the forces at t_n, and everything that it computes after moving the atoms is at t_(n+1).
    So velocity Verlet, and every integrator with one force evaluation per step, kicks with
    F(r_n, t_n) and F(r_(n+1), t_(n+1)), and loggers, trajectories and observers see each frame in
    the field of its own time.

    Parameters
    ----------
    dyn : ase.md.md.MolecularDynamics
        VelocityVerlet, Langevin, NoseHooverChainNVT and the like; attach before ``run``.
    field_calculator : FieldCalculator
        One whose `field` is a function of the time in fs.
    start : float
        Time in fs of the run's step zero, for a run that continues another.

    Raises
    ------
    TypeError
        If `dyn` has no time (an optimizer) or `field_calculator` is not a `FieldCalculator`.
    ValueError
        If the field is constant, the field calculator is not that of the atoms nor inside theirs,
        or `start` is not finite.

    Examples
    --------
    >>> from ase import units
    >>> from ase.build import bulk
    >>> from ase.calculators.lj import LennardJones
    >>> from ase.md.verlet import VelocityVerlet
    >>> from ase_bec.calculators import FieldCalculator, RampField, attach_field
    >>> atoms = bulk("MgO", "rocksalt", 4.2)
    >>> ramp = RampField((0, 0, 0.02), duration=10)
    >>> atoms.calc = FieldCalculator(LennardJones(sigma=1.9), {"Mg": 2, "O": -2}, ramp)
    >>> dyn = VelocityVerlet(atoms, timestep=1 * units.fs)
    >>> attach_field(dyn, atoms.calc)
    >>> _ = dyn.run(5)
    >>> atoms.calc.field.round(6)
    array([0.  , 0.  , 0.01])
    """
    if not (hasattr(dyn, "get_time") and hasattr(dyn, "dt") and hasattr(dyn, "step")):
        raise TypeError(
            f"`dyn` must be molecular dynamics with a time step, got {type(dyn).__name__}"
        )
    if not isinstance(field_calculator, FieldCalculator):
        raise TypeError(
            f"`field_calculator` must be a FieldCalculator, got {type(field_calculator).__name__}"
        )
    if not field_calculator.time_dependent:
        raise ValueError(
            "`field_calculator` must have a callable of the time in fs as its `field`, got the "
            f"constant {field_calculator.field} V/Å"
        )
    used = dyn.atoms.calc
    if isinstance(used, FieldCalculator) and used is not field_calculator:
        raise ValueError("`field_calculator` must be the one of the atoms of `dyn`, got another")
    if not holds(used, field_calculator):
        raise ValueError(
            "`field_calculator` must be the calculator of the atoms of `dyn`, or inside it, got "
            f"one that is not in their {type(used).__name__}"
        )
    if not np.isfinite(start):
        raise ValueError(f"`start` must be a finite time in fs, got {start!r}")

    def time(steps: int) -> float:
        return float(start + steps * dyn.dt / units.fs)

    advance = dyn.step

    def step(*args: Any, **kwargs: Any) -> Any:
        field_calculator.time = time(dyn.nsteps)
        end = time(dyn.nsteps + 1)
        with _advanced_after_move(dyn.atoms, field_calculator, end):
            result = advance(*args, **kwargs)
        field_calculator.time = end
        return result

    field_calculator.time = time(dyn.nsteps)
    dyn.step = step


@contextmanager
def _advanced_after_move(
    atoms: Atoms, field_calculator: FieldCalculator, end: float
) -> Iterator[None]:
    """Set the time to `end` before any forces but the first ones at the initial positions."""
    initial = atoms.get_positions()
    get_forces: Callable[..., Any] = atoms.get_forces
    first = True

    def forces(*args: Any, **kwargs: Any) -> Any:
        nonlocal first
        if not first or not np.array_equal(atoms.positions, initial):
            field_calculator.time = end
        first = False
        return get_forces(*args, **kwargs)

    vars(atoms)["get_forces"] = forces
    try:
        yield
    finally:
        del vars(atoms)["get_forces"]
