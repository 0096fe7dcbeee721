"""Table of a run of molecular dynamics: reading and drawing it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
AXES = "xyz"


def read_table(path: str | Path) -> dict[str, Array]:
    """Read the table of a run.

    Parameters
    ----------
    path
        The table, or the trajectory next to it.

    Returns
    -------
    dict
        Column name to its values, (frames,), NaN where the table has none.

    Raises
    ------
    FileNotFoundError
        If there is no table.
    ValueError
        If it is not one of a run.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import MDSettings, read_table, run_md
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> with TemporaryDirectory() as folder:
    ...     settings = MDSettings(temperature=300.0, interval=5)
    ...     run = run_md(atoms, Path(folder) / "md.traj", settings, duration=20.0)
    ...     table = read_table(Path(folder) / "md.traj")
    >>> print(table["time_fs"], table["step"])
    [ 0.  5. 10. 15. 20.] [ 0.  5. 10. 15. 20.]
    """
    table = Path(path).with_suffix(".csv")
    if not table.is_file():
        raise FileNotFoundError(f"`path` must be the table of a run, got no file `{table}`")
    with table.open(newline="") as file:
        head, *rows = csv.reader(file)
    rows = [row for row in rows if len(row) == len(head)]
    if head[:2] != ["step", "time_fs"]:
        raise ValueError(f"`path` must be the table of a run, got `{table}` with columns {head}")
    values = np.array([[float(word or "nan") for word in row] for row in rows])
    values = values.reshape(len(rows), len(head))
    return dict(zip(head, values.T, strict=True))


def plot_run(path: str | Path, figure: Figure | None = None) -> Figure:
    """Draw temperature, enthalpy and polarization of a run against time.

    The polarization is drawn as its change since the first frame; below it the field where it
    changes. Anything that a run doesn't have is left out.

    Parameters
    ----------
    path
        Table of the run, or the trajectory next to it.
    figure
        Where to draw; a new figure by default, which pyplot doesn't keep.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no table, or it is not one of a run.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import MDSettings, plot_run, run_md
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> with TemporaryDirectory() as folder:
    ...     settings = MDSettings(temperature=300.0, interval=5)
    ...     run = run_md(atoms, Path(folder) / "md.traj", settings, duration=20.0)
    ...     figure = plot_run(Path(folder) / "md.traj")
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['Temperature (K)', 'Change of energy (eV)']
    """
    from matplotlib.figure import Figure

    table = read_table(path)
    panels = [_temperature]
    panels += [_enthalpy] if np.isfinite(table["enthalpy_eV"]).any() else []
    panels += [_polarization] if "polarization_x_e_per_A2" in table else []
    fields = [table[f"field_{axis}_V_per_A"] for axis in AXES]
    panels += [_field] if any(np.ptp(field) > 0 for field in fields if len(field)) else []
    if figure is None:
        figure = Figure(figsize=(7, 2.2 * len(panels) + 0.6), layout="constrained")
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for draw, ax in zip(panels, rows, strict=True):
        draw(table, ax)
    rows[-1].set_xlabel("Time (ps)")
    return figure


def _time(table: dict[str, Array]) -> Array:
    return table["time_fs"] / 1000


def _temperature(table: dict[str, Array], ax: Axes) -> None:
    ax.plot(_time(table), table["temperature_K"])
    ax.set_ylabel("Temperature (K)")


def _enthalpy(table: dict[str, Array], ax: Axes) -> None:
    enthalpy, total = table["enthalpy_eV"], table["enthalpy_plus_kinetic_eV"]
    ax.plot(_time(table), enthalpy - enthalpy[0], label="H")
    ax.plot(_time(table), total - total[0], label="H + K")
    if "work_eV" in table:
        conserved = total - total[0] - table["work_eV"]
        ax.plot(_time(table), conserved, "--", label="H + K − work of the field")
    ax.set_ylabel("Change of energy (eV)")
    ax.legend(frameon=False, fontsize="small")


def _polarization(table: dict[str, Array], ax: Axes) -> None:
    for axis in AXES:
        polarization = table[f"polarization_{axis}_e_per_A2"]
        known = polarization[np.isfinite(polarization)]
        ax.plot(_time(table), polarization - (known[0] if len(known) else 0.0), label=axis)
    ax.set_ylabel("Change of P (e/Å²)")
    ax.legend(frameon=False, fontsize="small", ncols=3)


def _field(table: dict[str, Array], ax: Axes) -> None:
    for axis in AXES:
        ax.plot(_time(table), table[f"field_{axis}_V_per_A"], label=axis)
    ax.set_ylabel("Field (V/Å)")
    ax.legend(frameon=False, fontsize="small", ncols=3)
