"""From chemical elements to a model's own indices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from ase.data import atomic_numbers, chemical_symbols
from torch import Tensor

__all__ = ["check_elements", "species_of"]


def check_elements(elements: Sequence[str]) -> tuple[str, ...]:
    """Elements of a model: known symbols, each once."""
    if isinstance(elements, str):
        raise ValueError(f"`elements` must be a sequence of symbols, got the string {elements!r}")
    symbols = tuple(str(symbol) for symbol in elements)  # numpy's strings, too
    unknown = [s for s in symbols if s not in atomic_numbers or s == "X"]
    if unknown or not symbols or len(set(symbols)) != len(symbols):
        raise ValueError(f"`elements` must be different chemical symbols, got {list(symbols)}")
    return symbols


def species_of(numbers: Tensor, elements: Sequence[str]) -> Tensor:
    """Index into ``elements`` of every atomic number.

    Raises
    ------
    ValueError
        If an atom's element is not among them.
    """
    species = _table(tuple(elements), numbers.device)[numbers]
    if bool((species < 0).any()):
        missing = sorted({chemical_symbols[int(z)] for z in numbers[species < 0]})
        raise ValueError(
            f"the model knows the elements {', '.join(elements)}, got atoms of "
            f"{', '.join(missing)}: use a model trained for them"
        )
    return species


@lru_cache(maxsize=64)
def _table(elements: tuple[str, ...], device: torch.device) -> Tensor:
    """Index of every atomic number, -1 where it is not among the elements."""
    with torch.inference_mode(False):
        table = torch.full((len(chemical_symbols),), -1, dtype=torch.int64)
        for index, symbol in enumerate(elements):
            table[atomic_numbers[symbol]] = index
        return table.to(device)
