"""Settings of a training: one TOML file, and `key=value` on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import torch

__all__ = ["Config", "DataOptions", "TrainingOptions", "read_config"]


@dataclass(frozen=True)
class DataOptions:
    """Section ``[data]``: what to read, and how to split it.

    Attributes
    ----------
    files : list of str
        As for :func:`ase_bec.data.read_dataset`; relative to the TOML file.
    keys, units, displacement_first, sum_rule, net_charge
        As for :func:`ase_bec.data.read_dataset`.
    split : str
        ``random`` frames, whole kinds of ``config_type``, or a ``block`` at the end of the files.
    validation, test : float or list of str
        Fraction of the frames, between 0 and 1; or names of kinds, with ``config_type``.
    seed : int
        Seed of the split.
    less : str
        Saved model, or bundled name, that is to stand beside the trained one: energies, forces and
        stress are those less its own; relative to the working folder.

    Examples
    --------
    >>> from ase_bec.training import DataOptions
    >>> DataOptions(files=("frames.xyz",), validation=0.2).split
    'random'
    """

    files: tuple[str, ...]
    keys: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    displacement_first: bool = False
    sum_rule: str | tuple[str, ...] | None = None
    net_charge: float | None = None
    split: str = "random"
    validation: float | tuple[str, ...] = 0.1
    test: float | tuple[str, ...] = 0.0
    seed: int = 0
    less: str = ""


@dataclass(frozen=True)
class TrainingOptions:
    """Section ``[training]``: how the parameters are optimised.

    Attributes
    ----------
    epochs : int
        Passes over the training frames with Adam.
    batch : int
        Frames per step.
    rate : float
        Largest learning rate, reached after the fraction ``warmup`` of all steps; then it falls
        along a cosine to the fraction ``final`` of it.
    clip : float
        Largest norm of the gradient; 0 for no limit.
    average : float
        Decay per step of the moving average of the parameters that is validated and saved in
        their place; 0 for none.
    decay : float
        Part of the parameters that a step takes away, over its learning rate; few data are learned
        by heart without.
    lbfgs : int
        Passes with L-BFGS after Adam, of ten iterations each, over all frames, without randomness.
    interval : int
        Passes from one validation and checkpoint to the next.
    patience : int
        Validations without improvement after which training stops; 0 to never stop early.
    seed : int
        Seed of the initial parameters, the order of frames, and the directions.
    dtype : str
        ``float32`` or ``float64``. The model is saved in float64.
    device : str
        Device, as torch names it.

    Examples
    --------
    >>> from ase_bec.training import TrainingOptions
    >>> TrainingOptions(epochs=50, dtype="float64").rate
    0.01
    >>> TrainingOptions(batch=0)
    Traceback (most recent call last):
        ...
    ValueError: `training.batch` must be 1 or more, got 0
    """

    epochs: int = 200
    batch: int = 4
    rate: float = 1e-2
    warmup: float = 0.05
    final: float = 1e-4
    clip: float = 1.0
    average: float = 0.0
    decay: float = 0.0
    lbfgs: int = 0
    interval: int = 5
    patience: int = 0
    seed: int = 0
    dtype: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("batch", "interval"):
            _require(getattr(self, name) >= 1, f"training.{name}", "1 or more", self)
        for name in ("epochs", "lbfgs", "patience", "clip", "seed", "decay"):
            _require(getattr(self, name) >= 0, f"training.{name}", "0 or more", self)
        _require(self.epochs + self.lbfgs > 0, "training.epochs", "1 or more", self)
        _require(self.rate > 0, "training.rate", "positive", self)
        for name in ("warmup", "final"):
            _require(0 <= getattr(self, name) <= 1, f"training.{name}", "from 0 to 1", self)
        _require(0 <= self.average < 1, "training.average", "at least 0 and below 1", self)
        known = self.dtype in ("float32", "float64")
        _require(known, "training.dtype", "float32 or float64", self)
        wanted = "a device of this machine such as cpu or cuda"
        _require(_is_device(self.device), "training.device", wanted, self)


@dataclass(frozen=True)
class Config:
    """All settings of a training.

    Attributes
    ----------
    data : DataOptions
    model : dict
        ``kind``, and the arguments of that kind of model; or ``start`` alone, a saved model or
        bundled name whose training continues, relative to the working folder.
    coulomb : dict
        Effective charges that a potential is trained beside: ``charges``, a table such as
        {Zn = 1, O = -1}, and ``width`` in Å, 1.2 if not given, 0 for point charges.
    loss : dict
        Weights of the parts of the loss.
    training : TrainingOptions
    output : str
        File of the model, relative to the working folder; history and checkpoint go next to it.

    Examples
    --------
    >>> from ase_bec.training import Config, DataOptions, TrainingOptions
    >>> config = Config(
    ...     DataOptions(("frames.xyz",)),
    ...     model={"kind": "equivariant", "cutoff": 5.0},
    ...     training=TrainingOptions(epochs=50),
    ... )
    >>> config.plain()["training"]["epochs"], config.output
    (50, 'model.pt')
    """

    data: DataOptions
    model: dict[str, Any] = field(default_factory=dict)
    coulomb: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, float] = field(default_factory=dict)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    output: str = "model.pt"

    def plain(self) -> dict[str, Any]:
        """As dicts, lists, numbers and strings."""
        out: dict[str, Any] = _plain(asdict(self))
        return out


def read_config(path: str | PathLike[str], overrides: Sequence[str] = ()) -> Config:
    r"""Read settings.

    Parameters
    ----------
    path : str or Path
        TOML file.
    overrides : sequence of str
        Such as ``training.epochs=50``, in place of what the file says.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not TOML, or a setting is unknown or of the wrong type; names the setting.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase_bec.training import read_config
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "train.toml"
    ...     _ = path.write_text("[data]\nfiles = ['frames.xyz']\n[training]\nepochs = 300")
    ...     config = read_config(path, ["training.epochs=50", "model.cutoff=5.0"])
    >>> config.training.epochs, config.model
    (50, {'cutoff': 5.0})
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file `{path}`")
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"`{path}` must be a TOML file, got: {error}") from error
    for text in overrides:
        _override(content, text)
    config: Config = _section(Config, content, "")
    files = tuple(str(path.parent / name) for name in config.data.files)
    return _replaced(config, files)


