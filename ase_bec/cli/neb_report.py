"""What `ase-bec neb` prints, tabulates and draws."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ase_bec.atomic_files import atomic_write
from ase_bec.plotting import save_figure

if TYPE_CHECKING:
    from ase_bec.workflows.barriers.field_barriers import FieldPaths
    from ase_bec.workflows.barriers.migration import MigrationPath

_NAMES = 22  # width of the column of names
_AT_REST = 0.2  # eV/Å


def report(paths: Mapping[str, MigrationPath], climb: bool) -> None:
    """Print the table of barriers."""
    found = list(paths.values())
    rows = {
        "forward barrier (eV)": [f"{p.forward_barrier:.4f}" for p in found],
        "backward barrier (eV)": [f"{p.backward_barrier:.4f}" for p in found],
        "final - initial (eV)": [f"{p.energies[-1] - p.energies[0]:.4f}" for p in found],
        "highest image": [f"{p.highest} of 0-{len(p.images) - 1}" for p in found],
        "path length (Å)": [f"{p.coordinate[-1]:.3f}" for p in found],
        "largest force (eV/Å)": [f"{p.fmax:.4f}" for p in found],
        "that on ends (eV/Å)": [f"{_force_on_ends(p):.4f}" for p in found],
        "steps": [str(p.steps) for p in found],
    }
    _print_table(list(paths), rows)
    for title, path in paths.items():
        if _force_on_ends(path) > _AT_REST:
            print(
                f"{title}: the ends are not at rest, so these are not barriers between minima: "
                "give --relax-ends."
            )
        if path.highest in (0, len(path.images) - 1):
            print(f"{title}: the highest image is an end, so there is no barrier between the ends.")
    kind = "which climbed to the saddle point" if climb else "a lower bound without --climb"
    print(f"Barriers are those of the highest image, not interpolated ({kind}).")


def _force_on_ends(path: MigrationPath) -> float:
    ends = (path.images[0], path.images[-1])
    return max(float(np.linalg.norm(end.get_forces(), axis=1).max()) for end in ends)


def report_fields(scan: FieldPaths, titles: Sequence[str]) -> None:
    """Print barriers estimated from the zero-field path, and the slopes."""
    print()
    rows = {name: [f"{x:.4f}" for x in values] for name, values in _estimates(scan).items()}
    _print_table(titles, rows)
    print("Estimated from the path without field: H(0) - E·[D(saddle) - D(end)]", end="")
    print(", and with the ion's Z·Δr alone." if scan.charges is not None else ".")
    if len(scan.strengths) < 3:
        return
    for name, backward in (("forward", False), ("backward", True)):
        line = scan.fit(backward)
        print(
            f"{name}: slope {line.slope:+.3f} e·Å, within {1000 * line.residual:.1f} meV for "
            f"fields to {line.limit:g} V/Å"
        )


def _estimates(scan: FieldPaths) -> dict[str, Sequence[float]]:
    rows: dict[str, Sequence[float]] = {
        "estimate, forward": scan.first_order().tolist(),
        "estimate, backward": scan.first_order(backward=True).tolist(),
    }
    if scan.charges is not None:
        rows["ion alone, forward"] = scan.ion_alone().tolist()
        rows["ion alone, backward"] = scan.ion_alone(backward=True).tolist()
    return rows


def _print_table(titles: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    width = max(10, *(len(title) for title in titles)) + 2
    print(" " * _NAMES + "".join(f"{title:>{width}}" for title in titles))
    for name, values in rows.items():
        print(f"{name:<{_NAMES}}" + "".join(f"{value:>{width}}" for value in values))


def write_images(path: Path, paths: Mapping[str, MigrationPath]) -> None:
    """Write the enthalpy of each image."""
    rows: list[Sequence[object]] = [
        ["path", "image", "length_A", "enthalpy_eV", "above_initial_eV"]
    ]
    for title, found in paths.items():
        for k, (s, energy) in enumerate(zip(found.coordinate, found.energies, strict=True)):
            rows.append([title, k, float(s), float(energy), float(energy - found.energies[0])])
    _write_csv(path, rows)


def write_barriers(path: Path, scan: FieldPaths) -> None:
    """Write the barriers at each field, and their estimates."""
    columns = {
        "field_V_per_A": scan.strengths.tolist(),
        "forward_eV": scan.forward.tolist(),
        "backward_eV": scan.backward.tolist(),
        "final_minus_initial_eV": scan.difference.tolist(),
    }
    for name, values in _estimates(scan).items():
        columns[name.replace(", ", "_").replace(" ", "_") + "_eV"] = values
    _write_csv(path, [list(columns), *zip(*columns.values(), strict=True)])


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with atomic_write(path) as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def draw(path: Path, paths: Mapping[str, MigrationPath]) -> None:
    """Draw the energy along the paths without field and in one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for title, found in paths.items():
        forward, backward = found.forward_barrier, found.backward_barrier
        label = f"{title}: {forward:.3f} eV forward, {backward:.3f} eV backward"
        found.plot(axes, label=label)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), frameon=False)
    save_figure(figure, path)


def draw_fields(path: Path, scan: FieldPaths) -> None:
    """Draw the energy along the paths in several fields, and their barriers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    scan.plot(left).legend(frameon=False)
    scan.plot_barriers(right).legend(frameon=False, title="dashed: estimate")
    save_figure(figure, path)
