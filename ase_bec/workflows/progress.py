"""Progress bars on standard error."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def step_bar(title: str | None, shown: bool, total: int | None = None, initial: int = 0) -> Any:
    """Make a bar that counts steps, drawn now and then only where nobody watches a terminal."""
    return tqdm(
        desc=title,
        total=total,
        initial=initial,
        unit="step",
        disable=not shown,
        file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 30.0,
    )
