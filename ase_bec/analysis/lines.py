"""Paths of the atoms as lines, projected on a plane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_bec.analysis.trajectory import Trajectory
from ase_bec.plotting import axes_or_current

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLANES = ("xy", "xz", "yx", "yz", "zx", "zy")


def plot_lines(
    trajectory: Trajectory,
    elements: Iterable[str] | None = None,
    *,
    plane: str = "xz",
    ax: Axes | None = None,
    **style: Any,
) -> Axes:
    """Draw the paths of all atoms of some elements, unwrapped, projected on a plane.

    The cell is drawn as the projections of its edges.

    Parameters
    ----------
    trajectory
        With unwrapped positions.
    elements
        Those to draw, each in its colour; all by default.
    plane
        Axes of the drawing, to the right and up: xy, xz, yz or in the other order.
    ax
        Where to draw; matplotlib's current axes by default.
    **style
        Passed to :meth:`matplotlib.axes.Axes.plot`.

    Raises
    ------
    ValueError
        If the plane or an element is unknown.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import plot_lines, read_trajectory
    >>> from matplotlib.figure import Figure
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(3)]
    >>> trajectory = read_trajectory(frames, timestep=1.0)
    >>> ax = plot_lines(trajectory, ["Na"], plane="xz", ax=Figure().subplots())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x (Å)', 'z (Å)')
    """
    if plane not in _PLANES:
        raise ValueError(f"`plane` must be one of {', '.join(_PLANES)}, got {plane!r}")
    ax = axes_or_current(ax)
    right, up = ("xyz".index(letter) for letter in plane)
    for corner in np.array(list(np.ndindex(2, 2, 2)), dtype=float):
        for axis in np.flatnonzero(corner == 0):
            end = corner + np.eye(3)[axis]
            edge = np.array([corner, end]) @ trajectory.cell
            ax.plot(edge[:, right], edge[:, up], color="0.8", linewidth=0.6, zorder=0)
    drawn = trajectory.elements if elements is None else tuple(elements)
    for number, element in enumerate(drawn):
        paths = trajectory.positions[:, trajectory.indices(element)]
        look = {"linewidth": 0.5, "color": f"C{trajectory.elements.index(element)}", **style}
        ax.plot(paths[..., right], paths[..., up], zorder=2 + number, **look)
        ax.plot([], [], label=element, **{**look, "linewidth": 1.5})  # one that legends show
    ax.set_aspect("equal")
    ax.set_xlabel(f"{plane[0]} (Å)")
    ax.set_ylabel(f"{plane[1]} (Å)")
    return ax
