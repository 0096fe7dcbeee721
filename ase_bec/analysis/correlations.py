"""Averages over all time origins, through the fast Fourier transform."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]


def autocorrelation(series: Array) -> Array:
    r"""Autocorrelation of series, averaged over all time origins.

    .. math:: C(k) = \frac{1}{n-k} \sum_{t=0}^{n-k-1} x(t)\,x(t+k)

    Parameters
    ----------
    series
        Any number of real series at equal intervals, [frame, ...]; each with itself.

    Returns
    -------
    ndarray, shape [lag, ...]
        At as many lags as there are frames.
    """
    n = len(series)
    transform = fft.rfft(series, n=fft.next_fast_len(2 * n, real=True), axis=0)
    raw = fft.irfft(np.abs(transform) ** 2, n=fft.next_fast_len(2 * n, real=True), axis=0)[:n]
    found: Array = raw / _origins(series)
    return found


def square_displacement(series: Array) -> Array:
    r"""Square displacement of series, averaged over all time origins.

    .. math:: M(k) = \frac{1}{n-k} \sum_{t=0}^{n-k-1} [x(t+k) - x(t)]^2

    in O(n log n): the square is expanded, and the mixed term is an autocorrelation.

    Parameters
    ----------
    series
        Any number of real series at equal intervals, [frame, ...].

    Returns
    -------
    ndarray, shape [lag, ...]

    References
    ----------
    V. Calandrini, E. Pellegrini, P. Calligari, K. Hinsen and G. R. Kneller, Collection SFN 12,
    201 (2011).
    """
    x = series - series.mean(axis=0)  # of the order of the displacements, so that little cancels
    squares = np.cumsum(x**2, axis=0)
    ending = squares[::-1]  # Σ of x(t)² for t < n − k
    before = np.concatenate([np.zeros_like(squares[:1]), squares[:-1]])  # for t < k
    starting = squares[-1] - before  # for t >= k
    found: Array = (ending + starting) / _origins(series) - 2 * autocorrelation(x)
    found[0] = 0.0
    return np.maximum(found, 0.0)


def _origins(series: Array) -> Array:
    """Number of time origins at each lag, in the shape of the series."""
    count: Array = np.arange(len(series), 0, -1, dtype=float)
    return count.reshape(-1, *([1] * (series.ndim - 1)))
