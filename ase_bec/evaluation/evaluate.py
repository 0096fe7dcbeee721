"""What a model gives for structures: the only place that differentiates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from ase_bec.descriptors.neighbourhoods import chunks
from ase_bec.system import System
from ase_bec.terms.compiled import CompiledDipole
from ase_bec.terms.model import Model
from ase_bec.terms.species import species_of
from ase_bec.terms.term import (
    Contribution,
    LocalDipole,
    LocalEnergy,
    Rule,
    Term,
    WholeStructure,
    field_contribution,
)

__all__ = ["Response", "born_charges", "evaluate", "polarizability", "rules_of"]


@dataclass(frozen=True, eq=False)
class Response:
    """A model's answer for N atoms of B structures.

    Attributes
    ----------
    energy : Tensor, (B,)
        Enthalpy H in eV.
    energies : Tensor, (N,)
        Its summands.
    forces : Tensor, (N, 3)
        -∂H/∂r in eV/Å.
    virial : Tensor, (B, 3, 3)
        ∂H/∂ε in eV by a homogeneous strain at fixed voltages E·a_i across the cell.
    dipole : Tensor, (B, 3)
        -∂H/∂E in e·Å, on the branch of the positions as they are.
    outside : Tensor, (N,)
        How far each atom is outside the range that the model was made for; suspect beyond 1.

    Examples
    --------
    >>> from ase_bec import load
    >>> from ase_bec.evaluation.evaluate import evaluate
    >>> from ase_bec.system import System
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> model = load("li3po4-nnp")
    >>> response = evaluate(model, System.from_atoms([beta_lithium_phosphate()] * 2, model.cutoff))
    >>> response.energy.shape, response.forces.shape
    (torch.Size([2]), torch.Size([32, 3]))
    """

    energy: Tensor
    energies: Tensor
    forces: Tensor
    virial: Tensor
    dipole: Tensor
    outside: Tensor


# A caller's torch.no_grad() must not forbid the derivative.
@torch.inference_mode(False)
@torch.enable_grad()
def evaluate(
    model: Model,
    system: System,
    field: Tensor | None = None,
    *,
    create_graph: bool = False,
    rules: Sequence[Rule | None] | None = None,
    species: Tensor | None = None,
) -> Response:
    r"""Evaluate a model on one or several structures.

    .. math:: H = \sum_{terms}\sum_i H_i(\mathbf R, h; \mathbf E), \qquad
              \mathbf F = -\frac{\partial H}{\partial\mathbf R}, \qquad
              \mathbf D = -\frac{\partial H}{\partial\mathbf E}

    Parameters
    ----------
    model : Model
        Its terms; those in evaluation mode on the CPU take their compiled kernels.
    system : System
        Structures with all pairs within the model's cutoff.
    field : Tensor, (3,) or (B, 3), optional
        E in V/Å; none by default.
    create_graph : bool
        Make the answer differentiable with respect to the model's parameters, without compiled
        kernels.
    rules : sequence, optional
        Result of :func:`rules_of`, kept from an earlier call with the same weights.
    species : Tensor, (N,), optional
        Element index of every atom, kept likewise.

    Raises
    ------
    ValueError
        If an atom's element is unknown to the model.

    Examples
    --------
    >>> import torch
    >>> from ase.build import bulk
    >>> from ase_bec.evaluation.evaluate import evaluate
    >>> from ase_bec.models import Model
    >>> from ase_bec.system import System
    >>> from ase_bec.terms.formal_charges import FormalCharges
    >>> model = Model(["Mg", "O"], [FormalCharges(2, [2, -2])])
    >>> system = System.from_atoms(bulk("MgO", "rocksalt", 4.2), cutoff=3.0)
    >>> response = evaluate(model, system, torch.tensor([0.0, 0.0, 0.1]))
    >>> [round(force, 6) for force in response.forces[:, 2].tolist()]
    [0.2, -0.2]
    """
    if species is None:
        species = species_of(system.numbers, model.elements)
    if field is None:
        field = system.cell.new_zeros(3)
    field = field.to(system.cell).expand(system.n_structures, 3)
    if create_graph:
        rules = [None] * len(model.terms)
    elif rules is None:
        rules = rules_of(model, system.positions.device)
    parts = [
        _by_autograd(term, system, species, field, create_graph)  # type: ignore[arg-type]
        if rule is None
        else rule(system, species, field)
        for term, rule in zip(model.terms, rules, strict=True)
    ]
    total = reduce(_sum, parts)
    return Response(system.sum_structures(total.energies), *total)


def rules_of(model: Model, device: torch.device) -> list[Rule | None]:
    """Each term's own rule, with its current weights; None if it has none."""
    return [term.rule(device) for term in model.terms]  # type: ignore[operator]


