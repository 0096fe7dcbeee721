"""Radial distribution functions and coordination numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ase_bec.analysis.statistics import Array
from ase_bec.analysis.trajectory import Integers, Trajectory
from ase_bec.neighbours import neighbour_list
from ase_bec.plotting import axes_or_current

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class RadialDistribution:
    r"""Radial distribution function of each pair of elements.

    Attributes
    ----------
    distances
        Middles of the bins in Å, [bin].
    width
        Of a bin in Å.
    values
        g of each pair of elements in both orders (they are the same), [bin].
    densities
        Number of atoms of each element per Å³.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import radial_distribution, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(2)]
    >>> found = radial_distribution(read_trajectory(frames, timestep=1.0), cutoff=5.0)
    >>> distances, numbers = found.coordination("Na", "Cl")
    >>> round(float(numbers[distances < found.first_minimum("Na", "Cl")][-1]), 3)
    6.0
    """

    distances: Array
    width: float
    values: dict[tuple[str, str], Array]
    densities: dict[str, float]

    def coordination(self, centre: str, neighbour: str) -> tuple[Array, Array]:
        r"""Mean number of neighbours within a distance, up to the end of each bin.

        .. math:: n(r) = 4\pi\rho_b \int_0^r g_{ab}(s)\,s^2\,ds

        Returns
        -------
        r, n : ndarray, shape [bin]
            Distances in Å and numbers.
        """
        ends = self.distances + self.width / 2
        shells = _shells(self.distances, self.width)
        counts = self.densities[neighbour] * self.values[centre, neighbour] * shells
        return ends, np.cumsum(counts)

    def first_minimum(self, centre: str, neighbour: str, smoothing: float = 0.1) -> float:
        """Distance in Å of the first minimum of g after its first peak.

        g is smoothed by a Gaussian; the first peak is the first maximum higher than 1.

        Parameters
        ----------
        centre, neighbour
            Elements.
        smoothing
            Standard deviation of the Gaussian in Å.

        Raises
        ------
        ValueError
            If g has no peak and minimum in its range.
        """
        from scipy.ndimage import gaussian_filter1d

        g = gaussian_filter1d(self.values[centre, neighbour], smoothing / self.width)
        middle = g[1:-1]
        peaks = np.flatnonzero((middle > g[:-2]) & (middle >= g[2:]) & (middle > 1)) + 1
        if len(peaks):
            after = np.flatnonzero((middle <= g[:-2]) & (middle < g[2:])) + 1
            empty = np.flatnonzero(g < 1e-3)  # between the shells of a crystal
            minima = np.union1d(after, empty)
            minima = minima[minima > peaks[0]]
            if len(minima):
                return float(self.distances[self._middle(minima, empty)])
        raise ValueError(
            f"`cutoff` must be given for {centre}-{neighbour}: g has no minimum after a first "
            f"peak up to {self.distances[-1]:.2f} Å"
        )

    @staticmethod
    def _middle(minima: Integers, empty: Integers) -> int:
        """First minimum, or the middle of the empty stretch that begins there."""
        first = last = int(minima[0])
        while last + 1 in empty:
            last += 1
        return (first + last) // 2

    def plot(
        self,
        ax: Axes | None = None,
        pairs: list[tuple[str, str]] | None = None,
        **style: Any,
    ) -> Axes:
        """Draw g of some pairs of elements; of all by default.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        pairs
            Such as ``[("Li", "O")]``.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = axes_or_current(ax)
        order = list(self.densities)
        every = [p for p in self.values if order.index(p[0]) <= order.index(p[1])]
        for pair in every if pairs is None else pairs:
            ax.plot(self.distances, self.values[pair], label="–".join(pair), **style)
        ax.axhline(1.0, color="0.7", linewidth=0.8, zorder=0)
        ax.set_xlabel("Distance (Å)")
        ax.set_ylabel("Radial distribution g")
        return ax


