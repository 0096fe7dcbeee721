"""Work on the images of a band shared among threads and MPI processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ase.parallel import broadcast

from ase_bec.locks import OutputInUse, locked

Result = TypeVar("Result")

_LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE", "MPI_LOCALNRANKS")


@dataclass(frozen=True)
class Workers:
    """Threads of this process, and processes that all make the same calls.

    Attributes
    ----------
    threads
        Threads of each process. They help while the calculators release Python's lock;
        calculators that share a base calculator or charges take turns.
    world
        Communicator of ASE, such as ``ase.parallel.world``; None for this process alone.

    Raises
    ------
    ValueError
        If `threads` is not positive.

    Examples
    --------
    >>> from ase_bec.workflows import Workers
    >>> Workers(threads=2).share(lambda k: k**2, 4)
    [0, 1, 4, 9]
    """

    threads: int = 1
    world: Any = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"`threads` must be at least 1, got {self.threads}")

    @property
    def alone(self) -> bool:
        """Whether there is one thread in one process."""
        return self.threads == 1 and (self.world is None or self.world.size == 1)

    @property
    def first(self) -> bool:
        """Whether this process is the one that prints and writes."""
        return self.world is None or self.world.rank == 0

    def share(self, function: Callable[[int], Result], count: int) -> list[Result]:
        """Give function(0) … function(count − 1), each computed once, in every process.

        Item k is computed by process k modulo their number.

        Raises
        ------
        Exception
            What the function raises.
        RuntimeError
            If it raised in another process.
        """
        size = 1 if self.world is None else self.world.size
        rank = 0 if self.world is None else self.world.rank
        mine = range(rank, count, size)
        results: dict[int, Result] = {}
        error: Exception | None = None
        try:
            if self.threads > 1:
                with ThreadPoolExecutor(self.threads) as pool:
                    results = dict(zip(mine, pool.map(function, mine), strict=True))
            else:
                results = {k: function(k) for k in mine}
        except Exception as failure:
            error = failure
        failures = float(error is not None)
        if size > 1:
            failures = self.world.sum_scalar(failures)
        if error is not None:
            raise error
        if failures:
            raise RuntimeError("a calculation failed in another process")
        if size == 1:
            return [results[k] for k in range(count)]
        return [broadcast(results.get(k), k % size, self.world) for k in range(count)]

    def agree(self, value: Result) -> Result:
        """Give the first process's value in every process."""
        if self.world is None or self.world.size == 1:
            return value
        agreed: Result = broadcast(value, 0, self.world)
        return agreed


@contextmanager
def held(paths: Iterable[str | Path], workers: Workers) -> Iterator[None]:
    """Hold outputs against other runs, in the first process; a refusal is one in all of them.

    Raises
    ------
    OutputInUse, FileNotFoundError
        As :func:`ase_bec.locks.locked`.
    """
    with ExitStack() as stack:
        refusal: Exception | None = None
        if workers.first:
            try:
                stack.enter_context(locked(*paths, again=True))
            except (OutputInUse, OSError) as error:
                refusal = error
        said = workers.agree(None if refusal is None else str(refusal))
        if refusal is not None:
            raise refusal
        if said is not None:
            raise OutputInUse(said)
        yield


def launched_world() -> Any:
    """Give ASE's communicator where this process was started by ``mpiexec``, else None.

    Raises
    ------
    ImportError
        If it was started by ``mpiexec`` and mpi4py is missing.

    Examples
    --------
    >>> from ase_bec.workflows import Workers, launched_world
    >>> Workers(world=launched_world()).first  # this process prints and writes
    True
    """
    if not any(int(os.environ.get(name, "1")) > 1 for name in _LAUNCHERS):
        return None
    try:
        import mpi4py  # noqa: F401  ASE uses it where it is loaded
    except ImportError as error:
        raise ImportError(
            "several processes need mpi4py to share the images: pip install mpi4py"
        ) from error
    from ase.parallel import world

    return world
