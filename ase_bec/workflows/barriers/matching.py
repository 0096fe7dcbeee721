"""Which ion at one end of a path is which at the other."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.lattice import shortest_vectors
from ase_bec.paths import require_same_atoms

__all__ = ["PathEnds", "match_ions"]

Array = NDArray[np.float64]

FAR = 1.0  # Å; a hop is longer, relaxation round it shorter
SEVERAL = 3  # ions; a hop moves one, a knock-on two
_STILL = 0.5  # Å, within which an ion is taken for the same
_SHORTER = (0.5, 0.75)  # Å, and part of the length, by which another order is better
_NAMED = 4


class PathEnds(NamedTuple):
    """How the ions move between the ends of a path, each to its nearest image.

    Attributes
    ----------
    moves
        Length of each ion's way in Å, (natoms,).
    order
        For each ion, the index in the final structure of the ion of its element that shortens
        the path most, (natoms,).
    matched
        Length of each ion's way in that order in Å, (natoms,).
    symbols
        Elements, (natoms,).
    """

    moves: Array
    order: NDArray[np.intp]
    matched: Array
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, initial: Atoms, final: Atoms) -> PathEnds:
        """Compare two structures with the same elements in the same order, in one cell."""
        from scipy.optimize import linear_sum_assignment

        require_same_atoms([initial, final])
        moves, order = _ways(initial, final, np.arange(len(initial))), np.arange(len(initial))
        moved = moves > _STILL
        for number in np.unique(initial.numbers[moved]):
            ions = np.flatnonzero(moved & (initial.numbers == number))
            squares = [_ways(initial[[k]], final, ions) ** 2 for k in ions]
            order[ions] = ions[linear_sum_assignment(np.array(squares))[1]]
        matched = _ways(initial, final, order)
        return cls(moves, order, matched, tuple(initial.get_chemical_symbols()))

    @property
    def length(self) -> float:
        """Length of the straight path through all positions in Å."""
        return float(np.linalg.norm(self.moves))

    @property
    def matched_length(self) -> float:
        """Length that it has in the other order in Å."""
        return float(np.linalg.norm(self.matched))

    @property
    def permuted(self) -> bool:
        """Whether the other order shortens the path markedly."""
        shorter, part = _SHORTER
        return self.matched_length < min(self.length - shorter, self.length * part)

    def complaint(self) -> str | None:
        """Say what looks wrong with the ends, None where nothing does."""
        far = np.flatnonzero(self.moves > FAR)
        if self.permuted:
            fewer = int((self.matched > FAR).sum())
            return (
                "equal ions of the two ends seem to be in another order: "
                f"{_many(len(far))} by more than {FAR:g} Å, on a path of {self.length:.1f} Å; "
                f"matched by nearest image {_many(fewer)}, on a path of "
                f"{self.matched_length:.1f} Å (`match_ions`)"
            )
        if len(far) < SEVERAL:
            return None
        listed = far[np.argsort(-self.moves[far].round(3), kind="stable")]
        named = ", ".join(f"{self.symbols[k]} {k} {self.moves[k]:.1f} Å" for k in listed[:_NAMED])
        return (
            f"{_many(len(far))} by more than {FAR:g} Å between the ends ({named}"
            f"{', …' if len(far) > _NAMED else ''}), on a path of {self.length:.1f} Å: are both "
            "ends of one hop?"
        )


def match_ions(initial: Atoms, final: Atoms) -> Atoms:
    """Reorder ions of the same element in the final structure to match the initial one.

    Of all orders it takes the one with the shortest straight path, Σ_a |Δr_a|² over nearest images;
    ions that move by less than 0.5 Å stay as they are.

    Parameters
    ----------
    initial, final
        The same elements in the same order, in the same cell.

    Returns
    -------
    Atoms
        The final structure with its ions, and all that belongs to them, in the order of the
        initial one; without calculator.

    Raises
    ------
    ValueError
        If the structures do not belong together.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.workflows import match_ions
    >>> initial = Atoms("Li2O", [[0, 0, 0], [0, 0, 4], [3, 0, 0]], cell=[9, 9, 9], pbc=True)
    >>> final = initial[[1, 0, 2]]  # the two Li have changed places in the list
    >>> match_ions(initial, final).positions.tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 4.0], [3.0, 0.0, 0.0]]
    """
    matched: Atoms = final[PathEnds.of(initial, final).order]
    return matched


def warn_of_ends(initial: Atoms, final: Atoms) -> None:
    """Warn where equal ions seem to be permuted between the ends, or several ions move far."""
    complaint = PathEnds.of(initial, final).complaint()
    if complaint is not None:
        warnings.warn(complaint, stacklevel=3)


def _ways(initial: Atoms, final: Atoms, order: NDArray[np.intp]) -> Array:
    """Distances in Å from ions to the nearest images of others."""
    steps = final.positions[order] - initial.positions
    vectors = shortest_vectors(steps, final.cell.array, final.pbc)
    return np.asarray(np.linalg.norm(vectors, axis=1))


def _many(count: int) -> str:
    return "1 ion moves" if count == 1 else f"{count} ions move"