def _replaced(config: Config, files: tuple[str, ...]) -> Config:
    data = DataOptions(**{**_shallow(config.data), "files": files})
    return Config(**{**_shallow(config), "data": data})


def _shallow(section: Any) -> dict[str, Any]:
    return {f.name: getattr(section, f.name) for f in fields(section)}


def _override(content: dict[str, Any], text: str) -> None:
    """Put ``a.b=value`` into nested dicts; the value is TOML, or a string without quotes."""
    key, equals, value = text.partition("=")
    *sections, name = (part.strip() for part in key.split("."))
    if not equals or not name or not all(sections):
        raise ValueError(f"settings must be as in training.epochs=50, got {text!r}")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise ValueError(f"`{key.strip()}` must be a setting, got the value `{section}` in it")
    try:
        content[name] = tomllib.loads(f"x = {value}")["x"]
    except (tomllib.TOMLDecodeError, RecursionError):
        content[name] = value.strip()


def _section(kind: type, content: Mapping[str, Any], prefix: str) -> Any:
    """Make a dataclass of a table, checking names and types."""
    hints = get_type_hints(kind)
    for name in content:
        if name not in hints:
            close = get_close_matches(name, hints, n=1)
            known = f"did you mean `{prefix}{close[0]}`?" if close else f"known: {', '.join(hints)}"
            raise ValueError(f"`{prefix}{name}` is not a setting; {known}")
    missing = {"files", "data"} & set(hints) - set(content)
    if missing:
        raise ValueError(f"`{prefix}{missing.pop()}` must be given")
    values = {}
    for name, value in content.items():
        hint, key = hints[name], f"{prefix}{name}"
        if hint in (DataOptions, TrainingOptions):
            if not isinstance(value, dict):
                raise ValueError(f"`{key}` must be a section, got {value!r}")
            values[name] = _section(hint, value, f"{key}.")
        else:
            values[name] = _converted(value, hint, key)
    return kind(**values)


def _converted(value: Any, hint: Any, key: str) -> Any:
    """The value if it is of the type, int as float and list as tuple."""
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    for option in options:
        origin, inner = get_origin(option), get_args(option)
        if origin is tuple and isinstance(value, str) and options == (hint,):
            value = [value]
        if origin is tuple and isinstance(value, list):
            if value and all(isinstance(v, inner[0]) for v in value):
                return tuple(value)
        elif origin is dict and isinstance(value, dict):
            return {k: _converted(v, inner[1], f"{key}.{k}") for k, v in value.items()}
        elif option is Any:
            return value
        elif option is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        elif origin is None and type(value) is option:
            return value
    names = " or ".join(_described(option) for option in options if option is not type(None))
    raise ValueError(f"`{key}` must be {names}, got {value!r}")


def _described(hint: Any) -> str:
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}
    if get_origin(hint) is tuple:
        return "a list of strings"
    return names.get(hint, "a table")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _is_device(name: str) -> bool:
    try:
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):  # whatever torch was built with
        return False
    return True


def _require(condition: bool, key: str, wanted: str, section: Any) -> None:
    if not condition:
        raise ValueError(f"`{key}` must be {wanted}, got {getattr(section, key.split('.')[-1])!r}")
