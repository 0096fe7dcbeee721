"""`ase-bec neb`: migration path and barriers, without and with field."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_bec.cli import field, inputs
from ase_bec.cli.errors import InputError, input_checked, require_new
from ase_bec.cli.field_units import field_strength
from ase_bec.cli.neb_report import (
    draw,
    draw_fields,
    report,
    report_fields,
    write_barriers,
    write_images,
)

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from ase_bec.workflows.barriers.field_barriers import FieldPaths

NAME = "neb"
HELP = "find the migration path between two structures, without and with field"
DETAILS = """\
Writes PREFIX-zero.traj and PREFIX-field.traj (the images with energies and forces), PREFIX.csv
and PREFIX.png, and prints the barriers. The path in the field starts from the path without it.

With --fields, finds a path in each field of these strengths along --field, and writes
PREFIX-field+0.1.traj and so on, and the barriers in PREFIX-barriers.csv.

The trajectories are kept up to date, and --resume continues from them. The processes of
`mpiexec -n N` share the images, and so do --threads (which take turns while the model runs in
Python).

examples:
  ase-bec neb initial.vasp final.vasp --nnp model.nnp --charges Li=1,P=5,O=-2 \\
      --field 0 0 0.1 --images 6 --climb --relax-ends --output hop
  ase-bec neb initial.vasp final.vasp --nnp model.nnp --charges Li=1,P=5,O=-2 \\
      --field 0 0 1 --fields -0.1 -0.05 0.05 0.1 --climb --relax-ends --output scan
