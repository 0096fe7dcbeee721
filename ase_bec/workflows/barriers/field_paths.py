"""One migration path in several fields: barriers, their slope, and estimates without a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import ArrayLike, NDArray

from ase_bec.directions import unit_vector
from ase_bec.workflows.barriers.band_files import BandWriter, read_band
from ase_bec.workflows.barriers.band_identity import (
    GIVEN,
    RELAXED,
    describe_search,
    require_same_search,
)
from ase_bec.workflows.barriers.field_barriers import FieldPaths
from ase_bec.workflows.barriers.ion import moving_ion
from ase_bec.workflows.barriers.migration import MigrationPath
from ase_bec.workflows.barriers.neb import find_path
from ase_bec.workflows.barriers.workers import Workers, held

__all__ = ["FieldPaths", "field_paths"]

Array = NDArray[np.float64]
InField = Callable[[Array], Calculator]

_RELAXED_ENDS = ("field", "zero", "never")


def field_paths(
    band: Sequence[Atoms] | MigrationPath,
    calculator: InField,
    strengths: ArrayLike,
    direction: ArrayLike,
    *,
    relax_ends: str = "field",
    both: bool = False,
    files: Callable[[float], str | Path] | None = None,
    resume: bool = False,
    every: int = 20,
    progress: bool = False,
    **search: Any,
) -> FieldPaths:
    r"""Find a migration path without field and, from its images, at each field strength.

    Parameters
    ----------
    band
        Images to start from, or a path found without field, which is kept as it is.
    calculator
        Makes the calculator of one image in a field E, (3,) in V/Å, which is
        :math:`E\,\hat{\mathbf d}`; zero too. Its energies must be defined.
    strengths
        E in V/Å; negative against `direction`. Zero is always added.
    direction
        Three numbers; only their direction d counts.
    relax_ends
        ``"field"``: relax the ends without field and again in each one. ``"zero"``: without field
        only. ``"never"``: keep them.
    both
        Add the opposite of each strength.
    files
        Gives the trajectory for a strength, which is kept up to date with the band.
    resume
        Continue from the files that exist, rather than from `band` and the zero-field path. They
        must belong to the same ends, calculator, spring constant and climbing; the largest force
        and number of steps may differ.
    every
        Steps between writes of the band.
    progress
        Show progress bars on standard error.
    **search
        ``climb``, ``fmax``, ``max_steps``, ``spring``, ``threads`` and ``world`` of
        :func:`ase_bec.workflows.barriers.neb.find_path`.

    Raises
    ------
    TypeError
        If `calculator` is not callable.
    ValueError
        If an argument has no meaning, a file to resume from is of another structure or search, or
        another run writes to a file.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec import FieldCalculator
    >>> from ase_bec.workflows import field_paths, interpolate_path
    >>> crystal = bulk("Cu", cubic=True) * (2, 2, 2)
    >>> crystal.symbols[crystal.positions[:, 2] % 3.61 > 1] = "Au"
    >>> vacancy = crystal.pop(0).position
    >>> final = crystal.copy()
    >>> final.positions[2] = vacancy  # the Cu next to it has hopped
    >>> paths = field_paths(
    ...     interpolate_path(crystal, final, images=1),
    ...     lambda field: FieldCalculator(EMT(), {"Cu": 1, "Au": -1}, field),
    ...     strengths=[-0.02, 0.02],
    ...     direction=vacancy - crystal.positions[2],
    ...     relax_ends="never",
    ...     fmax=0.2,
    ... )
    >>> print(paths.forward.round(2))
    [0.84 0.81 0.79]
    """
    if not callable(calculator):
        raise TypeError(
            "`calculator` must be a function that makes a calculator in a field, got "
            f"{type(calculator).__name__}"
        )
    if relax_ends not in _RELAXED_ENDS:
        raise ValueError(f"`relax_ends` must be one of {_RELAXED_ENDS}, got {relax_ends!r}")
    unit = unit_vector(direction)
    values = _strengths(strengths, both)
    strongest = float(values[np.abs(values).argmax()])
    calculator(strongest * unit)  # refuses what it cannot handle before the path without field
    workers = Workers(search.get("threads", 1), search.get("world"))

    search = {"climb": True, "spring": 0.1, **search}

    def found(strength: float, start: Sequence[Atoms], relax: bool, near: float) -> MigrationPath:
        file = None if files is None else Path(files(strength))
        make = partial(calculator, strength * unit)
        writer = None
        if file is not None:
            options = {"climb": search["climb"], "spring": search["spring"], "relax_ends": relax}
            described = describe_search(start, make(), **options)
            if resume and file.is_file():
                require_same_search(file, described, near)
                start = read_band(file, start[0], len(start))
            writer = BandWriter(file, every, described) if workers.first else None
        path = find_path(
            start,
            make,
            relax_ends=relax,
            observer=writer,
            progress=_title(strength) if progress else None,
            check_ends=strength == 0,  # the others start from the path without field
            **search,
        )
        if writer is not None:
            writer.write(path.images)
            writer.close()
        return path

    outputs = [] if files is None else [files(strength) for strength in values.tolist()]
    with held(outputs, workers):
        zero = (
            band
            if isinstance(band, MigrationPath)
            else found(0.0, band, relax_ends != "never", GIVEN)
        )
        paths = tuple(
            zero if strength == 0 else found(strength, zero.images, relax_ends == "field", RELAXED)
            for strength in values.tolist()
        )
    ion = moving_ion(zero.images)
    dipoles, charges = _dipoles(zero, calculator, strongest, unit, ion, workers)
    return FieldPaths(unit, values, paths, dipoles, ion, charges)


def _title(strength: float) -> str:
    return f"E = {strength:+g} V/Å" if strength else "no field"


def _dipoles(
    zero: MigrationPath,
    calculator: InField,
    strength: float,
    unit: Array,
    ion: int,
    workers: Workers,
) -> tuple[Array, Array | None]:
    """D·d of the zero-field images above that of the first, and Z of the ion in them."""
    if strength == 0:
        return np.full(len(zero.images), np.nan), None

    def computed(k: int) -> tuple[float, Array | None]:
        calc: Any = calculator(strength * unit)
        image = zero.images[k].copy()
        dipole = (zero.energies[k] - calc.get_potential_energy(image)) / strength
        if "born_effective_charges" not in calc.implemented_properties:
            return dipole, None
        return dipole, calc.get_property("born_effective_charges", image)[ion]

    dipoles, charges = zip(*workers.share(computed, len(zero.images)), strict=True)
    known = None if charges[0] is None else np.array(charges)
    return np.array(dipoles) - dipoles[0], known


def _strengths(strengths: ArrayLike, both: bool) -> Array:
    values = np.array(strengths, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"`strengths` must be finite fields in V/Å, got {strengths!r}")
    opposite = -values if both else values[:0]
    return np.unique(np.concatenate([[0.0], values, opposite]) + 0.0)  # no negative zero
