"""Where a picture is drawn, and how it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ase_bec.atomic_files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["axes_or_current", "save_figure"]


def axes_or_current(ax: Axes | None) -> Axes:
    """Give the axes, or matplotlib's current ones where there are none.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from ase_bec.plotting import axes_or_current
    >>> ax = Figure().subplots()
    >>> axes_or_current(ax) is ax
    True
    """
    if ax is None:
        from matplotlib import pyplot

        return pyplot.gca()
    return ax


def save_figure(figure: Figure, path: str | Path, dpi: int = 150) -> None:
    """Write a picture in one atomic step, in the format that the name ends in, or PNG.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from matplotlib.figure import Figure
    >>> from ase_bec.plotting import save_figure
    >>> with TemporaryDirectory() as folder:
    ...     save_figure(Figure(), Path(folder) / "empty.png")
    ...     print([path.name for path in Path(folder).glob("*.png")])
    ['empty.png']
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:] or "png", dpi=dpi)
