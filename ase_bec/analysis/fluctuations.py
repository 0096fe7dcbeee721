"""Ionic conductivity from the fluctuations of the current."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.integrate import cumulative_trapezoid

from ase_bec.analysis.correlations import autocorrelation
from ase_bec.analysis.statistics import Array, Estimate, block_slices
from ase_bec.analysis.transport import S_PER_M, thermal_volume
from ase_bec.plotting import axes_or_current

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class GreenKubo:
    """Conductivity from the autocorrelation of the current.

    Attributes
    ----------
    times
        In fs, [lag].
    correlation
        ⟨J(0) J(t)⟩ along x, y and z in e²·Å²/fs², [lag, 3].
    conductivity
        Its integral up to each time in S/m, [lag, 3]; the conductivity is its plateau.
    samples
        The same from blocks of time, [block, lag, 3].

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import green_kubo
    >>> times = np.arange(0.0, 4000.0, 2.0)
    >>> current = np.outer(np.cos(0.01 * times), [1.0, 1.0, 1.0])
    >>> found = green_kubo(times, current, volume=1000.0, temperature=800.0, max_time=600.0)
    >>> found.correlation.shape, found.samples.shape  # [lag, 3] and [block, lag, 3]
    ((301, 3), (5, 301, 3))
    >>> print(found.correlation[0].round(2))  # the mean square current
    [0.49 0.49 0.49]
    """

    times: Array
    correlation: Array
    conductivity: Array
    samples: Array

    def at(self, time: float) -> Estimate:
        """Conductivity in S/m with the correlation cut at a time in fs, chosen on the plateau.

        Raises
        ------
        ValueError
            If the time is beyond the longest one.
        """
        if not 0 < time <= self.times[-1] + 1e-6:
            raise ValueError(f"`time` must be up to {self.times[-1]:g} fs, got {time:g}")
        lag = int(np.argmin(np.abs(self.times - time)))
        return Estimate(self.conductivity[lag], self.samples[:, lag])

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the mean of the directions over the time of integration, with its error.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = axes_or_current(ax)
        mean = self.conductivity.mean(axis=1) / 100
        error = self.samples.mean(axis=2).std(axis=0, ddof=1) / np.sqrt(len(self.samples)) / 100
        (line,) = ax.plot(self.times / 1e3, mean, **style)
        ax.fill_between(
            self.times / 1e3, mean - error, mean + error, color=line.get_color(), alpha=0.25
        )
        ax.set_xlabel("Time of integration (ps)")
        ax.set_ylabel("Conductivity (S/cm)")
        return ax


def green_kubo(
    times: Array,
    current: Array,
    volume: float,
    temperature: float,
    max_time: float,
    *,
    blocks: int = 5,
    remove_mean: bool = False,
) -> GreenKubo:
    r"""Ionic conductivity from the autocorrelation of the current.

    .. math:: \sigma_\alpha(t) = \frac{1}{\Omega k T} \int_0^t
              \langle J_\alpha(0) J_\alpha(t') \rangle\, dt'

    by trapezia. The frames must resolve the fastest vibration, or the integral is wrong.

    Parameters
    ----------
    times
        Equally spaced, in fs, [frame].
    current
        J in e·Å/fs, [frame, 3].
    volume, temperature
        Ω in Å³ and T in K.
    max_time
        Longest time of the correlation in fs, within a block.
    blocks
        Number of blocks of time whose integrals give the uncertainty.
    remove_mean
        Subtract the mean current first: needed in a field.

    Raises
    ------
    ValueError
        If `max_time` does not lie within a block.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import green_kubo
    >>> rng = np.random.default_rng(0)
    >>> times = 10.0 * np.arange(2000)
    >>> current = 0.1 * rng.standard_normal((2000, 3))
    >>> found = green_kubo(times, current, volume=1000.0, temperature=800.0, max_time=100.0)
    >>> print(found.at(50.0).mean(), "S/m")  # the mean square times Δt/2 is 1162
    1139 ± 44 S/m
    """
    interval = float(times[-1] - times[0]) / (len(times) - 1)
    parts = block_slices(len(times), blocks)
    longest = (parts[0].stop - parts[0].start - 1) * interval
    if not interval <= max_time <= longest + 1e-6:
        raise ValueError(
            f"`max_time` must be from {interval:g} fs to the {longest:g} fs of a block, got "
            f"{max_time:g}: take fewer blocks or a shorter time"
        )
    lags = int(max_time / interval + 1e-6) + 1
    factor = S_PER_M / thermal_volume(volume, temperature)
    series = current - current.mean(axis=0) if remove_mean else current

    def integrals(part: Array) -> Array:
        correlation = autocorrelation(part)[:lags]
        found: Array = factor * cumulative_trapezoid(correlation, dx=interval, axis=0, initial=0)
        return found

    return GreenKubo(
        np.arange(lags, dtype=float) * interval,
        autocorrelation(series)[:lags],
        integrals(series),
        np.array([integrals(series[part]) for part in parts]),
    )