@torch.inference_mode(False)
@torch.enable_grad()
def born_charges(
    model: Model,
    system: System,
    field: Tensor | None = None,
    rules: Sequence[Rule | None] | None = None,
) -> Tensor:
    r"""Born effective charges Z[a, i, j] = ∂F_aj/∂E_i in e, (N, 3, 3), [field, displacement].

    H is at most quadratic in the field, so central differences over any step are exact; where it is
    linear, the forces of its field terms in a unit field are exact.

    Parameters
    ----------
    model : Model
        With terms that feel a field.
    system, field, rules
        As for :func:`evaluate`; rules of the terms that feel a field.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.evaluation.evaluate import born_charges
    >>> from ase_bec.models import Model
    >>> from ase_bec.system import System
    >>> from ase_bec.terms.formal_charges import FormalCharges
    >>> model = Model(["Mg", "O"], [FormalCharges(2, [2, -2])])
    >>> system = System.from_atoms(bulk("MgO", "rocksalt", 4.2), cutoff=3.0)
    >>> born_charges(model, system)[:, 2, 2].tolist()
    [2.0, -2.0]
    """
    feeling = model.in_field()
    rules = rules_of(feeling, system.positions.device) if rules is None else rules
    if any(term.in_field == "quadratic" for term in feeling.terms):
        return _central(feeling, system, field, rules, lambda r: r.forces).transpose(0, 1)
    species, rows = species_of(system.numbers, model.elements), torch.zeros(())
    axes = torch.eye(3).to(system.cell)[:, None].expand(3, system.n_structures, 3)
    for term, rule in zip(feeling.terms, rules, strict=True):
        if isinstance(rule, CompiledDipole):
            rows = rows + rule.rows(system, species)
        elif rule is not None:
            rows = rows + torch.stack([rule(system, species, unit).forces for unit in axes])
        elif isinstance(term, LocalDipole):
            rows = rows + _dipole_rows(term, system, species)
        else:
            found = (_by_autograd(term, system, species, unit, False) for unit in axes)  # type: ignore[arg-type]
            rows = rows + torch.stack([contribution.forces for contribution in found])
    return rows.transpose(0, 1)


def polarizability(
    model: Model,
    system: System,
    rules: Sequence[Rule | None] | None = None,
) -> Tensor:
    """∂D_i/∂E_j in e·Å²/V, (B, 3, 3); zero where H is linear in the field.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.evaluation.evaluate import polarizability
    >>> from ase_bec.models import Model
    >>> from ase_bec.system import System
    >>> from ase_bec.terms.term import WholeStructure
    >>> class Polarizable(WholeStructure):
    ...     n_elements = 1
    ...     def forward(self, system, species, field):
    ...         return -1.5 * field[system.batch].square().sum(dim=1)
    >>> system = System.from_atoms(bulk("Ar", "fcc", 5.3), cutoff=3.0)
    >>> polarizability(Model(["Ar"], [Polarizable()]), system)[0].diagonal().tolist()
    [3.0, 3.0, 3.0]
    """
    feeling = model.in_field()
    rules = rules_of(feeling, system.positions.device) if rules is None else rules
    return _central(feeling, system, None, rules, lambda r: r.dipole).permute(1, 2, 0)


def _central(
    feeling: Model,
    system: System,
    field: Tensor | None,
    rules: Sequence[Rule | None],
    quantity: Callable[[Response], Tensor],
) -> Tensor:
    """Derivative of a quantity with respect to each component of the field, (3, ...)."""
    here = system.cell.new_zeros(3) if field is None else field
    rows = []
    for unit in torch.eye(3).to(here):
        plus, minus = (
            quantity(evaluate(feeling, system, here + sign * unit, rules=rules))
            for sign in (1.0, -1.0)
        )
        rows.append((plus - minus) / 2)
    return torch.stack(rows)


