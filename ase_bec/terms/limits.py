"""What model files and checkpoints may hold, checked before anything is built from it."""

from __future__ import annotations

import re
import zipfile
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

__all__ = ["check_model", "check_number", "check_sizes", "load_plain", "reason"]

_NUMBER = 1e15  # larger than any energy, weight or scale
_DEPTH, _ENTRIES = 40, 1_000_000  # of nested lists and dicts
_SIZES = {"degree": 12, "radial": 256, "channels": 256, "messages": 256}
_NODES, _LAYERS, _CUTOFF = 4096, 16, 50.0  # of hidden layers; Å
_WEIGHTS = 10**8  # of one kind


def reason(error: BaseException) -> str:
    """First line of a torch error, without its advice to load files that could execute code."""
    if isinstance(error, UnpicklingError):
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"`{found[1]}`" if found else "other content"
        return f"{what}, which is not loaded because it could execute code"
    lines = str(error).splitlines()
    return lines[0] if lines and "weights_only" not in lines[0] else type(error).__name__


def load_plain(path: Path) -> Any:
    """Content of a torch file of numbers, strings, lists and dicts; none of it is executed.

    Raises
    ------
    UnpicklingError
        If it holds something else.
    ValueError
        If it is damaged, or unpacks to more than it is.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > size:
                raise ValueError(f"{unpacked} bytes in a file of {size}")
            damaged = archive.testzip()  # torch itself reads over changed numbers
        if damaged:
            raise ValueError(f"{damaged} was changed since it was written")
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise
    except Exception as error:  # torch and zipfile raise many kinds for damaged or foreign files
        raise ValueError(reason(error)) from error


def check_model(content: dict[str, Any], size: int) -> None:
    """Refuse a model that could not be built or makes no sense.

    Parameters
    ----------
    content
        With `config`, `state` and `metadata`.
    size
        Size of the file in bytes.

    Raises
    ------
    ValueError
        Naming what is too large, too deep or not a number.
    """
    for part in ("config", "metadata"):
        _check_depth(part, content.get(part))
    _check_plain("config", content.get("config"))
    check_sizes(content.get("config"))
    state = content.get("state")
    for name, value in state.items() if isinstance(state, dict) else ():
        if not isinstance(value, Tensor):
            raise ValueError(f"`{name}` must be a tensor")
        if value.numel() * value.element_size() > size:
            raise ValueError(f"`{name}` with {value.numel()} numbers in a file of {size} bytes")
        finite = value.detach().double().flatten()
        finite = finite[torch.isfinite(finite)]
        if len(finite) and float(finite.abs().max()) > _NUMBER:
            raise ValueError(f"numbers in {name} up to {float(finite.abs().max()):.3g}")


def check_number(name: str, value: float) -> None:
    """Refuse a number that no model has."""
    if not abs(value) <= _NUMBER:
        raise ValueError(f"`{name}` of {value!r}")


def _check_depth(name: str, content: Any) -> None:
    """Refuse anything nested too deeply or with too many entries."""
    level, entries = [content], 0
    for _ in range(_DEPTH):
        level = [
            part
            for value in level
            if isinstance(value, dict | list | tuple)
            for part in (value.values() if isinstance(value, dict) else value)
        ]
        entries += len(level)
        if entries > _ENTRIES:
            raise ValueError(f"`{name}` with more than {_ENTRIES} entries")
        if not level:
            return
    raise ValueError(f"`{name}` nested more than {_DEPTH} times")


def _check_plain(name: str, value: Any) -> None:
    """Refuse numbers that are absurd, at any depth."""
    if isinstance(value, dict):
        for key, part in value.items():
            _check_plain(f"{name}.{key}", part)
    elif isinstance(value, list | tuple):
        for part in value:
            _check_plain(name, part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        check_number(name, value)


def check_sizes(config: Any) -> None:
    """Refuse sizes that take too long or too much memory to build, at any depth of dicts.

    Raises
    ------
    ValueError
        Naming the size and its limit.
    """
    elements = config.get("elements") if isinstance(config, dict) else None
    n = len(elements) if isinstance(elements, list | tuple) else 1
    for options in _dicts(config):
        sizes = {key: _whole(options.get(key)) for key in _SIZES}
        for key, size in sizes.items():
            if not 0 <= size <= _SIZES[key]:
                raise ValueError(f"`{key}` must be from 0 to {_SIZES[key]}, got {size}")
        cutoff = options.get("cutoff")
        if isinstance(cutoff, int | float) and not 0 < cutoff <= _CUTOFF:
            raise ValueError(f"`cutoff` must be positive and at most {_CUTOFF:g} Å, got {cutoff}")
        hidden = options.get("hidden")
        nodes = [_whole(k) for k in hidden] if isinstance(hidden, list | tuple) else []
        if len(nodes) > _LAYERS or not all(0 < k <= _NODES for k in nodes):
            raise ValueError(
                f"`hidden` must be {_LAYERS} layers of {_NODES} nodes at most, got {nodes}"
            )
        weights = (
            n * n * sizes["radial"] * sizes["channels"] * (sizes["degree"] + 1),
            n * sizes["degree"] * sizes["channels"] ** 2 * (nodes[-1] if nodes else 1),
            n * sum(a * b for a, b in pairwise(nodes)),
        )
        if max(weights) > _WEIGHTS:
            raise ValueError(f"model must have at most {_WEIGHTS} weights, got {max(weights)}")


def _whole(value: Any) -> int:
    """The given size, or 1."""
    return value if type(value) is int else 1


def _dicts(config: Any) -> list[dict[str, Any]]:
    """All dicts in dicts and lists, the outer one first."""
    if isinstance(config, dict):
        return [config, *(d for part in config.values() for d in _dicts(part))]
    if isinstance(config, list | tuple):
        return [d for part in config for d in _dicts(part)]
    return []
