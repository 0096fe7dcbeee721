"""Scaling of features to the range that a network was fitted on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MinMaxScaling"]


class MinMaxScaling(nn.Module):
    r"""Scale features to [-1, 1] by their range in the training data, per element of the centre.

    .. math:: x = 2\,\frac{G - G_{min}}{G_{max} - G_{min}} - 1

    A feature that never varied (max = min) becomes 0.

    Parameters
    ----------
    low, high : Tensor, (n_elements, n_features)
        Smallest and largest value of each feature.

    Raises
    ------
    ValueError
        If the shapes differ, a number is not finite, or low > high somewhere.
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        if low.shape != high.shape or low.ndim != 2:
            raise ValueError(
                "`low` and `high` must have one shape (n_elements, n_features), "
                f"got {tuple(low.shape)} and {tuple(high.shape)}"
            )
        infinite = int((~torch.isfinite(torch.stack([low, high]))).sum())
        if infinite:
            raise ValueError(f"`low` and `high` must be finite, got {infinite} that are not")
        if bool((low > high).any()):
            raise ValueError(
                f"`low` must not exceed `high`, got {int((low > high).sum())} such features"
            )
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """Scaled features (n, n_features) of centres of given elements."""
        width = self.high - self.low
        factor = torch.where(width > 0, 2 / torch.where(width > 0, width, 1), 0.0)
        offset = torch.where(width > 0, self.low * factor + 1, 0.0)
        return features * factor[species] - offset[species]

    def outside(self, features: Tensor, species: Tensor, tolerance: float = 0.01) -> Tensor:
        """Centres (n,) bool with a feature out of range by more than a part of its width.

        A feature that never varied has no width; it may differ by rounding.
        """
        width = self.high - self.low
        rounding = torch.finfo(features.dtype).eps ** 0.5 * (1 + self.high.abs())
        margin = torch.where(width > 0, tolerance * width, rounding)
        below = features < (self.low - margin)[species]
        above = features > (self.high + margin)[species]
        return (below | above).any(dim=1)
