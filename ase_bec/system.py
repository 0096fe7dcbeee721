"""Structures as tensors: what every descriptor and model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.neighbours import neighbour_list


@dataclass(frozen=True, eq=False)
class System:
    r"""One or several structures and their neighbour pairs; immutable.

    :math:`N` atoms of all structures one after another, :math:`B` structures, :math:`E` pairs.
    Pair :math:`e` goes from atom :math:`i` to an image of atom :math:`j`:

    .. math:: \mathbf r_e = \mathbf r_j - \mathbf r_i + S_e \cdot \mathrm{cell}

    Every pair is listed from both of its ends.

    Attributes
    ----------
    numbers : Tensor, shape [N], int64
        Atomic numbers.
    positions : Tensor, shape [N, 3]
        Å, as given, never wrapped.
    cell : Tensor, shape [B, 3, 3]
        Å, rows are lattice vectors (zero rows where there are none).
    pbc : Tensor, shape [B, 3], bool
        Periodic directions.
    batch : Tensor, shape [N], int64
        Structure of each atom.
    centre, neighbour : Tensor, shape [E], int64
        Atoms :math:`i`, ascending, and :math:`j`.
    shift : Tensor, shape [E, 3]
        Lattice shifts :math:`S`, whole numbers in the dtype of `positions`.
    first : Tensor, shape [N + 1], int64
        Pairs of atom :math:`i` are ``first[i]:first[i + 1]``.
    """

    numbers: Tensor
    positions: Tensor
    cell: Tensor
    pbc: Tensor
    batch: Tensor
    centre: Tensor
    neighbour: Tensor
    shift: Tensor
    first: Tensor

    @classmethod
    def from_atoms(
        cls,
        atoms: Atoms | Sequence[Atoms],
        cutoff: float,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> System:
        """System of one structure, or of several.

        Parameters
        ----------
        atoms
            One structure, or a list of them.
        cutoff
            All pairs up to this distance in Å are listed.
        dtype
            Floating dtype.
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
        pairs = [neighbour_list(frame, cutoff) for frame in frames]
        sizes = [len(frame) for frame in frames]
        starts = np.cumsum([0, *sizes[:-1]])
        centre = np.concatenate([pair[0] + n for pair, n in zip(pairs, starts, strict=True)])
        neighbour = np.concatenate([pair[1] + n for pair, n in zip(pairs, starts, strict=True)])

        def integer(array: NDArray[Any]) -> Tensor:
            return torch.as_tensor(array, dtype=torch.int64, device=device)

        def real(array: NDArray[Any]) -> Tensor:
            return torch.as_tensor(array, dtype=dtype, device=device)

        # Every array here is new, so that the tensors share no memory with `atoms`.
        return cls(
            numbers=integer(np.concatenate([frame.numbers for frame in frames])),
            positions=real(np.concatenate([frame.positions for frame in frames])),
            cell=real(np.stack([frame.cell.array for frame in frames])),
            pbc=torch.as_tensor(np.stack([frame.pbc for frame in frames]), device=device),
            batch=integer(np.repeat(np.arange(len(frames)), sizes)),
            centre=integer(centre),
            neighbour=integer(neighbour),
            shift=real(np.concatenate([pair[2] for pair in pairs])),
            first=integer(np.searchsorted(centre, np.arange(sum(sizes) + 1))),
        )

    @property
    def n_atoms(self) -> int:
        """Number of atoms of all structures together."""
        return len(self.numbers)

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.cell)

    def vectors(self) -> Tensor:
        """Vectors from each centre to its neighbour in Å, [E, 3].

        Differentiable in `positions` and `cell`.
        """
        difference = self.positions[self.neighbour] - self.positions[self.centre]  # [E, 3]
        if self.n_structures == 1:
            return difference + self.shift @ self.cell[0]
        cell = self.cell[self.batch[self.centre]]  # [E, 3, 3]
        return difference + torch.einsum("es,esx->ex", self.shift, cell)

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

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> System:
        """The same system on another device, or with another floating dtype.

        Parameters
        ----------
        device
            Where the tensors shall live; None leaves them.
        dtype
            Dtype of the floating tensors; None leaves it.
        """

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype if tensor.is_floating_point() else None)

        return System(**{field.name: moved(getattr(self, field.name)) for field in fields(self)})
