"""Is the force of a field conservative? Work around loops, and local curl."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from ase_bec.calculators.charges import as_charge_source
from ase_bec.calculators.electric import field_vector
from ase_bec.calculators.work import TOLERANCE, straight_line_work
from ase_bec.paths import lattice_shifts, require_same_atoms

Array = NDArray[np.float64]


def loop_work(
    charges: Any, images: Sequence[Atoms], field: ArrayLike, tolerance: float = TOLERANCE
) -> float:
    """Work of the field around a closed path, W = ∮ Σ_aij E_i Z[a, i, j] dr_aj.

    A loop that returns to its start gives zero if Z is the gradient of a dipole; otherwise it
    gives the curl of Z through the loop. A loop in which an ion of charge q ends one lattice
    vector T further gives q E·T (Thouless); a D made only of local functions gives zero there.

    Parameters
    ----------
    charges : as for `FieldCalculator`
        Born charges, taken before any net-force rule.
    images : sequence of Atoms
        Corners of the path on unwrapped positions, joined by straight lines. The last is the first
        up to lattice vectors.
    field : array_like, (3,)
        E in V/Å.
    tolerance : float
        Tolerance for each line, in eV.

    Returns
    -------
    float
        Work in eV.

    Raises
    ------
    ValueError
        If the path is not closed, the images differ in more than positions, or the field is not
        three finite numbers.

    Examples
    --------
    A doubly charged ion that is carried through the cell takes up 2e·E·T:

    >>> from ase.build import bulk
    >>> from ase_bec.calculators import loop_work
    >>> start = bulk("MgO", "rocksalt", 4.2, cubic=True)
    >>> end = start.copy()
    >>> end.positions[0] += start.cell[2]
    >>> round(loop_work({"Mg": 2, "O": -2}, [start, end], (0, 0, 0.1)), 6)
    0.84
    """
    source = as_charge_source(charges)
    vector = field_vector(field)
    require_same_atoms(images)
    first, last = images[0], images[-1]
    open_end = last.positions - first.positions
    shifts = lattice_shifts(open_end, first)
    gap = np.abs(open_end - shifts @ first.cell.array).max(initial=0.0)
    if len(images) < 2 or gap > 1e-6:
        raise ValueError(
            "`images` must end where they start, up to lattice vectors, "
            f"got {len(images)} images and a gap of {gap:.2e} Å"
        )
    for image in images:
        source.check(image, vector)

    def forces(atoms: Atoms) -> Array:
        return source.response(atoms, vector).forces

    return sum(straight_line_work(forces, a, b, tolerance) for a, b in pairwise(images))


def curl(
    charges: Any,
    atoms: Atoms,
    field: ArrayLike,
    samples: int = 8,
    step: float = 1e-3,
    seed: int = 0,
) -> float:
    """Largest antisymmetric part of the force Jacobian that random directions find.

    With J = ∂F/∂r of the field's force, |u·J·v − v·J·u| for pairs of random unit vectors u, v in
    configuration space, by central differences. It is zero for every pair if and only if the force
    is locally the gradient of an energy.

    Parameters
    ----------
    charges : as for `FieldCalculator`
        Born charges, taken before any net-force rule.
    atoms : Atoms
        Structure at which the curl is taken.
    field : array_like, (3,)
        E in V/Å.
    samples : int
        Number of pairs.
    step : float
        Displacement in Å along each unit vector.
    seed : int
        Seed of the random directions.

    Returns
    -------
    float
        eV/Å².

    Raises
    ------
    ValueError
        If `samples` or `step` is not positive, or the charges do not support the atoms or field.

    Examples
    --------
    The bundled Born charges are the gradient of a dipole:

    >>> from ase_bec.calculators import curl
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> curl("li3po4-bec", beta_lithium_phosphate(), (0, 0, 0.1), samples=2) < 1e-6
    True
    """
    if samples < 1 or not step > 0:
        raise ValueError(f"`samples` and `step` must be positive, got {samples} and {step}")
    source = as_charge_source(charges)
    vector = field_vector(field)
    source.check(atoms, vector)
    point = atoms.copy()

    def directional(direction: Array) -> Array:
        """Return J·direction, eV/Å², (natoms, 3)."""
        sides = []
        for sign in (1.0, -1.0):
            point.positions[:] = atoms.positions + sign * step * direction
            sides.append(source.response(point, vector).forces)
        difference: Array = (sides[0] - sides[1]) / (2.0 * step)
        return difference

    rng = np.random.default_rng(seed)
    largest = 0.0
    for _ in range(samples):
        u, v = rng.normal(size=(2, len(atoms), 3))
        u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
        antisymmetric = np.vdot(u, directional(v)) - np.vdot(v, directional(u))
        largest = max(largest, abs(float(antisymmetric)))
    return largest
