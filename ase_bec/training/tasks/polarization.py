"""Training of polarization models on Born charges and polarization."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_bec.data import Frame
from ase_bec.data.branches import smallest_dipole
from ase_bec.models.polarization import PolarizationModel
from ase_bec.system import System
from ase_bec.terms.equivariant import EquivariantNetwork
from ase_bec.terms.messages import MessagePassingNetwork
from ase_bec.terms.species import species_of
from ase_bec.terms.vaf import VAFNetwork
from ase_bec.training.tasks.axis import AxisGeometry, AxisTraining
from ase_bec.training.tasks.density import DensityGeometry, DensityTraining
from ase_bec.training.tasks.messages import MessageTraining
from ase_bec.training.tasks.task import Errors, Loss, checked_weights, rmse, tally

__all__ = ["TRAININGS", "PolarizationSample", "PolarizationTask"]


class _Training(Protocol):
    """How a network is trained."""

    def prepare(self, system: System, species: Tensor) -> Any: ...
    def start(self, geometries: Sequence[Any], trained: bool = False) -> None: ...
    def finish(self, geometries: Sequence[Any]) -> None: ...
    def directions(self, normals: Tensor) -> Tensor: ...
    def rows(
        self, geometries: Sequence[Any], directions: Tensor, create_graph: bool = True
    ) -> tuple[Tensor, Tensor]: ...


WEIGHTS = {"born_charges": 1.0, "polarization": 0.0}


@dataclass(frozen=True, eq=False)
class PolarizationSample:
    """One frame: geometry, and labels less the part of the formal charges.

    Attributes
    ----------
    geometry : DensityGeometry or AxisGeometry
    charges : Tensor, (n, 3, 3)
        Born charges in e, [field, displacement].
    dipole : Tensor, (3,)
        e·Å on the branch nearest to zero; NaN where there is no label.
    """

    geometry: DensityGeometry | AxisGeometry
    charges: Tensor
    dipole: Tensor

    def __len__(self) -> int:
        return len(self.charges)


class PolarizationTask:
    r"""Loss of a polarization model.

    .. math:: L = \frac{\beta}{3M}\sum_a |\mathbf e\cdot(Z_a - Z_a^{ref})|^2
              + \frac{\alpha}{N}\sum_n |\mathbf e\cdot(\mathbf D_n - \mathbf D_n^{ref})|^2

    over N frames of M atoms in all. A new unit vector e is drawn for each frame in each step:
    that costs one derivative instead of three, and the mean of the loss is that over all
    directions. A one-axis network draws one of the axes.

    Parameters
    ----------
    model : PolarizationModel
    weights : mapping
        β for ``born_charges`` and α in Å^-2 for ``polarization``; 1 and 0 if not given. The source
        paper makes the same choice.
    dtype, device
        Of the training.
    trained : bool
        Continue from the model's weights: its scales stay as they are.

    Raises
    ------
    ValueError
        If a weight has another name or is negative, or all are zero.

    References
    ----------
    K. Shimizu et al., arXiv:2305.19546, Eq. 9.
    """

    def __init__(
        self,
        model: PolarizationModel,
        weights: Mapping[str, float] | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        trained: bool = False,
    ) -> None:
        self.trained = trained
        self.weights = checked_weights(weights or {}, WEIGHTS)
        self.model = model.to(device, dtype).train()
        network = model.network
        self._training = TRAININGS[network.kind](network)
        self._atoms = 1.0  # mean number of a training frame
        names = {"born_charges": "born_effective_charges", "polarization": "polarization"}
        self.labels: tuple[str, ...] = tuple(names[k] for k, w in self.weights.items() if w)
        units = {"born_charges": {"Z": "e"}, "polarization": {"D": "e·Å"}}
        self.units = {n: u for k, w in self.weights.items() if w for n, u in units[k].items()}

    @property
    def network(self) -> nn.Module:
        """The trained network."""
        found: nn.Module = self.model.network
        return found

    def prepare(self, frame: Frame) -> PolarizationSample:
        """Geometry and labels of one frame."""
        parameter = next(self.model.network.parameters())
        species = species_of(torch.as_tensor(frame.atoms.numbers), self.model.elements)
        system = System.from_atoms(frame.atoms, self.model.cutoff)
        formal = self.model.charges.of(species).numpy()
        charges = frame.born_effective_charges
        if charges is None:
            charges = np.full((len(frame), 3, 3), np.nan)
        return PolarizationSample(
            self._training.prepare(system, species),
            torch.as_tensor(charges - formal[:, None, None] * np.eye(3)).to(parameter),
            torch.as_tensor(_network_dipole(frame, formal)).to(parameter),
        )

    def start(self, samples: Sequence[PolarizationSample]) -> None:
        """Fit scales to the training samples."""
        self._atoms = sum(len(s) for s in samples) / len(samples)
        self._training.start([s.geometry for s in samples], self.trained)

    def finish(self, samples: Sequence[PolarizationSample]) -> None:
        """Record how large the dipoles of the training samples are, if the network bounds them."""
        self._training.finish([s.geometry for s in samples])

    def loss(self, samples: Sequence[PolarizationSample], normals: Tensor | None) -> Loss:
        """Loss of each sample, for random directions; averaged over all directions without them."""
        if normals is not None:
            return self._loss(samples, self._training.directions(normals))
        unit = torch.eye(3).to(samples[0].charges)
        parts = [self._loss(samples, e.expand(len(samples), 3)) for e in unit]
        values = torch.stack([part.values for part in parts]).mean(dim=0)
        errors = {n: torch.stack([part.errors[n] for part in parts]).sum(dim=0) for n in self.units}
        return Loss(values, errors)

    def _loss(self, samples: Sequence[PolarizationSample], directions: Tensor) -> Loss:
        sizes = torch.tensor([len(s) for s in samples], device=directions.device)
        frame = torch.repeat_interleave(sizes)
        dipoles, rows = self._training.rows([s.geometry for s in samples], directions)
        values, errors = torch.zeros_like(dipoles), {}
        if self.weights["born_charges"]:
            target = torch.einsum("ai,aij->aj", directions[frame], _charges(samples))
            wrong = rows - target
            squares = (wrong**2).sum(dim=1) * (self.weights["born_charges"] / (3 * self._atoms))
            values = values.index_add(0, frame, squares)
            errors["Z"] = tally(wrong)
        if self.weights["polarization"]:
            known = torch.stack([s.dipole for s in samples])
            wrong = dipoles - (directions * known).sum(dim=1)
            values = values + self.weights["polarization"] * wrong**2
            errors["D"] = tally(wrong)
        return Loss(values, errors)

    def errors(self, samples: Sequence[PolarizationSample]) -> Errors:
        """Errors of all components: Born charges also by element, on and off the diagonal."""
        unit = torch.eye(3).to(samples[0].charges)
        geometries = [s.geometry for s in samples]
        directions = [e.expand(len(samples), 3) for e in unit]
        found = [self._training.rows(geometries, d, create_graph=False) for d in directions]
        errors = {}
        if self.weights["born_charges"]:
            wrong = torch.stack([rows for _, rows in found], dim=1) - _charges(samples)
            species = torch.cat([g.species for g in geometries])
            errors = charge_errors(wrong, species, self.model.elements)
        if self.weights["polarization"]:
            dipoles = torch.stack([d for d, _ in found], dim=1)
            errors["D"] = tally(dipoles - torch.stack([s.dipole for s in samples]))
        return errors

    def score(self, errors: Errors) -> float:
        """The mean loss that these errors amount to."""
        pairs = (("born_charges", "Z"), ("polarization", "D"))
        return sum(self.weights[k] * rmse(errors[n]) ** 2 for k, n in pairs if self.weights[k])


TRAININGS: dict[str, Callable[[Any], _Training]] = {
    EquivariantNetwork.kind: DensityTraining,
    MessagePassingNetwork.kind: MessageTraining,
    VAFNetwork.kind: AxisTraining,
}


def charge_errors(wrong: Tensor, species: Tensor, elements: Sequence[str]) -> Errors:
    """Tallies of errors (n, 3, 3) of Born charges: all, on and off the diagonal, by element."""
    off = ~torch.eye(3, dtype=torch.bool, device=wrong.device)
    errors = {}
    for k, element in [(None, ""), *enumerate(elements)]:
        chosen = wrong if k is None else wrong[species == k]
        name = f"Z {element}".strip()
        errors[name] = tally(chosen)
        errors[f"{name} diagonal"] = tally(chosen[:, ~off])
        errors[f"{name} off-diagonal"] = tally(chosen[:, off])
    return errors


def _charges(samples: Sequence[PolarizationSample]) -> Tensor:
    return torch.cat([s.charges for s in samples])


def _network_dipole(frame: Frame, formal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Dipole less that of the formal charges, nearest to zero among its branches."""
    if frame.dipole is None:
        return np.full(3, np.nan)
    rest = frame.dipole - formal @ frame.atoms.positions
    return smallest_dipole(rest, frame.atoms.cell.array)
