"""Limits beyond which a trajectory is no longer physical."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits", "UnphysicalStructure"]


class UnphysicalStructure(RuntimeError):
    """The forces cannot be right: atoms too close or far too hot, or outside the models' range.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import Limits, MDSettings, UnphysicalStructure, run_md
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> settings = MDSettings(temperature=900.0, interval=1, relaxation_time=1.0,
    ...                       limits=Limits(temperature=30.0))
    >>> with TemporaryDirectory() as folder:
    ...     try:
    ...         run_md(atoms, Path(folder) / "md.traj", settings, duration=100.0)
    ...     except UnphysicalStructure as error:
    ...         print("stopped")
    stopped
    """


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a run stops, keeping its frames; ``float("inf")`` for no limit.

    Averages are over ten relaxation times of the thermostat, and at least ten frames. They tolerate
    what is natural: the time before that, in which a start from rest or from a strained structure
    heats or cools; a quench, whose atoms lag behind the thermostat; the heat of a current; and a
    run without thermostat in a field, which warms up.

    Attributes
    ----------
    temperature
        Average temperature in K. By default 1.4 times that of the thermostat (its highest since
        shortly before) plus twice the fluctuation √(2/3N), and ten times it in a single frame; no
        limit without thermostat.
    outside
        Average fraction of the atoms outside the range of the potential, or of the model of Born
        charges, where the calculator counts them.
    energy
        Change in eV/atom, since the first average, of the conserved energy: that of "none" (H +
        kinetic energy, less the work of a changing field) and of "nose-hoover" without ramp (the
        thermostat's included). Not checked if the energy in the field is not the potential
        of the forces.

    Examples
    --------
    >>> from ase_bec.workflows import Limits, MDSettings
    >>> limits = Limits(temperature=2000.0, energy=float("inf"))
    >>> MDSettings(temperature=800.0, limits=limits).limits.outside  # as by default
    0.25
    """

    temperature: float | None = None
    outside: float = 0.25
    energy: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ValueError(f"`{field.name}` must be positive, got {value}")
