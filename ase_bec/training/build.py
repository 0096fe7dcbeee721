"""From settings to models and tasks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from ase_bec.data import Dataset
from ase_bec.models.formats.saved import load
from ase_bec.models.polarization import PolarizationModel
from ase_bec.models.potential import NeuralNetworkPotential
from ase_bec.terms.equivariant import EquivariantNetwork
from ase_bec.terms.messages import MessagePassingNetwork
from ase_bec.terms.model import Model
from ase_bec.terms.split_charges import SplitCharges
from ase_bec.terms.vaf import VAFNetwork
from ase_bec.training.config import Config
from ase_bec.training.formal_charges import guess_formal_charges
from ase_bec.training.tasks.charges import ChargeTask
from ase_bec.training.tasks.polarization import PolarizationTask
from ase_bec.training.tasks.potential import PotentialTask
from ase_bec.training.tasks.task import Task

__all__ = ["KINDS", "make_task"]

NETWORKS = {
    "equivariant": EquivariantNetwork,
    "message-passing": MessagePassingNetwork,
    "vaf": VAFNetwork,
}
KINDS = ("nnp", "split-charges", *NETWORKS)
FITTED = ("metadata", "offsets", "scaling", "kinds")  # not for settings


def make_task(config: Config, data: Dataset) -> tuple[Task[Any], list[str]]:
    """Model and loss that the settings describe, and messages about what was chosen.

    Parameters
    ----------
    config : Config
        Settings.
    data : Dataset
        Frames to train on: they tell the elements and formal charges that are not given.

    Raises
    ------
    ValueError
        If a setting of the model or the loss is unknown or of no use.
    """
    options = dict(config.model)
    if "start" in options:
        return _further_training(options, config), []
    kind = options.pop("kind", "equivariant")
    if kind not in KINDS:
        raise ValueError(f"`model.kind` must be one of {', '.join(KINDS)}, got {kind!r}")
    dtype, device = getattr(torch, config.training.dtype), config.training.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        if kind == "nnp":
            elements = options.pop("elements", list(data.elements))
            potential = made(NeuralNetworkPotential, options, elements=elements)
            return PotentialTask(potential, config.loss, dtype, device), []
        if kind == "split-charges":
            return ChargeTask(_charge_model(options, data), config.loss, dtype, device), []
        model, messages = _polarization_model(kind, options, data)
    return PolarizationTask(model, config.loss, dtype, device), messages


def _further_training(options: dict[str, Any], config: Config) -> Task[Any]:
    """Task that goes on from the numbers of a saved model."""
    start = options.pop("start")
    if options:
        raise ValueError(
            f"`model.{next(iter(options))}` is that of the model to start from: give `model.start` "
            "alone, or none"
        )
    model: Any = load(start)
    model.metadata = {"start": model.metadata}
    dtype, device = getattr(torch, config.training.dtype), config.training.device
    if isinstance(model, NeuralNetworkPotential):
        return PotentialTask(model, config.loss, dtype, device, trained=True)
    if isinstance(model, PolarizationModel):
        return PolarizationTask(model, config.loss, dtype, device, trained=True)
    if any(isinstance(term, SplitCharges) for term in getattr(model, "terms", ())):
        return ChargeTask(model, config.loss, dtype, device, trained=True)
    raise ValueError(f"`model.start` must be a model that can be trained, got `{start}`")


def _charge_model(options: dict[str, Any], data: Dataset) -> Model:
    """Model of split charges alone; charges are given by element, as are immobile ones."""
    elements = options.pop("elements", list(data.elements))
    charges, immobile = options.pop("formal_charges", None), options.pop("immobile", None)
    if not isinstance(charges, dict) or set(charges) != set(elements):
        raise ValueError(
            "`model.formal_charges` must be a table with a charge of each of "
            f"{', '.join(elements)}, got {charges!r}"
        )
    options["charges"] = [charges[symbol] for symbol in elements]
    if immobile is not None:
        unknown = [symbol for symbol in immobile if symbol not in elements]
        if unknown:
            raise ValueError(f"`model.immobile` must name elements of the model, got {unknown[0]}")
        options["immobile"] = [elements.index(symbol) for symbol in immobile]
    return Model(elements, [made(SplitCharges, options, n_elements=len(elements))])


def _polarization_model(
    kind: str, options: dict[str, Any], data: Dataset
) -> tuple[PolarizationModel, list[str]]:
    elements = options.pop("elements", list(data.elements))
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
    network = made(NETWORKS[kind], options, n_elements=len(elements))
    return PolarizationModel(elements, network, charges), messages


def made(kind: Any, options: Mapping[str, Any], **fixed: Any) -> Any:
    """Make a class with settings of section ``[model]``, checking their names."""
    parameters = inspect.signature(kind).parameters
    known = [name for name in parameters if name not in (*fixed, *FITTED)]
    for name in options:
        if name not in known:
            raise ValueError(f"`model.{name}` is no setting of {kind.__name__}; known: "
                             f"{', '.join(known)}")  # fmt: skip
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ValueError(f"`model.{name}` must be given for {kind.__name__}")
    try:
        return kind(**fixed, **options)
    except TypeError as error:
        raise ValueError(f"section `model` has a value of the wrong type: {error}") from error
