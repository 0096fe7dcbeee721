"""Bad input, as the command line reports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ase_bec.locks import locked


class InputError(Exception):
    """What is wrong with the input, in one line."""


@contextmanager
def input_checked() -> Iterator[None]:
    """Turn the errors by which the library refuses bad input into :class:`InputError`.

    Their cause marks them as the library's: where they name arguments, `main` puts options.
    """
    try:
        yield
    except (
        ValueError, TypeError, OSError, NotImplementedError, ImportError, RecursionError,
        OverflowError, MemoryError,
    ) as error:  # fmt: skip
        raise InputError(" ".join(str(error).split()) or type(error).__name__) from error


def require_new(paths: Iterable[Path], overwrite: bool) -> None:
    """Refuse to write over files, and into folders that do not exist."""
    for path in paths:
        if not path.parent.is_dir():
            raise InputError(f"--output: there is no folder `{path.parent}`")
        if path.exists() and not overwrite:
            raise InputError(f"`{path}` exists: give --overwrite or another --output")


@contextmanager
def claimed(paths: Iterable[Path], overwrite: bool) -> Iterator[None]:
    """Hold outputs against other runs, none of which exists unless it may be replaced."""
    outputs = list(paths)
    require_new(outputs, overwrite)
    with ExitStack() as stack:
        with input_checked():
            stack.enter_context(locked(*outputs, again=True))
        require_new(outputs, overwrite)  # none has appeared in the meantime
        yield
