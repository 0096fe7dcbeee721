"""Ionic models: charges and Buckingham energies of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from ase_bec.terms.buckingham import Buckingham
from ase_bec.terms.coulomb import Coulomb
from ase_bec.terms.model import Model
from ase_bec.terms.repulsion import CoreRepulsion

__all__ = ["ZNO", "Pair", "ionic_model"]


class Pair(NamedTuple):
    """Buckingham parameters of a pair of elements.

    Attributes
    ----------
    strength : float
        A in eV.
    range : float
        ρ in Å.
    dispersion : float
        C in eV Å⁶.
    closest : float
        Distance in Å below which a core repulsion acts; 0 for none.
    """

    strength: float
    range: float
    dispersion: float = 0.0
    closest: float = 0.0


ZNO = {("Zn", "O"): Pair(529.70, 0.3581), ("O", "O"): Pair(9547.96, 0.21916, 32.0, 1.6)}
"""ZnO with charges of ±2: D. J. Binks and R. W. Grimes, J. Am. Ceram. Soc. 76, 2370 (1993)."""


def ionic_model(
    charges: Mapping[str, float],
    pairs: Mapping[tuple[str, str], Pair],
    cutoff: float = 9.0,
) -> Model:
    """Model of point charges and Buckingham energies.

    Parameters
    ----------
    charges : mapping
        Charge in e of each element.
    pairs : mapping
        :class:`Pair` of two elements, in either order; none acts between others.
    cutoff : float
        Of the pair energies in Å; charges act at all distances.

    Raises
    ------
    ValueError
        If a pair is of an element without charge, or is given twice.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec import NNPCalculator
    >>> from ase_bec.models.ionic import ZNO, ionic_model
    >>> calculator = NNPCalculator(ionic_model({"Zn": 2, "O": -2}, ZNO))
    >>> round(calculator.get_potential_energy(bulk("ZnO", "wurtzite", 3.25, 5.2)) / 2, 1)
    -39.5
    """
    elements = list(charges)
    n = len(elements)
    tables = torch.zeros(4, n, n, dtype=torch.float64)
    for (first, second), pair in pairs.items():
        if first not in charges or second not in charges:
            raise ValueError(f"`pairs` must be of the elements {elements}, got {first}-{second}")
        if first != second and (second, first) in pairs:
            raise ValueError(f"`pairs` must name {first}-{second} once, got it in both orders")
        i, j = elements.index(first), elements.index(second)
        tables[:, i, j] = tables[:, j, i] = torch.tensor(pair, dtype=torch.float64)
    strength, length, dispersion = (table.tolist() for table in tables[:3])
    repulsion = CoreRepulsion(n)
    repulsion.closest.copy_(tables[3])
    terms = [
        Buckingham(n, strength, length, dispersion, cutoff),
        repulsion,
        Coulomb(n, list(charges.values()), 0.0),
    ]
    return Model(elements, terms, {"source": "ionic model"})
