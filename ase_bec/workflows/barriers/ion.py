"""The migrating ion along a path: positions, neighbours, forces and Born charges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.calculators.charges import as_charge_source
from ase_bec.lattice import shortest_vectors
from ase_bec.plotting import axes_or_current
from ase_bec.workflows.barriers.migration import MigrationPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["IonProfile", "ion_profile", "moving_ion"]

Array = NDArray[np.float64]

_AXES = "xyz"
_MARKERS = "o^s"


@dataclass(frozen=True, eq=False)
class IonProfile:
    """The migrating ion, image by image.

    Attributes
    ----------
    ion
        Its index, and `symbol` its element.
    coordinate
        Path length in Å, [image].
    positions
        Of the ion in Å, unwrapped, [image, 3].
    forces
        On the ion in eV/Å, including that of the field, [image, 3].
    neighbours
        Indices of the atoms of other elements that come nearest, [neighbour], nearest first.
    neighbour_symbols
        Their elements.
    neighbour_positions
        In Å, next to the ion and unwrapped, [image, neighbour, 3].
    distances
        From the ion to its neighbours in Å, [image, neighbour].
    charges
        Z[field, displacement] of the ion in e, [image, 3, 3]; None without a source.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import find_path, interpolate_path, ion_profile
    >>> initial = bulk("Cu", cubic=True) * (2, 2, 2)
    >>> vacancy = initial.pop(0).position
    >>> final = initial.copy()
    >>> final.positions[0] = vacancy  # a neighbour has hopped
    >>> path = find_path(interpolate_path(initial, final, images=1), EMT, fmax=0.1)
    >>> profile = ion_profile(path, neighbours=0)
    >>> profile.symbol, profile.positions.shape, profile.forces.shape
    ('Cu', (3, 3), (3, 3))
    """

    ion: int
    symbol: str
    coordinate: Array
    positions: Array
    forces: Array
    neighbours: tuple[int, ...]
    neighbour_symbols: tuple[str, ...]
    neighbour_positions: Array
    distances: Array
    charges: Array | None = None

    @property
    def axes(self) -> tuple[int, int, int]:
        """Cartesian axes, first the one that the ion moves furthest along."""
        order = np.argsort(-np.abs(self.positions[-1] - self.positions[0]), kind="stable")
        return int(order[0]), int(order[1]), int(order[2])

    def plot(self, ax: Axes | None = None, axis: int | None = None, **style: Any) -> Axes:
        """Draw the components of the force on the ion against one of its coordinates.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        axis
            0, 1 or 2; the one that the ion moves furthest along by default.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = axes_or_current(ax)
        axis = self.axes[0] if axis is None else axis
        for k in range(3):
            options = {"marker": _MARKERS[k], "color": f"C{k}", "label": f"F$_{_AXES[k]}$", **style}
            ax.plot(self.positions[:, axis], self.forces[:, k], **options)
        ax.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
        ax.set_xlabel(f"{_AXES[axis]} of {self.symbol} (Å)")
        ax.set_ylabel(f"Force on {self.symbol} (eV/Å)")
        return ax

    def plot_positions(
        self, ax: Axes | None = None, axes: tuple[int, int] | None = None, **style: Any
    ) -> Axes:
        """Draw the tracks of the ion and its neighbours in a plane.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        axes
            Horizontal and vertical Cartesian axis; by default the two that the ion moves furthest
            along.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = axes_or_current(ax)
        first, second = axes or sorted(self.axes[:2])
        symbols = [self.symbol, *sorted(set(self.neighbour_symbols))]
        tracks = [(self.symbol, self.positions)] + [
            (symbol, self.neighbour_positions[:, k])
            for k, symbol in enumerate(self.neighbour_symbols)
        ]
        labelled: set[str] = set()
        for symbol, track in tracks:
            label = None if symbol in labelled else symbol
            labelled.add(symbol)
            options = {"marker": "o", "color": f"C{symbols.index(symbol)}", "label": label, **style}
            ax.plot(track[:, first], track[:, second], **options)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xlabel(f"{_AXES[first]} (Å)")
        ax.set_ylabel(f"{_AXES[second]} (Å)")
        return ax

    def plot_charges(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the diagonal of the ion's Born charge along the path.

        Raises
        ------
        ValueError
            If the profile has no charges.
        """
        if self.charges is None:
            raise ValueError("`charges` must be given to `ion_profile` to be drawn, got None")
        ax = axes_or_current(ax)
        for k in range(3):
            options = {"marker": _MARKERS[k], "label": f"Z$_{{{2 * _AXES[k]}}}$", **style}
            ax.plot(self.coordinate, self.charges[:, k, k], **options)
        ax.set_xlabel("Path length (Å)")
        ax.set_ylabel(f"Born charge of {self.symbol} (e)")
        return ax


