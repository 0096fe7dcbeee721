"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from toy_terms import TOYS

from ase_bec.kernels.cache import HAS_NUMBA, forget_stale_kernels
from ase_bec.terms.table import TERMS


def pytest_sessionstart() -> None:
    """Tests of single kernels must not run machine code of older sources either."""
    if HAS_NUMBA:
        from ase_bec.kernels.symmetry_functions import symmetry_forward

        forget_stale_kernels(Path(symmetry_forward.stats.cache_path))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def toys_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in the table that a new term needs, for each toy."""
    for toy in TOYS:
        monkeypatch.setitem(TERMS, toy.kind, toy)
