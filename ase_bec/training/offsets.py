"""Energy of each element alone, by least squares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ase_bec.data import Frame

__all__ = ["energy_offsets"]


def energy_offsets(frames: Sequence[Frame], elements: Sequence[str]) -> dict[str, float]:
    r"""Energies that make the sum over atoms come closest to the total energies.

    .. math:: \min_{E^0} \sum_n \Big(\frac{U_n - \sum_e N_{ne} E^0_e}{N_n}\Big)^2

    Where compositions don't tell the elements apart, the solution of smallest norm is taken.

    Parameters
    ----------
    frames : sequence of Frame
        Those without energy are left out.
    elements : sequence of str
        Symbols.

    Returns
    -------
    dict
        Energy of each element in eV; 0 for one that is in no frame.

    Raises
    ------
    ValueError
        If no frame has an energy, or one has another element.
    """
    known = [f for f in frames if f.energy is not None]
    if not known:
        raise ValueError("`frames` must have energies, got none")
    symbols = [f.atoms.get_chemical_symbols() for f in known]
    other = {s for row in symbols for s in row} - set(elements)
    if other:
        raise ValueError(
            f"`elements` must hold all of the frames', got none of {', '.join(sorted(other))}"
        )
    counts = np.array([[row.count(e) for e in elements] for row in symbols], dtype=float)
    n = counts.sum(axis=1)
    energies = np.array([f.energy for f in known], dtype=float)
    found = np.linalg.lstsq(counts / n[:, None], energies / n, rcond=1e-10)[0]
    return {e: float(x) for e, x in zip(elements, found, strict=True)}
