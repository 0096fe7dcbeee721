"""First layers that are trained along the principal axes of their inputs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["along_principal_axes", "as_linear"]

SMALLEST = 0.1  # of the largest spread, for axes along which inputs hardly vary


class PrincipalLinear(nn.Module):
    r"""Linear layer in the principal axes of its inputs.

    Symmetry functions of one neighbourhood are strongly correlated: their covariance has few large
    eigenvalues and many small ones, along which Adam, which treats each weight separately, gets
    nowhere. So the layer is trained as

    .. math:: W' T^T (x - \bar x) + b' , \qquad T_{fk} = V_{fk} / \max(\sigma_k, \sigma_{max}/10)

    with the axes V and spreads σ of the training data. It remains a linear layer.

    Parameters
    ----------
    layer : Linear
        Its weights are W' and b', or, if it is trained, W and b of the inputs themselves.
    inputs : Tensor, (n, n_inputs)
        Inputs of the training data.
    trained : bool
        Whether the layer must keep its present outputs.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, layer: nn.Linear, inputs: Tensor, trained: bool = False) -> None:
        super().__init__()
        x = inputs.double()
        mean = x.mean(dim=0)
        variances, axes = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
        spread = variances.clamp_min(0).sqrt()
        scale = spread.clamp_min(SMALLEST * spread.max()) if spread.max() > 0 else spread + 1
        self.register_buffer("mean", mean.to(inputs))
        self.register_buffer("axes", (axes / scale).to(inputs))
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if trained:
            bias = bias + weight @ self.mean
            weight = (weight.double() @ (axes * scale)).to(inputs)
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (n, n_outputs) of inputs (n, n_inputs)."""
        return nn.functional.linear((x - self.mean) @ self.axes, self.weight, self.bias)

    def linear(self) -> nn.Linear:
        """The same as a plain layer."""
        weight = self.weight.detach().double() @ self.axes.double().T
        bias = self.bias.detach().double() - weight @ self.mean.double()
        out = nn.Linear(weight.shape[1], weight.shape[0]).to(self.weight)
        with torch.no_grad():
            out.weight.copy_(weight)
            out.bias.copy_(bias)
        return out


def along_principal_axes(
    networks: Iterable[nn.Module], inputs: Tensor, species: Tensor, trained: bool = False
) -> None:
    """Put the first layer of each element's network into the principal axes of its inputs.

    Parameters
    ----------
    networks : iterable of Sequential
        One for each element; those of elements without data are left as they are.
    inputs : Tensor, (n, n_inputs)
        Of all centres of the training data.
    species : Tensor, (n,)
        Their elements.
    trained : bool
        Whether the networks must keep their present outputs.
    """
    for element, network in enumerate(networks):
        chosen = inputs[species == element]
        if len(chosen):
            network[0] = PrincipalLinear(network[0], chosen, trained)  # type: ignore[index, operator]


def as_linear(networks: Iterable[nn.Module]) -> None:
    """Turn layers in principal axes back into plain ones."""
    for network in networks:
        if isinstance(network[0], PrincipalLinear):  # type: ignore[index]
            network[0] = network[0].linear()  # type: ignore[index, operator]
