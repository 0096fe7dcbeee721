"""Energies, forces and stress of a neural-network potential against labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.frame import Frame
from ..descriptors.symmetry import SymmetryFunctions, angular_from_moments
from ..models.energy import NeuralNetworkPotential
from ..models.species import species_of
from ..system import System
from .geometry import PairGeometry, pair_geometry

__all__ = ["Predicted", "Sample", "join", "predict", "prepare"]


class Sample(NamedTuple):
    """One or several labelled structures, prepared for training.

    Attributes
    ----------
    radial, angular : PairGeometry
        Geometry of G2 (degree 0) and of G5.
    moments : tuple of three Tensors
        Moments of G2, of G5, and Σ_j w_c² of G5: where a step starts.
    species, structure : Tensor, (N,)
        Element and structure of each atom.
    n_atoms, volume, energy : Tensor, (B,)
        Of each structure; energies in eV, volumes in Å³.
    forces : Tensor, (N, 3)
        eV/Å.
    stress : Tensor, (B, 3, 3)
        eV/Å³, NaN where not known.
    """

    radial: PairGeometry
    angular: PairGeometry
    moments: tuple[Tensor, Tensor, Tensor]
    species: Tensor
    structure: Tensor
    n_atoms: Tensor
    volume: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor


class Predicted(NamedTuple):
    """Energies (B,), forces (N, 3) and stress (B, 3, 3) of a model."""

    energy: Tensor
    forces: Tensor
    stress: Tensor


def prepare(frame: Frame, model: NeuralNetworkPotential, dtype: torch.dtype) -> Sample:
    """Prepare a frame for a model.

    Raises
    ------
    ValueError
        If the frame has no energy or forces, the model has functions that moments cannot carry,
        or an element is unknown.
    """
    descriptor: SymmetryFunctions = model.descriptor
    if frame.energy is None or frame.forces is None:
        raise ValueError(f"`{frame.source}` must have an energy and forces to train a potential")
    if descriptor.g4 or descriptor.explicit or descriptor.plan is None:
        raise ValueError("`g5` must have whole-number ζ, and `g4` be empty, to train a potential")
    system = System.from_atoms(frame.atoms, model.cutoff)
    species = species_of(system.numbers, model.elements)
    n_elements = len(model.elements)
    g2 = torch.tensor(descriptor.g2, dtype=torch.float64).reshape(-1, 2)
    eta = torch.as_tensor(descriptor.plan.eta)
    g5 = torch.stack([eta, torch.zeros_like(eta)], dim=1)
    radial = pair_geometry(system, species, n_elements, model.cutoff, g2, 0)
    angular = pair_geometry(system, species, n_elements, model.cutoff, g5, descriptor.plan.degree)
    own = torch.zeros(len(species) * n_elements, len(eta), dtype=torch.float64)
    own.index_add_(0, angular.slot, angular.weight**2)
    leaves = (radial.moments(), angular.moments(), own.reshape(len(species), n_elements, -1))
    periodic = bool(frame.atoms.pbc.all())
    known = frame.stress is not None and periodic
    return Sample(
        radial.to(dtype),
        angular.to(dtype),
        (leaves[0].to(dtype), leaves[1].to(dtype), leaves[2].to(dtype)),
        species,
        torch.zeros(len(species), dtype=torch.int64),
        torch.tensor([len(species)]),
        torch.tensor([frame.atoms.get_volume() if periodic else 1.0], dtype=dtype),
        torch.tensor([frame.energy], dtype=torch.float64),
        torch.as_tensor(frame.forces, dtype=dtype),
        torch.as_tensor(frame.stress, dtype=dtype)[None]
        if known
        else torch.full((1, 3, 3), torch.nan, dtype=dtype),
    )


def join(samples: Sequence[Sample]) -> Sample:
    """Several samples as one batch."""
    counts = torch.cat([s.n_atoms for s in samples])
    a, b, c = (torch.cat([s.moments[k] for s in samples]) for k in range(3))
    return Sample(
        PairGeometry.join([s.radial for s in samples]),
        PairGeometry.join([s.angular for s in samples]),
        (a, b, c),
        torch.cat([s.species for s in samples]),
        torch.repeat_interleave(torch.arange(len(counts)), counts),
        counts,
        torch.cat([s.volume for s in samples]),
        torch.cat([s.energy for s in samples]),
        torch.cat([s.forces for s in samples]),
        torch.cat([s.stress for s in samples]),
    )


def predict(model: NeuralNetworkPotential, batch: Sample, create_graph: bool) -> Predicted:
    """Energies, forces and stress of a batch, differentiable by the parameters if asked for."""
    leaves = [m.detach().requires_grad_() for m in batch.moments]
    features = features_from_moments(model, leaves[0], leaves[1], leaves[2])
    atomic = model.from_features(features, batch.species)
    slopes = torch.autograd.grad(atomic.sum(), leaves, create_graph=create_graph)
    on_pairs = batch.radial.from_moments(slopes[0]) + batch.angular.from_moments(slopes[1])
    own = slopes[2].flatten(0, 1)[batch.angular.slot]  # [e, c]
    radial = (2 * own * batch.angular.weight * batch.angular.slope).sum(dim=1)
    on_pairs = on_pairs + radial[:, None] * batch.angular.unit
    energy = atomic.new_zeros(len(batch.n_atoms)).index_add(0, batch.structure, atomic)
    products = batch.angular.vector[:, :, None] * on_pairs[:, None, :]
    strain = products.new_zeros(len(batch.n_atoms), 3, 3)
    strain = strain.index_add(0, batch.structure[batch.angular.centre], products)
    stress = (strain + strain.transpose(1, 2)) / (2 * batch.volume[:, None, None])
    return Predicted(energy, -batch.angular.on_atoms(on_pairs), stress)


def features_from_moments(
    model: NeuralNetworkPotential, radial: Tensor, angular: Tensor, own: Tensor
) -> Tensor:
    """Symmetry functions (n, n_features) in the model's order."""
    descriptor: SymmetryFunctions = model.descriptor
    plan = descriptor.plan
    if plan is None:
        raise ValueError("`g5` must hold a function")
    g5 = angular_from_moments(angular, own, plan)[:, :, descriptor.g5_position]
    return torch.cat([radial.flatten(1), g5.flatten(1)], dim=1)
