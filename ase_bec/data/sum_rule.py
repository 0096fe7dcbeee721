"""Acoustic sum rule of Born charges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ase_bec.data.frame import Frame


def impose_sum_rule(frame: Frame, on: str | Sequence[str] = "uniform") -> Frame:
    r"""Frame whose Born charges add up to its net charge.

    .. math:: Z_a \to Z_a - \frac{1}{|S|}\Big(\sum_b Z_b - Q\,1\Big), \quad a \in S

    with all atoms in :math:`S`, or those of the species where the error is known to be. The
    charges of other atoms stay as they are.

    Parameters
    ----------
    frame
        With or without Born charges; without, it is returned as it is.
    on
        "uniform", or the symbols of the species to correct.

    Raises
    ------
    ValueError
        If none of the species is in the frame.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from ase_bec.data import Frame, impose_sum_rule
    >>> charges = [2.0 * np.eye(3), -1.9 * np.eye(3)]
    >>> frame = Frame(bulk("MgO", "rocksalt", 4.2), born_effective_charges=charges)
    >>> impose_sum_rule(frame).born_effective_charges[:, 2, 2].round(6)
    array([ 1.95, -1.95])
    >>> impose_sum_rule(frame, on="O").born_effective_charges[:, 2, 2].round(6)
    array([ 2., -2.])
    """
    z, residual = frame.born_effective_charges, frame.sum_rule_residual
    if z is None or residual is None:
        return frame
    symbols = np.array(frame.atoms.get_chemical_symbols())
    if isinstance(on, str) and on == "uniform":
        chosen = np.ones(len(symbols), dtype=bool)
    else:
        species = (on,) if isinstance(on, str) else tuple(on)
        chosen = np.isin(symbols, species)
        if not chosen.any():
            raise ValueError(
                f"{frame.source}: `sum_rule` must be 'uniform' or species of "
                f"{', '.join(sorted(set(symbols)))}, got {on!r}"
            )
    corrected = z.copy()
    corrected[chosen] -= residual / chosen.sum()
    return replace(frame, born_effective_charges=corrected)
