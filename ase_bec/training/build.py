"""From settings to models and tasks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from ase_bec.data import Dataset
from ase_bec.models import Model, NeuralNetworkPotential, PolarizationModel, load
from ase_bec.terms.limits import check_sizes
from ase_bec.terms.table import TERMS
from ase_bec.terms.term import LocalDipole, Term
from ase_bec.training.config import Config
from ase_bec.training.formal_charges import guess_formal_charges
from ase_bec.training.tasks.model import ModelTask
from ase_bec.training.tasks.polarization import TRAININGS, PolarizationTask
from ase_bec.training.tasks.potential import PotentialTask
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        if kind == "nnp":
            model: Model = made(NeuralNetworkPotential, options, elements=elements)
        elif issubclass(TERMS[kind], LocalDipole):
            model, messages = _polarization_model(TERMS[kind], elements, options, data)
        else:
            model = Model(elements, [made(TERMS[kind], options, n_elements=len(elements))])
    return _task(model, config), messages


def _further_training(options: dict[str, Any], config: Config) -> Task[Any]:
    """Task that continues from the weights of a saved model."""
    start = options.pop("start")
    if options:
        raise ValueError(
            f"`model.{next(iter(options))}` is set by the model to start from: give `model.start` "
            "alone, or leave it out"
        )
    model = load(start)
    if not isinstance(model, Model):
        raise ValueError(f"`model.start` must be a model that can be trained, got `{start}`")
    model.metadata = {"start": model.metadata}
    return _task(model, config, trained=True)


def _task(model: Model, config: Config, trained: bool = False) -> Task[Any]:
    """The fastest task for a model."""
    dtype, device = getattr(torch, config.training.dtype), config.training.device
    if isinstance(model, NeuralNetworkPotential):
        return PotentialTask(model, config.loss, dtype, device, trained)
    if isinstance(model, PolarizationModel) and model.network.kind in TRAININGS:
        return PolarizationTask(model, config.loss, dtype, device, trained)
    return ModelTask(model, config.loss, dtype, device)


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
