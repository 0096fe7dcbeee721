"""Neighbour density of a centre in radial functions and spherical harmonics."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ase_bec.descriptors.compiled import CompiledDescriptor, compiled_features
from ase_bec.descriptors.local import LocalDescriptor
from ase_bec.descriptors.moments import Shell, make_shell, moments
from ase_bec.descriptors.neighbourhoods import Neighbourhoods

__all__ = ["NeighbourDensity"]


class NeighbourDensity(LocalDescriptor):
    r"""Expansion of the neighbour density by element, distance and direction.

    .. math:: A_{i,e,k,lm} = \sum_{j\in e} e^{-(r_{ij}-\mu_k)^2/2s^2} f_c(r_{ij})\,
              Y_{lm}(\hat r_{ij})

    with evenly spaced centres μ_k from ``closest`` to the cutoff, and s their spacing.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    cutoff : float
        R_c in Å.
    radial : int
        Number of Gaussians.
    degree : int
        Largest l.
    closest : float
        First centre in Å.

    Raises
    ------
    ValueError
        If there are fewer than two Gaussians, ``degree`` is negative, or ``closest`` is not
        between 0 and the cutoff.
    """

    def __init__(
        self,
        n_elements: int,
        cutoff: float,
        radial: int = 10,
        degree: int = 3,
        closest: float = 1.0,
    ) -> None:
        super().__init__(n_elements, cutoff)
        if radial < 2:
            raise ValueError(f"`radial` must be 2 or more, got {radial}")
        if degree < 0:
            raise ValueError(f"`degree` must be 0 or more, got {degree}")
        if not 0 <= closest < cutoff:
            raise ValueError(f"`closest` must lie between 0 and {cutoff} Å, got {closest}")
        self.radial, self.degree, self.closest = int(radial), int(degree), float(closest)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (n_elements, radial, (degree + 1)²) of the expansion of one centre."""
        return self.n_elements, self.radial, (self.degree + 1) ** 2

    @cached_property
    def gaussians(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Rows (η in Å^-2, μ in Å) of the radial functions exp[-η(r-μ)²], (radial, 2)."""
        centres = np.linspace(self.closest, self.cutoff, self.radial)
        eta = 0.5 / (centres[1] - centres[0]) ** 2
        return np.column_stack([np.full(self.radial, eta), centres])

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Expansion A (n, n_elements, radial, (degree + 1)²) of n centres."""
        shell = make_shell(nb, self.n_elements, self.cutoff)
        return moments(shell, self.radial_functions(shell), self.degree)

    def compiled(self, nb: Neighbourhoods) -> Tensor:
        """The same by a kernel on the CPU, once differentiable by the vectors."""
        return compiled_features(nb, self.kernels)

    @cached_property
    def kernels(self) -> CompiledDescriptor:
        """Compiled density."""
        from ase_bec.kernels.density import density_backward, density_forward, density_tables

        tables = density_tables(self.cutoff, self.gaussians, self.degree)
        return CompiledDescriptor(density_forward, density_backward, tables, self.shape, None)

    def radial_functions(self, shell: Shell) -> Tensor:
        """Gaussians times f_c of padded neighbours, (n, K, radial)."""
        table = torch.as_tensor(self.gaussians).to(shell.distance)
        gauss = torch.exp(-table[:, 0] * (shell.distance[..., None] - table[:, 1]) ** 2)
        return gauss * shell.cutoff[..., None]
