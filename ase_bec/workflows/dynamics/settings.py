"""Settings of molecular dynamics, and the ASE integrator that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from ase_bec.workflows.dynamics.limits import Limits

ThermostatName = Literal["nose-hoover", "langevin", "none"]


@dataclass(frozen=True)
class MDSettings:
    """What stays the same through a run and all its continuations.

    Attributes
    ----------
    timestep
        Time step in fs.
    thermostat
        "nose-hoover" (chain of three), "langevin", or "none" (constant H + kinetic energy).
    temperature
        Temperature in K; without thermostat, that of the initial velocities, or None to keep those
        of the structure.
    relaxation_time
        Of the thermostat, in fs; the friction of "langevin" is its inverse.
    interval
        Steps between frames.
    seed
        Of the initial velocities and of "langevin".
    ramp
        Points (time in fs, temperature in K) between which the temperature of the thermostat
        runs on straight lines, constant before the first and after the last; in place of
        `temperature`.
    limits
        Beyond which the run stops as unphysical; may change when a run is continued.

    Examples
    --------
    >>> from ase_bec.workflows import MDSettings
    >>> heating = MDSettings(timestep=2.0, ramp=((0.0, 300.0), (1000.0, 800.0)))
    >>> heating.steps(1000.0), heating.temperature_at(250)
    (500, 550.0)
    """

    timestep: float = 1.0
    thermostat: ThermostatName = "nose-hoover"
    temperature: float | None = None
    relaxation_time: float = 100.0
    interval: int = 10
    seed: int = 0
    ramp: tuple[tuple[float, float], ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self._check_ramp()
        for name in ("timestep", "relaxation_time", "interval"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")
        if self.thermostat not in ("nose-hoover", "langevin", "none"):
            raise ValueError(
                f"`thermostat` must be nose-hoover, langevin or none, got {self.thermostat}"
            )
        if self.temperature is None and self.thermostat != "none" and not self.ramp:
            raise ValueError(f"`temperature` must be given for the {self.thermostat} thermostat")
        if self.temperature is not None and not 0 < self.temperature < np.inf:
            raise ValueError(f"`temperature` must be positive (K), got {self.temperature}")
        if self.seed < 0:
            raise ValueError(f"`seed` must not be negative, got {self.seed}")

    def temperature_at(self, step: int) -> float | None:
        """Return the temperature of the thermostat in K at a step."""
        if not self.ramp:
            return self.temperature
        times, temperatures = np.array(self.ramp).T
        return float(np.interp(step * self.timestep, times, temperatures))

    def _check_ramp(self) -> None:
        if not len(self.ramp):
            return
        try:
            points = np.array(self.ramp, dtype=float)
        except (TypeError, ValueError):
            points = np.empty(0)
        if (
            points.shape != (len(self.ramp), 2)
            or not np.isfinite(points).all()
            or (np.diff(points[:, 0]) < 0).any()
            or (points[:, 1] <= 0).any()
        ):
            raise ValueError(
                "`ramp` must be points (time in fs, positive temperature in K) in the order of "
                f"their times, got {self.ramp}"
            )
        if self.temperature is not None or self.thermostat == "none":
            raise ValueError(
                "`ramp` must come with a thermostat and without `temperature`, got "
                f"{self.temperature} K and thermostat {self.thermostat}"
            )
        object.__setattr__(self, "ramp", tuple((t, temp) for t, temp in points.tolist()))

    def steps(self, duration: float) -> int:
        """Return the number of steps of a duration in fs, a whole number of frames."""
        frames = duration / (self.timestep * self.interval)
        if not (duration > 0 and np.isfinite(frames) and abs(frames - round(frames)) < 1e-6):
            raise ValueError(
                f"`duration` must be a positive multiple of the {self.timestep * self.interval:g} "
                f"fs from frame to frame, got {duration:g} fs"
            )
        return round(frames) * self.interval


def integrator(atoms: Atoms, settings: MDSettings, rng: np.random.Generator) -> MolecularDynamics:
    """Make the ASE integrator of the settings.

    Under "langevin", a structure without constraints gets a fixed centre of mass.
    """
    timestep, damping = settings.timestep * units.fs, settings.relaxation_time * units.fs
    if settings.thermostat == "none":
        return VelocityVerlet(atoms, timestep)
    temperature = float(settings.temperature_at(0) or 0.0)  # never None here
    if settings.thermostat == "nose-hoover":
        return NoseHooverChainNVT(atoms, timestep, temperature, tdamp=damping)
    if not atoms.constraints:
        atoms.set_constraint(FixCom())
    return Langevin(
        atoms,
        timestep,
        temperature_K=temperature,
        friction=1 / damping,
        fixcm=False,
        rng=rng,
    )


def set_temperature(dynamics: MolecularDynamics, temperature: float) -> None:
    """Give the thermostat another temperature in K."""
    if isinstance(dynamics, Langevin):
        dynamics.set_temperature(temperature_K=temperature)
    elif isinstance(dynamics, NoseHooverChainNVT):
        dynamics._thermostat._kT = units.kB * temperature


def thermostat_state(dynamics: MolecularDynamics) -> dict[str, Any]:
    """Return the state that is not in the atoms: random numbers, or chain of the thermostat."""
    if isinstance(dynamics, Langevin):
        return {"random": dynamics.rng.bit_generator.state}
    if isinstance(dynamics, NoseHooverChainNVT):
        chain = dynamics._thermostat
        return {"position": chain._eta.tolist(), "momentum": chain._p_eta.tolist()}
    return {}


def restore_thermostat(dynamics: MolecularDynamics, state: Mapping[str, Any]) -> None:
    """Put back what :func:`thermostat_state` has returned."""
    if isinstance(dynamics, Langevin):
        dynamics.rng.bit_generator.state = state["random"]
    elif isinstance(dynamics, NoseHooverChainNVT):
        dynamics._thermostat._eta[:] = state["position"]
        dynamics._thermostat._p_eta[:] = state["momentum"]