def radial_distribution(
    trajectory: Trajectory, cutoff: float, *, width: float = 0.05, stride: int = 1
) -> RadialDistribution:
    r"""Radial distribution functions, averaged over the frames.

    .. math:: g_{ab}(r) = \frac{n_{ab}(r, r+\Delta)}{N_a\, \rho_b\, \frac{4\pi}{3}[(r+\Delta)^3 -
              r^3]}, \qquad \rho_b = N_b/\Omega

    with the number :math:`n_{ab}` of pairs of an atom a and an image of an atom b in the shell,
    including all periodic images, even beyond half the cell. With this density the coordination
    number is exactly that of the cell; for N independent particles of one element g is 1 − 1/N.

    Parameters
    ----------
    trajectory
        Periodic in all directions.
    cutoff
        Longest distance in Å.
    width
        Of a bin in Å.
    stride
        Take every `stride`-th frame.

    Raises
    ------
    ValueError
        If the cell is not periodic, or cutoff, width or stride is not positive.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import radial_distribution, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(2)]
    >>> found = radial_distribution(read_trajectory(frames, timestep=1.0), cutoff=4.5, width=0.1)
    >>> print(found.distances[found.values["Na", "Cl"] > 0].round(2))  # the bin of 2.82 Å
    [2.85]
    >>> print(found.distances[found.values["Na", "Na"] > 0].round(2))  # the bin of 3.99 Å
    [3.95]
    """
    for name, value in {"cutoff": cutoff, "width": width, "stride": stride}.items():
        if not 0 < value < np.inf:
            raise ValueError(f"`{name}` must be positive, got {value}")
    volume, numbers = trajectory.volume, trajectory.numbers
    bins = max(1, round(cutoff / width))
    width = cutoff / bins
    elements = trajectory.elements
    kinds = np.array([elements.index(chemical_symbols[z]) for z in numbers])
    n = len(elements)
    counts = np.zeros(n * n * bins)
    frames = range(0, len(trajectory), stride)
    for i, j, lengths in _pairs(trajectory, frames, cutoff):
        index = np.minimum((lengths / width).astype(int), bins - 1)
        flat = (kinds[i] * n + kinds[j]) * bins + index
        counts += np.bincount(flat, minlength=len(counts))
    middles = (np.arange(bins, dtype=float) + 0.5) * width
    number = np.bincount(kinds)
    expected = _shells(middles, width) * (number[:, None] * number / volume)[..., None]
    g = counts.reshape(n, n, bins) / (len(frames) * expected)
    values = {(a, b): g[p, q] for p, a in enumerate(elements) for q, b in enumerate(elements)}
    densities = {a: float(number[p] / volume) for p, a in enumerate(elements)}
    return RadialDistribution(middles, width, values, densities)


@dataclass(frozen=True, eq=False)
class Coordination:
    """Numbers of neighbours of one element around the atoms of another.

    Attributes
    ----------
    centre, neighbour
        Elements.
    cutoff
        Longest distance counted in Å.
    numbers
        Of each atom of the centre's element in each frame, [frame, atom].

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import coordination, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(2)]
    >>> found = coordination(read_trajectory(frames, timestep=1.0), "Na", "Cl", cutoff=3.4)
    >>> found.mean, found.distribution().tolist()
    (6.0, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    """

    centre: str
    neighbour: str
    cutoff: float
    numbers: Integers

    @property
    def mean(self) -> float:
        """Mean number over atoms and frames."""
        return float(self.numbers.mean())

    def distribution(self) -> Array:
        """Fraction of atoms that have 0, 1, 2, … neighbours."""
        counts = np.bincount(self.numbers.ravel())
        found: Array = counts / counts.sum()
        return found

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the distribution as bars.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        **style
            Passed to :meth:`matplotlib.axes.Axes.bar`.
        """
        ax = axes_or_current(ax)
        fractions = self.distribution()
        ax.bar(np.arange(len(fractions)), fractions, **style)
        ax.set_xlabel(f"{self.neighbour} within {self.cutoff:.2f} Å of {self.centre}")
        ax.set_ylabel(f"Fraction of {self.centre}")
        return ax


def coordination(
    trajectory: Trajectory,
    centre: str,
    neighbour: str,
    cutoff: float | None = None,
    *,
    stride: int = 1,
    search: float = 5.0,
) -> Coordination:
    """Numbers of neighbours within a cutoff.

    Parameters
    ----------
    trajectory
        Periodic in all directions if `cutoff` is to be determined.
    centre, neighbour
        Elements.
    cutoff
        In Å; by default the first minimum of the radial distribution function.
    stride
        Take every `stride`-th frame.
    search
        Longest distance in Å at which to look for the first minimum.

    Raises
    ------
    ValueError
        If there is no such element, `cutoff` or `stride` is not positive, or g has no minimum.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import coordination, read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(2)]
    >>> found = coordination(read_trajectory(frames, timestep=1.0), "Na", "Cl")
    >>> found.mean, 2.82 < found.cutoff < 4.8  # the cutoff was found
    (6.0, True)
    """
    atoms, _ = trajectory.indices(centre), trajectory.indices(neighbour)
    if cutoff is None:
        found = radial_distribution(trajectory, search, stride=stride)
        cutoff = found.first_minimum(centre, neighbour)
    if not cutoff > 0 or stride < 1:
        raise ValueError(f"`cutoff` and `stride` must be positive, got {cutoff} and {stride}")
    wanted = trajectory.numbers == atomic_numbers[neighbour]
    frames = range(0, len(trajectory), stride)
    numbers = [
        np.bincount(i[wanted[j]], minlength=len(wanted))[atoms]
        for i, j, _ in _pairs(trajectory, frames, cutoff)
    ]
    return Coordination(centre, neighbour, float(cutoff), np.array(numbers, dtype=np.int64))


def _pairs(
    trajectory: Trajectory, frames: range, cutoff: float
) -> Iterator[tuple[Integers, Integers, Array]]:
    """Pairs within a cutoff and their distances, frame by frame."""
    for frame in frames:
        i, j, shifts = neighbour_list(trajectory.atoms(frame), cutoff)
        positions = trajectory.positions[frame]
        vectors = positions[j] - positions[i] + shifts @ trajectory.cell
        yield i, j, np.linalg.norm(vectors, axis=1)


def _shells(middles: Array, width: float) -> Array:
    """Volumes of spherical shells in Å³."""
    found: Array = 4 * np.pi * width * (middles**2 + width**2 / 12)
    return found
