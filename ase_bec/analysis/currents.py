"""Dipole and electric current along a trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ase_bec.analysis.trajectory import Trajectory

Array = NDArray[np.float64]


def dipole(trajectory: Trajectory, charges: Any = None) -> Array:
    r"""Dipole D of the cell in e·Å, [frame, 3], on one continuous branch.

    From charges of elements or atoms it is :math:`\sum_a Z_a \mathbf r_a` with unwrapped
    positions.

    Parameters
    ----------
    trajectory
        With unwrapped positions.
    charges
        Formal charges in e as a dict of elements; constant Born charges Z[a, i, j] in e as an
        array, [atom, 3, 3]; or a model with a method ``dipole(atoms)`` that gives e·Å. By
        default, what is recorded in the trajectory.

    Raises
    ------
    ValueError
        If nothing is recorded, or the charges do not fit the atoms.
    TypeError
        If `charges` is none of these.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase_bec.analysis import dipole, read_trajectory
    >>> frames = [Atoms("LiF", [[0, 0, 1 + z], [0, 0, 3]], cell=[5, 5, 5], pbc=True)
    ...           for z in (0.0, 0.1, 0.2)]
    >>> trajectory = read_trajectory(frames, timestep=1.0)
    >>> print(dipole(trajectory, {"Li": 1, "F": -1})[:, 2].round(3))  # e·Å
    [-2.  -1.9 -1.8]
    """
    if charges is None:
        if trajectory.dipole is None:
            raise ValueError("`charges` must be given: the trajectory has no recorded dipole")
        return trajectory.dipole
    constant = _constant_charges(trajectory, charges)
    if constant is not None:
        found: Array = np.einsum("aij,taj->ti", constant, trajectory.positions)
        return found
    if not callable(getattr(charges, "dipole", None)):
        raise TypeError(
            "`charges` must be a dict, an array or a model with a method `dipole`, got "
            f"{type(charges).__name__}"
        )
    frames = range(len(trajectory))
    return np.array([charges.dipole(trajectory.atoms(k)) for k in frames], dtype=float)


def current(trajectory: Trajectory, charges: Any) -> Array:
    r"""Electric current from velocities in e·Å/fs, [frame, 3].

    .. math:: J_i(t) = \sum_{aj} Z_{a,ij}(t)\, v_{a,j}(t) = \dot D_i(t)

    Parameters
    ----------
    trajectory
        With velocities.
    charges
        Formal charges in e as a dict of elements; constant Born charges Z[a, i, j] in e as an
        array, [atom, 3, 3], the field first and the displacement second; or a model with a
        method ``born_charges(atoms)`` that gives them for a structure.

    Raises
    ------
    ValueError
        If there are no velocities, or the charges do not fit the atoms.
    TypeError
        If `charges` is none of these.

    Examples
    --------
    >>> from ase import Atoms, units
    >>> from ase_bec.analysis import current, read_trajectory
    >>> frames = [Atoms("LiF", cell=[5, 5, 5], pbc=True) for _ in range(2)]
    >>> for atoms in frames:
    ...     atoms.positions[1, 0] = 2.0
    ...     atoms.set_velocities([[0, 0, 0.01 / units.fs], [0, 0, 0]])  # Li at 0.01 Å/fs
    >>> trajectory = read_trajectory(frames, timestep=1.0)
    >>> print(current(trajectory, {"Li": 1, "F": -1}).round(4))  # e·Å/fs
    [[0.   0.   0.01]
     [0.   0.   0.01]]
    """
    velocities = trajectory.require_velocities()
    constant = _constant_charges(trajectory, charges)
    if constant is not None:
        found: Array = np.einsum("aij,taj->ti", constant, velocities)
        return found
    if not callable(getattr(charges, "born_charges", None)):
        raise TypeError(
            "`charges` must be a dict, an array or a model with a method `born_charges`, got "
            f"{type(charges).__name__}"
        )
    frames = (
        np.einsum("aij,aj->i", charges.born_charges(trajectory.atoms(k)), velocities[k])
        for k in range(len(trajectory))
    )
    return np.array(list(frames), dtype=float)


def current_of_dipole(times: ArrayLike, dipole: ArrayLike) -> Array:
    r"""Electric current :math:`\mathbf J = \dot{\mathbf D}` by central differences, [frame, 3].

    At the first and last frame by one-sided differences, all of second order in the interval. The
    frames must resolve the fastest vibration: differences damp it by sin(ωΔt)/(ωΔt).

    Parameters
    ----------
    times
        In fs, [frame].
    dipole
        D in e·Å on one continuous branch, [frame, 3].

    Returns
    -------
    ndarray, shape [frame, 3]
        In e·Å/fs.

    Raises
    ------
    ValueError
        If there are fewer than three frames.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import current_of_dipole
    >>> times = np.arange(5.0)
    >>> dipole = np.outer(times**2, [0.0, 0.0, 1.0])
    >>> print(current_of_dipole(times, dipole)[:, 2].round(6))
    [0. 2. 4. 6. 8.]
    """
    values = np.asarray(dipole, dtype=float)
    if len(values) < 3:
        raise ValueError(f"`dipole` must have at least three frames, got {len(values)}")
    found: Array = np.gradient(values, np.asarray(times, dtype=float), axis=0, edge_order=2)
    return found


def transported(times: ArrayLike, current: ArrayLike) -> Array:
    r"""Change of dipole :math:`\int_0^t \mathbf J\,dt'` in e·Å by trapezia, [frame, 3].

    With the current from Born charges and velocities it equals D(t) − D(0), whether or not an ion
    has crossed the cell; the difference shows how well the frames resolve the motion.

    Parameters
    ----------
    times
        In fs, [frame].
    current
        J in e·Å/fs, [frame, 3].

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import transported
    >>> times = np.arange(5.0)
    >>> current = np.outer(2 * times, [0.0, 0.0, 1.0])
    >>> print(transported(times, current)[:, 2].round(6))
    [ 0.  1.  4.  9. 16.]
    """
    from scipy.integrate import cumulative_trapezoid

    found: Array = cumulative_trapezoid(
        np.asarray(current, dtype=float), np.asarray(times, dtype=float), axis=0, initial=0
    )
    return found


def _constant_charges(trajectory: Trajectory, charges: Any) -> Array | None:
    """Charges as tensors, [atom, 3, 3], where they are the same in all frames."""
    if isinstance(charges, Mapping):
        return trajectory.charges(charges)[:, None, None] * np.eye(3)
    if isinstance(charges, np.ndarray):
        shape = (len(trajectory.numbers), 3, 3)
        if charges.shape != shape or not np.isfinite(charges).all():
            raise ValueError(
                f"`charges` must be finite and of the shape {shape}, got {charges.shape}"
            )
        return charges.astype(float)
    return None
