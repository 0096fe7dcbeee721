"""Atom-centred symmetry functions: invariant descriptors of a neighbourhood."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ase_bec.descriptors.compiled import CompiledDescriptor, can_compile, compiled_features
from ase_bec.descriptors.local import LocalDescriptor, Rows, function_table
from ase_bec.descriptors.moments import Shell, by_degree, make_shell, moments
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.descriptors.tables import AngularPlan, angular_plan, element_pairs, has_moments

__all__ = ["SymmetryFunctions", "angular_features", "angular_from_moments", "radial_features"]


class SymmetryFunctions(LocalDescriptor):
    r"""Behler–Parrinello symmetry functions G2, G5 and G4.

    .. math::
        G^2 &= \sum_j e^{-\eta (r_{ij}-R_s)^2} f_c(r_{ij}) \\
        G^5 &= 2^{1-\zeta}\sum_{j\ne k} (1+\lambda\cos\theta_{jik})^\zeta
               e^{-\eta (r_{ij}^2+r_{ik}^2)} f_c(r_{ij}) f_c(r_{ik}) \\
        G^4 &= 2^{1-\zeta}\sum_{j\ne k} (1+\lambda\cos\theta_{jik})^\zeta
               e^{-\eta (r_{ij}^2+r_{ik}^2+r_{jk}^2)} f_c(r_{ij}) f_c(r_{ik}) f_c(r_{jk})

    One table serves every element and pair of elements. G2 runs over neighbours of one element,
    G5 and G4 over an unordered pair of elements; j and k of the same element count in both
    orders. Features are ordered G2 by element, then G5 by pair of elements (aa, ab, …, bb, …),
    then G4 likewise; within each, as in the table.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    cutoff : float
        R_c in Å.
    g2 : sequence of (η in Å^-2, R_s in Å)
    g5, g4 : sequence of (η in Å^-2, ζ, λ)
        ζ >= 1. Integer ζ up to 32 of G5 are fast.

    Raises
    ------
    ValueError
        If the cutoff is not positive, a row has the wrong length, or ζ < 1.

    References
    ----------
    J. Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    def __init__(
        self,
        n_elements: int,
        cutoff: float,
        g2: Sequence[Sequence[float]] = (),
        g5: Sequence[Sequence[float]] = (),
        g4: Sequence[Sequence[float]] = (),
    ) -> None:
        super().__init__(n_elements, cutoff)
        self.g2 = function_table("g2", g2, 2)
        self.g5 = function_table("g5", g5, 3, exponent=1)
        self.g4 = function_table("g4", g4, 3, exponent=1)
        fast = [k for k, row in enumerate(self.g5) if has_moments(row[1])]
        slow = [k for k in range(len(self.g5)) if k not in fast]
        self.g5_position = [(fast + slow).index(k) for k in range(len(self.g5))]
        self.plan = (
            angular_plan(tuple((r[0], r[1], r[2]) for r in (self.g5[k] for k in fast)))
            if fast
            else None
        )
        self.explicit = tuple(self.g5[k] for k in slow)

    @property
    def n_features(self) -> int:
        """Number of features of a centre."""
        return len(self.g2) * self.n_elements + (len(self.g5) + len(self.g4)) * self.n_pairs

    def labels(self, elements: Sequence[str]) -> list[str]:
        """Name of every feature, such as ``G5 Li-O eta=0.1 zeta=4 lambda=-1``."""
        pairs = [f"{elements[a]}-{elements[b]}" for a, b in element_pairs(self.n_elements)]
        names = [f"G2 {e} eta={r[0]:g} Rs={r[1]:g}" for e in elements for r in self.g2]
        for kind, rows in (("G5", self.g5), ("G4", self.g4)):
            names += [
                f"{kind} {p} eta={r[0]:g} zeta={r[1]:g} lambda={r[2]:g}"
                for p in pairs
                for r in rows
            ]
        return names

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Features (n, n_features) of n centres."""
        compiled = can_compile(nb.vectors, self.training)
        g2, fast = self._from_moments_compiled(nb) if compiled else self._from_moments(nb)
        slow = self.triplets(nb, self.explicit, "G5", compiled)
        g5 = torch.cat([fast, slow], dim=2)[:, :, self.g5_position]
        g4 = self.triplets(nb, self.g4, "G4", compiled)
        return torch.cat([g2, g5.flatten(1), g4.flatten(1)], dim=1)

    def _from_moments(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """G2 (n, n_elements * F) and G5 (n, n_pairs, F) with the exponents that moments carry."""
        shell = make_shell(nb, self.n_elements, self.cutoff)
        g2 = radial_features(shell, self.g2, shell.cutoff)
        if self.plan is None:
            return g2, g2.new_zeros(len(g2), self.n_pairs, 0)
        return g2, angular_features(shell, self.plan)

    def _from_moments_compiled(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        found = compiled_features(nb, self.kernels)
        n_radial = len(self.g2) * self.n_elements
        return found[:, :n_radial], torch.unflatten(found[:, n_radial:], 1, (self.n_pairs, -1))

    @cached_property
    def kernels(self) -> CompiledDescriptor:
        """Compiled G2 and G5 with whole-number ζ."""
        from ase_bec.kernels.symmetry_functions import (
            symmetry_backward,
            symmetry_forward,
            symmetry_tables,
        )

        tables = symmetry_tables(self.n_elements, self.cutoff, self.g2, self.plan)
        n_fast = 0 if self.plan is None else len(self.plan.channel)
        entries = (tables.harmonics.degree + 1) ** 2
        return CompiledDescriptor(
            symmetry_forward,
            symmetry_backward,
            tables,
            (len(self.g2) * self.n_elements + n_fast * self.n_pairs,),
            (self.n_elements, len(tables.gaussians), entries),
        )


def radial_features(shell: Shell, rows: Rows, weight: Tensor) -> Tensor:
    """Σ_j weight_ij exp[-η(r_ij - R_s)²] by element and function, (n, n_elements * F)."""
    table = shell.distance.new_tensor(rows).reshape(-1, 2)  # [f, (η, R_s)]
    gauss = torch.exp(-table[:, 0] * (shell.distance[..., None] - table[:, 1]) ** 2)  # [i, j, f]
    summed = shell.element.transpose(1, 2) @ (gauss * weight[..., None])  # [i, e, f]
    return summed.flatten(1)


def angular_features(shell: Shell, plan: AngularPlan) -> Tensor:
    """G5 from moments, (n, n_pairs, F)."""
    eta = torch.as_tensor(plan.eta, dtype=shell.distance.dtype, device=shell.distance.device)
    squared = shell.distance[..., None] ** 2
    weights = torch.exp(-eta * squared) * shell.cutoff[..., None]  # [i, j, c]
    own = shell.element.transpose(1, 2) @ weights**2  # [i, e, c]
    return angular_from_moments(moments(shell, weights, plan.degree), own, plan)


def angular_from_moments(a: Tensor, own: Tensor, plan: AngularPlan) -> Tensor:
    """G5 (n, n_pairs, F) from the moments (n, n_elements, C, lm).

    ``own`` (n, n_elements, C) holds Σ_j w_c², the terms j = k, which are taken out.
    """
    legendre, self_term = (
        torch.as_tensor(x, dtype=a.dtype, device=a.device) for x in (plan.legendre, plan.self_term)
    )
    spread = by_degree(legendre)  # [lm, p]
    out = []
    for first, second in element_pairs(a.shape[1]):
        values = (a[:, first] * a[:, second]) @ spread  # [i, c, p]
        if first == second:
            values = values - own[:, first, :, None] * self_term
        out.append(values[:, plan.channel, plan.power])
    return torch.stack(out, dim=1)
