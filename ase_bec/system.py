"""Structures as tensors: what every descriptor and model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.neighbours import neighbour_pairs


@dataclass(frozen=True, eq=False)
class System:
    r"""One or several structures and their neighbour pairs; immutable.

    :math:`N` atoms of all structures one after another, :math:`B` structures, :math:`E` pairs.
    Pair :math:`e` goes from atom :math:`i` to an image of atom :math:`j`:

    .. math:: \mathbf r_e = \mathbf r_j - \mathbf r_i + S_e \cdot \mathrm{cell}

    Every pair is listed from both of its ends. Positions and cells are in double precision, so
    that their differences are right however far from the origin atoms are; models convert the
    vectors to their own.

    Attributes
    ----------
    numbers : Tensor, shape [N], int64
        Atomic numbers.
    positions : Tensor, shape [N, 3], float64
        Å, as given, never wrapped.
    cell : Tensor, shape [B, 3, 3], float64
        Å, rows are lattice vectors (zero rows where there are none).
    pbc : Tensor, shape [B, 3], bool
        Periodic directions.
    batch : Tensor, shape [N], int64
        Structure of each atom.
    neighbour : Tensor, shape [E], int64
        Atoms :math:`j`, in the order of their atoms :math:`i`.
    shift : Tensor, shape [E, 3], int32
        Lattice shifts :math:`S`.
    first : Tensor, shape [N + 1], int64
        Pairs of atom :math:`i` are ``first[i]:first[i + 1]``.

    Examples
    --------
    >>> import torch
    >>> from ase.build import bulk
    >>> from ase_bec.system import System
    >>> salt, copper = bulk("NaCl", "rocksalt", 5.64), bulk("Cu", a=3.6)
    >>> system = System.from_atoms([salt, copper], cutoff=3.0)
    >>> system.n_structures, system.batch.tolist()
    (2, [0, 0, 1])
    >>> system.vectors().shape
    torch.Size([24, 3])
    >>> system.sum_structures(torch.ones(3)).tolist()  # atoms of each structure
    [2.0, 1.0]
    """

    numbers: Tensor
    positions: Tensor
    cell: Tensor
    pbc: Tensor
    batch: Tensor
    neighbour: Tensor
    shift: Tensor
    first: Tensor

    @classmethod
    def from_atoms(
        cls,
        atoms: Atoms | Sequence[Atoms],
        cutoff: float,
        device: torch.device | str | None = None,
    ) -> System:
        """System of one structure, or of several.

        Parameters
        ----------
        atoms
            One structure, or a list of them.
        cutoff
            All pairs up to this distance in Å are listed.
        device
            Where the tensors live.

        Raises
        ------
        TypeError, ValueError
            If there is no structure, and as :func:`ase_bec.neighbours.neighbour_list`.
        """
        frames = [atoms] if isinstance(atoms, Atoms) else list(atoms)
        if not frames:
            raise ValueError("`atoms` must hold at least one structure, got an empty list.")
        pairs = [neighbour_pairs(frame, cutoff) for frame in frames]
        sizes = [len(frame) for frame in frames]
        atoms_before = np.cumsum([0, *sizes[:-1]])
        pairs_before = np.cumsum([0, *(len(pair.neighbour) for pair in pairs)])

        def tensor(arrays: Sequence[NDArray[Any]], dtype: torch.dtype) -> Tensor:
            # Every array here is new, so that the tensors share no memory with `atoms`.
            array = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
            return torch.as_tensor(array, dtype=dtype, device=device)

        starts = [p.first[:-1] + n for p, n in zip(pairs, pairs_before, strict=False)]
        neighbours = [p.neighbour + n for p, n in zip(pairs, atoms_before, strict=True)]
        return cls(
            numbers=tensor([frame.numbers.copy() for frame in frames], torch.int64),
            positions=tensor([frame.positions.copy() for frame in frames], torch.float64),
            cell=tensor([frame.cell.array[None].copy() for frame in frames], torch.float64),
            pbc=tensor([frame.pbc[None].copy() for frame in frames], torch.bool),
            batch=tensor([np.repeat(np.arange(len(frames)), sizes)], torch.int64),
            neighbour=tensor(neighbours, torch.int64),
            shift=tensor([p.shift for p in pairs], torch.int32),
            first=tensor([*starts, pairs_before[-1:]], torch.int64),
        )

    @classmethod
    def join(cls, systems: Sequence[System]) -> System:
        """The structures of several systems, one after another."""
        atoms = np.cumsum([0, *(s.n_atoms for s in systems)]).tolist()
        pairs = np.cumsum([0, *(len(s.neighbour) for s in systems)]).tolist()
        before = np.cumsum([0, *(s.n_structures for s in systems)]).tolist()
        last = systems[0].first.new_tensor(pairs[-1:])
        shifted = {
            "batch": [s.batch + n for s, n in zip(systems, before, strict=False)],
            "neighbour": [s.neighbour + n for s, n in zip(systems, atoms, strict=False)],
            "first": [*(s.first[:-1] + n for s, n in zip(systems, pairs, strict=False)), last],
        }
        return cls(
            **{
                f.name: torch.cat(shifted.get(f.name) or [getattr(s, f.name) for s in systems])
                for f in fields(cls)
            }
        )

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all structures together."""
        return len(self.numbers)

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.cell)

    @cached_property
    def centre(self) -> Tensor:
        """Atom :math:`i` of each pair, [E], int64, ascending."""
        return torch.repeat_interleave(self.first[1:] - self.first[:-1])

    def vectors(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Vectors in Å, [E, 3], of the pairs of the atoms ``start:stop``; of all by default.

        Differentiable in `positions` and `cell`.
        """
        first = self.first[start : self.n_atoms + 1 if stop is None else stop + 1]
        pairs = slice(int(first[0]), int(first[-1]))
        centre = start + torch.repeat_interleave(first[1:] - first[:-1])
        difference = self.positions[self.neighbour[pairs]] - self.positions[centre]  # [E, 3]
        shift = self.shift[pairs].to(self.cell.dtype)
        if self.n_structures == 1:
            return difference + shift @ self.cell[0]
        return difference + torch.einsum("es,esx->ex", shift, self.cell[self.batch[centre]])

    def sum_structures(self, values: Tensor) -> Tensor:
        """Sums [B, ...] over the atoms of each structure of values [N, ...]."""
        if self.n_structures == 1:
            return values.sum(dim=0, keepdim=True)
        sums = values.new_zeros(self.n_structures, *values.shape[1:])
        return sums.index_add(0, self.batch, values)

    def with_positions(self, positions: Tensor) -> System:
        """The same pairs at other positions (Å, [N, 3]).

        Raises
        ------
        ValueError
            If the shape of `positions` differs.
        """
        if positions.shape != self.positions.shape:
            raise ValueError(
                f"`positions` must have the shape {tuple(self.positions.shape)},"
                f" got {tuple(positions.shape)}."
            )
        return replace(self, positions=positions)

    def to(self, device: torch.device | str) -> System:
        """The same system on another device."""
        return System(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})
