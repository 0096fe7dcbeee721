"""`ase-bec train`: a model from first-principles data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ase_bec.cli.errors import InputError, input_checked
from ase_bec.locks import locked

if TYPE_CHECKING:
    from ase_bec.training.run import Files, Result

NAME = "train"
HELP = "train a model on first-principles data; interrupt it at any moment and resume"
DETAILS = """\
Settings are read from a TOML file, such as

  output = "bec.pt"
  [data]
  files = ["frames.xyz"]
  test = 0.2
  [model]
  kind = "equivariant"
  cutoff = 6.0
  formal_charges = {Li = 1, P = 5, O = -2}
  [training]
  epochs = 200

and key=value on the command line overrides any of them. Kinds of model: equivariant,
message-passing (more accurate with little data and where distant neighbours matter, about
three times slower), vaf (the kind used by Shimizu et al.) for Born charges; nnp for energies. Next
to the model go a table of errors (.csv), its picture (.png) and, until the training is done, a
checkpoint (.checkpoint): after an interruption, even a kill, the same command with --resume
continues as if nothing had happened, or starts if there is no checkpoint yet.

example:
  ase-bec train bec.toml training.epochs=400 output=long.pt
  torchrun --nproc-per-node 2 -m ase_bec.cli.main train bec.toml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("config", type=Path, help="TOML file of settings")
    parser.add_argument(
        "settings", nargs="*", metavar="key=value", help="settings that override those of the file"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="continue from the checkpoint")
    existing.add_argument("--overwrite", action="store_true", help="replace an earlier model")


def run(options: argparse.Namespace) -> int:
    """Train a model, or continue training it."""
    from ase_bec.training.config import read_config
    from ase_bec.training.parallel import processes
    from ase_bec.training.run import Files, train

    with input_checked():
        config = read_config(options.config, options.settings)
        files = Files.of(config.output)
    with (
        input_checked(),
        processes(config.training.device) as together,
        _held(files, options, together.rank),
    ):

        def say(text: str) -> None:
            if together.rank == 0:
                print(text, flush=True)

        try:
            result = train(config, options.resume, True, together, say)
        except FloatingPointError as error:
            raise InputError(str(error)) from error
    if not result.outcome.completed:
        say("Interrupted: run the same command with --resume to continue.")
        return 130
    if together.rank == 0:
        _report(files, result)
    return 0


def _report(files: Files, result: Result) -> None:
    from ase_bec.training.evaluation import error_table

    for part, errors in result.errors.items():
        print(f"\n{part} frames\n{error_table(errors)}")
    outcome = result.outcome
    print(f"\n{outcome.epoch} epochs in {outcome.seconds:.0f} s, best after {outcome.best}")
    print(f"{files.model} (model), {files.table} (errors while training), {files.picture}")


@contextmanager
def _held(files: Files, options: argparse.Namespace, rank: int) -> Iterator[None]:
    """Check the outputs and hold them against other trainings, in the process that writes."""
    if rank > 0:
        yield
        return
    _check_output(files, options)
    with locked(*files):
        _check_output(files, options)  # none has appeared in the meantime
        yield


def _check_output(files: Files, options: argparse.Namespace) -> None:
    if files.model.suffix != ".pt":
        raise InputError(f"`output` must end in .pt, got `{files.model}`")
    if not files.model.parent.is_dir():
        raise InputError(f"`output`: there is no folder `{files.model.parent}`")
    begun = options.resume and (files.checkpoint.exists() or files.model.exists())
    if begun or options.overwrite:
        return
    for path in files:
        if path.exists():
            advice = "--resume, " if path == files.checkpoint else ""
            raise InputError(f"`{path}` exists: give {advice}--overwrite or another `output=`")
