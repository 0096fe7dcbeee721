"""Options of the potential and the field, shared by the commands, and what they make."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_bec.cli import inputs
from ase_bec.cli.errors import InputError
from ase_bec.cli.field_units import FieldVector, field_strength

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from ase_bec.calculators.charges import ChargeSource
    from ase_bec.calculators.field import FieldCalculator

# Arguments that options of other names set.
ARGUMENTS = {"model": "--nnp"}

Factory = Callable[[], "Calculator"]


def add_arguments(parser: argparse.ArgumentParser, energies: tuple[str, ...]) -> None:
    """Add the options of structure files, potential and field."""
    add_formats(parser.add_argument_group("structure files"))
    add_potential(parser)
    field = parser.add_argument_group("field")
    field.add_argument(
        "--field",
        nargs=3,
        action=FieldVector,
        default=(0.0, 0.0, 0.0),
        metavar=("X", "Y", "Z"),
        help="field in V/Å, or each component with a unit such as 10MV/cm (default: 0 0 0)",
    )
    field.add_argument(
        "--field-limit",
        type=field_strength,
        metavar="E",
        help="refuse fields of this strength or more (default: 10 V/Å, with a warning from 1 V/Å)",
    )
    field.add_argument(
        "--charges",
        type=inputs.charges,
        metavar="Li=1,P=5,O=-2|FILE",
        help="charges per element in e, or a model of Born charges",
    )
    field.add_argument(
        "--net-charge",
        type=float,
        metavar="Q",
        help="intended net charge of the cell in e, if it is not whole or exceeds 2; "
        "charges that add up to anything else are refused",
    )
    field.add_argument(
        "--energy",
        choices=energies,
        help="energy in the field (default: potential if the charges have a dipole, otherwise "
        + ("work from the initial image)" if "none" not in energies else "none)"),
    )
    field.add_argument(
        "--net-force",
        choices=("remove", "keep", "error"),
        default="remove",
        help="what to do with the net force on a charged cell (default: %(default)s)",
    )
    field.add_argument("--components", choices=("diagonal",), help="keep only the diagonal of Z")
    field.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        help="structure at which the polarization is taken to be zero and the work integral starts",
    )


def add_formats(files: argparse._ArgumentGroup) -> None:
    """Add the options that say how to read structure files."""
    files.add_argument("--format", metavar="NAME", help="ASE's name for the file format")
    files.add_argument(
        "--species",
        type=inputs.species,
        metavar="Li,P,O",
        help="elements of the atom types 1, 2, … of a LAMMPS data file",
    )


def add_potential(parser: argparse.ArgumentParser) -> None:
    """Add the options of the potential."""
    model = parser.add_argument_group("potential")
    model.add_argument(
        "--nnp", required=True, metavar="FILE", help="model file, or the name of a bundled model"
    )
    model.add_argument("--device", help="cpu or cuda (default: cpu)")
    model.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="floating-point precision (default: %(default)s)",
    )


@dataclass(frozen=True)
class Calculators:
    """Makers of calculators of one potential, without and with field.

    Attributes
    ----------
    bare
        Makes a calculator without field.
    charged
        Makes one in the field, from the structure that a work integral starts from; None where
        there is no field.
    note
        One line about the energy in the field, or an empty one.
    net_charge
        Sum of the charges in e, None without charges.
    """

    bare: Factory
    charged: Callable[[Atoms], FieldCalculator] | None
    note: str
    net_charge: float | None = None


def calculators(
    options: argparse.Namespace,
    atoms: Atoms,
    without_dipole: str,
    field: tuple[float, ...] | None = None,
) -> Calculators:
    """Make the calculators of a command's options and check them on the atoms.

    Parameters
    ----------
    options
        With what :func:`add_arguments` has added.
    atoms
        Structure to check elements and charges with.
    without_dipole
        Energy of the field to choose for charges without a dipole.
    field
        V/Å, that of the options by default.

    Raises
    ------
    InputError, ValueError, TypeError, OSError
        If the model, the charges or the field cannot be used with these atoms.
    """
    bare = potential(options.nnp, options.device, options.dtype, atoms)
    vector = options.field if field is None else field
    if options.charges is None:
        for name, given in {"--field": any(vector), "--net-charge": options.net_charge}.items():
            if given:
                raise InputError(f"{name} needs --charges: charges per element, or a model of them")
        return Calculators(bare, None, "")
    from ase_bec.calculators.charges import as_charge_source
    from ase_bec.calculators.field import FieldCalculator

    source = as_charge_source(options.charges)
    if not any(vector):
        return Calculators(bare, None, "", _net_charge(source, atoms, options.net_charge))
    energy, note = options.energy, ""
    if energy is None:
        energy = "potential"
        if not source.has_dipole or options.components is not None:
            energy = without_dipole
            note = _NOTES[without_dipole]
    reference = None
    if options.reference is not None:
        reference = inputs.read_structure(options.reference, options.format, options.species)

    def charged(start: Atoms) -> FieldCalculator:
        return FieldCalculator(
            bare(),
            source,
            vector,
            reference=start if reference is None and energy == "work" else reference,
            energy=energy,
            components=options.components,
            net_force=options.net_force,
            net_charge=options.net_charge,
            field_limit=options.field_limit,
        )

    tried = atoms.copy()
    tried.calc = charged(atoms)
    tried.get_forces()  # refuses what it cannot handle before it computes
    return Calculators(bare, charged, note, tried.calc.extras["net_charge"])


def _net_charge(source: ChargeSource, atoms: Atoms, given: float | None) -> float:
    """Net charge where there is no field."""
    import numpy as np

    from ase_bec.calculators.electric import sum_rule
    from ase_bec.calculators.net_charge import NetCharge

    source.check(atoms, np.zeros(3))
    tensors = source.born_charges(atoms)
    net_charge = NetCharge(given)
    net_charge.require(atoms, lambda: tensors)
    net_charge.warn()
    return sum_rule(tensors).net_charge


_NOTES = {
    "work": "These charges have no dipole: energies in the field are work integrals along the "
    "straight line from the initial image.",
    "none": "These charges have no dipole: the energy in the field is left out; --energy work "
    "gives the work integral from the start.",
}


def potential(path: str, device: str | None, dtype: str, atoms: Atoms) -> Factory:
    """Load a potential and return what makes a calculator of it.

    Raises
    ------
    InputError
        If it does not know an element of the atoms.
    """
    from ase_bec import models
    from ase_bec.calculators.nnp import NNPCalculator

    model: Any = models.load(path)
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(model.elements))
    if unknown:
        raise InputError(
            f"--nnp: `{path}` knows {', '.join(model.elements)}, not {', '.join(unknown)}"
        )

    # It refuses another kind of model, or a device that is not there. Its copies share the model.
    first = NNPCalculator(model, device=device, dtype=dtype)
    return lambda: deepcopy(first)
