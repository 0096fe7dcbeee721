"""Learning rate over the course of a training."""

from __future__ import annotations

from math import cos, pi

from ase_bec.training.config import TrainingOptions

__all__ = ["learning_rate"]


def learning_rate(options: TrainingOptions, done: float) -> float:
    """Rate when the part ``done`` of all steps with Adam is done: it rises, then falls."""
    if done < options.warmup:
        return options.rate * (0.04 + 0.96 * (1 - cos(pi * done / options.warmup)) / 2)
    falling = (done - options.warmup) / max(1 - options.warmup, 1e-9)
    left = (1 + cos(pi * falling)) / 2
    return options.rate * (options.final + (1 - options.final) * left)
