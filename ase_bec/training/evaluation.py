"""Errors of a model on labelled frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_bec.data import Frame
from ase_bec.data.branches import smallest_dipole
from ase_bec.evaluation.evaluator import Evaluator
from ase_bec.models import Model
from ase_bec.progress import progress_bar

__all__ = ["Comparison", "error_table", "errors_of", "evaluate"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """One quantity of all frames: the model's values and the labels.

    Attributes
    ----------
    name, unit : str
        Such as ``Z`` and ``e``.
    model, label : ndarray, (n, ...)
        Values; (n, 3, 3) of Born charges, [field, displacement]; NaN where the model has none.
    symbols : ndarray, (n,)
        Element of each atom; empty where values are of frames.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.training import Comparison
    >>> label = np.array([[0.1, 0, 0], [-0.1, 0, 0]])
    >>> forces = Comparison("forces", "eV/Å", 1.1 * label, label, np.array(["Mg", "O"]))
    >>> float(np.abs(forces.model - forces.label).max().round(6))
    0.01
    """

    name: str
    unit: str
    model: Array
    label: Array
    symbols: NDArray[np.str_]


def evaluate(model: Any, frames: Iterable[Frame], progress: bool = False) -> list[Comparison]:
    """Compare a model with labels.

    Parameters
    ----------
    model : Model or another source of Born charges
        As returned by :func:`ase_bec.load`.
    frames : iterable of Frame
        Those without the labels that the model predicts are left out.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of Comparison
        Born charges and, of neutral crystals, dipoles on the branch nearest to the label; or
        energies per atom, forces and stress; charges of atoms; as far as labels are available.

    Raises
    ------
    ValueError
        If no frame has a label that the model predicts, or the model doesn't know an element.

    Examples
    --------
    >>> from ase_bec import load
    >>> from ase_bec.data import Frame
    >>> from ase_bec.training import evaluate
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> model, atoms = load("li3po4-bec"), beta_lithium_phosphate()
    >>> frame = Frame(atoms, born_effective_charges=1.1 * model.born_charges(atoms))
    >>> [comparison] = evaluate(model, [frame])
    >>> comparison.name, comparison.unit, comparison.model.shape
    ('Z', 'e', (16, 3, 3))
    """
    potential = isinstance(model, Model) and model.has_energy
    dipole = model.has_dipole
    wanted = {"energy", "forces", "stress"} if potential else {"born_effective_charges"}
    if dipole:
        wanted |= {"born_effective_charges", "polarization"}
    charges = isinstance(model, Model) and model.has_charges
    if charges:
        wanted |= {"charges"}
    chosen = [f for f in frames if wanted & set(f.labels)]
    if not chosen:
        raise ValueError(f"the data must have {' or '.join(sorted(wanted))}, got none of them")
    found: list[Comparison] = []
    with progress_bar("evaluate", "frame", progress, len(chosen) * (potential + dipole)) as bar:
        if potential:
            found += _energies(Evaluator(model.without_field(), "energies and forces"), chosen, bar)
        if dipole:
            found += _charges(Evaluator(model.in_field(), "Born charges"), chosen, bar)
            found += _dipoles(Evaluator(model.in_field(), "Born charges"), chosen)
        if charges:
            found += _atomic_charges(Evaluator(model.in_field(), "charges"), chosen)
        if not potential and not dipole:
            found += _charges(model, chosen, bar)
    return found


def _comparison(
    name: str, unit: str, pairs: Sequence[tuple[Array, Array]], frames: Sequence[Frame] = ()
) -> list[Comparison]:
    """Values and labels of frames, with the elements of their atoms; empty without values."""
    if not pairs:
        return []
    values, labels = (np.concatenate(x) for x in zip(*pairs, strict=True))
    symbols = [s for frame in frames for s in frame.atoms.get_chemical_symbols()]
    return [Comparison(name, unit, values, labels, np.array(symbols, dtype=str))]


def _charges(source: Any, frames: Sequence[Frame], bar: Any) -> list[Comparison]:
    """Born charges of a source, many frames at once where it can."""
    labelled = [f for f in frames if f.born_effective_charges is not None]
    atoms = [frame.atoms for frame in labelled]
    batch = getattr(source, "batch_born_charges", None)
    found = batch(atoms) if batch else (source.born_charges(a) for a in atoms)
    pairs = []
    for values, frame in zip(found, labelled, strict=True):
        pairs.append((values, np.asarray(frame.born_effective_charges)))
        bar.update()
    return _comparison("Z", "e", pairs, labelled)


def _atomic_charges(evaluator: Evaluator, frames: Sequence[Frame]) -> list[Comparison]:
    """Charges of atoms without field."""
    labelled = [frame for frame in frames if frame.charges is not None]
    pairs = [(evaluator.charges(f.atoms), np.asarray(f.charges)) for f in labelled]
    return _comparison("q", "e", pairs, labelled)


def _dipoles(evaluator: Evaluator, frames: Sequence[Frame]) -> list[Comparison]:
    """Dipoles of neutral crystals, on the branch nearest to the label."""
    labelled = [
        (frame, frame.dipole)
        for frame in frames
        if frame.dipole is not None and not frame.net_charge and frame.atoms.pbc.all()
    ]
    pairs = []
    found = evaluator.batch([frame.atoms for frame, _ in labelled])
    for (values,), (frame, label) in zip(found, labelled, strict=True):
        away = smallest_dipole(values.dipole - label, frame.atoms.cell.array)
        pairs.append((label[None] + away, label[None]))
    return _comparison("D", "e·Å", pairs)


def _energies(evaluator: Evaluator, frames: Sequence[Frame], bar: Any) -> list[Comparison]:
    pairs: dict[str, list[tuple[Array, Array]]] = {"energy": [], "forces": [], "stress": []}
    found = evaluator.batch([frame.atoms for frame in frames])
    for (values,), frame in zip(found, frames, strict=True):
        n, energy = len(frame), frame.energy
        if energy is not None:
            pairs["energy"].append((np.array([values.energy / n]), np.array([energy / n])))
        if frame.forces is not None:
            pairs["forces"].append((values.forces, frame.forces))
        if frame.stress is not None and frame.atoms.cell.rank == 3:
            stress = values.virial / frame.atoms.get_volume()
            pairs["stress"].append((stress[None], frame.stress[None]))
        bar.update()
    return [
        *_comparison("energy", "eV/atom", pairs["energy"]),
        *_comparison(
            "forces", "eV/Å", pairs["forces"], [f for f in frames if f.forces is not None]
        ),
        *_comparison("stress", "eV/Å³", pairs["stress"]),
    ]


def errors_of(comparison: Comparison) -> dict[str, dict[str, float]]:
    """RMSE and MAE of all components, by element, on and off the diagonal.

    ``spread`` is the RMSE of predicting the mean of each element's labels.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.training import Comparison, errors_of
    >>> label = np.array([[0.1, 0, 0], [-0.1, 0, 0]])
    >>> forces = Comparison("forces", "eV/Å", 1.1 * label, label, np.array(["Mg", "O"]))
    >>> errors = errors_of(forces)
    >>> list(errors), round(errors["forces"]["mae"], 6)
    (['forces', 'forces Mg', 'forces O'], 0.003333)
    """
    c = comparison
    wrong, spread = c.model - c.label, _about_means(c)
    tensors = c.label.shape[1:] == (3, 3) and len(c.symbols) > 0
    off = ~np.eye(3, dtype=bool)
    out = {}
    for element in ["", *sorted(set(c.symbols.tolist()))]:
        rows = c.symbols == element if element else np.ones(len(wrong), dtype=bool)
        name = f"{c.name} {element}".strip()
        out[name] = _figures(wrong[rows], spread[rows])
        if tensors:
            out[f"{name} diagonal"] = _figures(wrong[rows][:, ~off], spread[rows][:, ~off])
            out[f"{name} off-diagonal"] = _figures(wrong[rows][:, off], spread[rows][:, off])
    return out


def _about_means(c: Comparison) -> Array:
    """Labels minus the mean over the same element."""
    out = c.label - c.label.mean(axis=0)
    for element in set(c.symbols.tolist()):
        rows = c.symbols == element
        out[rows] = c.label[rows] - c.label[rows].mean(axis=0)
    return np.asarray(out)


def _figures(wrong: Array, spread: Array) -> dict[str, float]:
    known = np.isfinite(wrong)
    x = wrong[known]
    if not len(x):
        return {"rmse": float("nan"), "mae": float("nan"), "spread": float("nan"), "count": 0}
    return {
        "rmse": float(np.sqrt(np.mean(x**2))),
        "mae": float(np.mean(np.abs(x))),
        "spread": float(np.sqrt(np.mean(spread[known] ** 2))),
        "count": len(x),
    }


def error_table(errors: Mapping[str, Mapping[str, float]]) -> str:
    """Lines with the figures of each error.

    Examples
    --------
    >>> from ase_bec.training import error_table
    >>> print(error_table({"forces": {"rmse": 0.0421, "mae": 0.031, "count": 96}}))
                RMSE       MAE     count
    forces    0.0421    0.0310        96
    """
    columns: Sequence[str] = [*next(iter(errors.values()))] if errors else []
    heads = {"rmse": "RMSE", "mae": "MAE"}
    width = max(len(name) for name in errors)
    lines = [" " * width + "".join(f"{heads.get(c, c):>10}" for c in columns)]
    for name, figures in errors.items():
        cells = (f"{figures[c]:>10.0f}" if c == "count" else f"{figures[c]:>10.4f}"
                 for c in columns)  # fmt: skip
        lines.append(f"{name:<{width}}" + "".join(cells))
    return "\n".join(lines)
