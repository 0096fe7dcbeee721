"""Invariant functions of the neighbour density, with learned channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ase_bec.networks import mlp

__all__ = ["InvariantNetwork", "spreads"]


class InvariantNetwork(nn.Module):
    r"""Numbers of each centre from invariants of its neighbour density, by one network per element.

    The density A is contracted over kinds of neighbour and radial functions to a few learned
    channels B_{q,lm}; the invariants G are its entries of degree zero and the power spectrum
    Σ_m B_q B_q' of higher degrees.

    Parameters
    ----------
    n_elements : int
        Elements of centres.
    inputs : int
        Kinds of neighbour times radial functions.
    degree : int
        Largest l of the density.
    channels : int
        Learned channels for each l.
    hidden : sequence of int
        Nodes of the hidden layers.
    outputs : int
        Numbers that come out.

    Examples
    --------
    >>> import torch
    >>> from ase_bec.terms.invariants import InvariantNetwork
    >>> network = InvariantNetwork(2, 6, degree=2, channels=3, hidden=(8,), outputs=4)
    >>> density = torch.rand(5, 2, 3, 9, dtype=torch.float64)  # 5 centres, 2 elements, 3 functions
    >>> network(density, torch.tensor([0, 1, 1, 0, 1])).shape
    torch.Size([5, 4])
    """

    mean: Tensor
    deviation: Tensor
    _upper: Tensor

    def __init__(
        self,
        n_elements: int,
        inputs: int,
        degree: int,
        channels: int,
        hidden: Sequence[int],
        outputs: int,
    ) -> None:
        super().__init__()
        if degree < 1:
            raise ValueError(f"`degree` must be 1 or more, got {degree}")
        if channels < 1:
            raise ValueError(f"`channels` must be 1 or more, got {channels}")
        self.n_elements, self.degree, self.channels = n_elements, degree, channels
        self.hidden = tuple(int(n) for n in hidden)
        contraction = torch.randn(n_elements, degree + 1, channels, inputs) / inputs**0.5
        self.contraction = nn.Parameter(contraction)
        self.n_invariants = inputs + degree * channels * (channels + 1) // 2
        self.n_outputs = outputs
        sizes = (self.n_invariants, *self.hidden, outputs)
        self.networks = nn.ModuleList(mlp(sizes, "silu") for _ in range(n_elements))
        self.register_buffer("mean", torch.zeros(n_elements, self.n_invariants))
        self.register_buffer("deviation", torch.ones(n_elements, self.n_invariants))
        upper = torch.triu_indices(channels, channels)
        self.register_buffer("_upper", upper, persistent=False)
        self.double()

    def contracted(self, density: Tensor, species: Tensor) -> list[Tensor]:
        """Channels B (n, channels, 2l + 1) of each degree from densities (n, kinds, K, M)."""
        flat = density.flatten(1, 2)  # [i, (e k), lm]
        contraction = self.contraction[species]  # [i, l, q, (e k)]
        return [
            contraction[:, l] @ flat[:, :, l * l : (l + 1) ** 2]
            for l in range(self.degree + 1)  # noqa: E741
        ]

    def invariants(self, density: Tensor, channels: Sequence[Tensor]) -> Tensor:
        """G (n, n_invariants)."""
        row, column = self._upper
        spectra = [(b @ b.transpose(1, 2))[:, row, column] for b in channels[1:]]
        return torch.cat([density.flatten(1, 2)[:, :, 0], *spectra], dim=1)

    def outputs(self, invariants: Tensor, species: Tensor) -> Tensor:
        """Numbers (n, n_outputs)."""
        scaled = (invariants - self.mean[species]) / self.deviation[species]
        out = invariants.new_zeros(len(invariants), self.n_outputs)
        for element, network in enumerate(self.networks):
            index = (species == element).nonzero()[:, 0]
            if len(index):
                out = out.index_copy(0, index, network(scaled[index]))
        return out

    def forward(self, density: Tensor, species: Tensor) -> Tensor:
        """Numbers (n, n_outputs) from the centres' densities."""
        channels = self.contracted(density, species)
        return self.outputs(self.invariants(density, channels), species)

    def set_scales(self, density: Tensor, species: Tensor) -> None:
        """Standardise the invariants over given centres."""
        with torch.no_grad():
            invariants = self.invariants(density, self.contracted(density, species))
            for element in range(self.n_elements):
                chosen = invariants[species == element]
                if len(chosen):
                    self.mean[element] = chosen.mean(dim=0)
                    self.deviation[element] = spreads(chosen.std(dim=0, correction=0))


def spreads(found: Tensor) -> Tensor:
    """Spreads to divide by: none far below the largest, and 1 where all are only rounding."""
    largest = float(found.max())
    return found.clamp_min(1e-3 * largest) if largest > 1e-4 else torch.ones_like(found)
