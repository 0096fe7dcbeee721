"""Values with uncertainties, from samples that are assumed to be independent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_bec.directions import unit_vector

Array = NDArray[np.float64]


class Value(NamedTuple):
    """A number and its standard error.

    Examples
    --------
    >>> from ase_bec.analysis import Value
    >>> print(Value(1.2341, 0.067))
    1.234 ± 0.067
    >>> print(Value(1.2341e-6, 0.067e-6))
    (1.234 ± 0.067)e-6
    """

    value: float
    error: float

    def __str__(self) -> str:
        """Write the number with as many digits as its error warrants."""
        if not np.isfinite(self.error) or self.error <= 0:
            return f"{self.value:.4g}"
        largest = max(abs(self.value), self.error)
        digits = int(np.floor(np.log10(largest)) - np.floor(np.log10(self.error))) + 2
        if 1e-3 <= largest < 1e5:
            places = max(0, 1 - int(np.floor(np.log10(self.error))))
            return f"{self.value:.{places}f} ± {self.error:.{places}f}"
        exponent = int(np.floor(np.log10(largest)))
        scale = 10.0**exponent
        places = max(0, digits - 1)
        return f"({self.value / scale:.{places}f} ± {self.error / scale:.{places}f})e{exponent:+d}"


@dataclass(frozen=True, eq=False)
class Estimate:
    """A quantity along x, y and z, and the samples that tell how well it is known.

    Attributes
    ----------
    values
        From all the data, [3].
    samples
        The same quantity from independent parts of the data (blocks of time, or atoms), [sample,
        3]. The standard error of their mean is the uncertainty of `values`.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import Estimate
    >>> samples = np.array([[1.0, 2.0, 3.1], [1.2, 2.2, 2.9], [1.1, 1.8, 3.0]])  # of three blocks
    >>> estimate = Estimate(samples.mean(axis=0), samples)
    >>> print(estimate.mean())
    2.033 ± 0.038
    >>> print(estimate.along([0, 0, 1]))
    3.000 ± 0.058
    """

    values: Array
    samples: Array

    @property
    def errors(self) -> Array:
        """Standard errors of the values, [3]."""
        found: Array = self.samples.std(axis=0, ddof=1) / np.sqrt(len(self.samples))
        return found

    def mean(self) -> Value:
        """Mean over the three directions."""
        return self._combined(np.full(3, 1 / 3))

    def component(self, axis: int) -> Value:
        """Return the value along x (0), y (1) or z (2)."""
        return self._combined(np.eye(3)[axis])

    def along(self, direction: ArrayLike) -> Value:
        """Component along a direction, where the three values are those of a vector.

        Raises
        ------
        ValueError
            If `direction` is not three finite numbers, not all zero.
        """
        return self._combined(unit_vector(direction))

    def tensor_along(self, direction: ArrayLike) -> Value:
        r"""Component :math:`\sum_\alpha n_\alpha^2 A_\alpha` along a direction, of a tensor.

        The three values are its diagonal; what is off the diagonal counts as zero.

        Raises
        ------
        ValueError
            If `direction` is not three finite numbers, not all zero.
        """
        return self._combined(unit_vector(direction) ** 2)

    def scaled(self, factor: float) -> Estimate:
        """Return the quantity times a number."""
        return Estimate(factor * self.values, factor * self.samples)

    def _combined(self, weights: Array) -> Value:
        samples = self.samples @ weights
        error = samples.std(ddof=1) / np.sqrt(len(samples))
        return Value(float(self.values @ weights), float(error))


def block_slices(frames: int, blocks: int, shortest: int = 2) -> list[slice]:
    """Cut a run of frames into blocks of equal length; frames left over are dropped at the start.

    Parameters
    ----------
    frames
        Number of frames.
    blocks
        Number of blocks. Each should be longer than the memory of what is averaged, for the
        blocks to be independent.
    shortest
        Number of frames that each block must have.

    Raises
    ------
    ValueError
        If there are fewer than two blocks, or too few frames for them.
    """
    if blocks < 2:
        raise ValueError(f"`blocks` must be at least 2, got {blocks}")
    length = frames // blocks
    if length < shortest:
        raise ValueError(
            f"`blocks` must leave at least {shortest} frames in each, got {blocks} for {frames} "
            "frames: take fewer blocks, a shorter time, or a longer trajectory"
        )
    first = frames - blocks * length
    return [slice(first + k * length, first + (k + 1) * length) for k in range(blocks)]


def mean_rate(times: Array, path: Array, blocks: int = 10) -> Estimate:
    r"""Mean rate of a path, from its ends, with the uncertainty from blocks.

    .. math:: \bar v = \frac{x(T) - x(0)}{T}

    The blocks tile the path without gaps, so that the rates of neighbours share no displacement.

    Parameters
    ----------
    times
        In fs, [frame].
    path
        Of any unit, [frame, 3].
    blocks
        Number of blocks.

    Returns
    -------
    Estimate
        In the unit of the path per fs.

    Raises
    ------
    ValueError
        As :func:`block_slices`.
    """
    edges = [s.start for s in block_slices(len(times) - 1, blocks, shortest=1)]
    edges.append(len(times) - 1)
    samples = np.diff(path[edges], axis=0) / np.diff(times[edges])[:, None]
    return Estimate((path[-1] - path[0]) / (times[-1] - times[0]), samples)
