"""Equivariant network of local dipoles with one step of message passing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ase_bec.descriptors.density import NeighbourDensity
from ase_bec.descriptors.moments import make_shell, moments
from ase_bec.descriptors.neighbourhoods import Neighbourhoods, pad
from ase_bec.terms.equivariant import EquivariantNetwork
from ase_bec.terms.invariants import InvariantNetwork
from ase_bec.terms.term import LocalDipole

__all__ = ["MessagePassingNetwork"]


class MessagePassingNetwork(LocalDipole):
    r"""Local dipoles from two neighbour densities, that of the elements and that of messages.

    Every atom makes a few invariant numbers h_q from its own density, between -1 and 1, and sends
    them to its neighbours, whose second density is

    .. math:: A'_{i,q,k,lm} = \sum_j h_{j,q}\, R_k(r_{ij})\, Y_{lm}(\hat r_{ij})

    An :class:`EquivariantNetwork` gives the dipole from both. So an atom sees up to twice the
    cutoff, including what surrounds its neighbours: more accurate where correlations are long, as
    in perovskites, at about three times the cost of a training step. It runs in torch only and
    needs the whole structure at once.

    Parameters
    ----------
    n_elements, cutoff, radial, degree, channels, hidden
        As for :class:`EquivariantNetwork`.
    messages : int
        How many numbers every atom sends.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec import MessagePassingNetwork, PolarizationModel
    >>> network = MessagePassingNetwork(2, cutoff=4.0, radial=4, degree=2, channels=2, hidden=(8,))
    >>> model = PolarizationModel(["Na", "Cl"], network, {"Na": 1, "Cl": -1})
    >>> model.born_charges(bulk("NaCl", "rocksalt", 5.6)).shape
    (2, 3, 3)
    """

    kind = "message-passing"
    whole = True

    def __init__(
        self,
        n_elements: int,
        cutoff: float = 6.0,
        radial: int = 10,
        degree: int = 3,
        channels: int = 8,
        hidden: Sequence[int] = (48, 48),
        messages: int = 4,
    ) -> None:
        super().__init__()
        if messages < 1:
            raise ValueError(f"`messages` must be 1 or more, got {messages}")
        self.n_elements, self.n_messages = n_elements, messages
        self.dipoles = EquivariantNetwork(
            n_elements, cutoff, radial, degree, channels, hidden, n_elements + messages
        )
        self.cutoff = self.dipoles.cutoff
        fewer = max(channels // 2, 1), tuple(max(n // 2, 1) for n in self.dipoles.hidden[:1])
        self.messages = InvariantNetwork(n_elements, n_elements * radial, degree, *fewer, messages)

    @property
    def density(self) -> NeighbourDensity:
        """Density of the elements."""
        return self.dipoles.density

    @property
    def limit(self) -> Tensor:
        """Largest dipoles that are left unchanged, (n_elements,) in e·Å."""
        return self.dipoles.limit

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild this network, without its weights."""
        return self.dipoles.config() | {"messages": self.n_messages}

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Local dipoles (n, 3) in e·Å of all n atoms of a structure.

        Raises
        ------
        ValueError
            If the centres are not all atoms.
        """
        return self.from_densities(*self.densities(nb), nb.species)

    def with_outside(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """Local dipoles, and their sizes over their limits."""
        dipoles = self(nb)
        return dipoles, dipoles.detach().norm(dim=1) / self.dipoles.bounds()[nb.species]

    def densities(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """Densities of elements (n, n_elements, K, M) and of messages (n, n_messages, K, M)."""
        if bool(((nb.neighbour < 0) | (nb.neighbour >= len(nb.species))).any()):
            raise ValueError("`nb` must have all atoms of the structure as centres")
        shell, (index, _) = make_shell(nb, self.n_elements, self.cutoff), pad(nb)
        weights = self.density.radial_functions(shell)
        density = moments(shell, weights, self.dipoles.degree)
        sent = self.sent(density, nb.species)
        neighbour = torch.cat([nb.neighbour, nb.first.new_zeros(1)])[index]
        received = shell._replace(element=sent[neighbour])
        return density, moments(received, weights, self.dipoles.degree)

    def sent(self, density: Tensor, species: Tensor) -> Tensor:
        """Messages h (n, n_messages), always between -1 and 1."""
        return torch.tanh(self.messages(density, species))

    def from_densities(self, density: Tensor, second: Tensor, species: Tensor) -> Tensor:
        """Local dipoles (n, 3) in e·Å from the densities of elements and of messages."""
        return self.dipoles.from_density(torch.cat([density, second], dim=1), species)
