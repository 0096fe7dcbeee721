"""Losses of polarization models: values, gradients, and what chance does to them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_examples import FORMAL, crystals, polarization_task

from ase_bec.data import Frame
from ase_bec.system import System
from ase_bec.training.tasks.density import density_geometry
from ase_bec.training.tasks.polarization import PolarizationSample, PolarizationTask
from ase_bec.training.tasks.task import mae, rmse, tally

KINDS = ("equivariant", "message-passing", "vaf")
BOTH = {"born_charges": 1.0, "polarization": 0.1}


def started(
    kind: str, weights: dict[str, float] | None = None
) -> tuple[PolarizationTask, list[Frame], list[PolarizationSample]]:
    task, frames = polarization_task(kind, weights), crystals(4)
    samples = [task.prepare(frame) for frame in frames]
    task.start(samples)
    return task, frames, samples


def predicted(task: PolarizationTask, frames: list[Frame]) -> list[np.ndarray]:
    task.model.eval()
    found = [task.model.born_charges(frame.atoms) for frame in frames]
    task.model.train()
    return found


def test_geometry_is_the_density_and_its_derivative() -> None:
    task, frames, _ = started("equivariant")
    atoms, descriptor = frames[2].atoms, task.model.network.density
    species = torch.as_tensor((atoms.numbers == 9).astype(int))
    weights = torch.randn(len(atoms), *descriptor.shape, dtype=torch.float64)

    def geometry(positions: np.ndarray):
        moved = atoms.copy()
        moved.positions = positions
        return density_geometry(descriptor, System.from_atoms(moved, descriptor.cutoff), species)

    derivative = geometry(atoms.positions)
    derivative = derivative.on_atoms(derivative.on_pairs(weights)).numpy()
    h = 1e-5
    for a, x in ((0, 0), (3, 1), (7, 2)):
        step = np.zeros_like(atoms.positions)
        step[a, x] = h
        up, down = (geometry(atoms.positions + s * step).density for s in (1, -1))
        numeric = float(((up - down) * weights).sum()) / (2 * h)
        assert derivative[a, x] == pytest.approx(numeric, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_loss_is_the_mean_square_error_of_the_model(kind: str) -> None:
    task, frames, samples = started(kind)
    squares = [
        ((z - f.born_effective_charges) ** 2).sum()
        for z, f in zip(predicted(task, frames), frames, strict=True)
    ]
    n_atoms = sum(len(f) for f in frames)
    loss = task.loss(samples, None)
    mean = float(loss.values.detach().mean())
    # each frame's share, so that the mean over frames is the mean over all 9M components
    assert loss.values.detach().numpy() == pytest.approx(np.array(squares) * 4 / (9 * n_atoms))
    assert mean == pytest.approx(sum(squares) / (9 * n_atoms))
    assert rmse(loss.errors["Z"]) ** 2 == pytest.approx(mean)
    assert task.score(task.errors(samples)) == pytest.approx(mean)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_by_element_and_on_the_diagonal(kind: str) -> None:
    task, frames, samples = started(kind)
    wrong = np.concatenate(
        [z - f.born_effective_charges for z, f in zip(predicted(task, frames), frames, strict=True)]
    )
    lithium = np.concatenate([f.atoms.numbers == 3 for f in frames])
    diagonal = np.eye(3, dtype=bool)
    errors = task.errors(samples)
    expected = {
        "Z": wrong,
        "Z Li": wrong[lithium],
        "Z F": wrong[~lithium],
        "Z diagonal": wrong[:, diagonal],
        "Z Li off-diagonal": wrong[lithium][:, ~diagonal],
    }
    for name, values in expected.items():
        assert rmse(errors[name]) == pytest.approx(np.sqrt((values**2).mean()), rel=1e-9)
        assert mae(errors[name]) == pytest.approx(np.abs(values).mean(), rel=1e-9)


def test_one_direction_is_unbiased() -> None:
    """The loss is quadratic in the direction: its mean over any three orthogonal ones is exact."""
    task, _, samples = started("equivariant", BOTH)
    exact = task.loss(samples, None).values
    frame = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    rotated = [task.loss(samples, 2.5 * e.expand(len(samples), 3)).values for e in frame]
    assert torch.stack(rotated).mean(dim=0).detach() == pytest.approx(exact.detach(), rel=1e-9)
    single = rotated[0].detach()
    assert not np.allclose(single, exact.detach(), rtol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_directions_that_chance_gives_average_to_the_exact_loss(kind: str) -> None:
    task = polarization_task(kind)
    chance = torch.Generator().manual_seed(0)
    normals = torch.randn(20000, 3, dtype=torch.float64, generator=chance)
    directions = task._training.directions(normals)
    second_moment = directions.T @ directions / len(directions)
    assert second_moment.numpy() == pytest.approx(np.eye(3) / 3, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_that_of_the_loss(kind: str) -> None:
    task, _, samples = started(kind, BOTH)
    parameters = list(task.network.parameters())
    along = [torch.randn_like(p) for p in parameters]
    normals = torch.randn(len(samples), 3, dtype=torch.float64)

    def value() -> float:
        return float(task.loss(samples, normals).values.mean().detach())

    task.loss(samples, normals).values.mean().backward()
    slope = sum(float((p.grad * a).sum()) for p, a in zip(parameters, along, strict=True))
    values, h = [], 1e-6  # the directions are long
    with torch.no_grad():
        for sign in (1, -2):
            for p, a in zip(parameters, along, strict=True):
                p.add_(a, alpha=sign * h)
            with torch.enable_grad():
                values.append(value())
    assert slope == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-6, abs=1e-8)


def test_polarization_is_compared_on_the_nearest_branch() -> None:
    task, frames, samples = started("equivariant", {"born_charges": 0.0, "polarization": 2.0})
    assert task.labels == ("polarization",)
    frame = frames[0]
    shift = frame.atoms.cell.array.T @ np.array([2.0, -1.0, 3.0]) / frame.atoms.get_volume()
    other = task.prepare(replace(frame, polarization=frame.polarization + shift))
    assert other.dipole.numpy() == pytest.approx(samples[0].dipole.numpy(), abs=1e-9)
    charges = np.array([FORMAL[s] for s in frame.atoms.get_chemical_symbols()])
    network = task.model.eval().dipole(frame.atoms) - charges @ frame.atoms.positions
    wrong = network - samples[0].dipole.numpy()
    loss = task.loss(samples[:1], None)
    assert float(loss.values[0].detach()) == pytest.approx(2.0 * (wrong**2).mean(), rel=1e-9)
    assert rmse(loss.errors["D"]) == pytest.approx(np.sqrt((wrong**2).mean()), rel=1e-9)


def test_tallies_add_up() -> None:
    x = torch.randn(7, 3)
    whole, parts = tally(x), tally(x[:2]) + tally(x[2:])
    assert whole.numpy() == pytest.approx(parts.numpy())
    assert np.isnan(rmse(tally(x[:0])))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"charges": 1.0}, "must have weights of born_charges, polarization, got 'charges'"),
        ({"born_charges": -1.0}, "positive or zero"),
        ({"born_charges": 0.0}, "not all zero"),
        ({"born_charges": float("nan")}, "positive or zero"),
    ],
)
def test_weights_of_no_use(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        polarization_task(weights=weights)
