"""Equivariant network of local dipoles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ase_bec.descriptors.density import NeighbourDensity
from ase_bec.descriptors.harmonics import harmonics
from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.terms.compiled import CompiledDipole, serves, weights_by_element
from ase_bec.terms.invariants import InvariantNetwork, spreads
from ase_bec.terms.term import LocalDipole, Rule

__all__ = ["EquivariantNetwork"]

UNLIMITED = 1e6  # e·Å; stands for no limit, since files hold finite numbers


class EquivariantNetwork(LocalDipole, InvariantNetwork):
    r"""Local dipoles as sums of vectors with invariant coefficients.

    .. math:: \mathbf D_i = \sum_c \varphi_c(G_i)\, \mathbf V_{i,c}

    The density A of the neighbours (:class:`NeighbourDensity`) is contracted over elements and
    radial functions to a few learned channels B_{q,lm}. The vectors are every coupling of two
    channels of degrees l and l + 1 to degree one, the invariants G are the radial functions and
    the power spectrum Σ_m B_q B_q'. So D is exactly O(3)-equivariant, and translating all atoms
    does not change it: Σ_a ∂D/∂r_a = 0.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    cutoff : float
        R_c in Å.
    radial : int
        Gaussian radial functions.
    degree : int
        Largest l of the density.
    channels : int
        Learned channels for each l.
    hidden : sequence of int
        Nodes of the hidden layers of φ.
    kinds : int, optional
        Kinds of neighbour in the density: the elements, plus messages if any.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec import EquivariantNetwork, PolarizationModel
    >>> network = EquivariantNetwork(2, cutoff=4.0, radial=4, degree=2, channels=2, hidden=(8,))
    >>> model = PolarizationModel(["Na", "Cl"], network, {"Na": 1, "Cl": -1})
    >>> model.born_charges(bulk("NaCl", "rocksalt", 5.6)).shape
    (2, 3, 3)
    """

    kind = "equivariant"
    size: Tensor
    limit: Tensor  # (n_elements,) e·Å

    def __init__(
        self,
        n_elements: int,
        cutoff: float = 6.0,
        radial: int = 10,
        degree: int = 3,
        channels: int = 8,
        hidden: Sequence[int] = (48, 48),
        kinds: int | None = None,
    ) -> None:
        inputs = (n_elements if kinds is None else kinds) * radial
        self.n_vectors = degree * channels**2
        super().__init__(n_elements, inputs, degree, channels, hidden, self.n_vectors)
        self.density = NeighbourDensity(n_elements, cutoff, radial, degree)
        self.cutoff = self.density.cutoff
        self.register_buffer("size", torch.ones(n_elements, self.n_vectors))
        self.register_buffer("limit", torch.full((n_elements,), UNLIMITED))
        for l in range(degree):  # noqa: E741
            self.register_buffer(f"_coupling{l}", coupling(l).clone(), persistent=False)
        self.double()

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild this network, without its weights."""
        return {
            "cutoff": self.cutoff,
            "radial": self.density.radial,
            "degree": self.degree,
            "channels": self.channels,
            "hidden": list(self.hidden),
        }

    def forward(self, nb: Neighbourhoods) -> Tensor:  # type: ignore[override]
        """Local dipoles (n, 3) in e·Å of n centres."""
        return self.from_density(self.density(nb), nb.species)

    def with_outside(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """Local dipoles, and their sizes over their limits."""
        dipoles = self(nb)
        return dipoles, dipoles.detach().norm(dim=1) / self.bounds()[nb.species]

    def rule(self, device: torch.device) -> Rule | None:
        """Compiled kernel on the CPU."""
        if not serves(self, device):
            return None
        weights = weights_by_element(self.networks, "silu")
        if weights is None or self.contraction.shape[3] != self.n_elements * self.density.radial:
            return None
        sizes, _, networks = weights
        scales = self.mean, self.deviation, self.size, self.bounds()
        numbers = [x.detach().flatten() for x in (self.contraction, *scales, networks)]
        density = self.density
        shape = density.cutoff, density.radial, density.degree, density.closest
        from ase_bec.kernels.equivariant import local_dipoles

        tables = _tables(shape, self.channels, tuple(sizes.tolist()))
        return CompiledDipole(local_dipoles, tables, torch.cat(numbers).numpy())

    def from_density(self, density: Tensor, species: Tensor) -> Tensor:
        """Local dipoles (n, 3) in e·Å from the centres' densities."""
        channels = self.contracted(density, species)
        factors = self.outputs(self.invariants(density, channels), species) / self.size[species]
        dipoles: Tensor = factors[:, None, :] @ self.vectors(channels)
        return _bounded(dipoles[:, 0], self.bounds()[species])

    def bounds(self) -> Tensor:
        """Limits by element, infinite if there is none."""
        return self.limit.masked_fill(self.limit >= UNLIMITED, torch.inf)

    def set_scales(self, density: Tensor, species: Tensor) -> None:
        """Standardise the invariants and scale the vectors to unit size over given centres."""
        super().set_scales(density, species)
        with torch.no_grad():
            vectors = self.vectors(self.contracted(density, species))
            for element in range(self.n_elements):
                chosen = vectors[species == element]
                if len(chosen):
                    self.size[element] = spreads((chosen**2).mean(dim=(0, 2)).sqrt())

    def silence(self) -> None:
        """Set all dipoles to zero, as is best before training."""
        for network in self.networks:
            last = network[-1]  # type: ignore[index]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def set_limits(self, densities: Iterable[tuple[Tensor, Tensor]], margin: float = 1.5) -> None:
        """Set the limits to `margin` times the largest dipoles of given densities and species."""
        self.limit.fill_(UNLIMITED)
        largest = torch.zeros_like(self.limit)
        with torch.no_grad():
            for density, species in densities:
                sizes = self.from_density(density, species).norm(dim=1)
                largest = largest.scatter_reduce(0, species, sizes, "amax")
        self.limit.copy_(torch.where(largest > 0, margin * largest, UNLIMITED))

    def vectors(self, channels: Sequence[Tensor]) -> Tensor:
        """Vectors (n, n_vectors, 3)."""
        n, vectors = len(channels[0]), []
        for l, (lower, upper) in enumerate(pairwise(channels)):  # noqa: E741
            table = getattr(self, f"_coupling{l}")  # [m', (m, axis)]
            above = (upper @ table).reshape(n, self.channels, 2 * l + 1, 3)
            above = above.transpose(1, 2).reshape(n, 2 * l + 1, -1)  # [i, m, (p, axis)]
            vectors.append((lower @ above).reshape(n, -1, 3))
        return torch.cat(vectors, dim=1)


def _bounded(dipoles: Tensor, limit: Tensor) -> Tensor:
    """Dipoles (n, 3), those beyond their limits (n,) bounded."""
    beyond = (dipoles.detach().norm(dim=1) > limit).nonzero()[:, 0]
    if not len(beyond):
        return dipoles
    chosen = dipoles[beyond]
    x = chosen.norm(dim=1) / limit[beyond]
    return dipoles.index_copy(0, beyond, chosen * ((1 + torch.tanh(x - 1)) / x)[:, None])


@lru_cache(maxsize=8)
def coupling(l: int) -> Tensor:  # noqa: E741
    r"""Coefficients that couple degrees l and l + 1 to a vector.

    :math:`\hat u_\alpha Y_{lm} = \sum_{m'} T_{m',m\alpha} Y_{l+1,m'} + \ldots`, so that
    :math:`\sum_{mm'} T_{m',m\alpha} B_{lm} C_{l+1,m'}` transforms as a vector.

    Returns
    -------
    Tensor, (2l + 3, (2l + 1) * 3)
    """
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(50 * (l + 2) ** 2, 3, generator=generator, dtype=torch.float64)
    u = u / u.norm(dim=-1, keepdim=True)
    y = harmonics(u, l + 1)
    products = (y[:, l * l : (l + 1) ** 2, None] * u[:, None, :]).flatten(1)
    lower = y[:, (l - 1) ** 2 : l * l] if l else y[:, :0]
    found = torch.linalg.lstsq(torch.cat([y[:, (l + 1) ** 2 :], lower], dim=1), products).solution
    # Exactly, these are ± the root of a whole number over 4l + 2: so the same in every process.
    scaled = (4 * l + 2) * found[: 2 * l + 3]
    out: Tensor = scaled.sign() * (scaled**2).round().sqrt() / (4 * l + 2)
    return out


@lru_cache(maxsize=16)
def _tables(shape: tuple[float, int, int, float], channels: int, sizes: tuple[int, ...]) -> Any:
    from ase_bec.kernels.equivariant import equivariant_tables

    density = NeighbourDensity(1, *shape)
    couplings = [coupling(degree).numpy() for degree in range(density.degree)]
    return equivariant_tables(density.cutoff, density.gaussians, channels, sizes, couplings)
