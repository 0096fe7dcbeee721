"""Temperatures, times and density of melting and quenching."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ase_bec.workflows.dynamics.limits import Limits
from ase_bec.workflows.dynamics.settings import MDSettings


@dataclass(frozen=True)
class MeltQuenchSettings:
    """Temperatures, times and density of a melt-quench run.

    Attributes
    ----------
    density
        In g/cm³, to which cell and positions are scaled first; None keeps those given.
    melt_temperature, melt_time
        K and fs, at which the structure is held first.
    quench_rate
        K/ps, on a straight line from there to the final temperature.
    final_temperature, anneal_time
        K and fs, at which it is held at the end.
    timestep, relaxation_time
        Of the dynamics and its Langevin thermostat, in fs.
    interval
        Steps between frames.
    seed
        Of the velocities and the thermostat.
    fmax, max_steps
        Largest force in eV/Å and most steps of the relaxation of the positions (FIRE) that
        follows; ``fmax=None`` leaves it out.
    limits
        Beyond which the run stops as unphysical; may change when a run is continued.

    Examples
    --------
    >>> from ase_bec.workflows import MeltQuenchSettings
    >>> settings = MeltQuenchSettings(melt_temperature=2000.0, quench_rate=100.0)
    >>> settings.quench_time, settings.duration  # fs
    (17000.0, 29000.0)
    """

    density: float | None = None
    melt_temperature: float = 2000.0
    melt_time: float = 10000.0
    quench_rate: float = 100.0
    final_temperature: float = 300.0
    anneal_time: float = 2000.0
    timestep: float = 2.0
    relaxation_time: float = 100.0
    interval: int = 10
    seed: int = 0
    fmax: float | None = 0.05
    max_steps: int = 500
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        names = ["melt_temperature", "melt_time", "quench_rate", "final_temperature", "max_steps"]
        names += [name for name in ("density", "fmax") if getattr(self, name) is not None]
        for name in names:
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")
        if not 0 <= self.anneal_time < np.inf:
            raise ValueError(f"`anneal_time` must not be negative, got {self.anneal_time}")
        if self.final_temperature >= self.melt_temperature:
            raise ValueError(
                "`final_temperature` must be below the melt temperature, got "
                f"{self.final_temperature} and {self.melt_temperature} K"
            )
        self.dynamics()

    @property
    def quench_time(self) -> float:
        """Time from melt to final temperature in fs."""
        return 1000 * (self.melt_temperature - self.final_temperature) / self.quench_rate

    @property
    def duration(self) -> float:
        """Time of the whole run in fs, rounded up to whole frames."""
        frame = self.timestep * self.interval
        time = self.melt_time + self.quench_time + self.anneal_time
        return float(np.ceil(time / frame - 1e-9) * frame)

    def dynamics(self) -> MDSettings:
        """Give the settings of the run."""
        quenched = self.melt_time + self.quench_time
        return MDSettings(
            timestep=self.timestep,
            thermostat="langevin",
            relaxation_time=self.relaxation_time,
            interval=self.interval,
            seed=self.seed,
            ramp=(
                (0.0, self.melt_temperature),
                (self.melt_time, self.melt_temperature),
                (quenched, self.final_temperature),
            ),
            limits=self.limits,
        )
