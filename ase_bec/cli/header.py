"""What a command says before it computes: structure, charges, field, settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_bec.data.net_charge import charge_text

if TYPE_CHECKING:
    from ase import Atoms

    from ase_bec.workflows.barriers.matching import PathEnds
    from ase_bec.workflows.dynamics.settings import MDSettings


def structure_line(atoms: Atoms, which: Sequence[str]) -> str:
    """Composition, and which structure was taken of files that hold several."""
    line = f"{atoms.get_chemical_formula()}, {len(atoms)} atoms"
    return "; ".join((line, *filter(None, which)))


def field_line(charges: Any, net_charge: float | None, field: str) -> str:
    """Charges with their sum, and the field."""
    if charges is None or net_charge is None:
        return f"no charges, {field}"
    name = charges
    if isinstance(charges, dict):
        name = ",".join(f"{symbol}={value:g}" for symbol, value in charges.items())
    return f"charges {name}, net charge {charge_text(net_charge)}; {field}"


def field_text(field: Sequence[float]) -> str:
    """Write a field in V/Å and MV/cm."""
    if not any(field):
        return "no field"
    vector = "E = ({:g}, {:g}, {:g}) V/Å".format(*field)
    return f"{vector}, {100 * float(np.linalg.norm(field)):g} MV/cm"


def dynamics_line(settings: MDSettings, duration: float) -> str:
    """Thermostat, time step and length of molecular dynamics."""
    steps = settings.steps(duration)
    thermostat = "no thermostat"
    if settings.thermostat != "none":
        thermostat = (
            f"{settings.thermostat} thermostat at {settings.temperature:g} K "
            f"({settings.relaxation_time:g} fs)"
        )
    return (
        f"{thermostat}; {steps} steps of {settings.timestep:g} fs, "
        f"a frame every {settings.interval}"
    )


def ends_line(ends: PathEnds, images: int) -> str:
    """The ion that moves furthest, the length of the straight path, and its images."""
    ion = int(ends.moves.argmax())
    return (
        f"{ends.symbols[ion]} {ion} moves {ends.moves[ion]:.2f} Å, all atoms together "
        f"{ends.length:.2f} Å; {images} images between the ends"
    )


def matched_line(before: PathEnds, after: PathEnds) -> str:
    """What matching the ions of the ends has changed."""
    moved = sum(k != place for place, k in enumerate(before.order.tolist()))
    return (
        f"--match: {moved} atoms of the final structure renumbered, straight path "
        f"{before.length:.2f} -> {after.length:.2f} Å"
    )
