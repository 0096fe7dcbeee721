"""Picture of `ase-bec analyse`: displacements, drift, paths and diffusion coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_bec.analysis.lines import plot_lines
from ase_bec.analysis.msd import Diffusion, mean_square_displacement
from ase_bec.analysis.trajectory import Trajectory
from ase_bec.plotting import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


def draw(
    path: Path, trajectory: Trajectory, field: NDArray[Any], diffusions: Mapping[str, Diffusion]
) -> None:
    """Draw displacements, drift and paths."""
    from matplotlib.figure import Figure

    longest = max(trajectory.duration / 2, trajectory.interval)
    moved = mean_square_displacement(trajectory, max_time=longest)
    fastest = max(moved.values, key=lambda element: float(moved.total(element)[-1]))
    figure = Figure(figsize=(11, 7), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    axes = [figure.add_subplot(grid[k // 2, k % 2]) for k in range(4)]
    moved.plot(axes[0])
    moved.plot(axes[1], elements=[fastest], directions=True)
    upward = int(abs(field).argmax()) if field.any() else 2
    _draw_drift(axes[2], trajectory, upward)
    lines = figure.add_subplot(grid[:, 2])
    plot_lines(trajectory, plane="xyz"[upward - 1 if upward else 1] + "xyz"[upward], ax=lines)
    _draw_diffusion(axes[3], diffusions)
    for ax in (*axes, lines):
        ax.legend(frameon=False)
    save_figure(figure, path)


def _draw_drift(ax: Axes, trajectory: Trajectory, axis: int) -> None:
    """Draw the mean displacement of each element along an axis."""
    for element in trajectory.elements:
        centre = trajectory.positions[:, trajectory.indices(element), axis].mean(axis=1)
        elapsed = (trajectory.times - trajectory.times[0]) / 1e3
        ax.plot(elapsed, centre - centre[0], label=element)
    ax.set_xlabel("Time (ps)")
    ax.set_ylabel(f"Mean displacement along {'xyz'[axis]} (Å)")


def _draw_diffusion(ax: Axes, diffusions: Mapping[str, Diffusion]) -> None:
    """Draw the diffusion coefficients along each direction with their errors."""
    for element, diffusion in diffusions.items():
        found = diffusion.in_cm2_per_s()
        ax.errorbar(range(3), found.values, yerr=found.errors, fmt="o", capsize=3, label=element)
    ax.set_xticks(range(3), ["x", "y", "z"])
    ax.set_xlim(-0.5, 2.5)
    ax.set_ylabel("Diffusion coefficient (cm²/s)")
