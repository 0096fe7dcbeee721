"""Three terms as a newcomer would write them: each is a class here and a line in the table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ase_bec.cutoffs import cosine_cutoff
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.system import System
from ase_bec.terms.term import LocalDipole, LocalEnergy, WholeStructure


def pair_weights(nb: Neighbourhoods, table: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """Weight of each pair by its elements and distance, squared cutoff included; its centre."""
    centre = torch.repeat_interleave(nb.first[1:] - nb.first[:-1])
    smooth = cosine_cutoff(nb.vectors.norm(dim=1), cutoff) ** 2
    return table[nb.species[centre], nb.neighbour_species] * smooth, centre


class ToyEnergy(LocalEnergy):
    """Σ_j w_ab f_c²(r)."""

    kind = "toy-energy"

    def __init__(self, n_elements: int, cutoff: float = 3.5) -> None:
        super().__init__()
        self.n_elements, self.cutoff = n_elements, cutoff
        self.depth = nn.Parameter(torch.linspace(0.5, 2.0, n_elements**2).double())

    def config(self) -> dict[str, object]:
        return {"cutoff": self.cutoff}

    def forward(self, nb: Neighbourhoods) -> Tensor:
        table = self.depth.reshape(self.n_elements, self.n_elements)
        weights, centre = pair_weights(nb, table, self.cutoff)
        return weights.new_zeros(len(nb.species)).index_add(0, centre, weights)


class ToyDipole(LocalDipole):
    """Σ_j w_ab f_c²(r) r."""

    kind = "toy-dipole"

    def __init__(self, n_elements: int, cutoff: float = 3.5) -> None:
        super().__init__()
        self.n_elements, self.cutoff = n_elements, cutoff
        self.strength = nn.Parameter(torch.linspace(-0.2, 0.4, n_elements**2).double())

    def config(self) -> dict[str, object]:
        return {"cutoff": self.cutoff}

    def forward(self, nb: Neighbourhoods) -> Tensor:
        table = self.strength.reshape(self.n_elements, self.n_elements)
        weights, centre = pair_weights(nb, table, self.cutoff)
        out = nb.vectors.new_zeros(len(nb.species), 3)
        return out.index_add(0, centre, weights[:, None] * nb.vectors)


class ToyWhole(WholeStructure):
    """Polarizable atoms in their mean field, and their number of neighbours.

    H = min_p Σ_i [α_i + |p_i|²/2α_i] − E·P + λ|P|²/2Ω with P = Σ p_i and α_i = α_e (1 + n_i),
    n_i = Σ_j f_c²(r_ij).
    """

    kind = "toy-whole"
    coupling = 3.0  # λ, V·Å/e

    def __init__(self, n_elements: int, cutoff: float = 3.5) -> None:
        super().__init__()
        self.n_elements, self.cutoff = n_elements, cutoff
        self.alpha = nn.Parameter(torch.linspace(0.2, 0.6, n_elements).double())

    def config(self) -> dict[str, object]:
        return {"cutoff": self.cutoff}

    def forward(self, system: System, species: Tensor, field: Tensor) -> Tensor:
        smooth = cosine_cutoff(system.vectors().norm(dim=1), self.cutoff) ** 2
        count = torch.zeros_like(system.positions[:, 0]).index_add(0, system.centre, smooth)
        alpha = self.alpha.double()[species] * (1 + count)
        # A structure without volume has no mean field.
        volume = torch.linalg.det(system.cell).abs()
        factor = torch.where(volume > 0, self.coupling / torch.where(volume > 0, volume, 1), 0)
        with torch.no_grad():  # the minimum: dipoles are then fixed
            total = system.sum_structures(alpha)
            mean = field / (1 + factor * total)[:, None]
            dipoles = alpha[:, None] * mean[system.batch]
        summed = system.sum_structures(dipoles)[system.batch]
        own = (dipoles**2).sum(dim=1) / (2 * alpha)
        in_mean = (dipoles * (factor[system.batch, None] * summed / 2 - field[system.batch])).sum(1)
        return alpha + own + in_mean


TOYS = (ToyEnergy, ToyDipole, ToyWhole)
