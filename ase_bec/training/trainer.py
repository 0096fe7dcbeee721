"""The training loop.

Random numbers depend only on the seed and on the numbers of the pass and the step, never on what
ran before. So a checkpoint holds no random state, and a resumed training does exactly what it
would have done, bit for bit; and several processes, which share the frames of each step, do the
same as one, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ase_bec.interruption import Interruption, interruption
from ase_bec.locks import locked
from ase_bec.progress import progress_bar
from ase_bec.training.checkpoint import check_identity, read_checkpoint, write_checkpoint
from ase_bec.training.config import TrainingOptions
from ase_bec.training.error_history import write_history
from ase_bec.training.gradient import differentiate, no_errors
from ase_bec.training.learning_rate import learning_rate
from ase_bec.training.parallel import Processes
from ase_bec.training.tasks.task import Task, rmse

__all__ = ["Outcome", "Trainer"]

S = TypeVar("S")
LBFGS_ITERATIONS = 10
KEPT = ("epoch", "step", "rows", "errors", "best", "stale", "seconds", "average")


class Outcome(NamedTuple):
    """How a training ended.

    Attributes
    ----------
    completed : bool
        False if it was interrupted and can be resumed.
    epoch, best : int
        Number of passes done, and the pass whose parameters the network now has.
    seconds : float
        Total time, over all parts.

    Examples
    --------
    >>> from ase_bec.training import Outcome
    >>> outcome = Outcome(completed=False, epoch=40, best=35, seconds=12.0)  # from `train(...)`
    >>> "done" if outcome.completed else f"can resume from pass {outcome.epoch}"
    'can resume from pass 40'
    """

    completed: bool
    epoch: int
    best: int
    seconds: float


class Trainer(Generic[S]):
    """Training of one task, which can be interrupted at any moment.

    Parameters
    ----------
    task : Task
        Model and loss.
    train, validation : sequence of samples
        As the task prepares them. Without validation the last parameters are kept.
    options : TrainingOptions
        Settings.
    checkpoint : Path, optional
        Where to keep what is needed to resume; a table of errors, ending in .csv, goes next to it.
    identity : dict, optional
        Plain values that identify this training; a checkpoint of another one is refused.
    processes : Processes
        Processes that share the work.

    Raises
    ------
    ValueError
        If there is nothing to train on, or nothing to decide early stopping by.
    """

    def __init__(
        self,
        task: Task[S],
        train: Sequence[S],
        validation: Sequence[S],
        options: TrainingOptions,
        checkpoint: Path | None = None,
        identity: dict[str, Any] | None = None,
        processes: Processes = Processes(),  # noqa: B008 (immutable)
    ) -> None:
        if not train:
            raise ValueError("`train` must hold at least one sample, got none")
        if options.patience and not validation:
            raise ValueError("`training.patience` must be 0 without frames for validation")
        self.task, self.options, self.processes = task, options, processes
        self.train, self.validation = list(train), list(validation)
        self.checkpoint, self.identity = checkpoint, identity or {}
        task.start(self.train)
        self.parameters = [p for p in task.network.parameters() if p.requires_grad]
        self.n_steps = -(-len(self.train) // options.batch)
        self.epoch, self.step = 0, 0  # passes done, and steps of the present one
        self.errors = no_errors(task)  # of the present pass
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"epoch": 0, "score": float("inf"), "parameters": []}
        self.stale = 0  # validations since the best one
        self.seconds = 0.0
        self.average: list[Tensor] = []
        self._stop = False
        self._begin()

    @property
    def last(self) -> int:
        """Number of the last pass."""
        return self.options.epochs + self.options.lbfgs

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.epoch >= self.last or 0 < self.options.patience <= self.stale

    def run(self, progress: bool = True) -> Outcome:
        """Train to the end; the network then has the best parameters.

        Ctrl-C and SIGTERM end it between two steps with a checkpoint, and then act as they do
        without it; within :func:`~ase_bec.interruption.handling_interruption` it returns instead.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        OutputInUse
            If another training writes to the checkpoint.
        """
        before, start = self.seconds, monotonic()
        shown = progress and self.processes.rank == 0
        with (
            self._locked(),
            interruption() as asked,
            progress_bar(None, "epoch", shown, self.last, self.epoch) as epochs,
        ):
            while not self.finished and not self._stop:
                epoch = self.epoch
                (self._adam if epoch < self.options.epochs else self._lbfgs)(asked)
                self.seconds = before + monotonic() - start
                if self._stop or self._due:
                    self._save()
                epochs.set_postfix_str(self._described(), refresh=False)
                epochs.update(self.epoch - epoch)
        if self.finished:
            _assign(self.parameters, self.best["parameters"])
        return Outcome(self.finished, self.epoch, self.best["epoch"], self.seconds)

    def resume(self) -> None:
        """Resume from the checkpoint.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is none, it is damaged, or it is one of another training.
        """
        if self.checkpoint is None:
            raise ValueError("`checkpoint` must be a file to resume, got None")
        content = read_checkpoint(self.checkpoint)
        check_identity(self.checkpoint, content["identity"], self.identity)
        self.epoch = int(content["epoch"])
        self._begin()
        self.task.network.load_state_dict(content["network"])
        self.optimiser.load_state_dict(content["optimiser"])
        for name in KEPT:
            setattr(self, name, content[name])

    def _locked(self) -> AbstractContextManager[None]:
        """Hold what is written, in the process that writes."""
        if self.checkpoint is None or self.processes.rank > 0:
            return nullcontext()
        return locked(self.checkpoint, self.checkpoint.with_suffix(".csv"), again=True)

    def _save(self) -> None:
        if self.checkpoint is None or self.processes.rank > 0:
            return
        content = {name: getattr(self, name) for name in KEPT}
        content["network"] = self.task.network.state_dict()
        content["optimiser"] = self.optimiser.state_dict()
        write_checkpoint(self.checkpoint, {"identity": self.identity, **content})
        if self.rows:
            write_history(self.checkpoint.with_suffix(".csv"), self.rows)

    def _begin(self) -> None:
        """Make the optimiser of Adam's passes, or of those with L-BFGS."""
        self.optimiser: torch.optim.Optimizer
        if self.epoch < self.options.epochs:
            self.optimiser = torch.optim.AdamW(self.parameters, weight_decay=self.options.decay)
            if self.options.average:
                self.average = [p.detach().clone() for p in self.parameters]
        else:
            _assign(self.parameters, self.average)
            self.average = []
            self.optimiser = torch.optim.LBFGS(
                self.parameters, max_iter=LBFGS_ITERATIONS, line_search_fn="strong_wolfe"
            )

    def _adam(self, asked: Interruption) -> None:
        """One pass with a step for each batch, or the rest of it."""
        options, processes = self.options, self.processes
        if self.step == 0:
            self.errors = no_errors(self.task)
        order = np.random.default_rng((options.seed, self.epoch)).permutation(len(self.train))
        for batch in np.array_split(order, self.n_steps)[self.step :]:
            chance = np.random.default_rng((options.seed, self.epoch, self.step))
            normals = torch.as_tensor(chance.normal(size=(len(batch), 3))).to(self.parameters[0])
            here = processes.share(range(len(batch)))
            mine = [self.train[batch[k]] for k in here], normals[here]
            found = differentiate(
                self.task, self.parameters, [mine], len(batch), processes, bool(asked)
            )
            if options.clip:
                torch.nn.utils.clip_grad_norm_(self.parameters, options.clip)
            done = (self.epoch + self.step / self.n_steps) / options.epochs
            self.optimiser.param_groups[0]["lr"] = learning_rate(options, done)
            self.optimiser.step()
            for mean, parameter in zip(self.average, self.parameters, strict=False):
                mean.lerp_(parameter.detach(), 1 - options.average)
            self.errors = {name: self.errors[name] + found.errors[name] for name in self.errors}
            self.step, self._stop = self.step + 1, found.stop
            if self._stop:
                break
        if self.step == self.n_steps:
            self._end_pass()

    def _lbfgs(self, asked: Interruption) -> None:
        """Some iterations with the exact loss of all samples."""
        mine, size = self.processes.share(self.train), self.options.batch
        parts = [(mine[k : k + size], None) for k in range(0, len(mine), size)]

        def closure() -> float:
            found = differentiate(
                self.task, self.parameters, parts, len(self.train), self.processes, bool(asked)
            )
            self.errors, self._stop = found.errors, self._stop or found.stop
            return found.loss

        self.optimiser.step(closure)
        self._end_pass()

    def _end_pass(self) -> None:
        """Count the pass; validate where it is time to, and change from Adam to L-BFGS."""
        self.epoch, self.step = self.epoch + 1, 0
        if self._due:
            with self._averaged():
                self._validate()
        if self.epoch == self.options.epochs and self.options.lbfgs:
            self._begin()

    @property
    def _due(self) -> bool:
        """Whether it is time to validate and save: between passes, at intervals, and at the end."""
        now_and_then = self.epoch % self.options.interval == 0 or self.epoch == self.last
        return self.step == 0 and self.epoch > 0 and now_and_then

    def _validate(self) -> None:
        """Note the errors, and the parameters if they are the best so far."""
        units, size = self.task.units, self.options.batch
        row: dict[str, float] = {"epoch": self.epoch}
        row |= {f"train {name}": rmse(self.errors[name]) for name in units}
        errors, mine = no_errors(self.task), self.processes.share(self.validation)
        for k in range(0, len(mine), size):
            found = self.task.errors(mine[k : k + size])
            errors = {name: errors[name] + found[name].cpu() for name in units}
        if self.validation:
            for tallied in errors.values():
                self.processes.add(tallied)
            row |= {f"validation {name}": rmse(errors[name]) for name in units}
        score = self.task.score(errors if self.validation else self.errors)
        self.rows.append(row | {"loss": score})
        self.stale += 1
        if score < self.best["score"] or not self.validation:
            parameters = [p.detach().clone() for p in self.parameters]
            self.best = {"epoch": self.epoch, "score": score, "parameters": parameters}
            self.stale = 0

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The moving average in place of the parameters, if there is one."""
        present = [p.detach().clone() for p in self.parameters] if self.average else []
        _assign(self.parameters, self.average)
        yield
        _assign(self.parameters, present)

    def _described(self) -> str:
        """Errors of the last pass and the last validation."""
        parts = ("train", "validation")
        shown = {f"train {name}": rmse(self.errors[name]) for name in self.task.units}
        shown = (self.rows[-1] if self.rows else {}) | shown
        return ", ".join(
            f"{part} {name} {shown[f'{part} {name}']:.4f} {unit}"
            for part in parts
            for name, unit in self.task.units.items()
            if f"{part} {name}" in shown
        )


def _assign(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Put values into parameters; without values, leave them as they are."""
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=False):
            parameter.copy_(value)
