"""Choice of effective charges without training a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_bec.data import Frame
from ase_bec.evaluation.evaluate import evaluate
from ase_bec.system import System
from ase_bec.terms.coulomb import Coulomb
from ase_bec.terms.model import Model
from ase_bec.training.local_basis import LocalBasis

__all__ = ["ChargeSelection", "select_charges"]

Array = NDArray[np.float64]
RIDGES = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
DRAWS = 1000
SURE = 2.0  # standard deviations


@dataclass(frozen=True)
class ChargeSelection:
    r"""How well a linear model of local invariants explains what charges leave.

    With the charges s·Q of formal ones Q, E − s²·U_C(Q) is fitted on the other groups of frames;
    on the group left out, errors are e_E − s²·e_C. So the best s² is
    λ* = Σ e_C·e_E / Σ e_C·e_C, and both are free of what the basis explains anyway.

    Attributes
    ----------
    charges : dict
        Formal charges Q in e.
    scale : float
        √λ* of energies and forces; 0 where λ* is negative.
    spread : float
        Of λ*, by drawing groups anew; infinite with fewer than three groups.
    square : float
        λ*.
    by_energy, by_forces : float
        λ* of one kind alone; NaN where there is none.
    verdict : str
        ``determined`` or ``undetermined``: whether λ* is positive, and charges better than none,
        by more than two spreads.
    regression : float
        λ of the regression of E on U_C, with the numbers of atoms alone as basis. It takes for
        long-ranged whatever goes with U_C in these frames, so it is biased.
    screened : float
        Z̄*/√ε∞ over Q where Born charges and ε∞ are labelled, else NaN.
    scales, energy, forces : ndarray, (n,)
        Curve over s: RMSE on left-out groups in eV/atom and eV/Å.
    groups : tuple of str
        Groups that were left out in turn.
    """

    charges: dict[str, float]
    scale: float
    spread: float
    square: float
    by_energy: float
    by_forces: float
    verdict: str
    regression: float
    screened: float
    scales: Array
    energy: Array
    forces: Array
    groups: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """Rows of all frames: features X, labels and U_C (rows, 2), kinds and groups."""

    features: Array
    targets: Array
    energetic: NDArray[np.bool_]
    group: NDArray[np.int64]


def select_charges(
    frames: Sequence[Frame],
    charges: Mapping[str, float],
    width: float = 1.2,
    folds: int = 8,
    basis: LocalBasis | None = None,
    seed: int = 0,
    step: Callable[[], object] = lambda: None,
) -> ChargeSelection:
    """Choose effective charges on labelled frames.

    Parameters
    ----------
    frames : sequence of Frame
        With energies, and forces where there are any. They are left out by ``config_type`` where
        there are three or more of them, else by chance.
    charges : mapping
        Formal charges in e of all elements.
    width : float
        σ of the Gaussians in Å; 0 for point charges.
    folds : int
        Groups by chance, where kinds of frames don't tell.
    basis : LocalBasis, optional
        What stands for the short-ranged rest.
    seed : int
        Of chance.
    step : callable
        Called after each frame.

    Raises
    ------
    ValueError
        If an element has no charge, all are zero, or there are fewer than ten frames with energy.
    """
    labelled = [frame for frame in frames if frame.energy is not None]
    if len(labelled) < 10:
        raise ValueError(f"`frames` must have 10 energies or more, got {len(labelled)}")
    elements = tuple(sorted({s for f in labelled for s in f.atoms.get_chemical_symbols()}))
    missing = [e for e in elements if e not in charges]
    if missing or not any(charges[e] for e in elements):
        raise ValueError(
            f"`charges` must give a charge to each of {', '.join(elements)}, got {dict(charges)}"
        )
    names = _groups(labelled, folds, seed)
    known = sorted(set(names))
    group = np.array([known.index(name) for name in names])
    formal = Model(elements, [Coulomb(len(elements), [charges[e] for e in elements], width)])
    table = _table(labelled, group, formal, basis or LocalBasis(elements), step)
    n, weight = len(known), _weights(table)
    tried = _left_out(table, weight)
    wrong = min(tried, key=lambda x: _least(x, weight))
    products = np.array([[_products(wrong, weight, table, g, kind) for g in range(n)]
                         for kind in (None, True, False)])  # fmt: skip
    square, by_energy, by_forces = (_best(p.sum(axis=0)) for p in products)
    scales = np.linspace(0, 1, 21) * max(1.0, 1.5 * np.sqrt(max(square, 0)))
    chosen = [min(tried, key=lambda x, s=s: _left(x, weight, s**2)) for s in scales]  # type: ignore[misc]
    spread, better = _spread(products[0], _left_by_group(chosen[0], weight, table, 0.0),
                             _left_by_group(wrong, weight, table, square), seed)  # fmt: skip
    sure = square > SURE * spread and better
    return ChargeSelection(
        {e: float(charges[e]) for e in elements},
        float(np.sqrt(max(square, 0))),
        spread,
        square,
        by_energy,
        by_forces,
        "determined" if sure else "undetermined",
        _regression(labelled, table, elements),
        _screened(labelled, charges),
        scales,
        _curve(chosen, table.energetic, scales),
        _curve(chosen, ~table.energetic, scales),
        tuple(known),
    )


def _groups(frames: Sequence[Frame], folds: int, seed: int) -> list[str]:
    kinds = [frame.config_type for frame in frames]
    if None not in kinds and len(set(kinds)) >= 3:
        return [str(kind) for kind in kinds]
    order = np.random.default_rng(seed).permutation(len(frames)) % folds
    return [f"part {k + 1}" for k in order]


def _table(
    frames: Sequence[Frame],
    group: NDArray[np.int64],
    formal: Model,
    basis: LocalBasis,
    step: Callable[[], object],
) -> _Table:
    """Rows of energies per atom and of forces."""
    features, targets, energetic, groups = [], [], [], []
    for frame, g in zip(frames, group, strict=True):
        found = evaluate(formal, System.from_atoms(frame.atoms, max(formal.cutoff, 1e-3)))
        rows, n = basis.rows(frame.atoms), len(frame)
        features.append(rows.energy[None] / n)
        targets.append(np.array([[frame.energy, float(found.energy[0])]]) / n)
        if frame.forces is not None:
            features.append(rows.forces.reshape(3 * n, -1))
            targets.append(np.stack([frame.forces.ravel(), found.forces.numpy().ravel()], axis=1))
        count = 1 + (0 if frame.forces is None else 3 * n)
        energetic.append(np.arange(count) == 0)
        groups.append(np.full(count, g))
        step()
    parts: list[Any] = [features, targets, energetic, groups]
    return _Table(*(np.concatenate(part) for part in parts))


def _weights(table: _Table) -> Array:
    """Energies and forces count alike: each kind over its scatter, and over its number."""
    weight = np.empty(len(table.targets))
    for kind in (True, False):
        rows = table.energetic == kind
        if rows.any():
            scatter = max(float(table.targets[rows, 0].std()), 1e-12)
            weight[rows] = 1 / (scatter * np.sqrt(rows.sum()))
    return weight


def _left_out(table: _Table, weight: Array) -> list[Array]:
    """Errors e_E and e_C of each row, fitted without its group, for each ridge."""
    scaled = table.features * weight[:, None]
    size = np.sqrt((scaled**2).sum(axis=0))
    used = size > 0
    x, y = scaled[:, used] / size[used], table.targets * weight[:, None]
    # The numbers of atoms carry the energies of free atoms: they are no matter of the ridge.
    free = ~table.features[~table.energetic][:, used].any(axis=0)
    whole, right = x.T @ x, x.T @ y
    tried = []
    for ridge in RIDGES:
        penalty = np.diag(np.where(free, 1e-13, ridge))
        wrong = np.empty_like(y)
        for g in np.unique(table.group):
            rows = table.group == g
            a, b = x[rows], y[rows]
            fitted = np.linalg.lstsq(whole - a.T @ a + penalty, right - a.T @ b, rcond=1e-15)[0]
            wrong[rows] = b - a @ fitted
        tried.append(wrong / weight[:, None])
    return tried


def _left(wrong: Array, weight: Array, square: float) -> float:
    """Weighted square of what is left with charges of this square."""
    return float((((wrong[:, 0] - square * wrong[:, 1]) * weight) ** 2).sum())


def _least(wrong: Array, weight: Array) -> float:
    """The same with the best charges."""
    e, c = (wrong * weight[:, None]).T
    return _left(wrong, weight, float(e @ c / (c @ c)))


def _left_by_group(wrong: Array, weight: Array, table: _Table, square: float) -> Array:
    left = ((wrong[:, 0] - square * wrong[:, 1]) * weight) ** 2
    return np.asarray(np.bincount(table.group, left), dtype=float)


def _products(
    wrong: Array, weight: Array, table: _Table, group: int, kind: bool | None
) -> tuple[float, float]:
    """Σ e_C·e_E and Σ e_C·e_C of a group, of both kinds or of one."""
    rows = table.group == group
    if kind is not None:
        rows &= table.energetic == kind
    e, c = (wrong[rows] * weight[rows, None]).T
    return float(c @ e), float(c @ c)


def _best(products: Array) -> float:
    """λ*; NaN where there is nothing to tell."""
    return float(products[0] / products[1]) if products[1] > 0 else float("nan")


def _spread(products: Array, none: Array, best: Array, seed: int) -> tuple[float, bool]:
    """Scatter of λ*, and whether charges leave less in nearly all draws of groups anew."""
    n = len(products)
    if n < 3:
        return float("inf"), False
    drawn = np.random.default_rng(seed).integers(0, n, (DRAWS, n))
    sums = products[drawn].sum(axis=1)
    gain = (none - best)[drawn].sum(axis=1)
    return float((sums[:, 0] / sums[:, 1]).std()), bool(np.quantile(gain, 0.023) > 0)


def _curve(chosen: Sequence[Array], rows: NDArray[np.bool_], scales: Array) -> Array:
    """RMSE over the scale of the charges; NaN where there are no rows."""
    if not rows.any():
        return np.full(len(scales), np.nan)
    left = [wrong[rows, 0] - s**2 * wrong[rows, 1] for wrong, s in zip(chosen, scales, strict=True)]
    return np.sqrt(np.mean(np.square(left), axis=1))  # type: ignore[no-any-return]


def _regression(frames: Sequence[Frame], table: _Table, elements: tuple[str, ...]) -> float:
    """λ of E on U_C, with the composition alone beside it."""
    y, u = table.targets[table.energetic].T
    symbols = [frame.atoms.get_chemical_symbols() for frame in frames]
    counts = np.array([[s.count(e) / len(s) for e in elements] for s in symbols])
    design = np.column_stack([u, counts])
    return float(np.linalg.lstsq(design, y, rcond=None)[0][0])


def _screened(frames: Sequence[Frame], charges: Mapping[str, float]) -> float:
    """Z̄*/√ε∞ over Q, by least squares over atoms and frames."""
    numerator = denominator = 0.0
    for frame in frames:
        born, dielectric = frame.born_effective_charges, frame.dielectric_tensor
        if born is None or dielectric is None:
            continue
        formal = np.array([charges[s] for s in frame.atoms.get_chemical_symbols()])
        mean = np.trace(born, axis1=1, axis2=2) / 3 / np.sqrt(np.trace(dielectric) / 3)
        numerator += float(formal @ mean)
        denominator += float(formal @ formal)
    return numerator / denominator if denominator else float("nan")
