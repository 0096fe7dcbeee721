"""Scaling of features to the range that a network was fitted on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MinMaxScaling"]

TOLERANCE = 0.1  # of a feature's width; closer ones do no harm (docs/reliability.md)


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

    def linear(self) -> tuple[Tensor, Tensor]:
        """Factor and offset (n_elements, n_features) of x = factor·G − offset."""
        width = self.high - self.low
        factor = torch.where(width > 0, 2 / torch.where(width > 0, width, 1), 0.0)
        return factor, torch.where(width > 0, self.low * factor + 1, 0.0)

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """Scaled features (n, n_features) of centres of given elements."""
        factor, offset = self.linear()
        return features * factor[species] - offset[species]

    def range(self) -> tuple[Tensor, Tensor, Tensor]:
        """Smallest and largest value of each feature, and how far beyond counts as outside.

        That is a tenth of the width. A feature that never varied has none, but rounding.
        """
        low, high = self.low.double(), self.high.double()
        width = high - low
        rounding = torch.finfo(self.low.dtype).eps ** 0.5 * (1 + high.abs())
        return low, high, torch.where(width > 0, TOLERANCE * width, rounding)

    def outside(self, features: Tensor, species: Tensor) -> Tensor:
        """How far the furthest feature of each centre, (n,), lies outside; 0 within its range."""
        low, high, margin = (x[species] for x in self.range())
        beyond = torch.maximum(low - features, features - high) / margin
        return beyond.amax(dim=1).clamp_min(0)
