"""Entry point of the command line."""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from ase_bec import __version__
from ase_bec.cli import (
    amorphous,
    analyse,
    charges,
    convert,
    demo,
    evaluate,
    hops,
    info,
    md,
    neb,
    train,
)
from ase_bec.cli.errors import InputError
from ase_bec.cli.field_units import NEGATIVE
from ase_bec.cli.option_names import in_options, option_names
from ase_bec.interruption import handling_interruption

DESCRIPTION = """\
Ionic solids in an electric field, with ASE.

example:
  ase-bec neb initial.vasp final.vasp --nnp model.nnp --charges Li=1,P=5,O=-2 --field 0 0 0.1
"""


class _Parser(argparse.ArgumentParser):
    """Parser that answers bad input with one line, and takes -10MV/cm for a number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(NEGATIVE)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    top = _Parser(
        prog="ase-bec",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"ase-bec {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        demo,
        info,
        hops,
        neb,
        md,
        amorphous,
        analyse,
        train,
        charges,
        evaluate,
        convert,
    ):
        command = commands.add_parser(
            module.NAME,
            help=module.HELP,
            description=f"{module.HELP}\n\n{module.DETAILS}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(command)
        names = option_names(command, getattr(module, "ARGUMENTS", {}))
        command.set_defaults(
            run=module.run, prog=command.prog, in_options=partial(in_options, names=names)
        )
    return top


def _show_warning(
    options: argparse.Namespace, message: Warning | str, *_: object, **__: object
) -> None:
    """Show a warning in one line, without the source that gave it."""
    text = options.in_options(" ".join(str(message).split()))
    print(f"{options.prog}: warning: {text}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        Words after the name of the program; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 done, 1 not converged, 2 bad input, 130 interrupted.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(words)
    options.in_options = partial(options.in_options, words=words)
    try:
        with warnings.catch_warnings(), handling_interruption():
            warnings.showwarning = partial(_show_warning, options)
            return int(options.run(options))
    except InputError as error:
        text = str(error) if error.__cause__ is None else options.in_options(str(error))
        print(f"{options.prog}: error: {text}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{options.prog}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
