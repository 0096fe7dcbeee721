"""`ase-bec info`: versions, devices and models."""

from __future__ import annotations

import argparse
from typing import Any

from ase_bec.cli.errors import input_checked

NAME = "info"
HELP = "show versions, devices and bundled models, or the contents of a model file"
DETAILS = """\
examples:
  ase-bec info
  ase-bec info model.nnp
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("model", nargs="?", help="model file, or the name of a bundled model")


def run(options: argparse.Namespace) -> int:
    """Print what was asked for."""
    with input_checked():
        lines = _package() if options.model is None else _model(options.model)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")
    return 0


def _package() -> list[tuple[str, str]]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from ase_bec import models

    lines = [("python", platform.python_version())]
    for name in ("ase-bec", "ase", "torch", "numpy", "scipy", "numba"):
        try:
            lines.append((name, version(name)))
        except PackageNotFoundError:
            lines.append((name, "not installed"))
    lines.append(("threads", str(torch.get_num_threads())))
    devices = ["cpu"]
    devices += [
        f"cuda:{k} ({torch.cuda.get_device_name(k)})" for k in range(torch.cuda.device_count())
    ]
    lines.append(("devices", ", ".join(devices)))
    return [*lines, *models.bundled().items()]


def _model(path: str) -> list[tuple[str, str]]:
    from ase_bec import models

    model: Any = models.load(path)
    terms = list(getattr(model, "terms", ()))
    functions = sum(term.descriptor.n_features for term in terms if hasattr(term, "descriptor"))
    return [
        ("kind", type(model).__name__),
        ("elements", ", ".join(model.elements)),
        ("cutoff", f"{float(model.cutoff):g} Å"),
        *([("terms", ", ".join(term.kind for term in terms))] if terms else []),
        *([("functions", str(functions))] if functions else []),
        *(
            (name, str(value))
            for name, value in getattr(model, "metadata", {}).items()
            if name != "frame_hashes"
        ),
    ]
