"""What descriptors of both kinds share: function tables and explicit sums over triplets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

from torch import Tensor, nn

from ase_bec.descriptors.compiled import CompiledDescriptor, compiled_features
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.descriptors.tables import element_pairs
from ase_bec.descriptors.triplets import triplet_features

__all__ = ["LocalDescriptor", "Rows", "function_table"]

Rows = tuple[tuple[float, ...], ...]


class LocalDescriptor(nn.Module):
    """Descriptor of neighbourhoods within a cutoff, resolved by element.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    cutoff : float
        R_c in Å.
    """

    def __init__(self, n_elements: int, cutoff: float) -> None:
        super().__init__()
        if not 0 < cutoff < float("inf"):
            raise ValueError(f"`cutoff` must be positive and finite (Å), got {cutoff}")
        if n_elements < 1:
            raise ValueError(f"`n_elements` must be 1 or more, got {n_elements}")
        self.n_elements = n_elements
        self.cutoff = float(cutoff)
        self.n_pairs = len(element_pairs(n_elements))

    def __getstate__(self) -> dict[str, Any]:
        """Without the kernels: a copy in another process takes those that are compiled there."""
        return {key: value for key, value in self.__dict__.items() if key != "kernels"}

    def triplets(self, nb: Neighbourhoods, rows: Rows, kind: str, compiled: bool) -> Tensor:
        """Explicit sums over pairs of neighbours, (n, n_pairs, F)."""
        if not rows:
            return nb.vectors.new_zeros(len(nb.species), self.n_pairs, 0)
        if compiled:
            return compiled_features(nb, _triplet_kernels(self.n_elements, self.cutoff, rows, kind))
        table = nb.vectors.new_tensor(rows)
        return triplet_features(
            nb.vectors, nb.neighbour_species, nb.first, self.n_elements, self.cutoff, table, kind
        )


@lru_cache(maxsize=64)
def _triplet_kernels(n_elements: int, cutoff: float, rows: Rows, kind: str) -> CompiledDescriptor:
    from ase_bec.kernels.triplets import (
        triplet_backward,
        triplet_forward,
        triplet_tables,
    )

    tables = triplet_tables(n_elements, cutoff, rows, kind)
    shape = (len(element_pairs(n_elements)), len(rows))
    return CompiledDescriptor(triplet_forward, triplet_backward, tables, shape, None)


def function_table(
    name: str, rows: Sequence[Sequence[float]], width: int, exponent: int = -1
) -> Rows:
    """Checked copy of a function table; column ``exponent`` holds ζ."""
    table = tuple(tuple(float(value) for value in row) for row in rows)
    for row in table:
        if len(row) != width:
            raise ValueError(f"`{name}` must have rows of {width} numbers, got {row}")
        if not all(isfinite(value) for value in row):
            raise ValueError(f"`{name}` must have finite numbers, got {row}")
        if row[0] < 0:
            raise ValueError(f"`{name}` must have η >= 0, got {row[0]}")
        if exponent >= 0 and row[exponent] < 1:
            raise ValueError(f"`{name}` must have ζ >= 1, got {row[exponent]}")
    return table
