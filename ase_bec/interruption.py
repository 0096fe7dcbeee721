"""Ctrl-C and SIGTERM: a run ends between two steps, and the whole program with it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "handling_interruption", "interruption"]


class Interruption:
    """Whether the process was asked to stop: true once it was."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.runs: set[object] = set()  # that end by themselves when asked to

    def __bool__(self) -> bool:
        return self.signal is not None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; raise KeyboardInterrupt outside a run, and on the second one."""
        at_once = bool(self) or not self.runs
        self.signal = number
        if at_once:
            raise KeyboardInterrupt


_outermost: Interruption | None = None


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Note Ctrl-C and SIGTERM during a run, which is to look for them between its steps.

    When the block ends, the signal acts as it would have without the block (by default, Ctrl-C
    raises KeyboardInterrupt and SIGTERM ends the process), so that no program goes on with half a
    run unawares; unless :func:`handling_interruption` surrounds it. A second signal raises
    KeyboardInterrupt at once.

    Yields
    ------
    Interruption
        True as soon as the process was asked to stop.
    """
    with _noting(pass_on=True) as noted:
        run = object()
        noted.runs.add(run)
        try:
            yield noted
        finally:
            noted.runs.remove(run)


@contextmanager
def handling_interruption() -> Iterator[Interruption]:
    """Let runs that are interrupted return, not completed; the caller decides what to do next.

    Outside a run, Ctrl-C and SIGTERM both raise KeyboardInterrupt. Later runs in the block end
    as soon as they have begun.

    Yields
    ------
    Interruption
        True as soon as the process was asked to stop.

    Examples
    --------
    >>> from ase_bec.interruption import handling_interruption
    >>> with handling_interruption() as asked:
    ...     for temperature in (300, 600, 900):
    ...         # run_md(...) goes here
    ...         if asked:
    ...             break
    """
    with _noting(pass_on=False) as noted:
        yield noted


@contextmanager
def _noting(pass_on: bool) -> Iterator[Interruption]:
    """Return what the outermost block notes; only the main thread can be the outermost."""
    global _outermost
    if _outermost is not None or threading.current_thread() is not threading.main_thread():
        yield Interruption() if _outermost is None else _outermost
        return
    noted = _outermost = Interruption()
    signals = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not None]
    before = {n: signal.signal(n, noted.note) for n in signals}
    try:
        yield noted
    finally:
        _outermost = None
        for number, handler in before.items():
            signal.signal(number, handler)
        if pass_on and noted.signal is not None:
            _act(noted.signal)


def _act(number: int) -> None:
    """Let a signal act; one that is ignored has ended a run all the same, which must be known."""
    if signal.getsignal(number) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(number)
