"""How errors fell during training: a table and a picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from ase_bec.atomic_files import atomic_write
from ase_bec.plotting import save_figure

__all__ = ["plot_history", "write_history"]

Row = Mapping[str, float]


def write_history(path: Path, rows: Sequence[Row]) -> None:
    """Write a row for each validation as CSV; unknown values stay empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def plot_history(path: Path, rows: Sequence[Row], units: Mapping[str, str]) -> None:
    """Draw the errors of training and validation against epochs, one panel for each error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0 * len(units), 3.6), layout="constrained")
    for k, (name, unit) in enumerate(units.items()):
        axes = figure.add_subplot(1, len(units), k + 1)
        for part, colour in (("train", "tab:gray"), ("validation", "tab:blue")):
            points = [(r["epoch"], r[f"{part} {name}"]) for r in rows if f"{part} {name}" in r]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, label=part)
                axes.legend(frameon=False)
        axes.set(xlabel="epoch", ylabel=f"RMSE of {name} ({unit})", yscale="log")
    save_figure(figure, path)
