"""Work over ranges of centres, shared among threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import torch

__all__ = ["over_ranges", "thread_count"]


def thread_count(n: int, worth: int = 8) -> int:
    """Threads for n centres, of which `worth` are worth one: at most as many as torch uses."""
    return min(torch.get_num_threads(), max(n // worth, 1))


def over_ranges(work: Callable[[int, int, int], None], n: int, threads: int) -> None:
    """Run ``work(low, high, thread)`` over all of range(n), on so many threads."""
    if threads == 1:
        work(0, n, 0)
        return
    edges = [n * k // threads for k in range(threads + 1)]
    pool = _pool(torch.get_num_threads(), os.getpid())
    others = [
        pool.submit(work, low, high, k)
        for k, (low, high) in enumerate(pairwise(edges[1:]), start=1)
    ]
    work(edges[0], edges[1], 0)  # the caller is one of the threads
    for result in others:
        result.result()


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process (a forked one gets its own)."""
    return ThreadPoolExecutor(threads, thread_name_prefix="ase_bec")
