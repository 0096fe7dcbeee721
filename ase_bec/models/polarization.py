"""Polarization model: formal charges on unwrapped positions, and a network of local dipoles."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_bec.derivatives import chunks, on_atoms, pair_vectors
from ase_bec.models.projection import dipoles_along
from ase_bec.models.species import check_elements, species_of
from ase_bec.models.terms.equivariant import EquivariantNetwork
from ase_bec.models.terms.messages import MessagePassingNetwork
from ase_bec.models.terms.vaf import VAFNetwork
from ase_bec.neighbours import NeighbourList

__all__ = ["PolarizationModel"]

Array = NDArray[np.float64]
Network = EquivariantNetwork | MessagePassingNetwork | VAFNetwork
_NETWORKS: dict[str, type[Network]] = {
    EquivariantNetwork.kind: EquivariantNetwork,
    MessagePassingNetwork.kind: MessagePassingNetwork,
    VAFNetwork.kind: VAFNetwork,
}


class _Kept(NamedTuple):
    """Network dipole, and its derivative along one direction, of a structure."""

    positions: Array
    elements: NDArray[Any]  # atomic numbers
    cell: Array
    pbc: NDArray[np.bool_]
    numbers: Tensor  # all of the network
    direction: Array
    charges: Array  # (natoms,), formal
    dipole: Array  # (3,)
    derivative: Array  # (natoms, 3)

    def serves(self, atoms: Atoms, network: Network) -> bool:
        return (
            np.array_equal(self.positions, atoms.positions)
            and np.array_equal(self.elements, atoms.numbers)
            and np.array_equal(self.cell, atoms.cell.array)
            and np.array_equal(self.pbc, atoms.pbc)
            and _same(self.numbers, network.numbers())
        )

    def full_dipole(self, atoms: Atoms) -> Array:
        """That of network and formal charges, for the positions that this serves."""
        dipole: Array = self.dipole + self.charges @ atoms.positions
        return dipole


class PolarizationModel(nn.Module):
    r"""Dipole and Born effective charges of a structure.

    .. math:: \mathbf D = \sum_a q_a \mathbf r_a + \sum_i \mathbf D_i^{NN} , \qquad
              Z_{a,ij} = \partial D_i/\partial r_{a,j} = q_a \delta_{ij} +
              \partial D^{NN}_i/\partial r_{a,j}

    with unwrapped positions r. The first term is multivalued: an ion carried once through the
    cell changes D by q times the lattice vector, and takes up that work from a field. The second
    is a periodic function of the positions. Σ_a Z_a = Σ_a q_a·1 exactly.

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols.
    network : EquivariantNetwork, MessagePassingNetwork or VAFNetwork
        Local dipoles, for as many elements.
    formal_charges : mapping or None
        Oxidation number of each element in e. None gives the single-valued model of the source
        paper, under which no current can flow for good; a warning says so.
    metadata : dict, optional
        What the model is: plain values, kept in the file.

    Raises
    ------
    ValueError, TypeError
        If elements and charges or network disagree.

    References
    ----------
    L. Jiang, S. V. Levchenko and A. M. Rappe, Phys. Rev. Lett. 108, 166403 (2012); F. Grasselli
    and S. Baroni, Nat. Phys. 15, 967 (2019).
    """

    kind = "polarization model"
    has_dipole = True

    def __init__(
        self,
        elements: Sequence[str],
        network: Network,
        formal_charges: Mapping[str, float] | None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.elements = check_elements(elements)
        if not isinstance(network, Network):
            raise TypeError(
                "`network` must be an EquivariantNetwork, a MessagePassingNetwork or a VAFNetwork, "
                f"got {type(network).__name__}"
            )
        if network.n_elements != len(self.elements):
            raise ValueError(
                f"`network` must be made for {len(self.elements)} elements, "
                f"got {network.n_elements}"
            )
        self.network = network
        self.cutoff = network.cutoff
        self.formal_charges = None
        if formal_charges is None:
            warnings.warn(
                "a polarization model without formal charges is single-valued: the field does no "
                "work on an ion carried through the cell, so no current can flow for good",
                stacklevel=2,
            )
        else:
            self.formal_charges = _checked_charges(formal_charges, self.elements)
        charges = [(self.formal_charges or {}).get(symbol, 0.0) for symbol in self.elements]
        self.register_buffer("charges", torch.tensor(charges, dtype=torch.float64))
        self.metadata = dict(metadata or {})
        self._neighbours: NeighbourList | None = None
        self._kept: _Kept | None = None
        self._warned = False

    charges: Tensor

    def __getstate__(self) -> dict[str, Any]:
        """Without what is kept between calls, which copies do not need."""
        return {**self.__dict__, "_neighbours": None, "_kept": None}

    def config(self) -> dict[str, Any]:
        """Plain arguments that make this model again, without its numbers."""
        return {
            "elements": list(self.elements),
            "network": {"kind": self.network.kind, **self.network.config()},
            "formal_charges": self.formal_charges,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], metadata: dict[str, Any]) -> PolarizationModel:
        """Make a model from what :meth:`config` gave."""
        options = dict(config["network"])
        network = _NETWORKS[options.pop("kind")](len(config["elements"]), **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when the model was made
            return cls(config["elements"], network, config["formal_charges"], metadata)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a file that :func:`ase_bec.load` reads without executing code."""
        from ase_bec.models.formats.saved import save

        save(self, path)

    def check(self, atoms: Atoms, field: Array) -> None:
        """Raise ValueError if the model doesn't know an element of the atoms."""
        kept = self._kept
        if kept is None or not np.array_equal(kept.elements, atoms.numbers):
            species_of(torch.as_tensor(atoms.numbers), self.elements)

    def dipole(self, atoms: Atoms) -> Array:
        """D in e·Å, (3,), of the positions as they are (never wrapped)."""
        kept = self._kept
        if kept is None or not kept.serves(atoms, self.network):
            kept = self._evaluate(atoms, np.array([0.0, 0.0, 1.0]))
        return kept.full_dipole(atoms)

    def field_forces(self, atoms: Atoms, field: Array) -> Array:
        """Σ_i E_i Z[a, i, j] in eV/Å, (natoms, 3), for a field in V/Å: one backward pass."""
        return self.field_response(atoms, field)[0]

    def field_response(self, atoms: Atoms, field: Array) -> tuple[Array, Array]:
        """What `field_forces` and `dipole` give, at once."""
        field = np.array(field, dtype=float)
        if field.shape != (3,) or not np.isfinite(field).all():
            raise ValueError(f"`field` must be three finite numbers in V/Å, got {field.tolist()}")
        kept = self._kept
        if kept is None or np.any(kept.direction != field) or not kept.serves(atoms, self.network):
            kept = self._evaluate(atoms, field)
        forces: Array = kept.derivative + kept.charges[:, None] * field
        return forces, kept.full_dipole(atoms)

    def born_charges(self, atoms: Atoms) -> Array:
        """Z[a, i, j] in e, (natoms, 3, 3), [field, displacement]: three backward passes."""
        rows = [self.field_forces(atoms, direction) for direction in np.eye(3)]
        return np.stack(rows, axis=1)

    def _list_for(self, dtype: torch.dtype, device: torch.device) -> NeighbourList:
        found = self._neighbours
        if found is None or (found.dtype, found.device) != (dtype, device):
            found = self._neighbours = NeighbourList(self.cutoff, dtype=dtype, device=device)
        return found

    # Threads may share a model: they read what is kept once and replace it as a whole. A caller's
    # torch.no_grad() must not forbid the derivative.
    @torch.inference_mode(False)
    @torch.enable_grad()
    def _evaluate(self, atoms: Atoms, direction: Array) -> _Kept:
        """Network dipole and its derivative along a direction."""
        numbers = self.network.numbers()
        dtype, device = numbers.dtype, numbers.device
        system = self._list_for(dtype, device).update(atoms)
        species = species_of(system.numbers, self.elements)
        vectors = pair_vectors(system)
        along = torch.as_tensor(direction, dtype=dtype, device=device)
        slopes, locals_ = [], []
        whole = isinstance(self.network, MessagePassingNetwork)
        for nb in chunks(system, species, vectors, max(len(atoms), 1) if whole else None):
            local, slope = dipoles_along(self.network, numbers, nb, along)
            slopes.append(slope)
            locals_.append(local)
        dipoles = torch.cat(locals_)
        self._warn(dipoles, species)
        derivative = on_atoms(system, torch.cat(slopes))
        # In double precision whatever that of the network (`charges`, a buffer, follows it).
        charges = np.array([(self.formal_charges or {}).get(x, 0.0) for x in self.elements])
        kept = self._kept = _Kept(
            atoms.positions.copy(),
            atoms.numbers.copy(),
            atoms.cell.array.copy(),
            atoms.pbc.copy(),
            numbers,
            direction,
            charges[species.cpu().numpy()],
            dipoles.sum(dim=0).double().cpu().numpy(),
            derivative.double().cpu().numpy(),
        )
        return kept

    def _warn(self, dipoles: Tensor, species: Tensor) -> None:
        """Say once that a network is asked for what it was not made for."""
        if self._warned or isinstance(self.network, VAFNetwork):
            return
        size = np.linalg.norm(dipoles.cpu().numpy(), axis=1)
        beyond = int((size > self.network.limit.cpu().numpy()[species.cpu().numpy()]).sum())
        if beyond:
            self._warned = True
            warnings.warn(
                f"{beyond} of {len(species)} atoms have a local dipole beyond those that the "
                "polarization model was trained on: Born charges may be wrong there (said once)",
                stacklevel=2,
            )


def _same(a: Tensor, b: Tensor) -> bool:
    return (a.dtype, a.device) == (b.dtype, b.device) and torch.equal(a, b)


def _checked_charges(charges: Mapping[str, float], elements: Sequence[str]) -> dict[str, float]:
    if not isinstance(charges, Mapping):
        raise TypeError(
            "`formal_charges` must be a dict of element and charge, or None, "
            f"got {type(charges).__name__}"
        )
    numbers = [q for q in charges.values() if isinstance(q, Real) and np.isfinite(float(q))]
    if set(charges) != set(elements) or len(numbers) != len(elements):
        raise ValueError(
            f"`formal_charges` must have a finite charge for each of {', '.join(elements)}, "
            f"got {dict(charges)}"
        )
    return {symbol: float(charges[symbol]) for symbol in elements}
