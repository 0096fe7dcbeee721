"""`ase-bec analyse`: diffusion, drift, mobility and conductivity from dynamics."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_bec.cli import inputs
from ase_bec.cli.errors import InputError, claimed, input_checked
from ase_bec.cli.field_units import FieldVector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ase_bec.analysis.msd import Diffusion
    from ase_bec.analysis.statistics import Estimate, Value
    from ase_bec.analysis.trajectory import Trajectory

NAME = "analyse"
HELP = "diffusion, drift, mobility and conductivity from molecular dynamics"
DETAILS = """\
Prints a table for each element and writes PREFIX.png: mean square displacements, drift, and the
paths of the atoms. Uncertainties are standard errors from blocks of time. In a field,
diffusion is measured about the drift, and conductivities along the field.

example:
  ase-bec analyse md.traj --start 5ps --charges Li=1,P=5,O=-2 --mobile Li --output md
"""
_WINDOW = (0.02, 0.1)  # of the duration; the fit stays within half a block
_PICTURES = (".png", ".pdf", ".svg")
_VIBRATIONS = 0.3  # ps; displacements over shorter times are those of vibrations

ARGUMENTS = {"window": "--fit", "source": "the trajectory"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "trajectory", type=Path, help="trajectory of ase-bec md, or any other that ASE reads"
    )
    cut = parser.add_argument_group("frames")
    cut.add_argument(
        "--start",
        type=inputs.time,
        metavar="TIME",
        default=0.0,
        help="skip everything before this time",
    )
    cut.add_argument(
        "--stop", type=inputs.time, metavar="TIME", help="skip everything after this time"
    )
    cut.add_argument("--stride", type=int, metavar="N", default=1, help="take every N-th frame")
    cut.add_argument(
        "--timestep", type=inputs.time, metavar="TIME", help="time between frames, if not recorded"
    )
    cut.add_argument(
        "--unwrap", action="store_true", help="unwrap positions that were wrapped into the cell"
    )
    cut.add_argument(
        "--frame-of",
        type=inputs.species,
        metavar="P,O",
        help="measure everything relative to the centre of mass of these elements",
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
        help="elements included in the Nernst-Einstein conductivity (default: all)",
    )
    physics.add_argument(
        "--temperature",
        type=float,
        metavar="K",
        help="temperature (default: that of the velocities)",
    )
    physics.add_argument(
        "--field",
        nargs=3,
        action=FieldVector,
        metavar=("X", "Y", "Z"),
        help="field, if not recorded, in V/Å or each component with a unit such as 10MV/cm",
    )
    statistics = parser.add_argument_group("statistics")
    statistics.add_argument(
        "--fit",
        nargs=2,
        type=inputs.time,
        metavar="TIME",
        help="shortest and longest time in the fits (default: 2 %% and 10 %% of the trajectory)",
    )
    statistics.add_argument(
        "--blocks", type=int, metavar="N", default=5, help="number of blocks of time (default: 5)"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        default="analysis",
        metavar="PREFIX",
        help="prefix, or the name of a .png, .pdf or .svg file (default: analysis)",
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
    notes: list[str]
    net_charge: float | None = None  # e


def run(options: argparse.Namespace) -> int:
    """Analyse the dynamics and report it."""
    picture = _picture(options.output)
    with claimed([picture], options.overwrite):
        with input_checked():
            results = _analyse(options)
        report(results, options.blocks)
        from ase_bec.cli.analyse_figure import draw

        diffusions = {element: ion.diffusion for element, ion in results.ions.items()}
        draw(picture, results.trajectory, results.field, diffusions)
        print(f"Figure in {picture}")
    return 0


def _picture(output: str) -> Path:
    """Return the file of the picture: PREFIX.png, or what is given where it is a picture."""
    return Path(output if output.endswith(_PICTURES) else f"{output}.png")


def _analyse(options: argparse.Namespace) -> _Results:
    from ase_bec.analysis.msd import diffusion, drift_velocity
    from ase_bec.analysis.reading import read_trajectory
    from ase_bec.cli.analyse_notes import seen

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
    net_charge = None if charges is None else float(charges.sum())
    _warn_of_charge(net_charge)
    for element in options.mobile or ():
        whole.indices(element)
    window = tuple(options.fit or (part * whole.duration for part in _WINDOW))
    trajectory, notes = seen(options, whole, net_charge, window[1])
    field = trajectory.constant_field()
    temperature = _temperature(options, trajectory)
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
    return _Results(trajectory, temperature, field, window, ions, found, notes, net_charge)


def _charges(given: dict[str, float] | Path | None) -> tuple[Any, dict[str, float] | None]:
    """Return the source of a dipole, and the formal charges where there are any."""
    if given is None or isinstance(given, dict):
        return given, given
    from ase_bec import models

    model: Any = models.load(given)
    if not hasattr(model, "dipole"):
        raise InputError(f"--charges: `{given}` has no dipole: it is a {type(model).__name__}")
    return model, getattr(model, "formal_charges", None)


def _warn_of_charge(net_charge: float | None) -> None:
    """Warn of a net charge that is hardly meant."""
    from ase_bec.data.net_charge import charge_text, unlikely_charge

    reason = None if net_charge is None else unlikely_charge(net_charge)
    if net_charge is not None and reason is not None:
        warnings.warn(
            f"--charges add up to {charge_text(net_charge)}, {reason}: check them", stacklevel=2
        )


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
    from ase_bec.cli.analyse_notes import outside
    from ase_bec.data.net_charge import charge_text

    trajectory, first, last = results.trajectory, *(time / 1e3 for time in results.window)
    warmth = "" if results.temperature is None else f", {results.temperature:.0f} K"
    place = "field unknown (D assumes no drift; give --field, 0 0 0 for none)"
    if trajectory.field is not None:
        place = "E = ({:g}, {:g}, {:g}) V/Å".format(*results.field)
    if results.net_charge is not None:
        place += f", net charge {charge_text(results.net_charge)}"
    print(
        f"{trajectory.duration / 1e3:g} ps in {len(trajectory)} frames{warmth}, {place}; "
        f"D from {first:g} to {last:g} ps; errors from {blocks} blocks"
    )
    for note in (*results.notes, *outside(trajectory, blocks)):
        print(note)
    if first < _VIBRATIONS:
        print(
            f"The fits begin at {first:g} ps, among the vibrations: D may be quite wrong. "
            "Use a longer trajectory, or give --fit."
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
