"""Interruptions that wait until the step is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the process was asked to stop."""

    asked = False


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Note Ctrl-C and SIGTERM instead of stopping at once; a second one stops at once."""
    noted = Interruption()

    def note(number: int, frame: FrameType | None) -> None:
        if noted.asked:
            raise KeyboardInterrupt
        noted.asked = True

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
