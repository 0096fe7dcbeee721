"""Frames to train on, to validate with, and to test with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["SPLITS", "Split", "split_frames"]

SPLITS = ("random", "config_type", "block")
Part = float | Sequence[str]


class Split(NamedTuple):
    """Numbers of the frames of each part, ascending.

    Examples
    --------
    >>> from ase_bec.training import split_frames
    >>> split = split_frames([None] * 10, validation=0.2, test=0.1)
    >>> len(split.train), len(split.validation), len(split.test)
    (7, 2, 1)
    """

    train: list[int]
    validation: list[int]
    test: list[int]


def split_frames(
    config_types: Sequence[str | None],
    split: str = "random",
    validation: Part = 0.1,
    test: Part = 0.0,
    seed: int = 0,
) -> Split:
    """Split frames.

    Frames of one trajectory are similar: a random split then shows how well a model interpolates;
    whole kinds or blocks show how well it does on something new.

    Parameters
    ----------
    config_types : sequence
        Kind of each frame.
    split : str
        ``random``: random frames. ``config_type``: whole kinds, chosen at random until the part is
        reached, or those named. ``block``: the last frames are for the test, those before for
        validation.
    validation, test : float or sequence of str
        Fraction of the frames, or names of kinds.
    seed : int
        Seed of the random choices.

    Raises
    ------
    ValueError
        If no frames are left to train on, a part would be empty, or a kind does not exist.

    Examples
    --------
    >>> from ase_bec.training import split_frames
    >>> split_frames(["crystal"] * 4 + ["glass"] * 2, split="block", validation=0.3)
    Split(train=[0, 1, 2, 3], validation=[4, 5], test=[])
    >>> split_frames(["crystal", "glass"] * 2, split="config_type", validation=["glass"])
    Split(train=[0, 2], validation=[1, 3], test=[])
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}, got {split!r}")
    for name, part in (("validation", validation), ("test", test)):
        if isinstance(part, int | float) and not 0 <= part < 1:
            raise ValueError(f"`{name}` must be at least 0 and below 1, got {part}")
    n = len(config_types)
    if split == "config_type":
        tested, validated = _by_kind(config_types, test, validation, seed)
    else:
        order = np.random.default_rng(seed).permutation(n) if split == "random" else np.arange(n)
        ends = order[::-1]
        n_test = _count(test, n, "test")
        tested = sorted(ends[:n_test].tolist())
        validated = sorted(ends[n_test : n_test + _count(validation, n, "validation")].tolist())
    rest = sorted(set(range(n)) - set(tested) - set(validated))
    if not rest:
        raise ValueError(f"`validation` and `test` must leave frames to train on, got {n} frames")
    return Split(rest, validated, tested)


def _count(part: Part, n: int, name: str) -> int:
    if not isinstance(part, int | float):
        raise ValueError(f"`{name}` must be a number, got {list(part)}: kinds need `config_type`")
    count = round(part * n)
    if part and not count:
        raise ValueError(f"`{name}` must give at least one frame, got {part} of {n}")
    return count


def _by_kind(
    config_types: Sequence[str | None], test: Part, validation: Part, seed: int
) -> tuple[list[int], list[int]]:
    if None in config_types:
        raise ValueError("`split` by config_type needs a `config_type` in every frame")
    kinds = sorted({str(kind) for kind in config_types})
    order = [kinds[k] for k in np.random.default_rng(seed).permutation(len(kinds))]
    named = [k for part in (test, validation) if not isinstance(part, int | float) for k in part]
    for kind in named:
        if kind not in kinds:
            raise ValueError(
                f"`config_type` {kind!r} is not in any frame, known: {', '.join(kinds)}"
            )
    if len(set(named)) < len(named):
        raise ValueError(f"`validation` and `test` must name different kinds, got {named}")
    free = [kind for kind in order if kind not in named]
    parts = []
    for part in (test, validation):
        chosen = set() if isinstance(part, int | float) else set(part)
        if isinstance(part, int | float):
            count = sum(kind in chosen for kind in config_types)
            while count < part * len(config_types) and free:
                chosen.add(free.pop())
                count = sum(kind in chosen for kind in config_types)
        parts.append([k for k, kind in enumerate(config_types) if kind in chosen])
    return parts[0], parts[1]