"""

ARGUMENTS = {
    **field.ARGUMENTS,
    "strengths": "--fields",
    "direction": "--field",
    "images": "the images",  # structures; their number is checked here
    "match_ions": "--match",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("initial", type=Path, help="structure before the hop, in any ASE format")
    parser.add_argument(
        "final", type=Path, help="structure after the hop, with the atoms in the same order"
    )
    band = parser.add_argument_group("band")
    band.add_argument(
        "--match",
        action="store_true",
        help="reorder ions of the same element in the final structure to match the initial one",
    )
    band.add_argument(
        "--images",
        type=int,
        metavar="N",
        default=6,
        help="number of images between the ends (default: 6)",
    )
    band.add_argument(
        "--climb", action="store_true", help="let the highest image climb to the saddle point"
    )
    band.add_argument(
        "--relax-ends",
        action="store_true",
        help="relax both ends first (in a field they always are)",
    )
    band.add_argument(
        "--fmax",
        type=float,
        metavar="FORCE",
        default=0.02,
        help="largest force in eV/Å at which to stop (default: 0.02)",
    )
    band.add_argument(
        "--spring",
        type=float,
        metavar="K",
        default=0.1,
        help="force constant between images in eV/Å² (default: 0.1)",
    )
    band.add_argument(
        "--max-steps", type=int, metavar="N", default=1000, help="most steps (default: 1000)"
    )
    band.add_argument(
        "--threads",
        type=int,
        metavar="N",
        default=1,
        help="images to compute at a time (default: 1)",
    )
    band.add_argument(
        "--restart", type=Path, metavar="TRAJ", help="start from the images of an earlier path"
    )
    field.add_arguments(parser, energies=("potential", "work"))
    parser.add_argument(
        "--fields",
        nargs="+",
        type=field_strength,
        metavar="E",
        help="strengths along --field, of which only the direction then counts, in V/Å or each "
        "with a unit such as 10MV/cm; zero is always included",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--output", default="neb", metavar="PREFIX", help="(default: neb)")
    output.add_argument(
        "--resume",
        action="store_true",
        help="continue from the trajectories of an earlier run",
    )
    output.add_argument("--overwrite", action="store_true", help="replace earlier output")


@dataclass(frozen=True)
class _Task:
    """The search, and where its results go."""

    band: list[Atoms]
    makers: field.Calculators
    direction: tuple[float, ...]
    strengths: tuple[float, ...]
    prefix: str
    scan: bool  # several fields
    header: tuple[str, ...]

    def file(self, strength: float) -> Path:
        """Trajectory of the path in a field."""
        if strength == 0:
            return Path(f"{self.prefix}-zero.traj")
        return Path(f"{self.prefix}-field{f'{strength:+g}' if self.scan else ''}.traj")

    @property
    def outputs(self) -> list[Path]:
        """All files."""
        files = [self.file(strength) for strength in dict.fromkeys((0.0, *self.strengths))]
        tables = [f"{self.prefix}.csv", f"{self.prefix}.png"]
        tables += [f"{self.prefix}-barriers.csv"] if self.scan else []
        return files + [Path(name) for name in tables]

    def title(self, strength: float) -> str:
        """Head of a column."""
        if strength == 0:
            return "no field"
        if self.scan:
            return f"{strength:+g} V/Å"
        return "E = ({:g}, {:g}, {:g}) V/Å".format(*self.direction)


def run(options: argparse.Namespace) -> int:
    """Find the paths and report them."""
    from ase_bec.workflows.barriers.workers import launched_world

    with input_checked():
        world = launched_world()
    if world is None or world.rank == 0:
        return _run(options, world)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            return _run(options, world)
        except InputError:
            return 2  # the first process says so


def _run(options: argparse.Namespace, world: Any) -> int:
    from ase_bec.workflows.barriers.workers import Workers, held

    with input_checked():
        task = _prepare(options)
    with ExitStack() as stack:
        with input_checked():
            stack.enter_context(held(task.outputs, Workers(world=world)))
        require_new(task.outputs, options.overwrite or options.resume)
        if task.makers.note:
            print(task.makers.note)
        print("\n".join(task.header))
        with input_checked():
            scan = _search(task, options, world)
        if world is not None and world.rank > 0:
            return 0 if scan.converged else 1
        return _conclude(task, scan, options)


def _prepare(options: argparse.Namespace) -> _Task:
    """Check all input, before anything is computed or written."""
    for name in ("images", "fmax", "spring", "max_steps", "threads"):
        if not getattr(options, name) > 0:
            raise InputError(
                f"--{name.replace('_', '-')} must be positive, got {getattr(options, name)}"
            )
    strengths = _strengths(options)
    read = [
        inputs.read_frame(path, options.format, options.species)
        for path in (options.initial, options.final)
    ]
    ends = [atoms for atoms, _ in read]
    from ase_bec.workflows.barriers.band_files import read_band
    from ase_bec.workflows.barriers.band_identity import require_same_ends
    from ase_bec.workflows.barriers.neb import interpolate_path, match_ions

    given = tuple(ends)
    if options.match:
        ends[1] = match_ions(*ends)
    band = interpolate_path(ends[0], ends[1], options.images)
    if options.restart is not None:
        try:
            band = read_band(options.restart, ends[0])
            require_same_ends(options.restart, band, ends[0], ends[1])
        except (OSError, ValueError) as error:
            raise InputError(f"--restart: {error}") from error
    direction = tuple(options.field)
    strongest = _strongest(direction, strengths)
    makers = field.calculators(options, ends[0], without_dipole="work", field=strongest)
    header = _header(options, [which for _, which in read], given, ends, strengths, makers)
    scan = options.fields is not None
    task = _Task(band, makers, direction, strengths, options.output, scan, header)
    require_new(task.outputs, options.overwrite or options.resume)
    if options.resume:
        for file in filter(Path.is_file, map(task.file, (0.0, *strengths))):
            read_band(file, ends[0], len(band))
    return task


def _strengths(options: argparse.Namespace) -> tuple[float, ...]:
    """Strengths of the fields other than zero."""
    length = math.hypot(*options.field)
    if options.fields is None:
        return (length,) if length else ()
    if not length:
        raise InputError("--fields needs --field, which gives the direction")
    if not all(map(math.isfinite, options.fields)):
        raise InputError(f"--fields must be finite, got {options.fields}")
    return tuple(dict.fromkeys(strength for strength in options.fields if strength))


def _strongest(direction: tuple[float, ...], strengths: tuple[float, ...]) -> tuple[float, ...]:
    """The strongest of the fields in V/Å."""
    strength = max(strengths, key=abs, default=0.0)
    length = math.hypot(*direction) or 1.0
    return tuple(strength * component / length for component in direction)


def _header(
    options: argparse.Namespace,
    which: Sequence[str],
    given: Sequence[Atoms],
    ends: Sequence[Atoms],
    strengths: tuple[float, ...],
    makers: field.Calculators,
) -> tuple[str, ...]:
    """What is going to be computed, from the ends as given and as they are used."""
    from ase_bec.cli.header import ends_line, field_line, field_text, matched_line, structure_line
    from ase_bec.workflows.barriers.matching import PathEnds

    text = field_text(options.field)
    if options.fields is not None:
        direction = "({:g}, {:g}, {:g})".format(*options.field)
        text = f"E = {', '.join(f'{s:g}' for s in (0.0, *strengths))} V/Å along {direction}"
    after = PathEnds.of(*ends)
    lines = (
        structure_line(ends[0], which),
        field_line(options.charges, makers.net_charge, text),
        ends_line(after, options.images),
    )
    return (*lines, matched_line(PathEnds.of(*given), after)) if options.match else lines


def _search(task: _Task, options: argparse.Namespace, world: Any) -> FieldPaths:
    """Find the path without field, then those in fields from its images."""
    from ase_bec.workflows.barriers.field_paths import field_paths

    settings: dict[str, Any] = {
        name: getattr(options, name) for name in ("climb", "fmax", "spring", "max_steps", "threads")
    }
    settings |= {"files": task.file, "resume": options.resume, "world": world, "progress": True}
    direction = task.direction if any(task.direction) else (0.0, 0.0, 1.0)
    bare = field_paths(
        task.band,
        lambda _: task.makers.bare(),
        [0.0],
        direction,
        relax_ends="zero" if options.relax_ends else "never",
        **settings,
    )
    charged = task.makers.charged
    if charged is None or not task.strengths:
        return bare
    start = bare.zero.images[0]

    def in_field(vector: Any) -> Calculator:
        calculator: Any = charged(start)
        calculator.field = vector
        made: Calculator = calculator
        return made

    return field_paths(bare.zero, in_field, task.strengths, direction, **settings)


def _conclude(task: _Task, scan: FieldPaths, options: argparse.Namespace) -> int:
    """Print, tabulate and draw; return 0, or 1 where a path has not converged."""
    order: Sequence[int] = range(len(scan.paths))
    if not task.scan:  # no field first
        order = sorted(order, key=lambda k: abs(scan.strengths[k]))
    titles = [task.title(float(scan.strengths[k])) for k in order]
    paths = dict(zip(titles, (scan.paths[k] for k in order), strict=True))
    report(paths, options.climb)
    write_images(Path(f"{task.prefix}.csv"), paths)
    picture = Path(f"{task.prefix}.png")
    if task.scan and len(scan.paths) > 1:
        report_fields(scan, titles)
        write_barriers(Path(f"{task.prefix}-barriers.csv"), scan)
        draw_fields(picture, scan)
    else:
        draw(picture, paths)
    loose = [k for k in order if not scan.paths[k].converged]
    if loose:
        names = ", ".join(task.title(float(scan.strengths[k])) for k in loose)
        files = " ".join(str(task.file(float(scan.strengths[k]))) for k in loose)
        restart = f"--restart {task.file(0.0)}, or " if not scan.zero.converged else ""
        print(
            f"{options.prog}: not converged to {options.fmax:g} eV/Å: {names}; continue with "
            f"{restart}--resume (from {files})",
            file=sys.stderr,
        )
    return 1 if loose else 0
