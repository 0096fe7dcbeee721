"""The training loop: what it learns, and that interruptions leave no trace."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training_examples import crystals, polarization_task

from ase_bec.interruption import handling_interruption
from ase_bec.training.checkpoint import read_checkpoint
from ase_bec.training.config import TrainingOptions
from ase_bec.training.learning_rate import learning_rate
from ase_bec.training.tasks.task import Loss, rmse, tally
from ase_bec.training.trainer import Trainer


def trainer(
    checkpoint: Path | None = None,
    kind: str = "equivariant",
    n: int = 6,
    dtype: torch.dtype = torch.float64,
    identity: dict[str, Any] | None = None,
    **options: Any,
) -> Trainer[Any]:
    task = polarization_task(kind, dtype=dtype)
    samples = [task.prepare(frame) for frame in crystals(n + 3)]
    settings = TrainingOptions(**{"epochs": 6, "batch": 2, "interval": 2, **options})
    return Trainer(task, samples[:n], samples[n:], settings, checkpoint, identity)


def weights(made: Trainer[Any]) -> list[Tensor]:
    return [p.detach().clone() for p in made.parameters]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(("kind", "n"), [("equivariant", 30), ("vaf", 8)])
def test_learns_a_field_of_born_charges(kind: str, n: int) -> None:
    """To 0.03 e on frames that it has not seen, where formal charges alone are wrong by 0.16 e."""
    made = trainer(kind=kind, n=n, dtype=torch.float32, epochs=40, interval=40, rate=0.02)
    untrained = torch.cat([s.charges for s in made.validation])
    assert rmse(tally(untrained)) > 0.12
    assert made.run(progress=False).completed
    assert rmse(made.task.errors(made.validation)["Z"]) < 0.03


class Stop:
    """Sends a signal to this process in the given call of the loss."""

    def __init__(self, made: Trainer[Any], call: int, number: int = signal.SIGTERM) -> None:
        self.loss, self.left, self.number = made.task.loss, call, number
        made.task.loss = self  # type: ignore[method-assign]

    def __call__(self, samples: Any, normals: Tensor | None) -> Loss:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return self.loss(samples, normals)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"average": 0.9},
    {"patience": 2},
    {"epochs": 2, "lbfgs": 2, "average": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["adam", "average", "patience", "lbfgs"])
@pytest.mark.parametrize("call", [1, 3, 5, 8])
def test_interrupted_and_resumed_is_as_never_interrupted(
    tmp_path: Path, options: dict[str, Any], call: int
) -> None:
    whole = trainer(tmp_path / "a.checkpoint", **options)
    assert whole.run(progress=False).completed

    path = tmp_path / "b.checkpoint"
    part = trainer(path, **options)
    Stop(part, call)
    with handling_interruption():
        assert not part.run(progress=False).completed
    rest = trainer(path, **options)
    rest.resume()
    assert (rest.epoch, rest.step) == (part.epoch, part.step)
    assert rest.run(progress=False).completed
    assert same(weights(rest), weights(whole))
    assert rest.rows == whole.rows
    assert path.with_suffix(".csv").read_text() == (tmp_path / "a.csv").read_text()


def test_second_interruption_stops_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    made = trainer(path)
    before = signal.getsignal(signal.SIGINT)  # ignored in some background processes
    Stop(made, 4, signal.SIGINT)
    Stop(made, 4, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        made.run(progress=False)
    assert signal.getsignal(signal.SIGINT) is before
    assert not path.exists()


def test_runs_in_a_thread() -> None:
    made, outcomes = trainer(), []
    thread = threading.Thread(target=lambda: outcomes.append(made.run(progress=False)))
    thread.start()
    thread.join()
    assert outcomes[0].completed


def test_keeps_the_best_parameters() -> None:
    made, scores, seen = trainer(epochs=4, interval=1), [3.0, 1.0, 2.0, 1.5], []

    def score(errors: Any) -> float:
        seen.append(weights(made))
        return scores[len(seen) - 1]

    made.task.score = score  # type: ignore[method-assign]
    assert made.run(progress=False).best == 2
    assert same(weights(made), seen[1])
    assert not same(weights(made), seen[3])


def test_stops_early() -> None:
    made = trainer(rate=0.3, final=1.0, clip=0.0, epochs=200, interval=1, patience=3)
    outcome = made.run(progress=False)
    assert outcome.completed
    assert outcome.epoch == outcome.best + 3 < 200


def test_without_validation_the_last_parameters_are_kept() -> None:
    made = trainer(n=6)
    made.validation = []
    assert made.run(progress=False).best == 6
    assert "validation Z" not in made.rows[-1]


def test_lbfgs_comes_after_adam_and_lowers_the_exact_loss() -> None:
    made = trainer(n=12, epochs=4, lbfgs=3, interval=1)
    made.validation = []
    made.run(progress=False)
    losses = [row["loss"] for row in made.rows]
    assert losses[-1] < 0.5 * losses[3]
    exact = made.task.loss(made.train, None).values.mean().detach()
    assert losses[-1] == pytest.approx(float(exact), rel=0.2)


def test_average_is_that_of_the_parameters() -> None:
    made = trainer(average=0.8, epochs=1, interval=1)
    expected, step = weights(made), made.optimiser.step

    def noted(*arguments: Any) -> Any:
        found = step(*arguments)
        for mean, parameter in zip(expected, made.parameters, strict=True):
            mean.mul_(0.8).add_(parameter.detach(), alpha=0.2)
        return found

    made.optimiser.step = noted  # type: ignore[method-assign]
    made.run(progress=False)
    for mean, parameter in zip(expected, weights(made), strict=True):
        assert mean.numpy() == pytest.approx(parameter.numpy(), rel=1e-12)


def test_learning_rate_rises_and_falls() -> None:
    options = TrainingOptions(rate=0.1, warmup=0.2, final=0.01)
    rates = [learning_rate(options, x) for x in np.linspace(0, 1, 101)]
    assert rates[0] == pytest.approx(0.004)
    assert rates[20] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.001)
    assert np.all(np.diff(rates[:21]) > 0)
    assert np.all(np.diff(rates[20:]) < 0)
    for warmup in (0.0, 1.0):
        edges = [learning_rate(TrainingOptions(warmup=warmup), x) for x in (0.0, 0.5, 1.0)]
        assert max(edges) <= 0.01
        assert min(edges) > 0


def test_loss_that_is_not_finite(tmp_path: Path) -> None:
    made = trainer(tmp_path / "a.checkpoint", rate=1e30, clip=0.0)
    with pytest.raises(FloatingPointError, match=r"`training\.rate` must be smaller"):
        made.run(progress=False)


def test_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    trainer(path, identity={"training": {"rate": 0.01}}).run(progress=False)
    other = trainer(path, identity={"training": {"rate": 0.02}})
    with pytest.raises(ValueError, match=r"with `training\.rate` 0\.01, got 0\.02"):
        other.resume()


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "foreign"])
def test_damaged_checkpoint(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.checkpoint"
    trainer(path, epochs=1).run(progress=False)
    content = path.read_bytes()
    if damage == "foreign":
        torch.save({"format": "other"}, path)
    else:
        path.write_bytes({"empty": b"", "text": b"hello", "truncated": content[:-400]}[damage])
    with pytest.raises(ValueError, match="must be a"):
        read_checkpoint(path)


def test_input_of_no_use(tmp_path: Path) -> None:
    task = polarization_task()
    samples = [task.prepare(frame) for frame in crystals(2)]
    with pytest.raises(ValueError, match="at least one sample"):
        Trainer(task, [], samples, TrainingOptions())
    with pytest.raises(ValueError, match="without frames for validation"):
        Trainer(task, samples, [], TrainingOptions(patience=2))
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        Trainer(task, samples, [], TrainingOptions(), tmp_path / "none").resume()
