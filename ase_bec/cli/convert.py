"""`ase-bec convert`: first-principles results as one extended XYZ file."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ase_bec.cli.errors import claimed, input_checked
from ase_bec.cli.inputs import charges

NAME = "convert"
HELP = "read first-principles results and write them as one extended XYZ file"
DETAILS = """\
Reads extended XYZ, ASE trajectories, VASP OUTCAR and vasprun.xml, Quantum ESPRESSO pw.x (text, XML)
and ph.x, ABINIT DDB and phonopy BORN, also compressed; converts units and index order, checks
the data and prints a summary. Frames computed in an electric field are converted with their
zero-field values, if they have them (energy_zero_field and so on).

examples:
  ase-bec convert run1/OUTCAR run2/vasprun.xml.gz --output data.xyz
  ase-bec convert scf.out ph.out --sum-rule O --output data.xyz
  ase-bec convert old.xyz --key energy=E_pbe --unit forces=Ry/bohr --output data.xyz
  ase-bec convert BORN --net-charge 1 --sum-rule uniform --output defect.xyz
"""

ARGUMENTS = {
    "keys": "--key",
    "units": "--unit",
    "check_units=False": "--no-unit-check",
    "charges": "--fold",
    "path": "--output",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="files of results, in order"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="XYZ",
        help="file to write; without it, the results are only checked",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    _add_reading(parser)
    _add_changes(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    reading = parser.add_argument_group("reading")
    reading.add_argument("--format", metavar="NAME", help="format of the files (default: detected)")
    reading.add_argument(
        "--key",
        action="append",
        type=_pair,
        default=[],
        metavar="LABEL=KEY",
        help="key of a label in extended XYZ or a trajectory",
    )
    reading.add_argument(
        "--unit",
        action="append",
        type=_pair,
        default=[],
        metavar="LABEL=UNIT",
        help="unit of a label in extended XYZ or a trajectory",
    )
    reading.add_argument(
        "--displacement-first",
        action="store_true",
        help="Born charges in extended XYZ are [displacement, field]",
    )
    reading.add_argument(
        "--net-charge",
        type=_charge,
        metavar="E",
        help="net charge in e of structures whose files do not give it",
    )
    reading.add_argument(
        "--allow-unconverged",
        action="store_true",
        help="accept calculations that have not converged or end early",
    )
    reading.add_argument(
        "--no-unit-check",
        action="store_true",
        help="accept labels that look as if they were in other units",
    )


def _add_changes(parser: argparse.ArgumentParser) -> None:
    changes = parser.add_argument_group("changes")
    changes.add_argument(
        "--sum-rule",
        metavar="uniform|EL,EL",
        help="make Born charges add up to the net charge, correcting all atoms or those of some "
        "elements",
    )
    changes.add_argument(
        "--from-fields",
        action="store_true",
        help="derive Born charges from the forces on one structure in several fields",
    )
    changes.add_argument(
        "--keep-fields",
        action="store_true",
        help="write labels computed in an electric field as they are, with their electric_field",
    )
    changes.add_argument(
        "--fold",
        type=_formal,
        metavar="Li=1,P=5,O=-2",
        help="put polarizations on the branch nearest to that of formal charges",
    )


def run(options: argparse.Namespace) -> int:
    """Read, check, write."""
    outputs = [] if options.output is None else [options.output]
    with claimed(outputs, options.overwrite):
        return _converted(options)


def _converted(options: argparse.Namespace) -> int:
    from ase_bec.data import (
        Dataset,
        charges_from_fields,
        read_dataset,
        write_dataset,
    )
    from ase_bec.data.checks import notes
    from ase_bec.data.in_field import require_zero_field

    with input_checked():
        data = read_dataset(
            options.files,
            format=options.format,
            keys=dict(options.key),
            units=dict(options.unit),
            displacement_first=options.displacement_first,
            net_charge=options.net_charge,
            allow_unconverged=options.allow_unconverged,
            check_units=not options.no_unit_check,
        )
        if options.from_fields:
            frames = charges_from_fields(data)
            data = Dataset(frames, notes(frames))
        if not options.keep_fields:
            require_zero_field(
                data,
                "--from-fields derives Born charges from them, "
                "--keep-fields writes them as they are",
            )
        if options.sum_rule is not None:
            rule = options.sum_rule
            data = data.with_sum_rule(rule if rule == "uniform" else rule.split(","))
        if options.fold is not None:
            data = data.folded(options.fold)
    print(data.summary())
    if options.output is not None:
        with input_checked():
            write_dataset(options.output, data)
        print(f"{len(data)} frames written to {options.output}")
    return 0


def _pair(text: str) -> tuple[str, str]:
    label, equals, value = text.partition("=")
    if not (label and equals and value):
        raise argparse.ArgumentTypeError(f"must be LABEL=VALUE, got {text!r}")
    return label, value


def _charge(text: str) -> float:
    try:
        charge = float(text)
    except ValueError:
        charge = math.nan
    if not math.isfinite(charge):
        raise argparse.ArgumentTypeError(f"must be a number of e, such as -1, got {text!r}")
    return charge


def _formal(text: str) -> dict[str, float]:
    values = charges(text)
    if isinstance(values, Path):
        raise argparse.ArgumentTypeError(f"must be as in Li=1,P=5,O=-2, got {text!r}")
    return values
