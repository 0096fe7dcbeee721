"""Repulsion between atoms closer than any that a potential was trained on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.terms.compiled import CompiledEnergy, serves
from ase_bec.terms.term import LocalEnergy, Rule

__all__ = ["CoreRepulsion"]

STRENGTH = 100.0  # eV/Å³


class CoreRepulsion(LocalEnergy):
    r"""Pair energy below the smallest distances of the training data, and only there.

    .. math:: U = \sum_{a<b} K \max(0,\, d_{ab} - r_{ab})^3 , \qquad K = 100\ \mathrm{eV/Å^3}

    A network knows nothing about distances shorter than it has seen, and often attracts there. Its
    atomic energies are bounded, so the repulsion, with two continuous derivatives, wins eventually.

    Parameters
    ----------
    n_elements : int
        Number of elements.

    Attributes
    ----------
    closest : Tensor, (n_elements, n_elements)
        Distance d of each pair of elements in Å; 0 for no repulsion.

    Examples
    --------
    A chain with spacing 0.1 Å below 2.1 Å: one pair per atom, of 100 × 0.1³ eV:

    >>> from ase import Atoms
    >>> from ase_bec.evaluation.evaluator import Evaluator
    >>> from ase_bec.models import Model
    >>> from ase_bec.terms.repulsion import CoreRepulsion
    >>> repulsion = CoreRepulsion(1)
    >>> repulsion.closest[:] = 2.1
    >>> chain = Atoms("Ar", cell=(2.0, 9, 9), pbc=True)
    >>> round(Evaluator(Model(["Ar"], [repulsion]), "energies").values(chain)[0].energy, 6)
    0.1
    """

    kind = "core-repulsion"
    closest: Tensor

    def __init__(self, n_elements: int) -> None:
        super().__init__()
        self.n_elements = n_elements
        none = torch.zeros(n_elements, n_elements, dtype=torch.float64)
        self.register_buffer("closest", none)

    @property
    def cutoff(self) -> float:  # type: ignore[override]
        """Largest distance of repulsion in Å."""
        return float(self.closest.max())

    def config(self) -> dict[str, Any]:
        """Empty: the distances are weights."""
        return {}

    def rule(self, device: torch.device) -> Rule | None:
        """Compiled kernel on the CPU."""
        if not serves(self, device):
            return None
        from ase_bec.kernels.repulsion import core_repulsion

        closest = self.closest.double().numpy()
        return CompiledEnergy(core_repulsion, closest, STRENGTH, worth=1024)

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Energy (n,) in eV of n centres, half of that of each pair."""
        energies = nb.vectors.new_zeros(len(nb.species))
        furthest = self.closest.max()
        if furthest == 0:
            return energies
        squares = nb.vectors.detach().square().sum(dim=1)
        near = (~(squares >= furthest**2)).nonzero()[:, 0]  # NaN must show
        centre = torch.searchsorted(nb.first, near, right=True) - 1
        closest = self.closest[nb.species[centre], nb.neighbour_species[near]]
        chosen = (~(squares[near] >= closest**2)).nonzero()[:, 0]
        if not len(chosen):
            return energies
        depth = closest[chosen] - nb.vectors[near[chosen]].norm(dim=1)
        return energies.index_add(0, centre[chosen], STRENGTH / 2 * depth**3)
