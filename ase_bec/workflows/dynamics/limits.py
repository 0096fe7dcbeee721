"""Limits beyond which a trajectory is no longer physical."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits", "UnphysicalStructure"]


class UnphysicalStructure(RuntimeError):
    """The forces cannot be right: atoms upon each other, far too hot, or where no model reaches."""


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a run stops, its frames kept; ``float("inf")`` for none.

    Means are those over ten relaxation times of the thermostat, and ten frames at least. They
    leave alone what is natural: the time before, in which a start from rest or from a strained
    structure heats and cools; a quench, whose atoms follow the thermostat late; the heat of a
    current; and a run without thermostat in a field, which warms up.

    Attributes
    ----------
    temperature
        Mean temperature in K. By default 1.4 times that of the thermostat (of its highest since
        shortly before) and twice the fluctuation √(2/3N) more, and in a single frame ten times it;
        without thermostat no limit.
    outside
        Mean fraction of the atoms outside the range of the potential, or of the model of Born
        charges, where the calculator counts them.
    energy
        Change in eV/atom, since that time, of the conserved energy: that of "none" (H + kinetic
        energy, less the work of a changing field) and of "nose-hoover" without ramp (the
        thermostat's included). Not looked at where the energy in the field is not the potential
        of the forces.
    """

    temperature: float | None = None
    outside: float = 0.25
    energy: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ValueError(f"`{field.name}` must be positive, got {value}")
