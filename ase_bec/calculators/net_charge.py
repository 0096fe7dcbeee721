"""The net charge that a source of charges puts into a cell, checked once per composition."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.calculators.electric import SumRule, sum_rule
from ase_bec.data.net_charge import WHOLE, charge_text, unlikely_charge

Array = NDArray[np.float64]

_EXACT = 1e-6  # e, by which sums of formal charges may break the sum rule
_ROUGH = 0.5  # e, within which sums of computed Born charges tell a whole number


class NetCharge:
    """Compares the net charge of a source with the given one, or questions it.

    Parameters
    ----------
    given : float, optional
        Net charge in e that the charges must have.

    Raises
    ------
    ValueError
        If it is not a finite number.
    """

    def __init__(self, given: float | None = None) -> None:
        if given is not None and (isinstance(given, bool) or not np.isfinite(given)):
            raise ValueError(f"`net_charge` must be a finite charge in e, got {given!r}")
        self._given = given
        self._numbers: NDArray[np.integer] | None = None
        self._doubt: str | None = None

    def require(self, atoms: Atoms, charges: Callable[[], Array]) -> None:
        """Raise ValueError if the charges contradict the given net charge.

        Born charges whose sum is not the same in all directions carry the errors of a calculation
        or a fit; they contradict a net charge if they differ by half a charge, others by 0.01 e.

        Parameters
        ----------
        atoms
            Their composition is checked once.
        charges
            Gives Z in e, (natoms, 3, 3), [field, displacement]; not called again for the
            last composition.
        """
        if self._numbers is not None and np.array_equal(self._numbers, atoms.numbers):
            return
        tensors = charges()
        if np.isinf(tensors).any() or np.isnan(tensors).all():
            return  # refused where forces are computed
        rule = sum_rule(tensors)
        formula = atoms.get_chemical_formula()
        self._doubt = None
        if self._given is None:
            self._doubt = _doubt(rule, formula)
        elif abs(rule.net_charge - self._given) > (_ROUGH if rule.residual > _EXACT else WHOLE):
            raise ValueError(
                f"`net_charge` must be the {charge_text(rule.net_charge)} that the charges of "
                f"{formula} add up to, got {self._given:+g}: correct `charges`, or give that"
            )
        self._numbers = atoms.numbers.copy()

    def warn(self) -> None:
        """Warn once if the net charge of the last composition is unlikely to be intended."""
        if self._doubt is not None:
            doubt, self._doubt = self._doubt, None
            warnings.warn(doubt, stacklevel=3)


def _doubt(rule: SumRule, formula: str) -> str | None:
    reason = unlikely_charge(rule.net_charge)
    if reason is None:
        return None
    return (
        f"the charges of {formula} add up to {charge_text(rule.net_charge)}, {reason}: check "
        "`charges`, or give this `net_charge` if it is intended"
    )
