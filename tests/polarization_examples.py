"""Polarization models with random weights, of a size that tests would notice."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from ase import Atoms
from descriptor_examples import seen_by, skewed

from ase_bec import EquivariantNetwork, MessagePassingNetwork, PolarizationModel, VAFNetwork
from ase_bec.evaluation.evaluate import evaluate
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.terms.term import LocalDipole

ELEMENTS = ("Li", "P", "O")
CHARGED = {"Li": 1.0, "P": 5.0, "O": -2.0}  # Q = 2 in `skewed`
NEUTRAL = {"Li": 1.0, "P": 3.0, "O": -2.0}  # Q = 0 there
V1 = [(0.0, 0.0), (1.0, 2.0), (1.0, 3.0)]
V2 = [(0.1, 1, 2, 0), (0.3, 2, 1, 0), (0.1, 2, 3, 0.5)]


def equivariant(
    seed: int = 0, elements: tuple[str, ...] = ELEMENTS, atoms: Atoms | None = None, **options: Any
) -> EquivariantNetwork:
    """Equivariant network, scaled to rattled copies of a crystal."""
    settings = {"cutoff": 4.2, "radial": 5, "channels": 3, "hidden": (8,), **options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = EquivariantNetwork(len(elements), **settings)
    if atoms is None:
        atoms = skewed()
        atoms.symbols = [elements[ELEMENTS.index(s) % len(elements)] for s in atoms.symbols]
    atoms = atoms * (2, 2, 1)
    atoms.rattle(0.2, seed=4)
    _, nb = seen_by(atoms, list(elements), network.cutoff)
    network.set_scales(network.density(nb).detach(), nb.species)
    return network.eval()


def message_passing(
    seed: int = 0, elements: tuple[str, ...] = ELEMENTS, **options: Any
) -> MessagePassingNetwork:
    """Message-passing network with the scales of the equivariant one, and as many channels."""
    settings = {"cutoff": 4.2, "radial": 5, "channels": 3, "hidden": (8,), "messages": 2, **options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = MessagePassingNetwork(len(elements), **settings)
    atoms = skewed()
    atoms.symbols = [elements[ELEMENTS.index(s) % len(elements)] for s in atoms.symbols]
    atoms = atoms * (2, 2, 1)
    atoms.rattle(0.2, seed=4)
    _, nb = seen_by(atoms, list(elements), network.cutoff)
    with torch.no_grad():
        network.messages.set_scales(network.density(nb), nb.species)
        network.dipoles.set_scales(torch.cat(network.densities(nb), dim=1), nb.species)
    return network.eval()


def vaf(seed: int = 0, elements: tuple[str, ...] = ELEMENTS, **options: Any) -> VAFNetwork:
    """The paper's network, with some functions that are summed explicitly."""
    settings = {"cutoff": 4.2, "v1": V1, "v2": V2, "hidden": (8, 5), **options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = VAFNetwork(len(elements), **settings)
    with torch.no_grad():
        for parameter in network.networks.parameters():
            parameter *= 1.5
    return network.eval()


NETWORKS = {"equivariant": equivariant, "message-passing": message_passing, "vaf": vaf}


def polarization_model(
    network: LocalDipole | str = "equivariant",
    charges: dict[str, float] | None = CHARGED,
    elements: tuple[str, ...] = ELEMENTS,
) -> PolarizationModel:
    """Model in evaluation mode; the warning of single-valued ones is left to its own test."""
    made = NETWORKS[network](elements=elements) if isinstance(network, str) else network
    with warnings.catch_warnings():
        if charges is None:
            warnings.simplefilter("ignore")
        return PolarizationModel(elements, made, charges).eval()


def along(
    network: LocalDipole, system: System, direction: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Local dipoles (n, 3), and the derivative of e·ΣD by positions, as `evaluate` takes them.

    In evaluation mode by the network's rule, if it has one, in training by torch.
    """
    model = Model(ELEMENTS, [network])
    fields = torch.eye(3, dtype=torch.float64)
    dipoles = [-evaluate(model, system, field).energies for field in fields]
    return torch.stack(dipoles, dim=1), evaluate(model, system, direction).forces


def transformed(atoms: Atoms, matrix: Any) -> Atoms:
    """Positions and cell multiplied by a matrix."""
    atoms = atoms.copy()
    atoms.set_positions(atoms.positions @ matrix.T)
    atoms.set_cell(atoms.cell.array @ matrix.T)
    return atoms


def adam(model: PolarizationModel) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def data(model: PolarizationModel) -> None:
    """As older code writes it: no version counter of the parameter sees it."""
    next(model.network.networks.parameters()).data.mul_(1.5)


def load(model: PolarizationModel) -> None:
    model.load_state_dict(polarization_model(equivariant(seed=7)).state_dict())


def assign(model: PolarizationModel) -> None:
    model.load_state_dict(polarization_model(equivariant(seed=7)).state_dict(), assign=True)


def scale(model: PolarizationModel) -> None:
    model.network.size *= 1.1


def single(model: PolarizationModel) -> None:
    model.float()


def there_and_back(model: PolarizationModel) -> None:
    model.float().double()


#: Ways in which the numbers of a model change.
CHANGES = (adam, data, load, assign, scale, single, there_and_back)
