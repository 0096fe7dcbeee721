"""Vector atomic fingerprints: descriptors that turn with one axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ase_bec.descriptors.compiled import (
    CompiledDescriptor,
    can_compile,
    compiled_derivative,
    compiled_features,
)
from ase_bec.descriptors.local import LocalDescriptor, function_table
from ase_bec.descriptors.moments import Shell, by_degree, make_shell, moments
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.descriptors.symmetry_functions import radial_features
from ase_bec.descriptors.tables import VectorPlan, element_pairs, has_moments, vector_plan

__all__ = ["VectorFunctions", "vector_features"]


class VectorFunctions(LocalDescriptor):
    r"""Vector atomic fingerprints V1 and V2 along z.

    .. math::
        V^1 &= \sum_j \frac{z_{ij}}{r_{ij}} e^{-\eta (r_{ij}-R_s)^2} f_c(r_{ij}) \\
        V^2 &= 2^{1-\zeta}\sum_{j\ne k} (z_{ij}+z_{ik})\,\{1+\cos(\theta_{jik}-\theta_s)\}^\zeta
               e^{-\eta\left(\frac{r_{ij}+r_{ik}}{2}-R_s\right)^2} f_c(r_{ij}) f_c(r_{ik})

    with vectors from centre to neighbour. Other axes: turn the structure so that the axis is z.
    Elements, pairs and order of features as for :class:`SymmetryFunctions`.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    cutoff : float
        R_c in Å.
    v1 : sequence of (η in Å^-2, R_s in Å)
    v2 : sequence of (η in Å^-2, ζ, R_s in Å, θ_s in rad)
        ζ >= 1. Integer ζ up to 32 with θ_s = 0 are fast.
    slope : float
        Factor on the radial derivative of V2's Gaussian. 1, the true derivative, except to
        reproduce weights fitted with another factor; values do not depend on it.

    Raises
    ------
    ValueError
        If the cutoff is not positive, a row has the wrong length, or ζ < 1.

    References
    ----------
    K. Shimizu et al., arXiv:2305.19546, Eqs. 3 and 4 (the exponents are squared there in the
    code, not in print).
    """

    def __init__(
        self,
        n_elements: int,
        cutoff: float,
        v1: Sequence[Sequence[float]] = (),
        v2: Sequence[Sequence[float]] = (),
        slope: float = 1.0,
    ) -> None:
        super().__init__(n_elements, cutoff)
        self.slope = float(slope)
        self.v1 = function_table("v1", v1, 2)
        self.v2 = function_table("v2", v2, 4, exponent=1)
        fast = [k for k, r in enumerate(self.v2) if has_moments(r[1]) and r[3] == 0.0]
        slow = [k for k in range(len(self.v2)) if k not in fast]
        if slow and slope != 1.0:
            raise ValueError(f"`slope` must be 1 with θ_s != 0 or fractional ζ, got {slope}")
        self.v2_position = [(fast + slow).index(k) for k in range(len(self.v2))]
        rows = tuple((r[0], r[1], r[2], r[3]) for r in (self.v2[k] for k in fast))
        self.plan = vector_plan(rows, self.cutoff) if rows else None
        self.explicit = tuple(self.v2[k] for k in slow)

    @property
    def n_features(self) -> int:
        """Number of features of a centre."""
        return len(self.v1) * self.n_elements + len(self.v2) * self.n_pairs

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Features (n, n_features) of n centres."""
        compiled = can_compile(nb.vectors, self.training)
        v1, fast = self._from_moments_compiled(nb) if compiled else self._from_moments(nb)
        slow = self.triplets(nb, self.explicit, "V2", compiled)
        v2 = torch.cat([fast, slow], dim=2)[:, :, self.v2_position]
        return torch.cat([v1, v2.flatten(1)], dim=1)

    def weighted_derivative(self, nb: Neighbourhoods, weights: Tensor) -> Tensor:
        """∂/∂vectors (e, 3) of Σ_i weights_i · features_i, the weights (n, n_features) fixed."""
        if not self.explicit and can_compile(nb.vectors, self.training):
            return compiled_derivative(nb, self.kernels, weights)
        leaf = nb.vectors.detach().requires_grad_()
        total = (self(nb._replace(vectors=leaf)) * weights).sum()
        return torch.autograd.grad(total, leaf)[0]

    def _from_moments(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """V1 (n, n_elements * F) and V2 (n, n_pairs, F) with the exponents that moments carry."""
        shell = make_shell(nb, self.n_elements, self.cutoff)
        v1 = radial_features(shell, self.v1, shell.cutoff * shell.unit[..., 2])
        if self.plan is None:
            return v1, v1.new_zeros(len(v1), self.n_pairs, 0)
        v2 = vector_features(shell, self.plan, self.n_elements, self.cutoff, self.slope)
        return v1, v2

    def _from_moments_compiled(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        found = compiled_features(nb, self.kernels)
        n_radial = len(self.v1) * self.n_elements
        return found[:, :n_radial], torch.unflatten(found[:, n_radial:], 1, (self.n_pairs, -1))

    @cached_property
    def kernels(self) -> CompiledDescriptor:
        """Compiled V1 and V2 with whole-number ζ and θ_s = 0."""
        from ase_bec.kernels.vector_functions import (
            vector_backward,
            vector_forward,
            vector_tables,
        )

        tables = vector_tables(self.n_elements, self.cutoff, self.v1, self.plan, self.slope)
        n_fast = 0 if self.plan is None else len(self.plan.kernel)
        entries = (tables.harmonics.degree + 1) ** 2
        return CompiledDescriptor(
            vector_forward,
            vector_backward,
            tables,
            (len(self.v1) * self.n_elements + n_fast * self.n_pairs,),
            (self.n_elements, 2 * len(tables.chebyshev), entries),
        )


def with_slope(value: Tensor, slope: float) -> Tensor:
    """The same value with its derivative multiplied by ``slope``."""
    return value if slope == 1.0 else value.detach() + slope * (value - value.detach())


def vector_features(
    shell: Shell, plan: VectorPlan, n_elements: int, cutoff: float, slope: float = 1.0
) -> Tensor:
    """V2 from moments, (n, n_pairs, F)."""
    dtype, device = shell.distance.dtype, shell.distance.device
    coupling, chebyshev, legendre, gaussians = (
        torch.as_tensor(x, dtype=dtype, device=device)
        for x in (plan.radial.coupling, plan.radial.chebyshev, plan.legendre, plan.gaussians)
    )
    radial = with_slope(chebyshev_sum(shell.distance, chebyshev, cutoff), slope)
    weights = radial * shell.cutoff[..., None]  # [i, j, c]
    height = (shell.distance * shell.unit[..., 2])[..., None]  # z_ij
    a = moments(shell, weights, plan.degree)  # [i, e, c, lm]
    az = moments(shell, weights * height, plan.degree)
    right = torch.einsum("kcd,iedx->iekcx", coupling, a)
    spread = by_degree(legendre)  # [lm, p]

    gauss = torch.exp(-gaussians[:, 0] * (shell.distance[..., None] - gaussians[:, 1]) ** 2)
    own = with_slope(gauss, slope) * height * shell.cutoff[..., None] ** 2  # [i, j, k]
    own = 4 * shell.element.transpose(1, 2) @ own  # [i, e, k], the terms j = k
    out = []
    for first, second in element_pairs(n_elements):
        product = torch.einsum("icx,ikcx->ikx", az[:, first], right[:, second])
        product = product + torch.einsum("icx,ikcx->ikx", az[:, second], right[:, first])
        values = product @ spread  # [i, k, p]
        if first == second:
            values = values - own[:, first, :, None]
        out.append(values[:, plan.kernel, plan.power])
    return torch.stack(out, dim=1)


def chebyshev_sum(distance: Tensor, coefficients: Tensor, cutoff: float) -> Tensor:
    """t_c(r) = Σ_n coefficients[c, n] T_n(2r/R_c - 1), (..., C)."""
    x = 2 * distance / cutoff - 1
    before, now = torch.ones_like(x), x
    terms = [before, now]
    for _ in range(coefficients.shape[1] - 2):
        before, now = now, 2 * x * now - before
        terms.append(now)
    return torch.stack(terms, dim=-1) @ coefficients.T
