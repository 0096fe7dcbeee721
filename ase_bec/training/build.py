"""From settings to models and tasks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ase_bec.data import Dataset
from ase_bec.models import Model, NeuralNetworkPotential, PolarizationModel, load
from ase_bec.terms.coulomb import Coulomb
from ase_bec.terms.density_energy import DensityEnergy
from ase_bec.terms.energy import NetworkEnergy
from ase_bec.terms.limits import check_sizes
from ase_bec.terms.repulsion import CoreRepulsion
from ase_bec.terms.split_charges import SplitCharges
from ase_bec.terms.table import TERMS
from ase_bec.terms.term import LocalDipole, Term
from ase_bec.training.config import Config
from ase_bec.training.formal_charges import guess_formal_charges
from ase_bec.training.tasks.charges import ChargeTask
from ase_bec.training.tasks.density_energy import DensityEnergyTask
from ase_bec.training.tasks.model import ModelTask
from ase_bec.training.tasks.polarization import TRAININGS, PolarizationTask
from ase_bec.training.tasks.potential import PotentialTask
from ase_bec.training.tasks.residual import ResidualTask
from ase_bec.training.tasks.task import Task

__all__ = ["make_task"]

FITTED = ("metadata", "offsets", "scaling", "kinds")  # not for settings


def make_task(config: Config, data: Dataset) -> tuple[Task[Any], list[str]]:
    """Model and loss that the settings describe, and messages about what was chosen.

    Parameters
    ----------
    config : Config
        Settings.
    data : Dataset
        Frames to train on; elements and formal charges that are not given come from them.

    Raises
    ------
    ValueError
        If a setting of the model or the loss is unknown or invalid.
    """
    options = dict(config.model)
    if "start" in options:
        return _further_training(options, config), []
    kind = options.pop("kind", "equivariant")
    if not isinstance(kind, str) or (kind != "nnp" and kind not in TERMS):
        raise ValueError(f"`model.kind` must be one of nnp, {', '.join(TERMS)}, got {kind!r}")
    elements = options.pop("elements", list(data.elements))
    messages: list[str] = []
    check_sizes({"elements": elements, **options})
    fixed = [coulomb_term(config.coulomb, elements)] if config.coulomb else []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        if kind == "nnp":
            model: Model = made(NeuralNetworkPotential, options, elements=elements)
        elif issubclass(TERMS[kind], LocalDipole):
            model, messages = _polarization_model(TERMS[kind], elements, options, data)
        else:
            n = len(elements)
            terms = [made(TERMS[kind], options, n_elements=n)]
            if kind == DensityEnergy.kind:
                terms.append(CoreRepulsion(n))
            model = Model(elements, terms)
    if fixed and not model.has_energy:
        raise ValueError("`coulomb` must stand beside a model with an energy, such as kind nnp")
    return _task(model, config, fixed), messages


def coulomb_term(options: Mapping[str, Any], elements: Sequence[str]) -> Coulomb:
    """Term of section ``[coulomb]``.

    Raises
    ------
    ValueError
        If a setting is unknown, or there is not one charge for each element.
    """
    for name in options:
        if name not in ("charges", "width"):
            raise ValueError(f"`coulomb.{name}` is no setting; known: charges, width")
    charges, width = options.get("charges"), options.get("width", 1.2)
    if not isinstance(charges, dict) or set(charges) != set(elements):
        raise ValueError(
            "`coulomb.charges` must have a charge for each of the elements "
            f"{', '.join(elements)}, such as {{{elements[0]} = 1}}, got {charges!r}"
        )
    for name, value in (*charges.items(), ("width", width)):
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"`coulomb.{name}` must be a number, got {value!r}")
    return Coulomb(len(elements), [charges[e] for e in elements], width)


def _further_training(options: dict[str, Any], config: Config) -> Task[Any]:
    """Task that continues from the weights of a saved model."""
    start = options.pop("start")
    if options:
        raise ValueError(
            f"`model.{next(iter(options))}` is set by the model to start from: give `model.start` "
            "alone, or leave it out"
        )
    if config.coulomb:
        raise ValueError("`coulomb` is that of the model to start from: leave the section out")
    model = load(start)
    if not isinstance(model, Model):
        raise ValueError(f"`model.start` must be a model that can be trained, got `{start}`")
    model.metadata = {"start": model.metadata}
    fixed = [t for t in model.terms if isinstance(t, Coulomb)]
    if fixed:
        model = _without_coulomb(model)
    return _task(model, config, fixed, trained=True)


def _without_coulomb(model: Model) -> Model:
    """The other terms, as the potential that they are."""
    rest = Model(model.elements, [t for t in model.terms if not isinstance(t, Coulomb)])  # type: ignore[misc]
    rest.metadata = model.metadata
    kinds = [term.kind for term in rest.terms]
    if kinds != [NetworkEnergy.kind, CoreRepulsion.kind]:
        return rest
    settings: dict[str, Any] = rest.terms[0].config()  # type: ignore[operator]
    potential = NeuralNetworkPotential(rest.elements, **settings, metadata=rest.metadata)
    potential.load_state_dict(rest.state_dict())
    return potential


def _task(
    model: Model, config: Config, fixed: Sequence[Coulomb] = (), trained: bool = False
) -> Task[Any]:
    """The quickest task for a model beside fixed terms."""
    kind = _task_kind(model)
    dtype, device = getattr(torch, config.training.dtype), config.training.device
    if kind is ModelTask:
        task: Task[Any] = ModelTask(model, config.loss, dtype, device)
    else:
        task = kind(model, config.loss, dtype, device, trained)
    return ResidualTask(task, fixed) if fixed else task


def _task_kind(model: Model) -> Any:
    kinds = {term.kind for term in model.terms}
    if isinstance(model, NeuralNetworkPotential):
        return PotentialTask
    if isinstance(model, PolarizationModel) and model.network.kind in TRAININGS:
        return PolarizationTask
    if DensityEnergy.kind in kinds and kinds <= {DensityEnergy.kind, CoreRepulsion.kind}:
        return DensityEnergyTask
    return ChargeTask if SplitCharges.kind in kinds else ModelTask


def _polarization_model(
    kind: type[Term], elements: list[str], options: dict[str, Any], data: Dataset
) -> tuple[PolarizationModel, list[str]]:
    charges = options.pop("formal_charges", "guess")
    messages = []
    if charges == "guess":
        charges = guess_formal_charges(data)
        listed = ", ".join(f"{e} = {q:+g}" for e, q in charges.items())
        messages.append(f"formal charges, guessed: {listed}; give `model.formal_charges` if wrong")
    elif charges == "none":
        charges = None
    elif not isinstance(charges, dict):
        raise ValueError(
            '`model.formal_charges` must be a table such as {Li = 1}, "guess" or "none", '
            f"got {charges!r}"
        )
    network = made(kind, options, n_elements=len(elements))
    return PolarizationModel(elements, network, charges), messages


def made(kind: Any, options: Mapping[str, Any], **fixed: Any) -> Any:
    """Make a class with settings of section ``[model]``, checking their names."""
    parameters = inspect.signature(kind).parameters
    known = [name for name in parameters if name not in (*fixed, *FITTED)]
    for name in options:
        if name not in known:
            raise ValueError(f"`model.{name}` is not a setting of {kind.__name__}; known: "
                             f"{', '.join(known)}")  # fmt: skip
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ValueError(f"`model.{name}` must be given for {kind.__name__}")
    try:
        return kind(**fixed, **options)
    except TypeError as error:
        raise ValueError(f"section `model` has a value of the wrong type: {error}") from error
