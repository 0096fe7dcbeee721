"""Copies of models that never change, ready to be evaluated."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from ase_bec.evaluation.evaluate import Response, evaluate, rules_of
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.terms.species import species_of
from ase_bec.terms.term import Rule

__all__ = ["FrozenModel", "device_of", "dtype_of"]


class FrozenModel:
    """A copy of a model with its rules, and the element indices of the last structure.

    It is its own copy: calculators that are copied share it.
    """

    def __init__(self, model: Model, device: torch.device, dtype: torch.dtype | None) -> None:
        frozen = deepcopy(model).to(device)
        self.model = (frozen if dtype is None else frozen.to(dtype)).eval().requires_grad_(False)
        self.rules: list[Rule | None] = rules_of(self.model, device)
        self._species: tuple[Tensor, Tensor] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenModel:
        return self  # frozen

    def __getstate__(self) -> dict[str, Any]:
        # Kernels are compiled where the copy is used.
        return {"model": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["model"], _device(state["model"]), None)  # type: ignore[misc]

    def species(self, numbers: Tensor) -> Tensor:
        """Element index of every atom; that of the same tensor is kept."""
        kept = self._species
        if kept is None or kept[0] is not numbers:
            kept = self._species = numbers, species_of(numbers, self.model.elements)
        return kept[1]

    def response(self, system: System, field: Tensor | None) -> Response:
        """Evaluate it."""
        return evaluate(
            self.model, system, field, rules=self.rules, species=self.species(system.numbers)
        )


def _device(model: Model) -> torch.device:
    return next((x.device for x in model.parameters()), torch.device("cpu"))


def dtype_of(dtype: torch.dtype | str) -> torch.dtype:
    """Floating dtype by its name."""
    known = {"float64": torch.float64, "float32": torch.float32}
    found = known.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise ValueError(f"`dtype` must be float64 or float32, got {dtype!r}")
    return found


def device_of(device: str | torch.device | None) -> torch.device:
    """Device by its name, the CPU by default; ValueError if this machine does not have it."""
    try:
        found = torch.device("cpu" if device is None else device)
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"`device` must be a device of this machine such as 'cpu' or 'cuda', got {device!r} "
            f"({reason})"
        ) from error
    return found
