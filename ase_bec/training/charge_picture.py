"""Picture of a choice of charges."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ase_bec.plotting import save_figure
from ase_bec.training.charge_selection import ChargeSelection

__all__ = ["plot_selection"]


def plot_selection(path: str | Path, found: ChargeSelection) -> None:
    """Draw the errors on left-out groups over the scale of the charges."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.add_subplot(xlabel="s (charges over formal ones)")
    series = {"energy": found.energy, "forces": found.forces}
    units = {"energy": "meV/atom", "forces": "meV/Å"}
    for name, errors in series.items():
        least = np.min(errors)
        if np.isfinite(least):
            label = f"{name}, least {1e3 * least:.3g} {units[name]}"
            axes.plot(found.scales, errors / least, label=label)
    axes.axvline(found.scale, color="black", linewidth=0.8, label=f"√λ*, {found.verdict}")
    low, high = (max(found.square + x, 0) ** 0.5 for x in (-found.spread, found.spread))
    if np.isfinite(high):
        axes.axvspan(low, high, color="black", alpha=0.1)
    if np.isfinite(found.screened):
        axes.axvline(found.screened, color="tab:green", linestyle="--", label="Z*/√ε∞")
    axes.set_ylabel("error over the least")
    axes.set_ylim(0.9, min(axes.get_ylim()[1], 4))
    axes.legend()
    save_figure(figure, path)
