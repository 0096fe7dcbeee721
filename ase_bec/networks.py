"""Small feed-forward networks, one for each element."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "ElementNetworks", "mlp"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "linear": nn.Identity,
}


def mlp(sizes: Sequence[int], activation: str = "tanh") -> nn.Sequential:
    """Feed-forward network with linear output.

    Parameters
    ----------
    sizes : sequence of int
        Nodes from input to output, such as (126, 10, 10, 1).
    activation : str
        Of the hidden layers: ``tanh``, ``silu``, ``softplus`` or ``linear``.

    Raises
    ------
    ValueError
        If the activation is not known or a layer is empty.

    Examples
    --------
    >>> from ase_bec.networks import mlp
    >>> mlp((126, 10, 10, 1), activation="tanh")
    Sequential(
      (0): Linear(in_features=126, out_features=10, bias=True)
      (1): Tanh()
      (2): Linear(in_features=10, out_features=10, bias=True)
      (3): Tanh()
      (4): Linear(in_features=10, out_features=1, bias=True)
    )
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"`activation` must be one of {sorted(ACTIVATIONS)}, got {activation!r}")
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"`sizes` must be two or more positive numbers, got {tuple(sizes)}")
    layers: list[nn.Module] = []
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        if k:
            layers.append(ACTIVATIONS[activation]())
        layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)


class ElementNetworks(nn.Module):
    """One network for each element, applied to the centres of that element.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    sizes : sequence of int
        Nodes of each network, the last being 1.
    activation : str
        As for :func:`mlp`.

    Examples
    --------
    >>> import torch
    >>> from ase_bec.networks import ElementNetworks
    >>> networks = ElementNetworks(n_elements=2, sizes=(5, 8, 1))
    >>> features, species = torch.zeros(3, 5), torch.tensor([0, 1, 0])
    >>> networks(features, species).shape
    torch.Size([3])
    """

    def __init__(self, n_elements: int, sizes: Sequence[int], activation: str = "tanh") -> None:
        super().__init__()
        if sizes[-1] != 1:
            raise ValueError(f"`sizes` must end with one output, got {sizes[-1]}")
        self.networks = nn.ModuleList(mlp(sizes, activation) for _ in range(n_elements))

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """Outputs (n,) of n centres."""
        out = features.new_zeros(len(features))
        for element, network in enumerate(self.networks):
            index = (species == element).nonzero()[:, 0]
            if len(index):
                out = out.index_copy(0, index, network(features[index])[:, 0])
        return out
