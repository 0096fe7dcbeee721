"""Geometry of a structure, prepared once for training.

Models on moments of the neighbour density are functions of the moments alone, and the moments'
dependence on the positions holds no parameter. So it is prepared once; a training step starts
from the moments, and a derivative by them is carried to the atoms by fixed, linear maps. Geometry
never enters the backward pass of the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..cutoffs import cosine_cutoff
from ..descriptors.harmonics import harmonic_tables, harmonics
from ..system import System

__all__ = ["PairGeometry", "pair_geometry"]


@dataclass(frozen=True)
class PairGeometry:
    """Pairs of one or several structures with their radial channels and harmonics.

    Attributes
    ----------
    centre, neighbour : Tensor, (E,)
        Atoms of each pair.
    slot : Tensor, (E,)
        centre * n_elements + element of the neighbour: where a pair adds to the moments.
    vector : Tensor, (E, 3)
        r_ij in Å.
    weight, slope : Tensor, (E, C)
        Radial channels w_c(r_ij), cutoff included, and their derivatives.
    y : Tensor, (E, M)
        Harmonics of the direction.
    dy : Tensor, (E, M, 3)
        Their derivatives by the vector.
    n_atoms, n_elements : int
        Sizes.
    """

    centre: Tensor
    neighbour: Tensor
    slot: Tensor
    vector: Tensor
    weight: Tensor
    slope: Tensor
    y: Tensor
    dy: Tensor
    n_atoms: int
    n_elements: int

    def moments(self) -> Tensor:
        """A[i, e, c, lm] = Σ_j w_c Y_lm, (n_atoms, n_elements, C, M)."""
        products = self.weight[:, :, None] * self.y[:, None, :]
        out = products.new_zeros(self.n_atoms * self.n_elements, *products.shape[1:])
        out.index_add_(0, self.slot, products)
        return out.reshape(self.n_atoms, self.n_elements, *products.shape[1:])

    def from_moments(self, slope: Tensor) -> Tensor:
        """Derivative by the pair vectors (E, 3) from that by the moments."""
        by_pair = slope.flatten(0, 1)[self.slot]  # [e, c, lm]
        radial = ((by_pair @ self.y[:, :, None])[:, :, 0] * self.slope).sum(dim=1)
        angular = (self.weight[:, None, :] @ by_pair) @ self.dy  # [e, 1, axis]
        return radial[:, None] * self.unit + angular[:, 0]

    @property
    def unit(self) -> Tensor:
        """Unit vectors (E, 3)."""
        return self.vector / self.vector.norm(dim=1, keepdim=True)

    def on_atoms(self, pair_derivatives: Tensor) -> Tensor:
        """Derivative by the positions (n_atoms, 3) from that by the pair vectors."""
        out = pair_derivatives.new_zeros(self.n_atoms, 3)
        out = out.index_add(0, self.neighbour, pair_derivatives)
        return out.index_add(0, self.centre, pair_derivatives, alpha=-1)

    def to(self, dtype: torch.dtype, device: torch.device | str | None = None) -> PairGeometry:
        """The same with another floating dtype, elsewhere."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = value.to(device, dtype if value.is_floating_point() else None)
        return PairGeometry(**values)

    @staticmethod
    def join(parts: Sequence[PairGeometry]) -> PairGeometry:
        """Several structures as one."""
        first = parts[0]
        starts, total = [], 0
        for part in parts:
            starts.append(total)
            total += part.n_atoms
        together = {
            name: torch.cat([getattr(part, name) for part in parts])
            for name in ("vector", "weight", "slope", "y", "dy")
        }
        zipped = list(zip(parts, starts, strict=True))
        return PairGeometry(
            centre=torch.cat([part.centre + start for part, start in zipped]),
            neighbour=torch.cat([part.neighbour + start for part, start in zipped]),
            slot=torch.cat([part.slot + start * first.n_elements for part, start in zipped]),
            **together,
            n_atoms=total,
            n_elements=first.n_elements,
        )


def pair_geometry(
    system: System, species: Tensor, n_elements: int, cutoff: float, gaussians: Tensor, degree: int
) -> PairGeometry:
    """Prepare a structure.

    Parameters
    ----------
    system : System
        Structure with all pairs within the cutoff.
    species : Tensor, (N,)
        Element index of each atom.
    n_elements : int
        Number of elements.
    cutoff : float
        R_c in Å.
    gaussians : Tensor, (C, 2)
        Rows (η in Å^-2, μ in Å) of the radial channels exp[-η(r-μ)²] f_c.
    degree : int
        Largest l.
    """
    vector = system.vectors()
    kept = vector.norm(dim=1) < cutoff
    vector, centre, neighbour = vector[kept], system.centre[kept], system.neighbour[kept]
    distance = vector.norm(dim=1, keepdim=True).requires_grad_()
    away = distance - gaussians[:, 1]
    gauss = torch.exp(-gaussians[:, 0] * away**2)
    f = cosine_cutoff(distance, cutoff)
    (df,) = torch.autograd.grad(f.sum(), distance)
    unit = vector / distance.detach()
    y = harmonics(unit, degree)
    tables = harmonic_tables(degree)
    turned = [
        (torch.as_tensor(tables.turn[axis]) * y[:, tables.partner[axis]]).sum(dim=-1)
        for axis in range(3)
    ]  # (û × ∇)Y, so that the tangential gradient is (û × ∇)Y × û / r
    torque = torch.stack(turned, dim=-1)  # [e, lm, axis]
    dy = torch.cross(torque, unit[:, None, :].expand_as(torque), dim=-1) / distance[:, :, None]
    return PairGeometry(
        centre,
        neighbour,
        centre * n_elements + species[neighbour],
        vector,
        (gauss * f).detach(),
        (gauss * (df - 2 * gaussians[:, 0] * away * f)).detach(),
        y,
        dy.detach(),
        system.n_atoms,
        n_elements,
    )
