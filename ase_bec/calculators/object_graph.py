"""What an object holds: a bounded walk through attributes, containers, closures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from itertools import islice
from numbers import Number
from types import FunctionType, MethodType, ModuleType
from typing import NamedTuple

import numpy as np
from ase import Atoms

DEPTH = 12  # steps from the root
OBJECTS = 20_000  # in all
CHILDREN = 1_000  # of one object
_PLAIN = (str, bytes, Number, np.ndarray, np.generic, type, ModuleType, type(None))
_OPAQUE = frozenset(
    [
        "torch",
        "numpy",
        "numba",
        "llvmlite",
        "logging",
        "threading",
        "multiprocessing",
        "io",
        "ctypes",
        "weakref",
    ]
)


class Held(NamedTuple):
    """An object, and the path to it from the root, as in ``.mixer.calcs[1]``."""

    path: str
    value: object


def held_objects(
    root: object, without: Callable[[object], bool] = lambda value: False
) -> Iterator[Held]:
    """Return the root and what it holds, each object once, nearest first.

    Attributes, items of containers, what functions close over and the calculators of Atoms are
    followed; numbers, strings, arrays, classes, modules and neural networks are not. A very large
    or deep object is not searched completely.

    Parameters
    ----------
    root
        Where to start.
    without
        Whether to leave out an object, and what only it holds.
    """
    seen = {id(root)}
    queue = deque([(Held("", root), 0)])
    while queue:
        held, depth = queue.popleft()
        yield held
        if depth == DEPTH:
            continue
        for step, child in _children(held.value):
            if isinstance(child, _PLAIN) or id(child) in seen or len(seen) >= OBJECTS:
                continue
            seen.add(id(child))
            if without(child):
                continue
            queue.append((Held(held.path + step, child), depth + 1))


def attributes(value: object) -> dict[str, object]:
    """Return the attributes that an object itself holds, without calling its code."""
    found: dict[str, object] = {}
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            member = vars(kind).get(name)
            try:
                found[name] = member.__get__(value, kind) if member is not None else None
            except AttributeError:  # never set
                continue
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        found.update((str(name), child) for name, child in own.items())
    return found


def _children(value: object) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        items = islice(value.items(), CHILDREN)
        found: list[tuple[str, object]] = [(f"[{key!r}]", item) for key, item in items]
    elif isinstance(value, list | tuple | deque | Set):
        found = [(f"[{k}]", item) for k, item in enumerate(islice(value, CHILDREN))]
    elif isinstance(value, Atoms):
        found = [(".calc", value.calc)]
    elif isinstance(value, MethodType):
        found = [(".__self__", value.__self__)]
    elif isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=False)
        found = [(f" with {name}", _content(cell)) for name, cell in cells]
    elif isinstance(value, partial):
        found = [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
    elif _is_opaque(value):
        found = []
    else:
        found = [(f".{name}", child) for name, child in attributes(value).items()]
    return found[:CHILDREN]


def _content(cell: object) -> object:
    try:
        return getattr(cell, "cell_contents", None)
    except ValueError:  # empty yet
        return None


def _is_opaque(value: object) -> bool:
    """Whether there is nothing to be found inside, or too much, as in a neural network."""
    module = type(value).__module__.partition(".")[0]
    return module in _OPAQUE or hasattr(type(value), "named_parameters")
