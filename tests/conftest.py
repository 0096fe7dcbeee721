"""What all tests share."""

import sys
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


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("ase_bec.") and hasattr(module, "HAS_NUMBA"):
            monkeypatch.setattr(module, "HAS_NUMBA", False)


@pytest.fixture
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where numba is not installed."""
    without_numba(monkeypatch)


@pytest.fixture(params=["torch", "compiled"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything in torch, or compiled where it can be."""
    if request.param == "torch":
        without_numba(monkeypatch)
    return str(request.param)


@pytest.fixture
def toys_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in the table that a new term needs, for each toy."""
    for toy in TOYS:
        monkeypatch.setitem(TERMS, toy.kind, toy)
