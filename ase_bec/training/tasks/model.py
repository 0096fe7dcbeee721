"""Training of any model, by differentiating what its terms give a second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ase_bec.data import Frame
from ase_bec.data.branches import smallest_dipole
from ase_bec.evaluation.evaluate import Response, evaluate
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.training.tasks.task import Errors, Loss, checked_weights, rmse, tally

__all__ = ["ModelSample", "ModelTask"]

UNITS = {
    "energy": "eV/atom",
    "forces": "eV/Å",
    "stress": "eV/Å³",
    "born_charges": "e",
    "polarization": "e·Å",
}
LABELS = {"born_charges": "born_effective_charges"}


@dataclass(frozen=True, eq=False)
class ModelSample:
    """One frame: its system, and labels, NaN where there is none.

    Attributes
    ----------
    system : System
        The structure, with its pairs.
    labels : dict of Tensor
        ``energy`` per atom (1,), ``forces`` (n, 3), ``stress`` (3, 3), ``born_charges``
        (n, 3, 3), ``polarization``: the dipole (3,) in e·Å on any branch.
    """

    system: System
    labels: dict[str, Tensor]

    def __len__(self) -> int:
        return self.system.n_atoms


class ModelTask:
    r"""Loss of any model.

    .. math:: L = \frac1N\sum_n \sum_k w_k \overline{|\Delta_{n,k}|^2}

    over N frames and the quantities k that have a weight, the bar being the mean over the
    components of a frame: of energy per atom, forces, stress, Born charges and dipole, in eV, Å
    and e. For Born charges, one direction is drawn for each frame in each step.

    Every step differentiates all of the terms twice. Networks with a faster way have their own
    task.

    Parameters
    ----------
    model : Model
    weights : mapping
        w_k for ``energy``, ``forces``, ``stress``, ``born_charges`` and ``polarization``; if not
        given, 1 for energy and forces of a model that has them, 1 for Born charges of another.
    dtype, device
        Of the training.

    Raises
    ------
    ValueError
        If a weight has another name, is negative, or asks for what the model doesn't have.
    """

    def __init__(
        self,
        model: Model,
        weights: Mapping[str, float] | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        energetic = float(model.has_energy)
        default = {"energy": energetic, "forces": energetic, "born_charges": 1.0 - energetic}
        self.weights = checked_weights(weights or {}, dict.fromkeys(UNITS, 0.0) | default)
        wanted = {name for name, w in self.weights.items() if w}
        if (wanted & {"energy", "forces", "stress"} and not model.has_energy) or (
            wanted & {"born_charges", "polarization"} and not model.has_dipole
        ):
            raise ValueError(f"`loss` must be of what the model has, got {sorted(wanted)}")
        self.model = model.to(device, dtype).train()
        self.labels = tuple(LABELS.get(name, name) for name in UNITS if name in wanted)
        self.units = {name: unit for name, unit in UNITS.items() if name in wanted}

    @property
    def network(self) -> nn.Module:
        """All of the model."""
        return self.model

    def prepare(self, frame: Frame) -> ModelSample:
        """System and labels of one frame."""
        system = System.from_atoms(frame.atoms, max(self.model.cutoff, 1e-3))
        energy = np.nan if frame.energy is None else frame.energy / len(frame)
        found = {
            "energy": np.array([energy]),
            "forces": frame.forces,
            "stress": frame.stress,
            "born_charges": frame.born_effective_charges,
            "polarization": frame.dipole,
        }
        shapes = {"forces": (len(frame), 3), "stress": (3, 3), "polarization": (3,)}
        labels = {
            name: torch.as_tensor(
                np.full(shapes.get(name, (len(frame), 3, 3)), np.nan)
                if found[name] is None
                else found[name]
            ).double()
            for name in self.units
        }
        device = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        return ModelSample(system.to(device), {k: x.to(device) for k, x in labels.items()})

    def start(self, samples: Sequence[ModelSample]) -> None:
        """Do nothing: terms fit no scales here."""

    def finish(self, samples: Sequence[ModelSample]) -> None:
        """Do nothing."""

    def loss(self, samples: Sequence[ModelSample], normals: Tensor | None) -> Loss:
        """Loss of each sample, for one random direction of the field, or for all three."""
        directions = None if normals is None else nn.functional.normalize(normals, dim=1)
        wrong = self._wrong(samples, directions, create_graph=True)
        parts = [
            self.weights[name] * torch.stack([(part**2).mean() for part in wrong[name]])
            for name in self.units
        ]
        return Loss(torch.stack(parts).sum(dim=0), _tallies(wrong))

    def errors(self, samples: Sequence[ModelSample]) -> Errors:
        """Errors of all quantities, forces and Born charges also by element."""
        wrong = self._wrong(samples, None, create_graph=False)
        errors = _tallies(wrong)
        numbers = torch.cat([s.system.numbers for s in samples])
        for name in ("forces", "born_charges"):
            if name in wrong:
                of_atoms = torch.cat(wrong[name])
                for element, number in zip(self.model.elements, self.model.numbers, strict=True):
                    errors[f"{name} {element}"] = tally(of_atoms[numbers == number])
        return errors

    def score(self, errors: Errors) -> float:
        """The mean loss that these errors amount to."""
        return sum(self.weights[name] * rmse(errors[name]) ** 2 for name in self.units)

    def _wrong(
        self, samples: Sequence[ModelSample], directions: Tensor | None, create_graph: bool
    ) -> dict[str, list[Tensor]]:
        """Errors of each sample."""
        system = System.join([s.system for s in samples])
        sizes = [len(s) for s in samples]
        wrong: dict[str, list[Tensor]] = {name: [] for name in self.units}
        if {"energy", "forces", "stress"} & set(wrong):
            found = evaluate(self.model.without_field(), system, create_graph=create_graph)
            self._add_energies(samples, found, sizes, wrong)
        if "polarization" in wrong:
            dipoles = evaluate(self.model.in_field(), system, create_graph=create_graph).dipole
            for sample, dipole in zip(samples, dipoles, strict=True):
                wrong["polarization"].append(_on_branch(dipole, sample))
        if "born_charges" in wrong:
            self._add_charges(samples, system, directions, create_graph, wrong["born_charges"])
        return wrong

    def _add_energies(
        self,
        samples: Sequence[ModelSample],
        found: Response,
        sizes: list[int],
        wrong: dict[str, list[Tensor]],
    ) -> None:
        rows = zip(
            samples, found.energy, torch.split(found.forces, sizes), found.virial, strict=True
        )
        for sample, energy, forces, virial in rows:
            volume = torch.linalg.det(sample.system.cell[0]).abs()
            values = {"energy": energy[None] / len(sample), "forces": forces}
            values["stress"] = virial / volume
            for name, value in values.items():
                if name in wrong:
                    wrong[name].append(value - sample.labels[name])

    def _add_charges(
        self,
        samples: Sequence[ModelSample],
        system: System,
        directions: Tensor | None,
        create_graph: bool,
        wrong: list[Tensor],
    ) -> None:
        """Errors of rows e·Z (n, 3) along directions, or of all three rows (n, 3, 3)."""
        feeling = self.model.in_field()
        linear = all(term.in_field == "linear" for term in feeling.terms)
        sizes = [len(s) for s in samples]

        def rows(fields: Tensor) -> Tensor:
            plus = evaluate(feeling, system, fields, create_graph=create_graph).forces
            if linear:
                return plus
            return (plus - evaluate(feeling, system, -fields, create_graph=create_graph).forces) / 2

        if directions is not None:
            fields = directions.to(system.cell)
            found = torch.split(rows(fields), sizes)
            for sample, row, e in zip(samples, found, fields, strict=True):
                wrong.append(row - torch.einsum("i,aij->aj", e, sample.labels["born_charges"]))
            return
        axes = torch.eye(3).to(system.cell)
        tensors = torch.stack([rows(e.expand(len(samples), 3)) for e in axes], dim=1)
        for sample, tensor in zip(samples, torch.split(tensors, sizes), strict=True):
            wrong.append(tensor - sample.labels["born_charges"])


def _on_branch(dipole: Tensor, sample: ModelSample) -> Tensor:
    """Error of a dipole on the branch nearest to the label."""
    wrong = dipole - sample.labels["polarization"]
    cell = sample.system.cell[0].cpu().numpy()
    nearest = smallest_dipole(wrong.detach().cpu().numpy(), cell)
    return wrong + (torch.as_tensor(nearest).to(wrong) - wrong.detach())


def _tallies(wrong: dict[str, list[Tensor]]) -> Errors:
    return {name: tally(torch.cat([x.flatten() for x in wrong[name]])) for name in wrong}
