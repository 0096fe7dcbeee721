"""Where a picture is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes_or_current(ax: Axes | None) -> Axes:
    """Give the axes, or matplotlib's current ones where there are none."""
    if ax is None:
        from matplotlib import pyplot

        return pyplot.gca()
    return ax
