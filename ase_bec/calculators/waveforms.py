"""Fields as functions of time: a sine, a pulse, a ramp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ase_bec.calculators.electric import field_vector

Array = NDArray[np.float64]
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class SineField:
    """E(t) = A sin(2πt/T + φ).

    Attributes
    ----------
    amplitude
        A in V/Å, three numbers.
    period
        T in fs.
    phase
        φ in radians; π/2 begins at the full amplitude.

    Raises
    ------
    ValueError
        If the amplitude is not three finite numbers, the period not positive or the phase not
        finite.

    Examples
    --------
    >>> from ase_bec.calculators import SineField
    >>> field = SineField(amplitude=(0, 0, 0.02), period=100)
    >>> field(25).round(6)
    array([0.  , 0.  , 0.02])
    """

    amplitude: Vector
    period: float
    phase: float = 0.0

    def __post_init__(self) -> None:
        _keep_amplitude(self)
        _require_positive("period", self.period)
        _require_finite("phase", self.phase)

    def __call__(self, time: float) -> Array:
        """Return the field in V/Å, (3,), at a time in fs."""
        angle = 2 * np.pi * time / self.period + self.phase
        field: Array = np.array(self.amplitude) * np.sin(angle)
        return field


@dataclass(frozen=True)
class PulseField:
    """E(t) = A exp[−(t − t_c)²/(2w²)], times cos[2π(t − t_c)/T] if there is a period.

    Attributes
    ----------
    amplitude
        A in V/Å, three numbers: the field at the centre.
    centre
        t_c in fs.
    width
        w in fs, the standard deviation of the envelope; its full width at half maximum is 2.355 w.
    period
        T of the carrier in fs, or None for a bare Gaussian.

    Raises
    ------
    ValueError
        If the amplitude is not three finite numbers, the centre not finite, or the width or the
        period not positive.

    Examples
    --------
    >>> from ase_bec.calculators import PulseField
    >>> field = PulseField(amplitude=(0, 0, 0.02), centre=500, width=100)
    >>> field(500), field(600).round(4)
    (array([0.  , 0.  , 0.02]), array([0.    , 0.    , 0.0121]))
    """

    amplitude: Vector
    centre: float
    width: float
    period: float | None = None

    def __post_init__(self) -> None:
        _keep_amplitude(self)
        _require_finite("centre", self.centre)
        _require_positive("width", self.width)
        if self.period is not None:
            _require_positive("period", self.period)

    def __call__(self, time: float) -> Array:
        """Return the field in V/Å, (3,), at a time in fs."""
        delay = time - self.centre
        envelope = np.exp(-0.5 * (delay / self.width) ** 2)
        carrier = 1.0 if self.period is None else np.cos(2 * np.pi * delay / self.period)
        field: Array = np.array(self.amplitude) * envelope * carrier
        return field


@dataclass(frozen=True)
class RampField:
    """Zero before `start`, then a linear rise to A, which stays.

    Attributes
    ----------
    amplitude
        A in V/Å, three numbers.
    start
        Time at which the field begins to rise, in fs.
    duration
        Duration of the rise in fs; zero for a step, with A already at `start`.

    Raises
    ------
    ValueError
        If the amplitude is not three finite numbers, the start not finite, or the duration
        negative.

    Examples
    --------
    >>> from ase_bec.calculators import RampField
    >>> field = RampField(amplitude=(0, 0, 0.02), start=100, duration=200)
    >>> [float(field(time)[2]) for time in (50, 200, 1000)]
    [0.0, 0.01, 0.02]
    """

    amplitude: Vector
    start: float = 0.0
    duration: float = 0.0

    def __post_init__(self) -> None:
        _keep_amplitude(self)
        _require_finite("start", self.start)
        if not 0 <= self.duration < np.inf:
            raise ValueError(f"`duration` must be a time in fs from 0, got {self.duration!r}")

    def __call__(self, time: float) -> Array:
        """Return the field in V/Å, (3,), at a time in fs."""
        delay = time - self.start
        fraction = float(delay >= 0) if not self.duration else np.clip(delay / self.duration, 0, 1)
        field: Array = np.array(self.amplitude) * fraction
        return field


def _keep_amplitude(function: SineField | PulseField | RampField) -> None:
    """Store the amplitude as plain numbers, which compare and print as such."""
    try:
        vector = field_vector(function.amplitude)
    except ValueError:
        raise ValueError(
            f"`amplitude` must be three finite numbers in V/Å, got {function.amplitude!r}"
        ) from None
    object.__setattr__(function, "amplitude", tuple(vector.tolist()))


def _require_positive(name: str, value: float) -> None:
    if not 0 < value < np.inf:
        raise ValueError(f"`{name}` must be a positive time in fs, got {value!r}")


def _require_finite(name: str, value: float) -> None:
    if not np.isfinite(value):
        raise ValueError(f"`{name}` must be finite, got {value!r}")
