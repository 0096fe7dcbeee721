"""Cutoff functions, which take every descriptor smoothly to zero."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    r"""Cosine cutoff.

    .. math:: f_c(r) = \tfrac12 \left[\cos(\pi r / R_c) + 1\right] \;\; (r < R_c),
              \qquad 0 \;\; (r \ge R_c)

    Value and slope are continuous at :math:`R_c`.

    Parameters
    ----------
    distance
        Distances :math:`r` in Å, any shape, any floating dtype; negative ones are not expected.
    cutoff
        :math:`R_c` in Å.

    Returns
    -------
    Tensor
        :math:`f_c(r)`, without unit, in the shape of `distance`; differentiable any number of
        times on either side of :math:`R_c`.

    Raises
    ------
    ValueError
        If `cutoff` is not positive and finite.

    References
    ----------
    J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007).

    Examples
    --------
    >>> import torch
    >>> from ase_bec.cutoffs import cosine_cutoff
    >>> cosine_cutoff(torch.tensor([0.0, 3.0, 6.0]), cutoff=6.0).round(decimals=3).tolist()
    [1.0, 0.5, 0.0]
    """
    if not 0.0 < cutoff < math.inf:
        raise ValueError(f"`cutoff` must be a positive, finite distance in Å, got {cutoff!r}.")
    inside = distance < cutoff
    # Clamped first: beyond the cutoff neither the value nor any derivative may leak through.
    phase = torch.where(inside, distance, cutoff) * (math.pi / cutoff)
    return torch.where(inside, 0.5 * (torch.cos(phase) + 1.0), 0.0)
