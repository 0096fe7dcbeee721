"""A model: a named sum of terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, ClassVar

import torch
from ase.data import atomic_numbers
from torch import nn

from ase_bec.terms.saving import save
from ase_bec.terms.species import check_elements
from ase_bec.terms.table import TERMS
from ase_bec.terms.term import Term

__all__ = ["Model"]


class Model(nn.Module):
    """Sum of terms for given elements.

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols; their order is that of the terms' element indices.
    terms : iterable of Term
        Summands of the enthalpy, each made for the same number of elements.
    metadata : dict, optional
        Description of the model: plain values, kept in the file.

    Raises
    ------
    ValueError, TypeError
        If an element is unknown or repeated, or a term is not a Term or is for other elements.

    Examples
    --------
    >>> from ase_bec.models import Model
    >>> from ase_bec.terms.formal_charges import FormalCharges
    >>> from ase_bec.terms.repulsion import CoreRepulsion
    >>> model = Model(["Mg", "O"], [FormalCharges(2, [2, -2]), CoreRepulsion(2)])
    >>> model.has_energy, model.has_dipole
    (True, True)
    >>> [term.kind for term in model.in_field().terms]
    ['formal-charges']
    """

    kind: ClassVar[str] = "model"

    def __init__(
        self,
        elements: Sequence[str],
        terms: Iterable[Term],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.elements = check_elements(elements)
        self.terms = nn.ModuleList()
        for term in terms:
            if not isinstance(term, Term):
                raise TypeError(f"`terms` must be terms, got {type(term).__name__}")
            if term.n_elements != len(self.elements):
                raise ValueError(
                    f"`terms` must be made for {len(self.elements)} elements, got {term.kind!r} "
                    f"for {term.n_elements}"
                )
            self.terms.append(term)
        if not len(self.terms):
            raise ValueError("`terms` must hold at least one term, got none")
        self.metadata = dict(metadata or {})

    @property
    def cutoff(self) -> float:
        """Furthest neighbour in Å that a term sees."""
        return max(term.cutoff for term in self._listed())

    @property
    def numbers(self) -> list[int]:
        """Atomic numbers of the elements."""
        return [atomic_numbers[symbol] for symbol in self.elements]

    @property
    def has_energy(self) -> bool:
        """Whether there is an energy without field."""
        return any(not term.vanishes for term in self._listed())

    @property
    def has_dipole(self) -> bool:
        """Whether it feels a field."""
        return any(term.in_field != "none" for term in self._listed())

    @property
    def has_charges(self) -> bool:
        """Whether atoms have charges."""
        return any(term.has_charges for term in self._listed())

    @property
    def dtype(self) -> torch.dtype:
        """Floating dtype of its parameters; double if there are none."""
        return next((x.dtype for x in self.parameters()), torch.float64)

    def without_field(self) -> Model:
        """The terms that do not vanish without field."""
        return Model(self.elements, [t for t in self._listed() if not t.vanishes])

    def in_field(self) -> Model:
        """The terms that feel a field."""
        return Model(self.elements, [t for t in self._listed() if t.in_field != "none"])

    def _listed(self) -> list[Term]:
        return list(self.terms)  # type: ignore[arg-type]

    def config(self) -> dict[str, Any]:
        """Plain arguments that rebuild this model, without its weights."""
        terms = [{"kind": term.kind, **term.config()} for term in self._listed()]
        return {"elements": list(self.elements), "terms": terms}

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a file that :func:`ase_bec.load` reads without executing code."""
        save(self, path)

    @classmethod
    def from_config(cls, config: dict[str, Any], metadata: dict[str, Any]) -> Model:
        """Make a model from what :meth:`config` returned."""
        elements = config["elements"]
        terms = [term_from_config(len(elements), options) for options in config["terms"]]
        return cls(elements, terms, metadata)


def term_from_config(n_elements: int, config: dict[str, Any]) -> Term:
    """Make a term from its kind and what its ``config`` returned.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    options = dict(config)
    kind = options.pop("kind")
    if not isinstance(kind, str) or kind not in TERMS:
        raise ValueError(f"`kind` of a term must be one of {', '.join(TERMS)}, got {kind!r}")
    return TERMS[kind](n_elements, **options)
