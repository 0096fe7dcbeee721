"""Pictures of a model's values against labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ase_bec.plotting import save_figure
from ase_bec.training.evaluation import Comparison, errors_of

__all__ = ["plot_parity"]


def plot_parity(path: str | Path, comparisons: Sequence[Comparison]) -> None:
    """Draw values of the model against labels, one panel for each element and quantity.

    Diagonal components of Born charges are dark, the others light, as in the source paper's Fig. 2.

    Parameters
    ----------
    path : str or Path
        File of the picture, such as a .png file.
    comparisons : sequence of Comparison
        Quantities to draw.

    References
    ----------
    K. Shimizu et al., arXiv:2305.19546.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from ase_bec.training import Comparison, plot_parity
    >>> label = np.array([[0.1, 0, 0], [-0.1, 0, 0]])
    >>> forces = Comparison("forces", "eV/Å", 1.1 * label, label, np.array(["Mg", "O"]))
    >>> with TemporaryDirectory() as folder:
    ...     plot_parity(Path(folder) / "parity.png", [forces])
    ...     [path.name for path in Path(folder).iterdir()]
    ['parity.png']
    """
    from matplotlib.figure import Figure

    panels = [
        (c, element) for c in comparisons for element in sorted(set(c.symbols.tolist())) or [""]
    ]
    columns = min(len(panels), 4)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.4 * columns, 3.4 * rows), layout="constrained")
    for k, (comparison, element) in enumerate(panels):
        _panel(figure.add_subplot(rows, columns, k + 1), comparison, element)
    save_figure(figure, path)


def _panel(axes: Any, c: Comparison, element: str) -> None:
    chosen = c.symbols == element if element else np.ones(len(c.label), dtype=bool)
    model, label = c.model[chosen], c.label[chosen]
    series: list[tuple[str, str, Any]] = [("", "tab:blue", np.ones(label.shape[1:], dtype=bool))]
    if c.name == "Z":
        off = ~np.eye(3, dtype=bool)
        series = [("off-diagonal", "lightskyblue", off), ("diagonal", "navy", ~off)]
    for text, colour, which in series:
        x, y = label[:, which].ravel(), model[:, which].ravel()
        axes.plot(x, y, ".", color=colour, markersize=2, label=text, rasterized=True)
    values = np.concatenate([label.ravel(), model.ravel()])
    low, high = np.nanmin(values), np.nanmax(values)
    margin = 0.05 * (high - low) + 1e-6
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="black", linewidth=0.6, zorder=0)
    figures = errors_of(c)[f"{c.name} {element}".strip()]
    axes.set(
        xlim=limits, ylim=limits, aspect="equal", xlabel=f"{c.name}, labels ({c.unit})",
        ylabel=f"{c.name}, model ({c.unit})",
        title=f"{element or c.name}: RMSE {figures['rmse']:.4f} {c.unit}",
    )  # fmt: skip
    if c.name == "Z":
        axes.legend(frameon=False, markerscale=4, fontsize="small")
