"""Work over ranges of centres, shared among threads."""

import os
import threading

import numpy as np
import pytest
import torch

from ase_bec.kernels.threads import over_ranges, thread_count


def test_centres_are_shared_among_threads(two_threads) -> None:
    for n, in_pool in ((15, False), (16, True), (1000, True)):
        ranges, names, numbers = [], set(), []

        def spy(low: int, high: int, thread: int) -> None:
            numbers.append(thread)  # noqa: B023
            names.add(threading.current_thread().name)  # noqa: B023
            ranges.append(np.arange(low, high))  # noqa: B023

        over_ranges(spy, n, thread_count(n))
        np.testing.assert_array_equal(np.sort(np.concatenate(ranges)), np.arange(n))
        assert threading.current_thread().name in names  # the caller takes its part
        assert any(name.startswith("ase_bec") for name in names) == in_pool
        assert sorted(numbers) == ([0, 1] if in_pool else [0])


def test_error_in_a_thread_is_raised(two_threads) -> None:
    def fail(low: int, high: int, thread: int) -> None:
        raise ZeroDivisionError(f"{low} to {high}")

    with pytest.raises(ZeroDivisionError, match="0 to"):
        over_ranges(fail, 100, 2)


def test_no_more_threads_than_torch_has_or_the_centres_are_worth(two_threads) -> None:
    assert [thread_count(n) for n in (0, 1, 15, 16, 1000)] == [1, 1, 1, 2, 2]
    assert [thread_count(n, worth=1024) for n in (2047, 2048)] == [1, 2]
    torch.set_num_threads(1)
    assert thread_count(1000) == 1


def test_a_forked_process_has_threads_of_its_own(two_threads) -> None:
    """The pool of its parent would never answer."""
    done = []
    over_ranges(lambda low, high, thread: done.append(thread), 100, 2)  # a pool is there
    child = os.fork()
    if not child:
        try:
            over_ranges(lambda low, high, thread: done.append(thread), 100, 2)
        finally:
            os._exit(0 if sorted(done) == [0, 0, 1, 1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
