"""`ase-bec neb`: migration path and barriers, without and with field."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ase_bec.cli import field, inputs
from ase_bec.cli.errors import InputError, input_checked, require_new

if TYPE_CHECKING:
    from ase import Atoms

    from ase_bec.workflows.neb import MigrationPath

NAME = "neb"
HELP = "find the migration path between two structures, without and with field"
DETAILS = """\
Writes PREFIX-zero.traj and PREFIX-field.traj (the images with energies and forces), PREFIX.csv
and PREFIX.png, and prints the barriers. The path in the field starts from the path without.

example:
  ase-bec neb initial.vasp final.vasp --nnp model.nnp --charges Li=1,P=5,O=-2 \\
      --field 0 0 0.1 --images 6 --climb --relax-ends --output hop
"""
_SAVE_EVERY = 20  # steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("initial", type=Path, help="structure before the hop, in any ASE format")
    parser.add_argument("final", type=Path, help="structure after the hop, atoms in the same order")
    band = parser.add_argument_group("band")
    band.add_argument(
        "--images", type=int, metavar="N", default=6, help="between the ends (default: 6)"
    )
    band.add_argument("--climb", action="store_true", help="let the highest image climb")
    band.add_argument(
        "--relax-ends",
        action="store_true",
        help="relax both ends first (those in the field always are)",
    )
    band.add_argument(
        "--fmax", type=float, metavar="FORCE", default=0.02, help="eV/Å to stop at (default: 0.02)"
    )
    band.add_argument("--spring", type=float, metavar="K", default=0.1, help="eV/Å² (default: 0.1)")
    band.add_argument("--max-steps", type=int, metavar="N", default=1000, help="(default: 1000)")
    band.add_argument(
        "--restart", type=Path, metavar="TRAJ", help="start from the images of an earlier path"
    )
    field.add_arguments(parser, energies=("potential", "work"))
    output = parser.add_argument_group("output")
    output.add_argument("--output", default="neb", metavar="PREFIX", help="(default: neb)")
    output.add_argument("--overwrite", action="store_true", help="replace earlier output")


@dataclass(frozen=True)
class _Files:
    zero: Path
    field: Path
    table: Path
    picture: Path


def run(options: argparse.Namespace) -> int:
    """Find the paths and report them."""
    with input_checked():
        files, band, makers = _prepare(options)
    if makers.note:
        print(makers.note)
    from ase_bec.workflows.neb import find_path

    settings = {name: getattr(options, name) for name in ("climb", "fmax", "spring", "max_steps")}
    zero = find_path(
        band,
        makers.bare,
        relax_ends=options.relax_ends,
        progress="no field",
        observer=_saver(files.zero),
        **settings,
    )
    _save(files.zero, zero.images)
    paths = {"no field": zero}
    if makers.charged is not None:
        charged, start = makers.charged, zero.images[0]
        paths[_title(options.field)] = path = find_path(
            zero.images,
            lambda: charged(start),
            relax_ends=True,
            progress="in field",
            observer=_saver(files.field),
            **settings,
        )
        _save(files.field, path.images)
    report(paths, options.climb)
    _write_table(files.table, paths)
    _draw(files.picture, paths)
    return _status(options.prog, paths, options.fmax)


def _prepare(options: argparse.Namespace) -> tuple[_Files, list[Atoms], field.Calculators]:
    """Check all input, before anything is computed or written."""
    prefix = options.output
    names = [f"{prefix}-zero.traj", f"{prefix}-field.traj", f"{prefix}.csv", f"{prefix}.png"]
    files = _Files(*(Path(name) for name in names))
    require_new((files.zero, files.field, files.table, files.picture), options.overwrite)
    for name in ("images", "fmax", "spring", "max_steps"):
        if not getattr(options, name) > 0:
            raise InputError(
                f"--{name.replace('_', '-')} must be positive, got {getattr(options, name)}"
            )
    from ase_bec.workflows.neb import interpolate_path

    ends = [
        inputs.read_structure(path, options.format, options.species)
        for path in (options.initial, options.final)
    ]
    band = interpolate_path(ends[0], ends[1], options.images)
    if options.restart is not None:
        band = _read_band(options.restart, ends[0])
    return files, band, field.calculators(options, ends[0], without_dipole="work")


def _read_band(path: Path, initial: Atoms) -> list[Atoms]:
    """Read the images of an earlier path between structures like the initial one."""
    import ase.io

    from ase_bec.paths import unwrap_images

    if not path.is_file():
        raise InputError(f"--restart: there is no file `{path}`")
    try:
        band = ase.io.read(path, index=":")
    except Exception as error:  # readers fail in all ways on a file of another kind
        raise InputError(f"--restart: cannot read `{path}`: {error}") from error
    if not isinstance(band, list) or len(band) < 3:
        raise InputError(f"--restart: `{path}` must hold at least three images")
    return unwrap_images([initial, *band])[1:]


def _saver(path: Path) -> Callable[[Sequence[Atoms]], None]:
    """Make an observer that saves the band now and then, to restart from."""
    calls = 0

    def observer(images: Sequence[Atoms]) -> None:
        nonlocal calls
        calls += 1
        if calls % _SAVE_EVERY == 0:
            _save(path, images)

    return observer


def _save(path: Path, images: Sequence[Atoms]) -> None:
    """Write the images in one atomic step."""
    from ase.io import write

    temporary = path.with_name(f"{path.name}.part")
    write(temporary, list(images), format="traj")
    temporary.replace(path)


def _title(vector: Sequence[float]) -> str:
    return "E = ({:g}, {:g}, {:g}) V/Å".format(*vector)


def report(paths: dict[str, MigrationPath], climb: bool) -> None:
    """Print the table of barriers."""
    rows = {
        "forward barrier (eV)": [f"{p.forward_barrier:.4f}" for p in paths.values()],
        "backward barrier (eV)": [f"{p.backward_barrier:.4f}" for p in paths.values()],
        "final - initial (eV)": [f"{p.energies[-1] - p.energies[0]:.4f}" for p in paths.values()],
        "highest image": [f"{p.highest} of 0-{len(p.images) - 1}" for p in paths.values()],
        "path length (Å)": [f"{p.coordinate[-1]:.3f}" for p in paths.values()],
        "largest force (eV/Å)": [f"{p.fmax:.4f}" for p in paths.values()],
        "steps": [str(p.steps) for p in paths.values()],
    }
    width = max(22, *(len(title) for title in paths)) + 2
    print(" " * 22 + "".join(f"{title:>{width}}" for title in paths))
    for name, values in rows.items():
        print(f"{name:<22}" + "".join(f"{value:>{width}}" for value in values))
    for title, path in paths.items():
        if path.highest in (0, len(path.images) - 1):
            print(f"{title}: the highest image is an end, so there is no barrier between the ends.")
    kind = "which climbed to the saddle point" if climb else "a lower bound without --climb"
    print(f"Barriers are those of the highest image, not interpolated ({kind}).")


def _write_table(path: Path, paths: dict[str, MigrationPath]) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "image", "length_A", "enthalpy_eV", "above_initial_eV"])
        for title, found in paths.items():
            for k, (s, energy) in enumerate(zip(found.coordinate, found.energies, strict=True)):
                rows.writerow(
                    [title, k, float(s), float(energy), float(energy - found.energies[0])]
                )


def _draw(path: Path, paths: dict[str, MigrationPath]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for title, found in paths.items():
        forward, backward = found.forward_barrier, found.backward_barrier
        label = f"{title}: {forward:.3f} eV forward, {backward:.3f} eV backward"
        found.plot(axes, label=label)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), frameon=False)
    figure.savefig(path, dpi=150)


def _status(prog: str, paths: dict[str, MigrationPath], fmax: float) -> int:
    """Return 0, or 1 where a path has not converged, and say so."""
    loose = [title for title, path in paths.items() if not path.converged]
    if loose:
        print(
            f"{prog}: not converged to {fmax:g} eV/Å: {', '.join(loose)}; go on with --restart",
            file=sys.stderr,
        )
    return 1 if loose else 0
