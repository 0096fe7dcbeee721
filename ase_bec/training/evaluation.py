"""Errors of a model on labelled frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_bec.calculators.nnp import NNPCalculator
from ase_bec.data import Frame
from ase_bec.data.branches import smallest_dipole
from ase_bec.models import NeuralNetworkPotential
from ase_bec.progress import progress_bar

__all__ = ["Comparison", "error_table", "errors_of", "evaluate"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """One quantity of all frames, by model and by label.

    Attributes
    ----------
    name, unit : str
        Such as ``Z`` and ``e``.
    model, label : ndarray, (n, ...)
        Values; (n, 3, 3) of Born charges, [field, displacement]; NaN where the model has none.
    symbols : ndarray, (n,)
        Element of each atom; empty where values are of frames.
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
    model : NeuralNetworkPotential, PolarizationModel or another source of Born charges
        What :func:`ase_bec.load` gives.
    frames : iterable of Frame
        Those without the labels that the model predicts are left out.
    progress : bool
        Show a bar.

    Returns
    -------
    list of Comparison
        Born charges and, of neutral crystals, dipoles on the branch nearest to the label; or
        energies per atom, forces and stress; as far as there are labels.

    Raises
    ------
    ValueError
        If no frame has a label that the model predicts, or the model doesn't know an element.
    """
    potential = isinstance(model, NeuralNetworkPotential)
    wanted = {"energy", "forces", "stress"} if potential else {"born_effective_charges"}
    if getattr(model, "has_dipole", False):
        wanted.add("polarization")
    chosen = [f for f in frames if wanted & set(f.labels)]
    if not chosen:
        raise ValueError(f"the data must have {' or '.join(sorted(wanted))}, got none of them")
    with progress_bar("evaluate", "frame", progress, len(chosen)) as frames:
        if potential:
            return _energies(model, _counted(chosen, frames))
        return _polarization(model, _counted(chosen, frames), "polarization" in wanted)


def _counted(frames: Sequence[Frame], shown: Any) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        shown.update()


def _polarization(model: Any, frames: Iterable[Frame], has_dipole: bool) -> list[Comparison]:
    """Born charges; and dipoles of neutral crystals, on the branch nearest to the label."""
    charges: list[tuple[Any, Any]] = []
    dipoles: list[tuple[Any, Any]] = []
    symbols: list[str] = []
    for frame in frames:
        model.check(frame.atoms, np.zeros(3))
        if frame.born_effective_charges is not None:
            charges.append((model.born_charges(frame.atoms), frame.born_effective_charges))
            symbols += frame.atoms.get_chemical_symbols()
        label = frame.dipole
        if has_dipole and label is not None and not frame.net_charge and frame.atoms.pbc.all():
            away = smallest_dipole(model.dipole(frame.atoms) - label, frame.atoms.cell.array)
            dipoles.append((label[None] + away, label[None]))
    found = []
    for name, unit, pairs, of in (("Z", "e", charges, symbols), ("D", "e·Å", dipoles, [])):
        if pairs:
            values, labels = (np.concatenate(x) for x in zip(*pairs, strict=True))
            found.append(Comparison(name, unit, values, labels, np.array(of, dtype=str)))
    return found


def _energies(model: NeuralNetworkPotential, frames: Iterable[Frame]) -> list[Comparison]:
    pairs: dict[str, list[tuple[Any, Any]]] = {"energy": [], "forces": [], "stress": []}
    symbols: list[str] = []
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.calc = NNPCalculator(model)
        if frame.energy is not None:
            n = len(atoms)
            pairs["energy"].append(([atoms.get_potential_energy() / n], [frame.energy / n]))
        if frame.forces is not None:
            pairs["forces"].append((atoms.get_forces(), frame.forces))
            symbols += atoms.get_chemical_symbols()
        if frame.stress is not None and atoms.cell.rank == 3:
            pairs["stress"].append((atoms.get_stress(voigt=False)[None], frame.stress[None]))
    units = {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å³"}
    out = []
    for name, found in pairs.items():
        if found:
            values, labels = (np.concatenate(x) for x in zip(*found, strict=True))
            of_atoms = np.array(symbols if name == "forces" else [], dtype=str)
            out.append(Comparison(name, units[name], values, labels, of_atoms))
    return out


def errors_of(comparison: Comparison) -> dict[str, dict[str, float]]:
    """RMSE and MAE of all components, by element, on and off the diagonal.

    ``spread`` is what the RMSE would be if the mean of each element's labels was predicted.
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
    """Labels less the mean of those of the same element."""
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
    """Lines with the figures of each error."""
    columns: Sequence[str] = [*next(iter(errors.values()))] if errors else []
    heads = {"rmse": "RMSE", "mae": "MAE"}
    width = max(len(name) for name in errors)
    lines = [" " * width + "".join(f"{heads.get(c, c):>10}" for c in columns)]
    for name, figures in errors.items():
        cells = (f"{figures[c]:>10.0f}" if c == "count" else f"{figures[c]:>10.4f}"
                 for c in columns)  # fmt: skip
        lines.append(f"{name:<{width}}" + "".join(cells))
    return "\n".join(lines)
