"""Small potentials with random weights, whose scaling fits the structures they are tested on."""

from __future__ import annotations

from typing import Any

import torch
from ase import Atoms
from descriptor_examples import seen_by, skewed

from ase_bec import NeuralNetworkPotential, NNPCalculator

ELEMENTS = ("Li", "P", "O")
FUNCTIONS: dict[str, Any] = {
    "g2": [(0.0, 0.0), (0.5, 2.0)],
    "g5": [(0.02, 1, 1), (0.02, 4, -1), (0.02, 2.5, 1)],
    "g4": [(0.01, 2, -1)],
}


def potential(
    seed: int = 0, cutoff: float = 4.2, margin: float = 0.5, **options: Any
) -> NeuralNetworkPotential:
    """Random weights; ranges from no neighbours to those of `skewed`, and a margin beyond."""
    arguments = {"hidden": (6, 5), "offsets": (-1.0, 2.0, 0.5), **FUNCTIONS, **options}
    elements = arguments.pop("elements", ELEMENTS)
    with torch.random.fork_rng():
        bare = NeuralNetworkPotential(elements, cutoff, **arguments)
    _, nb = seen_by(skewed(), list(elements), cutoff)
    largest = bare.network.descriptor(nb).detach().amax(dim=0) + 0.05
    high = (largest * (1 + margin)).repeat(len(elements), 1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = NeuralNetworkPotential(
            elements, cutoff, scaling=(-margin * high, high), **arguments
        )
    return model.eval()


def total_energy(model: NeuralNetworkPotential, atoms: Atoms) -> float:
    _, nb = seen_by(atoms, list(model.elements), model.cutoff)
    return model.network(nb).sum().item()


def in_torch(calculator: NNPCalculator) -> NNPCalculator:
    """The same calculator without compiled code."""
    for member in calculator._evaluator.members:
        member.rules = [None] * len(member.rules)
        member.model.train()
    return calculator
