"""Progress bars on standard error."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

__all__ = ["progress_bar"]


def progress_bar(
    title: str | None, unit: str, shown: bool, total: int | None = None, initial: int = 0
) -> Any:
    """Make a bar, drawn now and then only where nobody watches a terminal."""
    return tqdm(
        desc=title,
        unit=unit,
        total=total,
        initial=initial,
        disable=not shown,
        file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 30.0,
    )
