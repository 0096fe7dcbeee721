"""What a run conserves, if anything."""

from __future__ import annotations

from typing import Any

from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from ase_bec.calculators.field import FieldCalculator
from ase_bec.workflows.dynamics.settings import MDSettings

__all__ = ["conserved_energy", "conserves"]


def conserves(settings: MDSettings, calculator: Any, work: bool) -> bool:
    """Whether a run conserves an energy that is known.

    Parameters
    ----------
    settings
        Of the run.
    calculator
        Its forces are to be the gradient of its energy, the field's too.
    work
        Whether the work of a field that changes with time is recorded.
    """
    while calculator is not None:
        if isinstance(calculator, FieldCalculator):
            if calculator.todict()["energy"] != "potential":
                return False
            if calculator.time_dependent and not work:
                return False
        calculator = getattr(calculator, "calculator", None)
    return not settings.ramp and settings.thermostat != "langevin"


def conserved_energy(dynamics: MolecularDynamics, energy: float) -> float | None:
    """Return H + kinetic energy + that of the thermostat in eV; None where that is not known.

    Parameters
    ----------
    dynamics
        At the step in question.
    energy
        H there, in eV.
    """
    total = energy + float(dynamics.atoms.get_kinetic_energy())
    if isinstance(dynamics, NoseHooverChainNVT):
        return total + float(dynamics._thermostat.get_thermostat_energy())
    return total if isinstance(dynamics, VelocityVerlet) else None
