"""Every term and model that the contract holds for: a new one is a line in `MODELS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from ase import Atoms
from descriptor_examples import skewed
from model_examples import potential
from polarization_examples import CHARGED, equivariant, message_passing, vaf
from toy_terms import ToyDipole, ToyEnergy, ToyWhole

from ase_bec.terms.density_energy import DensityEnergy
from ase_bec.terms.formal_charges import FormalCharges
from ase_bec.terms.model import Model
from ase_bec.terms.repulsion import CoreRepulsion
from ase_bec.terms.split_charges import SplitCharges
from ase_bec.terms.term import Term

ELEMENTS = ("Li", "P", "O")
FAST = {"g4": (), "g5": [(0.02, 1, 1), (0.02, 4, -1)]}


@dataclass(frozen=True)
class Example:
    """A model, and what the contract need not hold for."""

    name: str
    make: Callable[[], Model]
    turns: bool = True  # with any rotation; else only when axes are exchanged cyclically


def one(term: Term) -> Model:
    return Model(ELEMENTS, [term])


def repulsive() -> CoreRepulsion:
    term = CoreRepulsion(3)
    term.closest.copy_(torch.tensor([[2.5, 2.2, 2.1], [2.2, 2.9, 2.4], [2.1, 2.4, 2.6]]))
    return term


def network(**options: object) -> Term:
    return potential(**options).network  # type: ignore[arg-type]


def split(**options: bool) -> SplitCharges:
    """Formal charges that do not add up, so that there is a rest to spread."""
    torch.manual_seed(5)
    g2, g5 = [(1.0, 1.5), (1.0, 2.5), (1.0, 3.5)], [(0.1, 1, 1), (0.1, 2, -1)]
    term = SplitCharges(
        3, [1, 5, -2], 4.0, g2, g5, (6,), bond_cutoff=3.4, radial=4, width=0.9, **options
    )
    term.scaling.high.fill_(2.0)
    return term


def density() -> DensityEnergy:
    torch.manual_seed(6)
    term = DensityEnergy(3, 3.9, 5, 3, 3, (6,), 2, [-1.0, -2.0, -3.0])
    for network in term.networks:
        network.deviation.fill_(3.0)
    return term


def everything() -> Model:
    charges = FormalCharges(3, [CHARGED[e] for e in ELEMENTS])
    terms = [network(**FAST), repulsive(), charges, equivariant(), ToyEnergy(3), ToyWhole(3)]
    return Model(ELEMENTS, terms)


MODELS = [
    Example("symmetry functions", lambda: one(network(**FAST))),
    Example("symmetry functions, explicit", lambda: one(network())),
    Example("symmetry functions, softplus", lambda: one(network(activation="softplus", **FAST))),
    Example("symmetry functions, silu", lambda: one(network(activation="silu", **FAST))),
    Example("symmetry functions, linear", lambda: one(network(activation="linear", **FAST))),
    Example("density energy", lambda: one(density())),
    Example("radial functions", lambda: one(network(g4=(), g5=()))),
    Example("core repulsion", lambda: one(repulsive())),
    Example("formal charges", lambda: one(FormalCharges(3, [1, 5, -2]))),
    Example("equivariant", lambda: one(equivariant())),
    Example("message passing", lambda: one(message_passing())),
    Example("vaf", lambda: one(vaf()), turns=False),
    Example("toy energy", lambda: one(ToyEnergy(3))),
    Example("toy dipole", lambda: one(ToyDipole(3))),
    Example("split charges", lambda: one(split())),
    Example("split charges in a field alone", lambda: one(split(at_rest=False))),
    Example("toy whole structure", lambda: one(ToyWhole(3))),
    Example("all together", everything),
]


def structure(seed: int = 0) -> Atoms:
    """A skewed cell smaller than cutoffs, atoms outside of it, nothing symmetric."""
    atoms = skewed()
    atoms.rattle(0.05, seed=seed)
    return atoms
