"""Watching a run: whether its frames are still those of a solid or liquid that the models know."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ase import Atoms

from ase_bec.workflows.dynamics.limits import UnphysicalStructure
from ase_bec.workflows.dynamics.settings import MDSettings

__all__ = ["Look", "Watch"]

_RELAXATIONS = 10  # relaxation times that a mean takes in
_FRAMES = 10  # frames, at least
_FACTOR = 1.4  # of the temperature of the thermostat
_SPREADS = 2.0  # of a single frame's temperature, that the mean may be above that
_AT_ONCE = 10.0  # times the temperature of the thermostat, or the limit: no matter how long,
_HELL = 2e4  # K, if above this; a strained start in a cold bath is not
_WORDS = {"potential": "the potential", "charges": "the model of Born charges"}


class Look(NamedTuple):
    """What is looked at in a frame."""

    step: int
    temperature: float  # K
    outside: Mapping[str, int]  # atoms
    conserved: float | None = None  # eV


class Watch:
    """Looks at each recorded frame, and raises where a limit of the settings is passed.

    Parameters
    ----------
    settings
        With the limits.
    atoms
        Those that move, with their constraints.
    """

    def __init__(self, settings: MDSettings, atoms: Atoms) -> None:
        self._settings, self._limits, self._atoms = settings, settings.limits, len(atoms)
        self._moving = max(atoms.get_number_of_degrees_of_freedom() / 3, 1.0)
        interval = settings.interval * settings.timestep
        self.length = max(_FRAMES, int(np.ceil(_RELAXATIONS * settings.relaxation_time / interval)))
        self._looks: deque[Look] = deque(maxlen=self.length)
        self._settled: Look | None = None  # since when energy must be conserved

    def needed(self, frames: int) -> list[int]:
        """Of so many recorded frames, those to look at again before going on with the next."""
        last = range(max(0, frames - self.length), frames)
        return [*([self.length] if self.length < last.start else []), *last]

    def look(self, frame: Look) -> None:
        """Take in a frame.

        Raises
        ------
        UnphysicalStructure
            If the run is no longer physical, with what says so.
        """
        self._looks.append(frame)
        if self._settled is None and frame.step >= self.length * self._settings.interval:
            self._settled = frame
        reason = self._heat(frame) or self._energy(frame) or self._outside(frame)
        if reason:
            time = frame.step * self._settings.timestep / 1000
            raise UnphysicalStructure(
                f"the run is no longer physical at step {frame.step} ({time:g} ps): {reason}"
            )

    def _heat(self, frame: Look) -> str:
        bath, given = self._bath(frame.step), self._limits.temperature
        at_once = max(_AT_ONCE * (given or bath or 0.0), _HELL)
        long_enough, limit = len(self._looks) == self.length, given or np.inf
        if given is None and bath is not None:
            limit = bath * (_FACTOR + _SPREADS * np.sqrt(2 / (3 * self._moving)))
            long_enough &= frame.step >= (2 * self.length - 1) * self._settings.interval
        mean = float(np.mean([look.temperature for look in self._looks]))
        if frame.temperature > at_once:
            limit = at_once
        elif not (long_enough and mean > limit):
            return ""
        set_to = "" if bath is None else f", with the thermostat at {bath:.0f} K"
        return (
            f"the temperature is {frame.temperature:.0f} K, {mean:.0f} K on average, above the "
            f"limit of {limit:.0f} K{set_to}; take a shorter time step, or a potential trained on "
            f"such structures; {_moved('temperature')}"
        )

    def _bath(self, step: int) -> float | None:
        """Highest temperature of the thermostat since twice the time of the means."""
        settings = self._settings
        if settings.thermostat == "none":
            return None
        first = max(0, step - 2 * self.length * settings.interval)
        corners = (int(time / settings.timestep) for time, _ in settings.ramp)
        steps = [first, step, *(corner for corner in corners if first <= corner <= step)]
        return max(settings.temperature_at(s) or 0.0 for s in steps)

    def _energy(self, frame: Look) -> str:
        if self._settled is None or None in (frame.conserved, self._settled.conserved):
            return ""
        change = ((frame.conserved or 0.0) - (self._settled.conserved or 0.0)) / self._atoms
        if abs(change) <= self._limits.energy:
            return ""
        return (
            f"the conserved energy has changed by {change:+.3g} eV/atom, more than "
            f"{self._limits.energy:g}; take a shorter time step; {_moved('energy')}"
        )

    def _outside(self, frame: Look) -> str:
        if len(self._looks) < self.length:
            return ""
        for model in frame.outside:
            counts = [look.outside.get(model, 0) for look in self._looks]
            part = float(np.mean(counts)) / self._atoms
            if part > self._limits.outside:
                return (
                    f"{part:.0%} of the atoms, on average, are outside the range that "
                    f"{_WORDS[model]} was made for, more than {self._limits.outside:.0%}; lower "
                    f"the temperature, or take one trained on such structures; {_moved('outside')}"
                )
        return ""


def _moved(limit: str) -> str:
    return f"`limits.{limit}` moves this limit"
