"""`ase-bec evaluate`: errors of a model on labelled frames."""

from __future__ import annotations

import argparse
from pathlib import Path

from ase_bec.cli.errors import InputError, claimed, input_checked

NAME = "evaluate"
HELP = "compare a model with first-principles data"
DETAILS = """\
Prints RMSE and MAE of all components, by element, and on and off the diagonal of Born charges.
Next to them is the spread: the RMSE of always predicting the mean of each element's labels. Also
counts the frames that the model was trained on.

example:
  ase-bec evaluate bec.pt frames.xyz --plot parity.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("model", help="model file, or the name of a bundled model")
    parser.add_argument("data", nargs="+", type=Path, help="files of labelled frames")
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw the model against the labels"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier picture")


def run(options: argparse.Namespace) -> int:
    """Evaluate the model."""
    if options.plot is not None and options.plot.suffix != ".png":
        raise InputError(f"--plot must end in .png, got `{options.plot}`")
    with claimed([] if options.plot is None else [options.plot], options.overwrite):
        return _evaluated(options)


def _evaluated(options: argparse.Namespace) -> int:
    from ase_bec.data import read_dataset
    from ase_bec.data.in_field import require_zero_field
    from ase_bec.models import load
    from ase_bec.training.evaluation import error_table, errors_of, evaluate
    from ase_bec.training.known_frames import known_frames_text
    from ase_bec.training.parity import plot_parity

    with input_checked():
        model = load(options.model)
        data = read_dataset(options.data)
        require_zero_field(data, "evaluate on frames computed without a field")
        known = known_frames_text(model, data, options.data)
        comparisons = evaluate(model, data, progress=True)
        if known is not None:
            print(known)
        for comparison in comparisons:
            print(f"{comparison.name} in {comparison.unit}, {len(data)} frames")
            print(error_table(errors_of(comparison)))
        if options.plot is not None:
            plot_parity(options.plot, comparisons)
            print(f"picture in {options.plot}")
    return 0
