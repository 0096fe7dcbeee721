"""Training of charges that respond, on charges and what they bring about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ase_bec.data import Frame
from ase_bec.data.branches import smallest_dipole
from ase_bec.descriptors.neighbourhoods import neighbourhoods
from ase_bec.evaluation.evaluate import evaluate
from ase_bec.system import System
from ase_bec.terms.equilibration import Bonds, equilibrate
from ase_bec.terms.ewald import COULOMB
from ase_bec.terms.gaussian_charges import interaction
from ase_bec.terms.model import Model
from ase_bec.terms.species import species_of
from ase_bec.terms.split_charges import SplitCharges
from ase_bec.training.tasks.task import Errors, Loss, checked_weights, rmse, tally

__all__ = ["ChargeSample", "ChargeTask"]

UNITS = {
    "charges": ("q", "e"),
    "dielectric_tensor": ("eps", ""),
    "polarization": ("D", "e·Å"),
    "born_charges": ("Z", "e"),
    "energy": ("energy", "eV/atom"),
    "forces": ("forces", "eV/Å"),
}
_ATTRIBUTES = {"born_charges": "born_effective_charges"}
WEIGHTS = dict.fromkeys(UNITS, 0.0) | {"charges": 1.0}
_BY_POSITIONS = ("born_charges", "energy", "forces")


@dataclass(frozen=True, eq=False)
class ChargeSample:
    """One frame: geometry that does not change while training, and labels, None where unknown.

    Attributes
    ----------
    system : System
    species : Tensor, (n,)
    features : Tensor, (n, F)
        Of the environments.
    bonds : Bonds
        Their softness stands for their length in Å.
    matrix : Tensor, (n, n)
        Interaction of the Gaussian charges in V/e.
    reference : Tensor, (n,)
        Formal charges with the rest spread over the immobile atoms, e.
    labels : dict of Tensor
        By the names of the loss's weights; the dipole less that of the formal charges.
    """

    system: System
    species: Tensor
    features: Tensor
    bonds: Bonds
    matrix: Tensor
    reference: Tensor
    labels: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.species)


class ChargeTask:
    r"""Loss of a model with split charges.

    .. math:: L = \frac1N\sum_n\sum_x w_x\,\overline{(\Delta x)^2}

    over the labels x of frame n that it has: charges in e, ε∞, dipole in e·Å, Born charges in e,
    energy in eV/atom, forces in eV/Å. Frames may have different labels, but those of one file have
    charges all or none. Charges, ε∞ and dipoles cost one solution for each frame; Born charges,
    energies and forces second derivatives of all terms of the model.

    Parameters
    ----------
    model : Model
        With a term of split charges.
    weights : mapping
        w of ``charges``, ``dielectric_tensor``, ``polarization``, ``born_charges``, ``energy``,
        ``forces``; 1 for charges and 0 otherwise if not given.
    dtype, device
        Of the networks' training; charges are solved for in double precision.
    trained : bool
        Go on from the model's numbers: the scaling stays as it is.

    Raises
    ------
    ValueError
        If a weight has another name or is negative, all are zero, or the model has no split
        charges.
    """

    labels: tuple[str, ...] = ()

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
        self.names = tuple(name for name, w in self.weights.items() if w)
        found = [term for term in model.terms if isinstance(term, SplitCharges)]
        if len(found) != 1:
            raise ValueError(f"`model` must have one term of split charges, got {len(found)}")
        self.term = found[0]
        self.model = model.to(device, dtype).train()
        self.units = {UNITS[name][0]: UNITS[name][1] for name in self.names}
        self._charged: dict[str, bool] = {}  # files, and whether their frames have charges

    @property
    def network(self) -> nn.Module:
        """All that is trained: the split charges, and other terms where they matter."""
        return self.model if self.weights["energy"] or self.weights["forces"] else self.term

    def prepare(self, frame: Frame) -> ChargeSample:
        """Geometry and labels of one frame."""
        labels = {n: _label(frame, n) for n in UNITS}
        if not any(labels[n] is not None for n in self.names):
            wanted = " or ".join(_ATTRIBUTES.get(n, n) for n in self.names)
            raise ValueError(f"{frame.source}: must have the label {wanted} to train on, got none")
        self._require_alike(frame)
        parameter = self.term.pairs
        species = species_of(torch.as_tensor(frame.atoms.numbers), self.model.elements)
        system = System.from_atoms(frame.atoms, self.model.cutoff)
        vectors, term = system.vectors(), self.term
        near = neighbourhoods(system, species, vectors, 0, len(frame))
        with torch.no_grad():
            features = term.descriptor.eval()(near)
            term.descriptor.train()
            cell, pbc = system.cell[0], system.pbc[0]
            between = interaction(system.positions, cell, pbc, term.width, exact=True)
        distance = vectors.norm(dim=1)
        chosen = (distance < term.bond_cutoff).nonzero()[:, 0]
        first, second = system.centre[chosen], system.neighbour[chosen]
        reference = term.formal_charges(species)
        if labels["polarization"] is not None:
            rest = labels["polarization"].numpy() - (reference @ system.positions).numpy()
            labels["polarization"] = torch.as_tensor(smallest_dipole(rest, frame.atoms.cell.array))
        device = parameter.device
        return ChargeSample(
            system.to(device),
            species.to(device),
            features.to(parameter),
            Bonds(*(x.to(device) for x in (first, second, vectors[chosen], distance[chosen]))),
            between.dense().to(device),
            reference.to(device),
            {n: x.to(device) for n, x in labels.items() if x is not None and self.weights[n]},
        )

    def _require_alike(self, frame: Frame) -> None:
        """Refuse charges that are missing in some frames of a file."""
        has, file = frame.charges is not None, frame.source.partition(",")[0]
        if self.weights["charges"] and self._charged.setdefault(file, has) != has:
            raise ValueError(
                f"{frame.source}: must have the label `charges` as other frames of {file} do or "
                f"do not, got {'them' if has else 'none'}: give frames without them a file of "
                "their own"
            )

    def start(self, samples: Sequence[ChargeSample]) -> None:
        """Fit the scaling to the training samples."""
        for name in self.names:
            if not any(name in s.labels for s in samples):
                raise ValueError(
                    f"`loss.{name}` must be 0 where no training frame has such a label, got "
                    f"{self.weights[name]:g}"
                )
        if self.trained:
            return
        species = torch.cat([s.species for s in samples])
        features = torch.cat([s.features for s in samples])
        for element in torch.unique(species).tolist():
            chosen = features[species == element]
            self.term.scaling.low[element] = chosen.amin(dim=0)
            self.term.scaling.high[element] = chosen.amax(dim=0)

    def finish(self, samples: Sequence[ChargeSample]) -> None:
        """Nothing is left to note."""

    def loss(self, samples: Sequence[ChargeSample], normals: Tensor | None) -> Loss:
        """Loss of each sample; nothing is left to chance."""
        wrong = [self._wrong(s, create_graph=True) for s in samples]
        values = torch.stack(
            [
                torch.stack([self.weights[n] * (x**2).mean() for n, x in w.items()]).sum()
                for w in wrong
            ]
        )
        return Loss(values, self._tallies(wrong))

    def errors(self, samples: Sequence[ChargeSample]) -> Errors:
        """All errors; charges also by element."""
        wrong = [self._wrong(s, create_graph=False) for s in samples]
        errors = self._tallies(wrong)
        if self.weights["charges"]:
            for k, element in enumerate(self.model.elements):
                parts = [
                    w["charges"][s.species == k]
                    for w, s in zip(wrong, samples, strict=True)
                    if "charges" in w
                ]
                errors[f"q {element}"] = tally(torch.cat(parts)) if parts else torch.zeros(3)
        return errors

    def score(self, errors: Errors) -> float:
        """The mean loss that these errors amount to."""
        known = [n for n in self.names if errors[UNITS[n][0]][2] > 0]
        return sum(self.weights[n] * rmse(errors[UNITS[n][0]]) ** 2 for n in known)

    def _tallies(self, wrong: Sequence[Mapping[str, Tensor]]) -> Errors:
        errors: Errors = {}
        for name in self.names:
            parts = [w[name].flatten() for w in wrong if name in w]
            none = torch.zeros(3, dtype=torch.float64)
            errors[UNITS[name][0]] = tally(torch.cat(parts)) if parts else none
        return errors

    def _wrong(self, sample: ChargeSample, create_graph: bool) -> dict[str, Tensor]:
        """Errors of all labels that the frame has."""
        with torch.set_grad_enabled(create_graph):
            found = self._of_charges(sample)
        if any(name in sample.labels for name in _BY_POSITIONS):
            found |= self._by_positions(sample, create_graph)
        return {n: found[n] - x for n, x in sample.labels.items()}

    def _of_charges(self, sample: ChargeSample) -> dict[str, Tensor]:
        """Charges, dipole of the transfers, and ε∞, from one solution with four right sides."""
        term, bonds = self.term, sample.bonds
        outputs = term.outputs(sample.features, sample.species)
        half = term.softness(outputs, sample.species, bonds.first, bonds.second, bonds.softness)
        outputs, soft = outputs.double(), bonds._replace(softness=half.double())
        stiffness = sample.matrix + torch.diag(outputs[:, 1])
        none = outputs.new_zeros(len(outputs), 3)
        fixed = torch.stack([outputs[:, 0], sample.reference], dim=1)
        chi, reference = (torch.cat([x[:, None], none], dim=1) for x in fixed.unbind(1))
        work = torch.cat([bonds.vector.new_zeros(len(half), 1), bonds.vector], dim=1)
        q, t = equilibrate(stiffness, chi, reference, soft, work)
        moments = torch.einsum("br,bx->rx", soft.softness[:, None] * t, bonds.vector)
        volume = torch.linalg.det(sample.system.cell[0]).abs()
        epsilon = torch.eye(3).to(moments) + 4 * torch.pi * COULOMB * moments[1:] / volume
        return {"charges": q[:, 0], "polarization": moments[0], "dielectric_tensor": epsilon}

    def _by_positions(self, sample: ChargeSample, create_graph: bool) -> dict[str, Tensor]:
        """Energy, forces and Born charges of the whole model."""
        system, labels, found = sample.system, sample.labels, {}
        if "energy" in labels or "forces" in labels:
            response = evaluate(self.model, system, create_graph=create_graph)
            found = {"energy": response.energy[0] / len(sample), "forces": response.forces}
        if "born_charges" in labels:
            units = torch.eye(3).to(system.cell)
            plus, minus = (
                [
                    evaluate(self.model, system, sign * e, create_graph=create_graph).forces
                    for e in units
                ]
                for sign in (1.0, -1.0)
            )
            rows = [(p - m) / 2 for p, m in zip(plus, minus, strict=True)]
            found["born_charges"] = torch.stack(rows, dim=1)
        return found


def _label(frame: Frame, name: str) -> Tensor | None:
    value = frame.dipole if name == "polarization" else getattr(frame, _ATTRIBUTES.get(name, name))
    if value is None:
        return None
    out = torch.as_tensor(np.asarray(value, dtype=np.float64))
    return out / len(frame) if name == "energy" else out
