"""Coulomb energy of constant effective charges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ase_bec.system import System
from ase_bec.terms.ewald import Images, ewald_potentials, open_potentials, self_potentials
from ase_bec.terms.term import WholeStructure

__all__ = ["Coulomb"]

REACH = 8.0  # Å; of the sum over neighbours, where there is one
SPLITTING = REACH / (2 * 4.8)  # Å; the sum then lacks erfc(4.8) = 1e-11
FEW = 150  # atoms up to which waves are summed one by one


class Coulomb(WholeStructure):
    r"""Energy of effective charges, one for each element, beside a short-ranged rest.

    .. math:: U = \frac12\sum_{a \ne b} \tilde q_a \tilde q_b\,
              \frac{k_e}{r_{ab}}\,\mathrm{erf}\frac{r_{ab}}{2\sigma}

    over all images in crystals, by Ewald's sum with conducting boundaries. The q̃ are screened by
    the electrons and not the charges on which a field acts: there is no dipole here. Between ions
    far apart act Z*·Z*/ε∞, so |q̃| of about Z*/√ε∞ takes the long range out of the rest. The
    interaction of each Gaussian with itself is left out: constant, and infinite for points.

    A cell with a net charge has a uniform background that neutralises it, whose energy and stress
    are in U. For energies of cells of different charge, that is no physical difference.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    charges : sequence of float
        q̃ of each element in e; those of a formula unit should sum up to zero.
    width : float
        σ of the Gaussians in Å; 0 for point charges.

    Raises
    ------
    ValueError
        If there is not one finite charge for each element, or the width is negative; on
        evaluation, for structures that are periodic in some directions alone.
    """

    kind = "coulomb"
    in_field = "none"

    def __init__(self, n_elements: int, charges: Sequence[float], width: float = 1.2) -> None:
        super().__init__()
        self.charges = tuple(float(q) for q in charges)
        if len(self.charges) != n_elements or not all(map(math.isfinite, self.charges)):
            raise ValueError(
                f"`charges` must be {n_elements} numbers, one for each element, got {charges!r}"
            )
        if not 0 <= width < math.inf:
            raise ValueError(f"`width` must be 0 (point charges) or more Å, got {width!r}")
        self.n_elements = n_elements
        self.width = float(width)

    @property
    def cutoff(self) -> float:  # type: ignore[override]
        """Neighbours in Å that it needs: none where Gaussians are so wide that waves do."""
        return 0.0 if self.width >= SPLITTING else REACH

    def config(self) -> dict[str, Any]:
        """Plain arguments that make this term again."""
        return {"charges": list(self.charges), "width": self.width}

    def of(self, species: Tensor) -> Tensor:
        """Charge of each atom, (N,), in double precision."""
        return torch.tensor(self.charges, dtype=torch.float64, device=species.device)[species]

    def forward(self, system: System, species: Tensor, field: Tensor) -> Tensor:
        """Half of q̃ times the potential of the others, (N,), in eV; the field plays no part."""
        charges = self.of(species).to(system.positions)
        sizes = torch.bincount(system.batch, minlength=system.n_structures).tolist()
        energies, start = [], 0
        for index, size in enumerate(sizes):
            stop = start + size
            energies.append(self._energies(system, index, charges[start:stop], start, stop))
            start = stop
        return torch.cat(energies)

    def _energies(
        self, system: System, index: int, charges: Tensor, start: int, stop: int
    ) -> Tensor:
        """Energies of the atoms of one structure."""
        positions, periodic = system.positions[start:stop], system.pbc[index]
        widths = torch.full_like(charges, self.width)
        if not bool(periodic.any()):
            potentials = open_potentials(positions, charges, widths)
        elif bool(periodic.all()):
            potentials = ewald_potentials(
                positions,
                system.cell[index],
                charges,
                widths,
                SPLITTING,
                self._images(system, start, stop) if self.cutoff else None,
                mesh=stop - start > FEW,
            )
        else:
            raise ValueError(
                "`atoms.pbc` must be all true or all false for Coulomb sums, got "
                f"{periodic.tolist()}; give a slab or a wire a periodic cell with vacuum"
            )
        return 0.5 * charges * (potentials - self_potentials(widths) * charges)

    def _images(self, system: System, start: int, stop: int) -> Images:
        """Pairs of one structure that lie within reach."""
        first, last = int(system.first[start]), int(system.first[stop])
        count = system.first[start + 1 : stop + 1] - system.first[start:stop]
        centre = torch.repeat_interleave(count)
        neighbour = system.neighbour[first:last] - start
        return Images(centre, neighbour, system.shift[first:last].to(system.cell))