def moving_ion(images: Sequence[Atoms]) -> int:
    """Index of the atom that is displaced furthest between first and last image.

    Raises
    ------
    ValueError
        If no atom moves.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.workflows import moving_ion
    >>> before = Atoms("LiO", [[0, 0, 0], [2, 0, 0]])
    >>> after = Atoms("LiO", [[0, 0, 1], [2, 0, 0.1]])
    >>> moving_ion([before, after])
    0
    """
    moves = np.linalg.norm(images[-1].positions - images[0].positions, axis=1)
    if not moves.any():
        raise ValueError("`images` must differ at the ends, got the same positions")
    return int(moves.argmax())


def ion_profile(
    path: MigrationPath, charges: Any = None, ion: int | None = None, neighbours: int = 5
) -> IonProfile:
    """Follow the migrating ion along a path.

    Parameters
    ----------
    path
        Its forces are those of the calculator it was found with.
    charges
        As for `FieldCalculator`; None for a profile without charges.
    ion
        Index; the atom displaced furthest by default.
    neighbours
        Number of atoms of other elements to follow; the nearest of each element is added where it
        is not among them, unless the number is zero.

    Raises
    ------
    ValueError
        If there is no such ion, `neighbours` is negative, or the charges cannot be used.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import find_path, interpolate_path, ion_profile
    >>> initial = bulk("Cu", cubic=True) * (2, 2, 2)
    >>> vacancy = initial.pop(0).position
    >>> final = initial.copy()
    >>> final.positions[0] = vacancy  # a neighbour has hopped
    >>> path = find_path(interpolate_path(initial, final, images=1), EMT, fmax=0.1)
    >>> profile = ion_profile(path, neighbours=0)
    >>> profile.ion
    0
    >>> moved = profile.positions[-1] - profile.positions[0]
    >>> bool(abs(moved - (vacancy - initial.positions[0])).max() < 1e-9)
    True
    """
    images = path.images
    if ion is None:
        ion = moving_ion(images)
    if not 0 <= ion < len(images[0]):
        raise ValueError(f"`ion` must be an index of {len(images[0])} atoms, got {ion}")
    if neighbours < 0:
        raise ValueError(f"`neighbours` must not be negative, got {neighbours}")
    positions = np.array([image.positions[ion] for image in images])
    nearest, tracks = _followed(images, ion, neighbours)
    tensors = None
    if charges is not None:
        source = as_charge_source(charges)
        source.check(images[0], np.zeros(3))
        tensors = np.array([source.born_charges(image)[ion] for image in images])
    symbols = images[0].get_chemical_symbols()
    return IonProfile(
        ion=ion,
        symbol=symbols[ion],
        coordinate=path.coordinate,
        positions=positions,
        forces=np.array([image.get_forces(apply_constraint=False)[ion] for image in images]),
        neighbours=tuple(nearest),
        neighbour_symbols=tuple(symbols[k] for k in nearest),
        neighbour_positions=tracks,
        distances=np.linalg.norm(tracks - positions[:, None], axis=2),
        charges=tensors,
    )


def _followed(images: Sequence[Atoms], ion: int, count: int) -> tuple[list[int], Array]:
    """Atoms of other elements that come nearest, and their positions next to the ion."""
    first = images[0]
    others = np.flatnonzero(first.numbers != first.numbers[ion])
    around = np.array(
        [
            shortest_vectors(i.positions[others] - i.positions[ion], i.cell.array, i.pbc)
            for i in images
        ]
    )  # [image, other, 3]
    lengths = np.linalg.norm(around, axis=2)
    order = np.argsort(lengths.min(axis=0), kind="stable")
    _, firsts = np.unique(first.numbers[others[order]], return_index=True)
    chosen = order[sorted({*range(min(count, len(order))), *(firsts if count else ())})]
    nearest = [int(others[k]) for k in chosen]
    tracks = np.empty((len(images), len(chosen), 3))
    for place, k in enumerate(chosen):
        closest = int(lengths[:, k].argmin())
        there = images[closest].positions
        shift = there[ion] + around[closest, k] - there[others[k]]  # a lattice vector
        tracks[:, place] = [image.positions[others[k]] + shift for image in images]
    return nearest, tracks
