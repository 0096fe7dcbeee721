"""Charges that respond: charge equilibration along bonds, in a field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ase_bec.cutoffs import cosine_cutoff
from ase_bec.descriptors.neighbourhoods import neighbourhoods
from ase_bec.descriptors.scaling import MinMaxScaling
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions
from ase_bec.networks import mlp
from ase_bec.system import System
from ase_bec.terms.equilibration import (
    Bonds,
    Equilibrium,
    descend,
    equilibrate,
    require_positive,
)
from ase_bec.terms.gaussian_charges import Interaction, interaction
from ase_bec.terms.term import WholeStructure

__all__ = ["Sites", "SplitCharges"]

_SHORTEST = 1.4  # Å, first of the Gaussians that bonds are resolved by
_SOFTNESS = 0.1  # e/V, scale of w
DENSE = 150  # atoms up to which charges are solved for at once, by conjugate gradients beyond


class Sites(NamedTuple):
    """What the environments say of one structure's atoms and bonds."""

    electronegativity: Tensor  # χ (N,) in V
    hardness: Tensor  # J (N,) in V/e
    bonds: Bonds


class SplitCharges(WholeStructure):
    r"""Charges that flow along bonds until the enthalpy is lowest.

    .. math:: H = \min_p\; \chi\cdot q + \tfrac12 q^T(A + J)\,q + \sum_b \frac{p_b^2}{2w_b}
              - \mathbf E\cdot\Big(\sum_a Q_a\mathbf r_a + \sum_b p_b\mathbf v_b\Big),
              \qquad q = Q + B^Tp

    Formal charges Q are where charges start from, each bond b from i to j carries p_b along
    v_b = r_j − r_i. Charge is conserved exactly, and no position enters but in differences and in
    Q·r, so that H is the same for every choice of images, up to the quantum of D. A is the
    interaction of Gaussian charges; electronegativity χ, hardness J and softness w ≥ 0 are
    functions of local environments, w of the bond's length, too, and w vanishes at the bonds'
    cutoff.

    It includes the constant part D = Σ Q r of the dipole: a model has this term or `FormalCharges`,
    not both.

    A structure whose formal charges do not sum to ``total`` has the rest spread evenly over the
    atoms of the ``immobile`` elements: Q_Hf = 4 − 2 n_V/n_Hf with n_V oxygen vacancies, while a
    moving O carries exactly −2.

    Parameters
    ----------
    n_elements : int
        Number of elements.
    charges : sequence of float
        Q of each element in e.
    cutoff : float
        Of the environments in Å.
    g2, g5 : sequences
        Symmetry functions that describe them, see :class:`SymmetryFunctions`.
    hidden : sequence of int
        Nodes of the hidden layers.
    bond_cutoff : float
        Longest bond in Å.
    radial : int
        Gaussians that resolve the bonds' lengths.
    width : float
        σ of the Gaussian charges in Å.
    immobile : sequence of int, optional
        Indices of the elements that take the rest; those with positive charges if not given.
    total : float
        Charge of a structure in e.
    at_rest : bool
        Whether H has what charges do without field. If not, H is less its value without field,
        −E·D − ½ E·α·E, for a model whose other terms were trained on all of the energy.

    Raises
    ------
    ValueError
        If a number is of no use. On evaluation: if there is no minimum, the rest of the charge has
        no atoms to be spread over, or some directions are periodic and some are not.

    References
    ----------
    R. A. Nistor, J. G. Polihronov, M. H. Müser and N. J. Mosey, J. Chem. Phys. 125, 094108 (2006).
    """

    kind = "split-charges"
    has_charges = True

    def __init__(
        self,
        n_elements: int,
        charges: Sequence[float],
        cutoff: float,
        g2: Sequence[Sequence[float]],
        g5: Sequence[Sequence[float]] = (),
        hidden: Sequence[int] = (24, 24),
        bond_cutoff: float = 4.0,
        radial: int = 6,
        width: float = 1.0,
        immobile: Sequence[int] | None = None,
        total: float = 0.0,
        at_rest: bool = True,
    ) -> None:
        super().__init__()
        self.n_elements = n_elements
        self.reference = _checked_charges(charges, n_elements)
        self.bond_cutoff, self.width, self.total = float(bond_cutoff), float(width), float(total)
        for name in ("bond_cutoff", "width"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be positive (Å), got {getattr(self, name)}")
        if self.bond_cutoff <= _SHORTEST:
            raise ValueError(f"`bond_cutoff` must exceed {_SHORTEST} Å, got {bond_cutoff}")
        if not math.isfinite(self.total):
            raise ValueError(f"`total` must be a finite charge in e, got {total}")
        self.at_rest = bool(at_rest)
        if radial < 2:
            raise ValueError(f"`radial` must be 2 or more, got {radial}")
        positive = [k for k, q in enumerate(self.reference) if q > 0]
        self.immobile = tuple(positive if immobile is None else (int(k) for k in immobile))
        if any(not 0 <= k < n_elements for k in self.immobile):
            raise ValueError(f"`immobile` must be indices of elements, got {list(self.immobile)}")
        self.descriptor = SymmetryFunctions(n_elements, cutoff, g2, g5)
        self.cutoff = max(self.descriptor.cutoff, self.bond_cutoff)
        features = self.descriptor.n_features
        if not features:
            raise ValueError("`g2` and `g5` must hold a function, got none")
        low = torch.zeros(n_elements, features, dtype=torch.float64)
        self.scaling = MinMaxScaling(low, low + 1)
        self.hidden, self.radial = tuple(int(n) for n in hidden), int(radial)
        sizes = (features, *self.hidden, 2 + self.radial * n_elements)
        self.networks = nn.ModuleList(mlp(sizes, "silu") for _ in range(n_elements))
        pairs = torch.zeros(n_elements, n_elements, self.radial)
        self.pairs = nn.Parameter(pairs)
        self.double()

    def config(self) -> dict[str, Any]:
        """Plain arguments that make this term again, without its numbers."""
        return {
            "charges": list(self.reference),
            "cutoff": self.descriptor.cutoff,
            "g2": [list(row) for row in self.descriptor.g2],
            "g5": [list(row) for row in self.descriptor.g5],
            "hidden": list(self.hidden),
            "bond_cutoff": self.bond_cutoff,
            "radial": self.radial,
            "width": self.width,
            "immobile": list(self.immobile),
            "total": self.total,
            "at_rest": self.at_rest,
        }

    @property
    def vanishes(self) -> bool:
        """Whether H is zero without field."""
        return not self.at_rest

    def forward(self, system: System, species: Tensor, field: Tensor) -> Tensor:
        """Summands of H (N,) in eV."""
        parts = []
        for k, (atoms, sites) in enumerate(self._structures(system, species)):
            positions, reference = system.positions[atoms], self.formal_charges(species[atoms])
            cell, pbc = system.cell[k], system.pbc[k]
            between = interaction(positions, cell, pbc, self.width, exact=self.training)
            # Beside the minimum in the field that without, where the difference is wanted.
            work = (sites.bonds.vector @ field[k])[:, None]
            if not self.at_rest:
                work = torch.cat([work, torch.zeros_like(work)], dim=1)
            found = self._minimum(between, sites, reference, work)
            energies = _summands(between, sites, found, work, self.training)
            change = energies[:, 0] if self.at_rest else energies[:, 0] - energies[:, 1]
            parts.append(change - reference * (positions @ field[k]))
        return torch.cat(parts)

    @torch.no_grad()
    def charges(self, system: System, species: Tensor, field: Tensor) -> Tensor:
        """Charges (N,) in e in fields (B, 3)."""
        parts = []
        for k, (atoms, sites) in enumerate(self._structures(system, species)):
            cell, pbc = system.cell[k], system.pbc[k]
            between = interaction(system.positions[atoms], cell, pbc, self.width)
            reference = self.formal_charges(species[atoms])
            work = (sites.bonds.vector @ field[k])[:, None]
            parts.append(self._minimum(between, sites, reference, work).charges[:, 0])
        return torch.cat(parts)

    def formal_charges(self, species: Tensor) -> Tensor:
        """Q (n,) of one structure's atoms, with the rest on the immobile ones.

        Raises
        ------
        ValueError
            If there is a rest and no atom to take it.
        """
        table = torch.tensor(self.reference, dtype=torch.float64, device=species.device)
        charges = table[species]
        rest = self.total - float(charges.sum())
        if abs(rest) < 1e-9:
            return charges
        takes = torch.zeros_like(species, dtype=torch.bool)
        for k in self.immobile:
            takes |= species == k
        if not bool(takes.any()):
            raise ValueError(
                f"the charge must be {self.total:g} e, got formal charges of "
                f"{self.total - rest:g} e and no atom of an immobile element to take the rest: "
                "give the term another `total`, or `immobile` elements that are there"
            )
        return charges + takes * (rest / int(takes.sum()))

    def outputs(self, features: Tensor, species: Tensor) -> Tensor:
        """What the networks say of n centres, (n, 2 + radial · n_elements)."""
        scaled: Tensor = self.scaling(features, species)
        out = scaled.new_zeros(len(scaled), 2 + self.radial * self.n_elements)
        for element, network in enumerate(self.networks):
            index = (species == element).nonzero()[:, 0]
            if len(index):
                out = out.index_copy(0, index, network(scaled[index]))
        return out

    def softness(
        self, outputs: Tensor, species: Tensor, first: Tensor, second: Tensor, distance: Tensor
    ) -> Tensor:
        """Half of w (b,) in e/V of bonds from outputs (N, ...) of all their atoms."""
        own = outputs[:, 2:].reshape(len(outputs), self.n_elements, self.radial)
        a, b = species[first], species[second]
        table = (self.pairs + self.pairs.transpose(0, 1))[a, b] + own[first, b] + own[second, a]
        centres = torch.linspace(_SHORTEST, self.bond_cutoff, self.radial).to(distance)
        spacing = centres[1] - centres[0]
        gauss = torch.exp(-0.5 * ((distance[:, None] - centres) / spacing) ** 2)
        near = cosine_cutoff(distance, self.bond_cutoff)
        raised: Tensor = softplus((gauss * table.to(distance)).sum(dim=1))
        return 0.5 * _SOFTNESS * near * raised

    def _structures(self, system: System, species: Tensor) -> Iterator[tuple[slice, Sites]]:
        """Atoms of each structure, and what their environments say."""
        vectors = system.vectors()
        nb = neighbourhoods(system, species, vectors, 0, system.n_atoms)
        dtype = self.pairs.dtype
        outputs = self.outputs(self.descriptor(nb._replace(vectors=vectors.to(dtype))), species)
        distance = vectors.norm(dim=1)
        chosen = (distance < self.bond_cutoff).nonzero()[:, 0]
        first, second = system.centre[chosen], system.neighbour[chosen]
        half = self.softness(outputs, species, first, second, distance[chosen]).to(vectors)
        outputs, vectors = outputs.to(vectors), vectors[chosen]
        sizes = torch.bincount(system.batch, minlength=system.n_structures)
        counts = torch.bincount(system.batch[first], minlength=system.n_structures)
        start = bond = 0
        for n, b in zip(sizes.tolist(), counts.tolist(), strict=True):
            atoms, which = slice(start, start + n), slice(bond, bond + b)
            bonds = Bonds(first[which] - start, second[which] - start, vectors[which], half[which])
            yield atoms, Sites(outputs[atoms, 0], outputs[atoms, 1], bonds)
            start, bond = start + n, bond + b

    def _minimum(
        self, between: Interaction, sites: Sites, reference: Tensor, work: Tensor
    ) -> Equilibrium:
        """The minimum for works (b, r); with a graph only in training, for second derivatives."""
        n, bonds = len(reference), sites.bonds
        chi, own = sites.electronegativity[:, None], reference[:, None]
        graph = self.training and torch.is_grad_enabled()
        with torch.set_grad_enabled(graph):
            if between.mesh is None and (graph or n <= DENSE):
                stiffness = between.dense() + torch.diag(sites.hardness)
                if not graph:
                    require_positive(stiffness)
                columns = work.shape[1]
                chi, own = chi.expand(n, columns), own.expand(n, columns)
                return equilibrate(stiffness, chi, own, bonds, work)
            plain, hardness = between.detach(), sites.hardness[:, None]
            return descend(lambda q: plain.potential(q) + hardness * q, chi, own, bonds, work)


def _summands(
    between: Interaction, sites: Sites, found: Equilibrium, work: Tensor, graph: bool
) -> Tensor:
    """χ·q + ½ q(A+J)q + ½ Σ w t² − Σ p e of each atom (N, r), half of a bond's at each end.

    Without a graph in q and t, ∂/∂R at fixed q and p = w t is wanted: then w t²/2 = p²/2w falls as
    w grows.
    """
    q, t, bonds = found.charges, found.tension, sites.bonds
    chi, hardness = sites.electronegativity[:, None], sites.hardness[:, None]
    own = q * chi + 0.5 * q * (between.potential(q) + hardness * q)
    w = bonds.softness[:, None]
    if graph:
        stored, transfer = 0.5 * w * t**2, w * t
    else:
        transfer = (w * t).detach()
        stored = 0.5 * t**2 * (2 * w.detach() - w)
    bond = 0.5 * (stored - transfer * work)
    return own.index_add(0, bonds.first, bond).index_add(0, bonds.second, bond)


def _checked_charges(charges: Sequence[float], n_elements: int) -> tuple[float, ...]:
    values = tuple(float(q) for q in charges)
    if len(values) != n_elements or not all(math.isfinite(q) for q in values):
        raise ValueError(f"`charges` must have {n_elements} finite numbers, got {list(charges)}")
    return values
