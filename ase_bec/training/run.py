"""A whole training: from settings to a saved model with its card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ase_bec.data import Dataset, read_dataset
from ase_bec.data.in_field import require_zero_field
from ase_bec.locks import locked
from ase_bec.models import Model, load
from ase_bec.progress import progress_bar
from ase_bec.training.build import make_task
from ase_bec.training.checkpoint import check_identity
from ase_bec.training.config import Config
from ase_bec.training.error_history import plot_history
from ase_bec.training.formal_charges import warn_of_net_charges
from ase_bec.training.known_frames import frame_hashes
from ase_bec.training.parallel import Processes
from ase_bec.training.residual import less
from ase_bec.training.split import Split, split_frames
from ase_bec.training.tasks.task import Errors, Task, mae, rmse
from ase_bec.training.trainer import Outcome, Trainer

__all__ = ["Files", "Result", "train"]


class Files(NamedTuple):
    """Files of a training: model, state to resume from, table, picture."""

    model: Path
    checkpoint: Path
    table: Path
    picture: Path

    @classmethod
    def of(cls, output: str | Path) -> Files:
        """Files of a training with this output."""
        path = Path(output)
        return cls(path, *(path.with_suffix(s) for s in (".checkpoint", ".csv", ".png")))


class Result(NamedTuple):
    """How a training ended.

    Attributes
    ----------
    outcome : Outcome
        Whether it was completed, and when.
    errors : dict
        For each part of the data (train, validation, test), each error's RMSE and MAE.

    Examples
    --------
    >>> from ase_bec.training import Outcome, Result
    >>> errors = {"validation": {"Z": {"rmse": 0.042, "mae": 0.031}}}
    >>> result = Result(Outcome(True, 200, 185, 60.0), errors)  # as `train(...)` returns it
    >>> result.errors["validation"]["Z"]["rmse"]
    0.042
    """

    outcome: Outcome
    errors: dict[str, dict[str, dict[str, float]]]


def train(
    config: Config,
    resume: bool = False,
    progress: bool = True,
    processes: Processes = Processes(),  # noqa: B008 (immutable)
    say: Callable[[str], None] = lambda text: None,
) -> Result:
    """Train a model and save it with its card.

    Parameters
    ----------
    config : Config
        Settings.
    resume : bool
        Resume from the checkpoint of an interrupted training, or begin if there is none yet. A
        finished training is left as it is.
    progress : bool
        Show a progress bar.
    processes : Processes
        Processes that train together.
    say : callable
        Receives messages.

    Raises
    ------
    FileNotFoundError, ValueError
        If settings or data are invalid, the files are those of another training, or another one
        is writing to them; nothing has been written then.
    FloatingPointError
        If the loss is not finite.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from ase_bec import write_dataset
    >>> from ase_bec.data import Frame
    >>> from ase_bec.training import Config, DataOptions, TrainingOptions, train
    >>> charges = [1.9 * np.eye(3), -1.9 * np.eye(3)]
    >>> crystals = [bulk("MgO", "rocksalt", a) for a in (4.1, 4.2, 4.3, 4.4)]
    >>> small = {"cutoff": 3.0, "radial": 2, "degree": 1, "channels": 1, "hidden": [2]}
    >>> with TemporaryDirectory() as folder:
    ...     file = f"{folder}/frames.xyz"
    ...     write_dataset(file, [Frame(x, born_effective_charges=charges) for x in crystals])
    ...     data = DataOptions((file,), validation=0.25)
    ...     options = TrainingOptions(epochs=2)
    ...     config = Config(data, small, training=options, output=f"{folder}/model.pt")
    ...     result = train(config, progress=False)
    >>> result.outcome.completed, list(result.errors)
    (True, ['train', 'validation'])
    """
    files = Files.of(config.output)
    with locked(*files, again=True) if processes.rank == 0 else nullcontext():
        if resume and files.model.exists() and not files.checkpoint.exists():
            return _done(files.model, config)
        return _train(config, files, resume, progress, processes, say)


def _train(
    config: Config,
    files: Files,
    resume: bool,
    progress: bool,
    processes: Processes,
    say: Callable[[str], None],
) -> Result:
    data = _read(config, say)
    options = config.data
    split = split_frames(
        data.config_types, options.split, options.validation, options.test, options.seed
    )
    task, messages = make_task(config, data[split.train])
    for message in messages:
        say(message)
    _check_labels(task, data)
    if hasattr(task.model, "formal_charges"):
        warn_of_net_charges(task.model.formal_charges, data)
    say("frames: " + ", ".join(f"{len(part)} {name}" for name, part in split._asdict().items()))
    with progress_bar("prepare", "frame", progress and processes.rank == 0, len(data)) as frames:
        samples = []
        for frame in data:
            samples.append(task.prepare(frame))
            frames.update()
    parts = {name: [samples[k] for k in part] for name, part in split._asdict().items()}
    trainer = Trainer(
        task, parts["train"], parts["validation"], config.training, files.checkpoint,
        _identity(config), processes,
    )  # fmt: skip
    if resume and files.checkpoint.exists():
        trainer.resume()
    elif resume:
        say("there is no checkpoint yet: the training starts from the beginning")
    elif processes.rank == 0:
        files.checkpoint.unlink(missing_ok=True)  # of an earlier training
    outcome = trainer.run(progress)
    if not outcome.completed or processes.rank > 0:
        return Result(outcome, {})
    task.finish(parts["train"])
    errors = {name: _errors(task, part, config) for name, part in parts.items() if part}
    task.model.metadata |= _card(config, data, split, outcome, errors)
    task.model.metadata["frame_hashes"] = frame_hashes(data, split)
    task.model.double().eval().save(files.model)
    plot_history(files.picture, trainer.rows, task.units)
    files.checkpoint.unlink(missing_ok=True)
    return Result(outcome, errors)


def _done(path: Path, config: Config) -> Result:
    """Result of a training that is already done, if it is this one."""
    model: Any = load(path)
    card: dict[str, Any] = getattr(model, "metadata", {})
    check_identity(path, card.get("config", {}), _identity(config))
    outcome = Outcome(True, card["epochs"], card["best_epoch"], card["seconds"])
    return Result(outcome, card["errors"])


def _read(config: Config, say: Callable[[str], None]) -> Dataset:
    d = config.data
    data = read_dataset(
        d.files, keys=d.keys or None, units=d.units or None,
        displacement_first=d.displacement_first, sum_rule=d.sum_rule, net_charge=d.net_charge,
    )  # fmt: skip
    require_zero_field(data, "`ase-bec convert --from-fields` makes Born charges of them")
    for line in data.summary().splitlines():
        say(line)
    if not d.less:
        return data
    model = load(d.less)
    if not isinstance(model, Model):
        raise ValueError(f"`data.less` must be a model of this package, got `{d.less}`")
    return less(data, model)


def _check_labels(task: Task[Any], data: Dataset) -> None:
    for frame in data:
        missing = sorted(set(task.labels) - set(frame.labels))
        if missing:
            raise ValueError(
                f"{frame.source}: must have the label `{missing[0]}` to train on, got none; "
                "name its key under [data.keys], or leave the file out"
            )


def _identity(config: Config) -> dict[str, Any]:
    """What must be the same to resume a training."""
    plain = config.plain()
    del plain["output"], plain["training"]["device"]
    plain["data"]["files"] = [Path(f).name for f in config.data.files]
    files = [*config.data.files]
    if Path(config.data.less).is_file():
        files.append(config.data.less)
    if Path(str(config.model.get("start", ""))).is_file():
        files.append(config.model["start"])
    return plain | {"sha256": _digests(files)}


def _digests(files: Sequence[str]) -> list[str]:
    return [hashlib.sha256(Path(f).read_bytes()).hexdigest() for f in files]


def _errors(task: Task[Any], samples: Sequence[Any], config: Config) -> dict[str, dict[str, float]]:
    total: Errors = {}
    size = config.training.batch
    for k in range(0, len(samples), size):
        for name, found in task.errors(samples[k : k + size]).items():
            total[name] = total[name] + found if name in total else found
    present = {name: tallied for name, tallied in total.items() if tallied[2] > 0}
    return {name: {"rmse": rmse(t), "mae": mae(t)} for name, t in present.items()}


def _card(
    config: Config, data: Dataset, split: Split, outcome: Outcome, errors: dict[str, Any]
) -> dict[str, Any]:
    """Description of the model, as plain values."""
    return {
        "data": [
            {"file": Path(f).name, "sha256": digest}
            for f, digest in zip(config.data.files, _digests(config.data.files), strict=True)
        ],
        "frames": {name: len(part) for name, part in split._asdict().items()},
        "split": split._asdict(),
        "errors": errors,
        "config": _identity(config),
        "epochs": outcome.epoch,
        "best_epoch": outcome.best,
        "seconds": outcome.seconds,
        "versions": {"ase-bec": version("ase-bec"), "torch": str(torch.__version__)},
    }
