"""Neighbour list with a Verlet skin: kept while atoms move little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.neighbours import check_distance
from ase_bec.system import System

__all__ = ["NeighbourList"]

FloatArray = NDArray[np.float64]


class _Build(NamedTuple):
    """What the list was built for, and the result; never changed in place."""

    positions: FloatArray
    numbers: NDArray[Any]
    cell: FloatArray
    pbc: NDArray[np.bool_]
    system: System

    def serves(self, atoms: Atoms, allowance: float) -> bool:
        """Whether the same structure is given, no atom further than `allowance` (Å) away."""
        if not (
            np.array_equal(self.numbers, atoms.numbers)
            and np.array_equal(self.cell, atoms.cell.array)
            and np.array_equal(self.pbc, atoms.pbc)
        ):
            return False
        moved = atoms.positions - self.positions
        # NaN compares false, so that bad positions meet the checks of a new list.
        return bool(np.einsum("ij,ij->i", moved, moved).max() <= allowance**2)


class NeighbourList:
    """Neighbour list with a Verlet skin, for runs in which atoms move little from step to step.

    The list holds all pairs within ``cutoff + skin``, so it stays complete up to `cutoff` until
    an atom has moved by more than ``skin / 2``. It is then rebuilt, and also whenever the cell, the
    boundary conditions or the elements change; an atom put back into the cell by a lattice vector
    counts as moved. Pairs beyond `cutoff` are part of the result: descriptors must ignore them,
    which every one with a cutoff function does.

    Instances can be copied and pickled; copies are independent.

    Parameters
    ----------
    cutoff
        Distance in Å up to which the list must be complete.
    skin
        Additional distance in Å, 0 or more; 0 means a new list for every change of positions.
    device
        Where the systems live.

    Raises
    ------
    ValueError
        If `cutoff` is not positive and finite, or `skin` negative or not finite.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.verlet import NeighbourList
    >>> atoms = bulk("Cu", cubic=True)
    >>> neighbours = NeighbourList(cutoff=3.0, skin=0.5)
    >>> for _ in range(3):  # the list is kept until an atom has moved by 0.25 Å
    ...     atoms.positions[0, 0] += 0.1
    ...     system = neighbours.update(atoms)
    >>> neighbours.builds
    1
    """

    def __init__(
        self,
        cutoff: float,
        skin: float = 0.5,
        device: torch.device | str | None = None,
    ) -> None:
        check_distance("cutoff", cutoff)
        check_distance("skin", skin, smallest=0.0)
        self.cutoff = float(cutoff)
        self.skin = float(skin)
        self.device = device
        self.builds = 0  #: how many times the list has been built
        self._build: _Build | None = None

    def update(self, atoms: Atoms) -> System:
        """System of `atoms` as they are now, with at least all pairs within `cutoff`.

        Parameters
        ----------
        atoms
            The structure.

        Returns
        -------
        System
            Its positions are those of `atoms`; its pairs reach as far as ``cutoff + skin``.

        Raises
        ------
        TypeError, ValueError
            As :func:`neighbour_list`, when the list is built.
        """
        build = self._build
        if build is not None and build.serves(atoms, 0.5 * self.skin):
            positions = torch.tensor(atoms.positions, dtype=torch.float64, device=self.device)
            return replace(build.system, positions=positions)
        system = System.from_atoms(atoms, self.cutoff + self.skin, self.device)
        self._build = _Build(
            atoms.positions.copy(),
            atoms.numbers.copy(),
            atoms.cell.array.copy(),
            atoms.pbc.copy(),
            system,
        )
        self.builds += 1
        return system