def _dipole_rows(term: LocalDipole, system: System, species: Tensor) -> Tensor:
    """∂(ΣD)_i/∂r, (3, N, 3), by one pass through the term and three back."""
    rows = system.positions.new_zeros(3, system.n_atoms, 3)
    for start, nb in chunks(system, species, _dtype(term), bool(term.whole)):
        leaf = nb.vectors.detach().requires_grad_()
        total = term(nb._replace(vectors=leaf)).sum(dim=0)
        centre = start + torch.repeat_interleave(nb.first[1:] - nb.first[:-1])
        for row, component in zip(rows, total, strict=True):
            slope = _gradient(component, leaf, False).to(row)
            row.index_add_(0, start + nb.neighbour, slope)
            row.index_add_(0, centre, slope, alpha=-1)
    return rows


def _sum(a: Contribution, b: Contribution) -> Contribution:
    return Contribution(
        a.energies + b.energies,
        a.forces + b.forces,
        a.virial + b.virial,
        a.dipole + b.dipole,
        torch.maximum(a.outside, b.outside),
    )


def _by_autograd(
    term: Term, system: System, species: Tensor, field: Tensor, create_graph: bool
) -> Contribution:
    if isinstance(term, WholeStructure):
        return _whole(term, system, species, field, create_graph)
    if isinstance(term, LocalEnergy | LocalDipole):
        return _local(term, system, species, field, create_graph)
    raise TypeError(f"`term` must be of one of the three kinds of terms, got {type(term).__name__}")


def _local(
    term: LocalEnergy | LocalDipole,
    system: System,
    species: Tensor,
    field: Tensor,
    create_graph: bool,
) -> Contribution:
    """Contribution of a local term, some centres at a time, so that memory stays bounded."""
    dipolar = isinstance(term, LocalDipole)
    forces, virial = torch.zeros_like(system.positions), torch.zeros_like(system.cell)
    values, outside = [], []
    for start, nb in chunks(system, species, _dtype(term), dipolar and bool(term.whole)):
        leaf = nb.vectors.detach().requires_grad_()
        value, far = term.with_outside(nb._replace(vectors=leaf))
        here = field[system.batch[start : start + len(nb.species)]].to(value)
        summands = -(here * value).sum(dim=1) if dipolar else value
        slope = _gradient(summands.sum(), leaf, create_graph).to(forces)  # [e, 3]
        centre = start + torch.repeat_interleave(nb.first[1:] - nb.first[:-1])
        forces.index_add_(0, start + nb.neighbour, slope, alpha=-1)
        forces.index_add_(0, centre, slope)
        outer = leaf.detach().to(slope)[:, :, None] * slope[:, None, :]
        virial.index_add_(0, system.batch[centre], outer)
        values.append(value if create_graph else value.detach())
        outside.append(far)
    local, far = torch.cat(values).to(forces), torch.cat(outside).to(forces)
    virial = (virial + virial.transpose(1, 2)) / 2
    if dipolar:
        return field_contribution(system, field, local, forces, virial, far)
    none = system.cell.new_zeros(system.n_structures, 3)
    return Contribution(local, forces, virial, none, far)


def _whole(
    term: WholeStructure, system: System, species: Tensor, field: Tensor, create_graph: bool
) -> Contribution:
    """Contribution of a term of the whole structure, by positions, strain and field at once."""
    positions = system.positions.detach().requires_grad_()
    strain = torch.zeros_like(system.cell).requires_grad_()
    leaf = field.detach().clone().requires_grad_()
    deform = torch.eye(3).to(strain) + (strain + strain.transpose(1, 2)) / 2
    moved = torch.einsum("nx,nxy->ny", positions, deform[system.batch])
    strained = replace(system, positions=moved, cell=system.cell @ deform)
    # Fixed voltages: E·a_i of the strained cell stays.
    turned = torch.linalg.solve(deform, leaf[:, :, None])[:, :, 0]
    energies = term(strained, species, turned)
    total = energies.sum()
    by_position, by_strain, by_field = (
        _gradient(total, x, create_graph) for x in (positions, strain, leaf)
    )
    return Contribution(
        energies if create_graph else energies.detach(),
        -by_position,
        by_strain,
        -by_field,
        torch.zeros_like(energies),
    )


def _gradient(total: Tensor, leaf: Tensor, create_graph: bool) -> Tensor:
    """Derivative, zero if nothing depends on the leaf."""
    if not total.requires_grad:
        return torch.zeros_like(leaf)
    (found,) = torch.autograd.grad(
        total, leaf, create_graph=create_graph, retain_graph=True, allow_unused=True
    )
    return torch.zeros_like(leaf) if found is None else found


def _dtype(term: Term) -> torch.dtype:
    floating = (x.dtype for x in (*term.parameters(), *term.buffers()) if x.is_floating_point())
    return next(floating, torch.float64)
