"""Training of neural-network potentials on energies, forces and stress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_bec.data import Frame
from ase_bec.descriptors.scaling import MinMaxScaling
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions, angular_from_moments
from ase_bec.models.potential import NeuralNetworkPotential
from ase_bec.system import System
from ase_bec.terms.species import species_of
from ase_bec.training.tasks.density import DensityGeometry, density_geometry
from ase_bec.training.tasks.principal import along_principal_axes, as_linear
from ase_bec.training.tasks.task import Errors, Loss, checked_weights, rmse, tally

__all__ = ["PotentialSample", "PotentialTask", "closest_distances"]

WEIGHTS = {"energy": 1.0, "forces": 1.0, "stress": 0.0}


@dataclass(frozen=True)
class _Channels:
    n_elements: int
    cutoff: float
    degree: int
    gaussians: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PotentialSample:
    """One frame: geometry of G2 (degree 0) and G5, and labels.

    Attributes
    ----------
    radial, angular : DensityGeometry
    own : Tensor, (n, n_elements, C)
        Σ_j w_c², the terms j = k of G5.
    volume : float
        Å³; 1 without a periodic cell.
    energy : float
        eV.
    forces : Tensor, (n, 3)
        eV/Å.
    stress : Tensor, (3, 3)
        eV/Å³, NaN where it is not known.
    """

    radial: DensityGeometry
    angular: DensityGeometry
    own: Tensor
    volume: float
    energy: float
    forces: Tensor
    stress: Tensor

    def __len__(self) -> int:
        return len(self.forces)


class PotentialTask:
    r"""Loss of a neural-network potential.

    .. math:: L = \frac1N\sum_n \Big[ w_E \Big(\frac{\Delta U_n}{M_n}\Big)^2 +
              \frac{w_F}{3M_n}\sum_a |\Delta F_a|^2 + \frac{w_\sigma}{9}|\Delta\sigma_n|^2 \Big]

    over N frames of M_n atoms, in eV, eV/Å and eV/Å³. Symmetry functions with whole-number ζ are
    polynomials of the neighbour density, whose geometry is computed once.

    Parameters
    ----------
    model : NeuralNetworkPotential
        With G2 and G5 of whole-number ζ.
    weights : mapping
        w_E, w_F, w_σ for ``energy``, ``forces`` and ``stress``; 1, 1 and 0 if not given.
    dtype, device
        Of the training.
    trained : bool
        Continue from the model's weights: offsets, scaling and first layers stay as they are.

    Raises
    ------
    ValueError
        If a weight has another name or is negative, all are zero, or the model has other
        functions.
    """

    def __init__(
        self,
        model: NeuralNetworkPotential,
        weights: Mapping[str, float] | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        trained: bool = False,
    ) -> None:
        self.trained = trained
        self.term = model.network
        descriptor: SymmetryFunctions = self.term.descriptor
        if descriptor.g4 or descriptor.explicit or descriptor.plan is None:
            raise ValueError(
                "`model` must have G5 with whole-number ζ, and no G4, to be trained, got others"
            )
        self.plan = descriptor.plan
        self.weights = checked_weights(weights or {}, WEIGHTS)
        self.model = model.to(device, dtype).train()
        g2, eta = np.array(descriptor.g2).reshape(-1, 2), self.plan.eta
        g5 = np.column_stack([eta, np.zeros_like(eta)])
        size = len(model.elements)
        self._channels = (
            _Channels(size, model.cutoff, 0, g2),
            _Channels(size, model.cutoff, self.plan.degree, g5),
        )
        self.labels = tuple(name for name, w in self.weights.items() if w)
        units = {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å³"}
        self.units = {name: units[name] for name in self.labels}

    @property
    def network(self) -> nn.Module:
        """The trained networks."""
        return self.term.networks

    def prepare(self, frame: Frame) -> PotentialSample:
        """Geometry and labels of one frame."""
        parameter = next(self.term.networks.parameters())
        species = species_of(torch.as_tensor(frame.atoms.numbers), self.model.elements)
        system = System.from_atoms(frame.atoms, self.model.cutoff)
        radial, angular = (density_geometry(c, system, species) for c in self._channels)
        own = (angular.radial**2).sum(dim=2).reshape(len(frame), -1, len(self.plan.eta))
        periodic = bool(frame.atoms.pbc.all())
        unknown = np.full((len(frame), 3), np.nan)
        return PotentialSample(
            radial.to(parameter.device, parameter.dtype),
            angular.to(parameter.device, parameter.dtype),
            own.to(parameter),
            frame.atoms.get_volume() if periodic else 1.0,
            np.nan if frame.energy is None else frame.energy,
            torch.as_tensor(unknown if frame.forces is None else frame.forces).to(parameter),
            torch.as_tensor(unknown[:3] if frame.stress is None else frame.stress).to(parameter),
        )

    def start(self, samples: Sequence[PotentialSample]) -> None:
        """Fit offsets and scaling to the training samples; turn first layers to principal axes."""
        term = self.term
        species = torch.cat([s.radial.species for s in samples])
        with torch.no_grad():
            features = torch.cat([self._features(s, _leaves([s])) for s in samples])
            if not self.trained:
                if self.weights["energy"]:
                    term.offsets.copy_(energy_offsets(samples, term.n_elements))
                _fit_range(term.scaling, features, species)
            scaled = term.scaling(features, species)
            along_principal_axes(term.networks.networks, scaled, species, self.trained)

    def finish(self, samples: Sequence[PotentialSample]) -> None:
        """Make plain layers again; let the repulsion begin where the training samples end.

        A model trained before keeps the smaller of its distances and theirs.
        """
        as_linear(self.term.networks.networks)
        known = self.model.repulsion.closest
        angular = [s.angular for s in samples]
        closest = closest_distances(angular, len(self.model.elements)).to(known)
        if self.trained:
            both = torch.minimum(known, closest)
            closest = torch.where(both > 0, both, torch.maximum(known, closest))
        known.copy_(closest)

    def loss(self, samples: Sequence[PotentialSample], normals: Tensor | None) -> Loss:
        """Loss of each sample; nothing in it is random."""
        wrong = self._wrong(samples, create_graph=True)
        parts = [
            self.weights[name] * torch.stack([(part**2).mean() for part in wrong[name]])
            for name in self.labels
        ]
        return Loss(torch.stack(parts).sum(dim=0), self._tallies(wrong))

    def errors(self, samples: Sequence[PotentialSample]) -> Errors:
        """Errors of energy, forces and stress; forces also by element."""
        wrong = self._wrong(samples, create_graph=False)
        errors = self._tallies(wrong)
        if "forces" in wrong:
            species = torch.cat([s.radial.species for s in samples])
            forces = torch.cat(wrong["forces"])
            for k, element in enumerate(self.model.elements):
                errors[f"forces {element}"] = tally(forces[species == k])
        return errors

    def score(self, errors: Errors) -> float:
        """The mean loss that these errors amount to."""
        return sum(self.weights[name] * rmse(errors[name]) ** 2 for name in self.labels)

    def _tallies(self, wrong: dict[str, list[Tensor]]) -> Errors:
        return {name: tally(torch.cat([x.flatten() for x in wrong[name]])) for name in wrong}

    def _features(self, sample: PotentialSample, leaves: tuple[Tensor, ...]) -> Tensor:
        radial, angular, own = leaves
        g5 = angular_from_moments(angular, own, self.plan)[:, :, self.term.descriptor.g5_position]
        return torch.cat([radial.flatten(1), g5.flatten(1)], dim=1)

    def _wrong(
        self, samples: Sequence[PotentialSample], create_graph: bool
    ) -> dict[str, list[Tensor]]:
        """Errors of each sample: energy per atom, forces (n, 3), stress (3, 3)."""
        sizes = [len(s) for s in samples]
        species = torch.cat([s.radial.species for s in samples])
        leaves = tuple(x.detach().requires_grad_() for x in _leaves(samples))
        atomic = self.term.from_features(self._features(samples[0], leaves), species)
        wrong: dict[str, list[Tensor]] = {name: [] for name in self.labels}
        if "energy" in wrong:
            for sample, part in zip(samples, torch.split(atomic, sizes), strict=True):
                error = (part.sum() - sample.energy)[None] / len(sample)
                wrong["energy"].append(error.to(sample.forces))
        if "forces" in wrong or "stress" in wrong:
            slopes = torch.autograd.grad(atomic.sum(), leaves, create_graph=create_graph)
            parts = zip(samples, *(torch.split(slope, sizes) for slope in slopes), strict=True)
            for sample, radial, angular, own in parts:
                pairs = _on_pairs(sample, radial, angular, own)
                if "forces" in wrong:
                    wrong["forces"].append(-sample.angular.on_atoms(pairs) - sample.forces)
                if "stress" in wrong:
                    vector = sample.angular.unit * sample.angular.distance[:, None]
                    strain = torch.einsum("sxj,syj->xy", vector, pairs)
                    stress = (strain + strain.T) / (2 * sample.volume)
                    wrong["stress"].append(stress - sample.stress)
        return wrong


def _fit_range(scaling: MinMaxScaling, features: Tensor, species: Tensor) -> None:
    """Smallest and largest value of each feature, of the elements that there are."""
    for element in torch.unique(species).tolist():
        chosen = features[species == element]
        scaling.low[element] = chosen.amin(dim=0)
        scaling.high[element] = chosen.amax(dim=0)


def closest_distances(geometries: Sequence[DensityGeometry], n_elements: int) -> Tensor:
    """Smallest distance of each pair of elements in Å; 0 of those that never meet."""
    closest = torch.full((n_elements, n_elements), torch.inf, dtype=torch.float64)
    for geometry in geometries:
        distance = geometry.distance.double().cpu()
        smallest = torch.where(distance > 0, distance, torch.inf).amin(dim=1)
        smallest = smallest.reshape(-1, n_elements)  # [centre, element of neighbour]
        index = geometry.species.cpu()[:, None].expand_as(smallest)
        closest = closest.scatter_reduce(0, index, smallest, "amin")
    return torch.where(closest.isfinite(), closest, 0)


def _leaves(samples: Sequence[PotentialSample]) -> tuple[Tensor, Tensor, Tensor]:
    """What a step starts from: moments of G2 and of G5, and the terms j = k."""
    return (
        torch.cat([s.radial.density for s in samples]),
        torch.cat([s.angular.density for s in samples]),
        torch.cat([s.own for s in samples]),
    )


def _on_pairs(sample: PotentialSample, radial: Tensor, angular: Tensor, own: Tensor) -> Tensor:
    """Derivative with respect to pair vectors (n·e, 3, J), from those to the leaves."""
    g = sample.angular
    by_square = 2 * own.flatten(0, 1)[:, :, None] * g.radial * g.slope  # [ie, c, j]
    along = by_square.sum(dim=1, keepdim=True) * g.unit
    return sample.radial.on_pairs(radial) + g.on_pairs(angular) + along


def energy_offsets(samples: Sequence[PotentialSample], n_elements: int) -> Tensor:
    """Energy of each element, from least squares over the samples, (n_elements,) in eV.

    Where the compositions do not tell elements apart, the smallest offsets are taken.
    """
    species = [torch.bincount(s.radial.species, minlength=n_elements) for s in samples]
    composition = torch.stack(species).double().cpu()
    energies = torch.tensor([s.energy for s in samples], dtype=torch.float64)
    found: Tensor = torch.linalg.lstsq(composition, energies[:, None], driver="gelsd").solution
    return found[:, 0]
