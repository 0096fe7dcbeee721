"""Activation energies, and what can be resolved at all."""

import numpy as np
import pytest

from ase_bec.analysis import Diffusion, Estimate, arrhenius, is_resolved, smallest_resolved
from ase_bec.analysis.transport import BOLTZMANN

DURATION = 80e3


def found(value: float, error: float, atoms: int = 63) -> Diffusion:
    """D along each axis with samples whose means have this error."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(5, 1))
    samples = (samples - samples.mean()) / samples.std(ddof=1) * error * np.sqrt(5) + value
    return Diffusion("O", atoms, Estimate(np.full(3, value), samples.repeat(3, axis=1)), (1e3, 8e3))


def law(temperature: float, barrier: float = 0.6) -> float:
    return 1e-2 * np.exp(-barrier / (BOLTZMANN * temperature))


def test_an_exact_law_is_found() -> None:
    runs = {t: [found(law(t), 0.05 * law(t))] for t in (900, 1100, 1500)}
    fit = arrhenius(runs, DURATION)
    assert fit.barrier.value == pytest.approx(0.6, abs=1e-9)
    assert np.exp(fit.logarithm.value) == pytest.approx(1e-2)
    assert fit.at(1000) == pytest.approx(law(1000))
    assert 0 < fit.barrier.error < 0.05


def test_error_covers_the_scatter_of_many_fits() -> None:
    rng, inside = np.random.default_rng(1), 0
    for _ in range(200):
        runs = {
            t: [found(law(t) * (1 + 0.1 * x), 0.1 * law(t)) for x in rng.normal(size=4)]
            for t in (900, 1100, 1300, 1500)
        }
        fit = arrhenius(runs, DURATION)
        inside += abs(fit.barrier.value - 0.6) < 2 * fit.barrier.error
    assert 0.85 < inside / 200 < 1


def test_published_coefficient_is_not_resolved() -> None:
    """1.4e-12 cm²/s in 80 ps is a displacement of 7e-6 Å², far below a hop."""
    value = 1.37e-12 / 0.1  # Å²/fs
    assert 6 * value * DURATION == pytest.approx(6.6e-6, rel=0.01)
    assert value < smallest_resolved(63, DURATION) / 1e4
    assert not is_resolved(found(value, 0.01 * value), DURATION)
    assert is_resolved(found(1.16e-6 / 0.1, 1e-6), DURATION)
    assert not is_resolved(found(1.16e-6 / 0.1, 1e-5), DURATION)
    runs = {300: [found(value, 0.01 * value)]}
    runs |= {t: [found(law(t), 0.05 * law(t))] for t in (1100, 1500)}
    fit = arrhenius(runs, DURATION)
    assert fit.left_out == (300.0,)
    assert list(fit.coefficients) == [1100.0, 1500.0]
    with pytest.raises(ValueError, match="must resolve D at two temperatures or more, got 1"):
        arrhenius({t: runs[t] for t in (300, 1100)}, DURATION)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="`runs` must have positive temperatures"):
        arrhenius({0: [found(1e-3, 1e-4)]}, DURATION)
    with pytest.raises(ValueError, match="`duration` must be positive"):
        smallest_resolved(10, 0)
