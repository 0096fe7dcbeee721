"""`ase-bec hops`: hops of an ion that the symmetry of a crystal leaves distinct."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ase_bec.atomic_files import atomic_path
from ase_bec.cli import inputs
from ase_bec.cli.errors import InputError, claimed, input_checked
from ase_bec.cli.field_units import FieldVector

if TYPE_CHECKING:
    from ase_bec.workflows.barriers.distinct_hops import Hop

NAME = "hops"
HELP = (
    "list the symmetry-distinct hops of an ion in a crystal, into a vacancy or between given sites"
)
DETAILS = """\
Hops that are equivalent by the symmetry of the crystal share one line; in a field, only symmetry
operations that keep its direction count. --output PREFIX writes PREFIX-K-initial.EXT and
PREFIX-K-final.EXT for each line K, ready for `ase-bec neb`.

example:
  ase-bec hops crystal.vasp --species Li --cutoff 4 --repeat 2 2 2 --field 0 0 1 --output hop
"""

ARGUMENTS = {"sites": "--site", "crystal": "the crystal"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("structure", type=Path, help="crystal, in any ASE format")
    parser.add_argument("--species", required=True, metavar="Li", help="element of the ion")
    parser.add_argument(
        "--cutoff", type=float, metavar="LENGTH", default=4.0, help="longest hop in Å (default: 4)"
    )
    parser.add_argument(
        "--repeat",
        nargs=3,
        type=int,
        metavar="N",
        default=(1, 1, 1),
        help="number of cells along each axis",
    )
    parser.add_argument(
        "--field",
        nargs=3,
        action=FieldVector,
        metavar=("X", "Y", "Z"),
        help="direction of the field",
    )
    parser.add_argument(
        "--site",
        nargs=3,
        type=float,
        action="append",
        metavar=("A", "B", "C"),
        help="interstitial site in fractional coordinates of the cell, one of each kind; "
        "lists hops between such sites instead of into vacancies",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="LENGTH",
        default=0.01,
        help="tolerance of the symmetry in Å (default: 0.01)",
    )
    parser.add_argument("--format", metavar="NAME", help="ASE's name for the file format")
    output = parser.add_argument_group("output")
    output.add_argument("--output", metavar="PREFIX", help="write both ends of each hop")
    output.add_argument(
        "--extension",
        default="vasp",
        metavar="EXT",
        help="file extension, which sets the format (default: vasp)",
    )
    output.add_argument("--overwrite", action="store_true", help="replace earlier output")


def run(options: argparse.Namespace) -> int:
    """List the hops and write their ends."""
    with input_checked():
        hops = _found(options)
        files = _files(options, len(hops))
    with claimed([path for pair in files for path in pair], options.overwrite):
        _report(hops, options.field is not None)
        _write(files, hops)
    return 0


def _write(files: list[tuple[Path, Path]], hops: list[Hop]) -> None:
    from ase.io import write

    with input_checked():
        for (initial, final), hop in zip(files, hops, strict=False):
            for path, atoms in ((initial, hop.initial), (final, hop.final)):
                with atomic_path(path) as temporary:
                    write(temporary, atoms)


def _found(options: argparse.Namespace) -> list[Hop]:
    from ase_bec.workflows.barriers.distinct_hops import interstitial_hops, vacancy_hops
    from ase_bec.workflows.barriers.supercells import needed_repeats, shortest_lattice_vector

    if min(options.repeat) < 1:
        raise InputError(f"--repeat must be positive, got {min(options.repeat)}")
    cell = inputs.read_structure(options.structure, options.format, None)
    crystal = cell.repeat(options.repeat)
    size = options.cutoff, options.tolerance
    if crystal.cell.rank == 3 and needed_repeats(crystal, *size) != (1, 1, 1):
        enough = "--repeat {} {} {} is enough".format(*needed_repeats(cell, *size))
        half = shortest_lattice_vector(crystal.cell.array) / 2
        raise InputError(
            f"--cutoff must be less than half the shortest lattice vector, {half:.2f} Å, got "
            f"{options.cutoff:g}: {enough}"
        )
    more = options.cutoff, options.field, options.tolerance
    if options.site is None:
        return vacancy_hops(crystal, options.species, *more)
    sites = cell.cell.cartesian_positions(options.site)
    return interstitial_hops(crystal, options.species, sites, *more)


def _files(options: argparse.Namespace, count: int) -> list[tuple[Path, Path]]:
    if options.output is None:
        return []
    stems = [f"{options.output}-{k}" for k in range(count)]
    ends = [[Path(f"{s}-{end}.{options.extension}") for end in ("initial", "final")] for s in stems]
    return [(initial, final) for initial, final in ends]


def _report(hops: list[Hop], in_field: bool) -> None:
    """Print a line for each hop."""
    if not hops:
        print("no hop is that short")
        return
    head = " hop  from    to  length (Å)   per site  in cell  back  clearance (Å)"
    print(head + ("  along E (Å)" if in_field else "") + "  vector (Å)")
    for k, hop in enumerate(hops):
        along = f"{hop.along:13.3f}" if in_field else ""
        vector = " ".join(f"{x:7.3f}" for x in hop.vector)
        print(
            f"{k:4d}{hop.start:6d}{hop.end:6d}{hop.length:12.3f}{hop.multiplicity:11d}"
            f"{hop.count:9d}{hop.reverse:6d}{hop.clearance:15.3f}{along}  {vector}"
        )
