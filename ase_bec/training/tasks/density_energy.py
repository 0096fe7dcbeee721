"""Training of energies from the neighbour density on energies and forces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ase_bec.data import Frame
from ase_bec.system import System
from ase_bec.terms.density_energy import DensityEnergy
from ase_bec.terms.model import Model
from ase_bec.terms.repulsion import CoreRepulsion
from ase_bec.terms.species import species_of
from ase_bec.training.tasks.density import DensityGeometry, density_geometry
from ase_bec.training.tasks.potential import closest_distances
from ase_bec.training.tasks.task import Errors, Loss, checked_weights, rmse, tally

__all__ = ["DensityEnergyTask", "DensitySample"]

WEIGHTS = {"energy": 1.0, "forces": 1.0}


@dataclass(frozen=True, eq=False)
class DensitySample:
    """One frame: geometry that is computed once, energy in eV and forces (n, 3) in eV/Å."""

    geometry: DensityGeometry
    energy: float
    forces: Tensor

    def __len__(self) -> int:
        return len(self.forces)


class DensityEnergyTask:
    r"""Loss of a model of a `DensityEnergy` and, if there is one, a `CoreRepulsion`.

    .. math:: L = \frac1N\sum_n \Big[ w_E \Big(\frac{\Delta U_n}{M_n}\Big)^2 +
              \frac{w_F}{3M_n}\sum_a |\Delta F_a|^2 \Big]

    Parameters
    ----------
    model : Model
    weights : mapping
        w_E and w_F for ``energy`` and ``forces``; 1 if not given.
    dtype, device
        Of the training.
    trained : bool
        Go on from the model's numbers: offsets and scales stay as they are.

    Raises
    ------
    ValueError
        If a weight has another name or is negative, or all are zero.
    """

    def __init__(
        self,
        model: Model,
        weights: Mapping[str, float] | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        trained: bool = False,
    ) -> None:
        self.trained = trained
        self.weights = checked_weights(weights or {}, WEIGHTS)
        self.model = model.to(device, dtype).train()
        (self.term,) = (t for t in model.terms if isinstance(t, DensityEnergy))
        self.labels = tuple(name for name, w in self.weights.items() if w)
        units = {"energy": "eV/atom", "forces": "eV/Å"}
        self.units = {name: units[name] for name in self.labels}

    @property
    def network(self) -> nn.Module:
        """The trained networks."""
        return self.term.networks

    def prepare(self, frame: Frame) -> DensitySample:
        """Geometry and labels of one frame."""
        parameter = next(self.term.networks.parameters())
        species = species_of(torch.as_tensor(frame.atoms.numbers), self.model.elements)
        system = System.from_atoms(frame.atoms, self.term.cutoff)
        geometry = density_geometry(self.term.density, system, species)
        forces = np.full((len(frame), 3), np.nan) if frame.forces is None else frame.forces
        return DensitySample(
            geometry.to(parameter.device, parameter.dtype),
            np.nan if frame.energy is None else frame.energy,
            torch.as_tensor(forces).to(parameter),
        )

    def start(self, samples: Sequence[DensitySample]) -> None:
        """Fit offsets and scales to the training samples."""
        if self.trained:
            return
        density = torch.cat([s.geometry.density for s in samples])
        species = [s.geometry.species for s in samples]
        for network in self.term.networks:
            network.set_scales(density, torch.cat(species))  # type: ignore[operator]
        if self.weights["energy"]:
            counts = [torch.bincount(s, minlength=self.term.n_elements) for s in species]
            energies = torch.tensor([s.energy for s in samples], dtype=torch.float64)
            rows = torch.stack(counts).double().cpu()
            fitted = torch.linalg.lstsq(rows, energies[:, None], driver="gelsd").solution
            self.term.offsets.copy_(fitted[:, 0])

    def finish(self, samples: Sequence[DensitySample]) -> None:
        """Note the range of the invariants; let the repulsion begin where the samples end."""
        self._note_range(samples)
        for term in self.model.terms:
            if isinstance(term, CoreRepulsion):
                found = closest_distances([s.geometry for s in samples], term.n_elements)
                term.closest.copy_(found.to(term.closest))

    def _note_range(self, samples: Sequence[DensitySample]) -> None:
        rows = [self.term.invariants(s.geometry.density, s.geometry.species) for s in samples]
        invariants, known = torch.cat(rows), self.term.known
        species = torch.cat([s.geometry.species for s in samples])
        for element in torch.unique(species).tolist():
            chosen = invariants[species == element]
            low, high = chosen.amin(dim=0).to(known.low), chosen.amax(dim=0).to(known.high)
            known.low[element], known.high[element] = low, high

    def loss(self, samples: Sequence[DensitySample], normals: Tensor | None) -> Loss:
        """Loss of each sample; nothing is left to chance."""
        wrong = self._wrong(samples, create_graph=True)
        parts = [
            self.weights[name] * torch.stack([(x**2).mean() for x in wrong[name]])
            for name in self.labels
        ]
        return Loss(torch.stack(parts).sum(dim=0), _tallies(wrong))

    def errors(self, samples: Sequence[DensitySample]) -> Errors:
        """Errors of energy and forces; forces also by element."""
        wrong = self._wrong(samples, create_graph=False)
        errors = _tallies(wrong)
        if "forces" in wrong:
            species = torch.cat([s.geometry.species for s in samples])
            forces = torch.cat(wrong["forces"])
            for k, element in enumerate(self.model.elements):
                errors[f"forces {element}"] = tally(forces[species == k])
        return errors

    def score(self, errors: Errors) -> float:
        """The mean loss that these errors amount to."""
        return sum(self.weights[name] * rmse(errors[name]) ** 2 for name in self.labels)

    def _wrong(
        self, samples: Sequence[DensitySample], create_graph: bool
    ) -> dict[str, list[Tensor]]:
        sizes = [len(s) for s in samples]
        species = torch.cat([s.geometry.species for s in samples])
        leaf = torch.cat([s.geometry.density for s in samples]).requires_grad_()
        atomic = self.term.from_density(leaf, species)
        wrong: dict[str, list[Tensor]] = {name: [] for name in self.labels}
        if "energy" in wrong:
            for sample, part in zip(samples, torch.split(atomic, sizes), strict=True):
                error = (part.sum() - sample.energy)[None] / len(sample)
                wrong["energy"].append(error.to(sample.forces))
        if "forces" in wrong:
            (slopes,) = torch.autograd.grad(atomic.sum(), leaf, create_graph=create_graph)
            for sample, slope in zip(samples, torch.split(slopes, sizes), strict=True):
                g = sample.geometry
                wrong["forces"].append(-g.on_atoms(g.on_pairs(slope)) - sample.forces)
        return wrong


def _tallies(wrong: dict[str, list[Tensor]]) -> Errors:
    return {name: tally(torch.cat([x.flatten() for x in wrong[name]])) for name in wrong}
