"""`ase-bec analyse`: diffusion, drift, mobility and conductivity from dynamics."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_bec.cli import inputs
from ase_bec.cli.errors import InputError, input_checked, require_new
from ase_bec.plotting import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ase_bec.analysis.msd import Diffusion
    from ase_bec.analysis.statistics import Estimate, Value
    from ase_bec.analysis.trajectory import Trajectory

NAME = "analyse"
HELP = "diffusion, drift, mobility and conductivity from molecular dynamics"
DETAILS = """\
Prints a table for each element and writes PREFIX.png: mean square displacements, drift, and the
paths of the atoms. Uncertainties are standard errors from blocks of time. In a field, the
diffusion is that about the drift, and conductivities are those along the field.

example:
  ase-bec analyse md.traj --start 5ps --charges Li=1,P=5,O=-2 --mobile Li --output md
"""
_WINDOW = (0.02, 0.1)  # of the duration; the fit stays within half a block
_VIBRATIONS = 0.3  # ps; displacements over shorter times are those of vibrations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("trajectory", type=Path, help="of ase-bec md, or any that ASE reads")
    cut = parser.add_argument_group("frames")
    cut.add_argument(
        "--start", type=inputs.time, metavar="TIME", default=0.0, help="drop what is before"
    )
    cut.add_argument("--stop", type=inputs.time, metavar="TIME", help="drop what is after")
    cut.add_argument("--stride", type=int, metavar="N", default=1, help="take every N-th frame")
    cut.add_argument(
        "--timestep", type=inputs.time, metavar="TIME", help="frame to frame, where not recorded"
    )
    cut.add_argument("--unwrap", action="store_true", help="of frames that were wrapped")
    cut.add_argument(
        "--frame-of",
        type=inputs.species,
        metavar="P,O",
        help="see all from the centre of mass of these elements",
    )
    physics = parser.add_argument_group("physics")
    physics.add_argument(
        "--charges",
        type=inputs.charges,
        metavar="Li=1,P=5,O=-2|FILE",
        help="charges per element in e, or a model of Born charges, for mobility and conductivity",
    )
    physics.add_argument(
        "--mobile",
        type=inputs.species,
        metavar="Li",
        help="elements that count in the Nernst-Einstein conductivity (default: all)",
    )
    physics.add_argument(
        "--temperature", type=float, metavar="K", help="(default: that of the velocities)"
    )
    physics.add_argument(
        "--field",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="V/Å, where it is not recorded",
    )
    statistics = parser.add_argument_group("statistics")
    statistics.add_argument(
        "--fit",
        nargs=2,
        type=inputs.time,
        metavar="TIME",
        help="first and last time of displacement of the fits (default: 2 %% and 10 %% of all)",
    )
    statistics.add_argument(
        "--blocks", type=int, metavar="N", default=5, help="of time (default: 5)"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", default="analysis", metavar="PREFIX", help="(default: analysis)"
    )
    output.add_argument("--overwrite", action="store_true", help="replace earlier output")


@dataclass(frozen=True)
class _Ions:
    """What is known of one element."""

    diffusion: Diffusion
    drift: Estimate
    charge: float | None


@dataclass(frozen=True)
class _Results:
    trajectory: Trajectory
    temperature: float | None
    field: NDArray[Any]
    window: tuple[float, float]
    ions: dict[str, _Ions]
    conductivities: dict[str, Value]


def run(options: argparse.Namespace) -> int:
    """Analyse the dynamics and report it."""
    picture = Path(f"{options.output}.png")
    with input_checked():
        require_new((picture,), options.overwrite)
        results = _analyse(options)
    report(results, options.blocks)
    _draw(picture, results)
    print(f"Figure in {picture}")
    return 0


def _analyse(options: argparse.Namespace) -> _Results:
    from ase_bec.analysis.msd import diffusion, drift_velocity
    from ase_bec.analysis.reading import read_trajectory

    source, formal = _charges(options.charges)
    whole = read_trajectory(
        options.trajectory,
        timestep=options.timestep,
        start=options.start,
        stop=options.stop,
        stride=options.stride,
        unwrap=options.unwrap,
        field=options.field,
    )
    charges = None if formal is None else whole.charges(formal)
    for element in options.mobile or ():
        whole.indices(element)
    trajectory = whole
    if options.frame_of is not None:
        net_charge = None if charges is None else float(charges.sum())
        trajectory = whole.relative_to(options.frame_of, net_charge)
    field = trajectory.constant_field()
    temperature = _temperature(options, trajectory)
    window = tuple(options.fit or (part * trajectory.duration for part in _WINDOW))
    ions = {
        element: _Ions(
            diffusion(
                trajectory, element, window, blocks=options.blocks, remove_drift=bool(field.any())
            ),
            drift_velocity(trajectory, element, options.blocks),
            None if formal is None else formal[element],
        )
        for element in trajectory.elements
    }
    found = {}
    if temperature is not None and trajectory.pbc.all():
        found = _conductivities(options, trajectory, source, ions, temperature, window)
    return _Results(trajectory, temperature, field, window, ions, found)


def _charges(given: dict[str, float] | Path | None) -> tuple[Any, dict[str, float] | None]:
    """Return the source of a dipole, and the formal charges where there are any."""
    if given is None or isinstance(given, dict):
        return given, given
    from ase_bec import models

    model: Any = models.load(given)
    if not hasattr(model, "dipole"):
        raise InputError(f"--charges: `{given}` has no dipole, it is a {type(model).__name__}")
    return model, getattr(model, "formal_charges", None)


def _temperature(options: argparse.Namespace, trajectory: Trajectory) -> float | None:
    """Return the temperature that was given, or that of the velocities; None without either."""
    if options.temperature is not None:
        if not options.temperature > 0:
            raise InputError(f"--temperature must be positive (K), got {options.temperature}")
        return float(options.temperature)
    return None if trajectory.velocities is None else float(trajectory.temperatures.mean())


def _conductivities(
    options: argparse.Namespace,
    trajectory: Trajectory,
    source: Any,
    ions: dict[str, _Ions],
    temperature: float,
    window: Any,
) -> dict[str, Value]:
    """Conductivities in S/m by each way that the data allow, along the field where there is one."""
    from ase_bec.analysis import currents, transport

    times, volume, field = trajectory.times, trajectory.volume, trajectory.constant_field()
    direction = field if field.any() else None
    found: dict[str, Value] = {}
    charges = {element: ion.charge for element, ion in ions.items() if ion.charge is not None}
    if charges:
        mobile = [ions[element].diffusion for element in options.mobile or ions]
        found["Nernst-Einstein"] = transport.nernst_einstein(
            mobile, charges, volume, temperature, direction
        )
    if source is None and trajectory.dipole is None:
        return found
    dipole = currents.dipole(trajectory, source)
    spread = transport.einstein_helfand(
        times,
        dipole,
        volume,
        temperature,
        window,
        blocks=options.blocks,
        remove_drift=direction is not None,
    )
    found["Einstein-Helfand"] = spread.mean()
    if direction is not None:
        found["Einstein-Helfand"] = spread.tensor_along(direction)
        found["current / field"] = transport.field_conductivity(
            times, dipole, volume, direction, options.blocks
        )
    return found


def report(results: _Results, blocks: int) -> None:
    """Print what was found, with uncertainties."""
    from ase_bec.analysis.transport import haven_ratio

    trajectory, first, last = results.trajectory, *(time / 1e3 for time in results.window)
    warmth = "" if results.temperature is None else f", {results.temperature:.0f} K"
    place = "E = ({:g}, {:g}, {:g}) V/Å".format(*results.field)
    print(
        f"{trajectory.duration / 1e3:g} ps in {len(trajectory)} frames{warmth}, {place}; "
        f"D from {first:g} to {last:g} ps; errors from {blocks} blocks"
    )
    if first < _VIBRATIONS:
        print(
            f"The fits begin at {first:g} ps, among the vibrations: D may be far off. "
            "Take a longer trajectory, or --fit."
        )
    columns = [_column(ion, results) for ion in results.ions.values()]
    names = list(columns[0])
    width = max(len(cell) for column in columns for cell in column.values()) + 2
    left = max(len(name) for name in [*names, *results.conductivities]) + 4
    print(" " * left + "".join(f"{element:>{width}}" for element in results.ions))
    for name in names:
        print(f"{name:<{left}}" + "".join(f"{column[name]:>{width}}" for column in columns))
    if results.conductivities:
        print("conductivity (S/cm)")
    for name, value in results.conductivities.items():
        print(f"  {name:<{left - 2}}{_scaled(value, 0.01)!s:>{width}}")
    one, all_ = (results.conductivities.get(n) for n in ("Nernst-Einstein", "current / field"))
    all_ = all_ or results.conductivities.get("Einstein-Helfand")
    if one is not None and all_ is not None and min(one.value, all_.value) > 0:
        print(f"{'Haven ratio':<{left}}{haven_ratio(one, all_)!s:>{width}}")


def _column(ion: _Ions, results: _Results) -> dict[str, str]:
    """Cells of one element."""
    from ase_bec.analysis.transport import CM2_PER_VS, einstein_mobility, mobility

    found = ion.diffusion.in_cm2_per_s()
    cells = {"atoms": str(ion.diffusion.atoms), "D (cm²/s)": str(found.mean())}
    cells.update({f"  along {name}": str(found.component(k)) for k, name in enumerate("xyz")})
    for k, name in enumerate("xyz"):
        cells[f"drift along {name} (m/s)"] = str(_scaled(ion.drift.component(k), 1e5))
    if results.field.any():
        moved = mobility(ion.drift, results.field)
        cells["mobility v/E (cm²/Vs)"] = str(_scaled(moved, CM2_PER_VS))
    if ion.charge is not None and results.temperature is not None:
        direction = results.field if results.field.any() else None
        einstein = einstein_mobility(ion.diffusion, ion.charge, results.temperature, direction)
        cells["mobility qD/kT (cm²/Vs)"] = str(_scaled(einstein, CM2_PER_VS))
    return cells


def _scaled(value: Value, factor: float) -> Value:
    return type(value)(value.value * factor, value.error * factor)


def _draw(path: Path, results: _Results) -> None:
    """Draw displacements, drift and paths."""
    from matplotlib.figure import Figure

    from ase_bec.analysis.lines import plot_lines
    from ase_bec.analysis.msd import mean_square_displacement

    trajectory, field = results.trajectory, results.field
    longest = max(trajectory.duration / 2, trajectory.interval)
    moved = mean_square_displacement(trajectory, max_time=longest)
    fastest = max(moved.values, key=lambda element: float(moved.total(element)[-1]))
    figure = Figure(figsize=(11, 7), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    axes = [figure.add_subplot(grid[k // 2, k % 2]) for k in range(4)]
    moved.plot(axes[0])
    moved.plot(axes[1], elements=[fastest], directions=True)
    upward = int(abs(field).argmax()) if field.any() else 2
    _draw_drift(axes[2], trajectory, upward)
    lines = figure.add_subplot(grid[:, 2])
    plot_lines(trajectory, plane="xyz"[upward - 1 if upward else 1] + "xyz"[upward], ax=lines)
    _draw_diffusion(axes[3], results.ions)
    for ax in (*axes, lines):
        ax.legend(frameon=False)
    save_figure(figure, path)


def _draw_drift(ax: Axes, trajectory: Trajectory, axis: int) -> None:
    """Draw the mean displacement of each element along an axis."""
    for element in trajectory.elements:
        centre = trajectory.positions[:, trajectory.indices(element), axis].mean(axis=1)
        elapsed = (trajectory.times - trajectory.times[0]) / 1e3
        ax.plot(elapsed, centre - centre[0], label=element)
    ax.set_xlabel("Time (ps)")
    ax.set_ylabel(f"Mean displacement along {'xyz'[axis]} (Å)")


def _draw_diffusion(ax: Axes, ions: dict[str, _Ions]) -> None:
    """Draw the diffusion coefficients along each direction with their errors."""
    for element, ion in ions.items():
        found = ion.diffusion.in_cm2_per_s()
        ax.errorbar(range(3), found.values, yerr=found.errors, fmt="o", capsize=3, label=element)
    ax.set_xticks(range(3), ["x", "y", "z"])
    ax.set_xlim(-0.5, 2.5)
    ax.set_ylabel("Diffusion coefficient (cm²/s)")
