"""Buckingham pair energies: what an ionic model has beside its charges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.terms.term import LocalEnergy

__all__ = ["Buckingham"]

Table = Sequence[Sequence[float]]
TAPER = 2.0  # Å before the cutoff, in which energies go to zero


class Buckingham(LocalEnergy):
    r"""Repulsion of overlapping shells, and dispersion.

    .. math:: U = \sum_{a<b} \left[A\,e^{-r_{ab}/\rho} - C / r_{ab}^6\right] s(r_{ab})

    where s falls smoothly from one to zero over the last 2 Å before the cutoff. Dispersion wins at
    very small distances: :class:`ase_bec.terms.repulsion.CoreRepulsion` keeps atoms away from
    them. The charges are those of :class:`ase_bec.terms.coulomb.Coulomb`.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    strength, range, dispersion : table (n_elements, n_elements)
        A in eV, ρ in Å (of any value where A is zero), C in eV Å⁶; symmetric.
    cutoff : float
        R_c in Å.

    Raises
    ------
    ValueError
        If a table is not symmetric, or a number has no meaning.
    """

    kind = "buckingham"
    strength: Tensor
    range: Tensor
    dispersion: Tensor

    def __init__(
        self,
        n_elements: int,
        strength: Table,
        range: Table,
        dispersion: Table,
        cutoff: float = 9.0,
    ) -> None:
        super().__init__()
        if not TAPER < cutoff < math.inf:
            raise ValueError(f"`cutoff` must be more than {TAPER} Å, got {cutoff!r}")
        self.n_elements, self.cutoff = n_elements, float(cutoff)
        tables = {"strength": strength, "range": range, "dispersion": dispersion}
        for name, rows in tables.items():
            table = torch.as_tensor(rows, dtype=torch.float64)
            if table.shape != (n_elements, n_elements) or not torch.equal(table, table.T):
                raise ValueError(
                    f"`{name}` must be a symmetric table of {n_elements} rows, got {rows!r}"
                )
            if not bool((table >= 0).all() and table.isfinite().all()):
                raise ValueError(f"`{name}` must hold numbers of zero or more, got {rows!r}")
            self.register_buffer(name, table, persistent=False)
        needed = (self.strength > 0) & (self.range <= 0)
        if bool(needed.any()):
            raise ValueError(f"`range` must be positive where there is repulsion, got {range!r}")
        self.tables = {name: [[float(x) for x in row] for row in t] for name, t in tables.items()}

    def config(self) -> dict[str, Any]:
        """Plain arguments that make this term again."""
        return {**self.tables, "cutoff": self.cutoff}

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Energy (n,) in eV of n centres, half of that of each pair."""
        centre = torch.repeat_interleave(nb.first[1:] - nb.first[:-1])
        pair = nb.species[centre], nb.neighbour_species
        distance = nb.vectors.norm(dim=1)
        strength, length, dispersion = (
            table[pair].to(distance) for table in (self.strength, self.range, self.dispersion)
        )
        decay = torch.exp(-distance / torch.where(strength > 0, length, 1.0))
        pairs = (strength * decay - dispersion / distance**6) * self._taper(distance)
        energies: Tensor = distance.new_zeros(len(nb.species)).index_add(0, centre, pairs / 2)
        return energies

    def _taper(self, distance: Tensor) -> Tensor:
        """One, and zero from the cutoff on, with two continuous derivatives."""
        x = ((self.cutoff - distance) / TAPER).clamp(0, 1)
        taper: Tensor = x**3 * (10 - 15 * x + 6 * x**2)
        return taper
