"""Displacements, diffusion and drift against brute force, ballistic and Brownian motion."""

import matplotlib
import numpy as np
import pytest
from trajectory_examples import brownian, trajectory

from ase_bec.analysis import Estimate, Value, diffusion, drift_velocity, mean_square_displacement
from ase_bec.analysis.correlations import autocorrelation, square_displacement
from ase_bec.analysis.statistics import block_slices, mean_rate

matplotlib.use("Agg")
D = np.array([1e-3, 2e-3, 4e-3])
WINDOW = (50.0, 300.0)


def test_against_double_loops() -> None:
    rng = np.random.default_rng(3)
    series = rng.standard_normal((37, 2, 3)).cumsum(axis=0) + 1e4  # far from the origin
    n = len(series)
    squares = np.zeros_like(series)
    products = np.zeros_like(series)
    for lag in range(n):
        for t in range(n - lag):
            squares[lag] += (series[t + lag] - series[t]) ** 2 / (n - lag)
            products[lag] += series[t + lag] * series[t] / (n - lag)
    assert square_displacement(series) == pytest.approx(squares, rel=1e-9, abs=1e-9)
    assert autocorrelation(series) == pytest.approx(products, rel=1e-9)


def test_ballistic() -> None:
    times, v = np.arange(50) * 4.0, np.array([0.01, -0.02, 0.03])
    positions = np.array([[0, 0, 0], [3.0, 3, 3]]) + (times[:, None] * v)[:, None]
    given = trajectory(times, positions, ["Li", "Li"])
    for origins in ("all", "first"):
        found = mean_square_displacement(given, origins=origins)
        assert found.times == pytest.approx(times)
        assert found.values["Li"] == pytest.approx(np.outer(times**2, v**2), abs=1e-10)
        assert found.total("Li") == pytest.approx(times**2 * (v @ v), abs=1e-10)
        still = mean_square_displacement(given, origins=origins, remove_drift=True)
        assert still.values["Li"] == pytest.approx(0, abs=1e-10)
    assert drift_velocity(given, "Li").values == pytest.approx(v)
    assert drift_velocity(given, "Li").errors == pytest.approx(0, abs=1e-12)


def test_elements_and_first_frame_apart() -> None:
    rng = np.random.default_rng(4)
    positions = rng.standard_normal((9, 3, 3)).cumsum(axis=0)
    found = mean_square_displacement(
        trajectory(np.arange(9.0), positions, ["O", "Li", "O"]), origins="first", max_time=5.0
    )
    moved = (positions[:6] - positions[0]) ** 2
    assert found.values["Li"] == pytest.approx(moved[:, 1])
    assert found.values["O"] == pytest.approx((moved[:, 0] + moved[:, 2]) / 2)


@pytest.mark.parametrize("blocks", [None, 8])
def test_brownian_diffusion_and_its_error(blocks: int | None) -> None:
    scores = []
    for seed in range(12):
        found = diffusion(brownian(seed, D, atoms=40), "Li", WINDOW, blocks=blocks).coefficient
        assert (found.errors < 0.05 * D).all()
        scores.append((found.values - D) / found.errors)
    spread = np.sqrt(np.mean(np.square(scores)))  # of Student's t with 7 degrees: 1.18
    assert 0.7 < spread < 1.6
    assert abs(np.mean(scores)) < 3 * spread / np.sqrt(36)


def test_diffusion_about_the_drift() -> None:
    drift = np.array([0.0, 2e-3, -5e-3])
    given = brownian(5, D, drift)
    with pytest.warns(UserWarning, match="all elements move together"):
        plain = diffusion(given, "Li", WINDOW).coefficient
    about = diffusion(given, "Li", WINDOW, remove_drift=True)
    assert about.atoms == 100
    assert (np.abs(about.coefficient.values - D) < 4 * about.coefficient.errors).all()
    # (v t)² over a window from t1 to t2 has the slope v² (t1 + t2); v is known to √(2D/NT)
    error = np.sqrt(2 * D / (100 * given.duration)) * np.abs(drift) * sum(WINDOW)
    excess = plain.values - about.coefficient.values - drift**2 * sum(WINDOW) / 2
    assert (np.abs(excess) < 4 * error + 1e-6).all()
    assert about.in_cm2_per_s().mean().value == pytest.approx(0.1 * about.coefficient.values.mean())


def test_drift_and_its_error() -> None:
    drift = np.array([0.0, 2e-4, -3e-4])
    scores = []
    for seed in range(20):
        found = drift_velocity(brownian(seed, D, drift, frames=1001, atoms=20), "Li")
        scores.append((found.values - drift) / found.errors)
        exact = np.sqrt(2 * D / (20 * 1e4))
        assert (np.abs(np.log(found.errors / exact)) < 1.2).all()
    spread = np.sqrt(np.mean(np.square(scores)))  # of Student's t with 9 degrees: 1.13
    assert 0.8 < spread < 1.5


def test_blocks_tile_the_path() -> None:
    assert block_slices(11, 3) == [slice(2, 5), slice(5, 8), slice(8, 11)]
    times = np.arange(11.0)
    path = np.column_stack([times**2, times, -times])
    found = mean_rate(times, path, 5)
    assert found.values == pytest.approx([10, 1, -1])
    assert found.samples[:, 0] == pytest.approx([2, 6, 10, 14, 18])


def test_estimates() -> None:
    found = Estimate(np.array([1.0, 2.0, 6.0]), np.array([[0, 1, 5], [2.0, 3, 7]]))
    assert found.errors == pytest.approx([1, 1, 1])
    assert found.mean() == pytest.approx((3, 1))
    assert found.component(2) == pytest.approx((6, 1))
    assert found.along([0, -3, 0]) == pytest.approx((-2, 1))
    assert found.scaled(2.0).mean() == pytest.approx((6, 2))
    assert str(Value(1.2346, 0.056)) == "1.235 ± 0.056"
    assert str(Value(1.2346e-6, 2.1e-8)) == "(1.235 ± 0.021)e-6"
    assert str(Value(-1e-6, 3e-6)) == "(-1.0 ± 3.0)e-6"
    with pytest.raises(ValueError, match="`direction`"):
        found.along([0, 0, 0])


def test_bad_windows_and_blocks() -> None:
    given = brownian(0, D, frames=100, atoms=3)
    for window, blocks, words in [
        ((100.0, 50.0), None, "`window` must hold"),
        ((0.0, 2000.0), None, "`window` must hold"),
        ((100.0, 105.0), None, "`window` must hold"),
        ((50.0, 300.0), 5, "`window` must end within a block of 190 fs"),
        ((10.0, 30.0), 1, "`blocks` must be at least 2"),
        ((10.0, 30.0), 90, "`blocks` must leave"),
    ]:
        with pytest.raises(ValueError, match=words):
            diffusion(given, "Li", window, blocks=blocks)
    with pytest.raises(ValueError, match="`origins`"):
        mean_square_displacement(given, origins="some")
    with pytest.raises(ValueError, match="`max_time`"):
        mean_square_displacement(given, max_time=1.0)


def test_plot() -> None:
    from matplotlib.figure import Figure

    found = mean_square_displacement(brownian(0, D, frames=20, atoms=2))
    axes = found.plot(Figure().subplots(), directions=True)
    assert [line.get_label() for line in axes.lines] == ["Li x", "Li y", "Li z"]
    assert axes.lines[1].get_ydata() == pytest.approx(found.values["Li"][:, 1])
    assert axes.lines[1].get_xdata()[-1] == pytest.approx(0.19)
