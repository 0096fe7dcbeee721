"""How errors fell while training: a table and a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ase_bec.data.files import atomic_write

__all__ = ["plot_history", "write_history"]

Row = Mapping[str, float]


def write_history(path: Path, rows: Sequence[Row]) -> None:
    """Write a row for each validation as CSV; what is not known in a row stays empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue())


def plot_history(path: Path, rows: Sequence[Row], units: Mapping[str, str]) -> None:
    """Draw the errors of training and validation against epochs, one panel for each error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0 * len(units), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for k, (name, unit) in enumerate(units.items()):
        axes = figure.add_subplot(1, len(units), k + 1)
        for part, colour in (("train", "tab:gray"), ("validation", "tab:blue")):
            points = [(r["epoch"], r[f"{part} {name}"]) for r in rows if f"{part} {name}" in r]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, label=part)
                axes.legend(frameon=False)
        axes.set(xlabel="epoch", ylabel=f"RMSE of {name} ({unit})", yscale="log")
    unfinished = path.with_name(f".{path.name}.part")
    figure.savefig(unfinished, format="png", dpi=150)
    unfinished.replace(path)
