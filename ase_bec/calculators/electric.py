"""The electric part of the enthalpy H = U − E·D, and its forces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from numpy.typing import NDArray

from ase_bec.calculators.charges import ChargeSource
from ase_bec.calculators.work import TOLERANCE, straight_line_work
from ase_bec.evaluation.field_response import FieldResponse

Array = NDArray[np.float64]

NET_CHARGE_TOLERANCE = 1e-3  # e, for net_force="error"


class Contribution(NamedTuple):
    """What a field adds to the base calculator."""

    forces: Array  # (natoms, 3), eV/Å
    energy: float | None  # eV, None if there is none or none was requested
    outside: int | None = None  # atoms out of what the source was made for, where it says so


class SumRule(NamedTuple):
    """How S = Σ_a Z_a departs from the sum rule Σ_a Z_a = Q·1, in e."""

    net_charge: float
    residual: float


@dataclass(frozen=True, eq=False)
class ElectricTerm:
    """The term −E·D of the enthalpy, or minus the work of the field, with its forces.

    F_aj = Σ_i E_i Z[a, i, j], first index field, second displacement. With
    ``net_force="remove"``, D is replaced by D − S·R with S = Σ_a Z_a and R the centre of mass of
    the unwrapped positions, so that Z_a becomes Z_a − (m_a/M) S and the forces sum to zero; for a
    charged cell S = Q·1. Only this is imposed.

    Parameters
    ----------
    source : ChargeSource
        Born charges, and the dipole for ``energy="potential"``.
    field : ndarray, (3,)
        E in V/Å.
    reference : Atoms, optional
        Where D is zero; the start of the line for ``energy="work"``.
    energy : {"potential", "work", "none"}
        −E·D, minus the work along the straight line from `reference`, or no energy.
    components : {None, "diagonal"}
        All of Z, or only Z_ii in the Cartesian axes.
    net_force : {"remove", "keep", "error"}
        What to do with S.
    work_tolerance : float
        Tolerance of the work integral, in eV.

    Raises
    ------
    TypeError, ValueError
        If an option, or a combination of them, is not supported.
    """

    source: ChargeSource
    field: Array
    reference: Atoms | None = None
    energy: str = "potential"
    components: str | None = None
    net_force: str = "remove"
    work_tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        require_option("energy", self.energy, ("potential", "work", "none"))
        require_option("components", self.components, (None, "diagonal"))
        require_option("net_force", self.net_force, ("remove", "keep", "error"))
        if isinstance(self.work_tolerance, bool) or not 0 < self.work_tolerance < np.inf:
            raise ValueError(
                f"`work_tolerance` must be a positive energy in eV, got {self.work_tolerance!r}"
            )
        if self.reference is not None and not isinstance(self.reference, Atoms):
            raise TypeError(f"`reference` must be Atoms, got {type(self.reference).__name__}")
        if self.energy == "potential" and not self.source.has_dipole:
            raise ValueError(
                '`energy` must be "work" or "none" for charges without a dipole '
                f'({type(self.source).__name__}), got "potential"'
            )
        if self.energy == "potential" and self.components == "diagonal":
            raise ValueError(
                '`energy` must be "work" or "none" with components="diagonal", whose force is not '
                'the gradient of −E·D, got "potential"'
            )
        if self.energy == "work" and self.reference is None:
            raise ValueError(
                '`reference` must be the Atoms where the work integral starts with energy="work", '
                "got None"
            )

    @property
    def has_dipole(self) -> bool:
        """Whether the forces are the gradient of E·D for a known D."""
        return self.source.has_dipole and self.components is None

    @property
    def options(self) -> dict[str, str | None]:
        """The options as plain values."""
        return {
            "energy": self.energy,
            "components": self.components,
            "net_force": self.net_force,
        }

    def check(self, atoms: Atoms) -> None:
        """Raise ValueError where this field cannot act on these atoms, before any calculation."""
        if not np.isfinite(atoms.positions).all():
            raise ValueError("`positions` must be finite, got NaN or infinity")
        if self.reference is not None:
            self._check_reference(self.reference, atoms)
        self.source.check(atoms, self.field)

    def contribution(self, atoms: Atoms, energy: bool) -> Contribution:
        """Return the forces of the field and, if requested and defined, its energy.

        Raises
        ------
        ValueError
            If the field has no effect at all, or net_force="error" and there is a net charge.
        CalculationFailed
            If the work integral does not converge.
        """
        if not self.field.any():
            zero = None if self.energy == "none" else 0.0
            return Contribution(np.zeros((len(atoms), 3)), zero)
        response = self._response(atoms)
        raw = response.forces
        forces = self._balanced(raw, atoms)
        scale = float(np.abs(raw).max(initial=0.0))
        if np.abs(forces).max(initial=0.0) <= 1e-12 * scale:
            remedy = "check `charges`" if scale == 0 else 'net_force="keep" keeps the net force'
            raise ValueError(
                f"`field` must act on the charges, got no force on any atom from {self.field} V/Å "
                f"({'zero charges' if scale == 0 else 'all of it is net force'}); {remedy}"
            )
        far = None if response.outside is None else int((response.outside > 1).sum())
        return Contribution(forces, self._energy(atoms, response) if energy else None, far)

    def forces(self, atoms: Atoms) -> Array:
        """Return the forces of the field in eV/Å, (natoms, 3)."""
        return self._balanced(self._response(atoms).forces, atoms)

    def born_charges(self, atoms: Atoms, raw: Array) -> Array:
        """Turn the source's Z into ∂F_aj/∂E_i of these forces, in e, (natoms, 3, 3)."""
        charges = raw if self.components is None else raw * np.eye(3)
        if self.net_force == "remove":
            share = _mass_fractions(atoms)[:, None, None]
            charges = charges - share * charges.sum(axis=0)
        return charges

    def polarization(self, atoms: Atoms, raw: Array) -> Array:
        """Return P = D/Ω in e/Å², (3,), on the branch of the unwrapped positions.

        Raises
        ------
        PropertyNotImplementedError
            If the charges have no dipole or the cell no volume.
        """
        if not self.has_dipole:
            raise PropertyNotImplementedError("polarization needs charges with a dipole")
        if atoms.cell.rank < 3:
            raise PropertyNotImplementedError("polarization needs a cell with a volume")
        dipole = self.source.response(atoms, self.field).dipole
        if dipole is None:
            raise PropertyNotImplementedError("polarization needs charges with a dipole")
        dipole = dipole - self._reference_dipole
        if self.net_force == "remove":
            dipole = dipole - raw.sum(axis=0) @ self._centre_displacement(atoms)
        polarization: Array = dipole / atoms.get_volume()
        return polarization

    def _energy(self, atoms: Atoms, response: FieldResponse) -> float | None:
        if self.energy == "none":
            return None
        if self.energy == "work" and self.reference is not None:
            return -straight_line_work(self.forces, self.reference, atoms, self.work_tolerance)
        if response.energy is None:
            raise ValueError(
                f"`charges` must give an energy with a dipole, got none from "
                f"{type(self.source).__name__}"
            )
        energy = response.energy + float(self.field @ self._reference_dipole)
        if self.net_force == "remove":
            energy += float(response.forces.sum(axis=0) @ self._centre_displacement(atoms))
        return energy

    def _response(self, atoms: Atoms) -> FieldResponse:
        """What the source gives before the net-force rule, without the omitted components."""
        if self.components is None:
            response = self.source.response(atoms, self.field)
            response = response._replace(forces=np.array(response.forces, dtype=float))
        else:
            forces = np.zeros((len(atoms), 3))
            for axis in np.flatnonzero(self.field):
                along = np.where(np.arange(3) == axis, self.field, 0.0)
                forces[:, axis] = self.source.response(atoms, along).forces[:, axis]
            response = FieldResponse(forces)
        self._check_forces(response.forces, atoms)
        return response

    def _check_forces(self, forces: Array, atoms: Atoms) -> None:
        if forces.shape != (len(atoms), 3) or not np.isfinite(forces).all():
            raise ValueError(
                f"`charges` must give finite forces of shape ({len(atoms)}, 3), got shape "
                f"{forces.shape} or values that are not finite from {type(self.source).__name__}"
            )

    def _balanced(self, raw: Array, atoms: Atoms) -> Array:
        """Apply the net-force rule."""
        if self.net_force == "keep":
            return raw
        net = raw.sum(axis=0)
        if self.net_force == "remove":
            balanced: Array = raw - _mass_fractions(atoms)[:, None] * net
            return balanced
        strength = np.linalg.norm(self.field)
        if np.linalg.norm(net) > NET_CHARGE_TOLERANCE * strength:
            charge = float(net @ self.field / strength**2)
            raise ValueError(
                f'`charges` must sum to zero with net_force="error", got a net charge of '
                f"{charge:.4g} e along the field and a net force of {np.linalg.norm(net):.4g} eV/Å"
            )
        return raw

    def _centre_displacement(self, atoms: Atoms) -> Array:
        origin = 0.0 if self.reference is None else self.reference.positions
        displacement: Array = _mass_fractions(atoms) @ (atoms.positions - origin)
        return displacement

    @cached_property
    def _reference_dipole(self) -> Array:
        return np.zeros(3) if self.reference is None else self.source.dipole(self.reference)

    def _check_reference(self, reference: Atoms, atoms: Atoms) -> None:
        if not np.array_equal(reference.numbers, atoms.numbers):
            raise ValueError(
                "`reference` must have the elements of the atoms in the same order, "
                f"got {reference.get_chemical_formula()} for {atoms.get_chemical_formula()}"
            )
        if not np.isfinite(reference.positions).all():
            raise ValueError("`reference` must have finite positions, got NaN or infinity")
        same_cell = np.allclose(reference.cell, atoms.cell, rtol=0, atol=1e-6)
        if not same_cell or (reference.pbc != atoms.pbc).any():
            raise ValueError(
                "`reference` must have the cell and periodicity of the atoms, "
                f"got {reference.cell} for {atoms.cell}"
            )


def sum_rule(charges: Array) -> SumRule:
    """Measure S = Σ_a Z_a against Q·1.

    Parameters
    ----------
    charges : ndarray, (natoms, 3, 3)
        Z in e; rows that are NaN are left out.

    Returns
    -------
    SumRule
        ``net_charge`` Q = mean of the known S_ii, and ``residual`` = max |S − Q·1| over the known
        rows, both in e. A neutral cell with an exact sum rule has both zero.
    """
    total = charges.sum(axis=0)
    charge = float(np.nanmean(np.diag(total)))
    return SumRule(charge, float(np.nanmax(np.abs(total - charge * np.eye(3)))))


def field_vector(value: Any) -> Array:
    """Validate a field in V/Å and give it as a read-only (3,) array.

    Raises
    ------
    ValueError
        If it is not three finite real numbers.
    """
    try:
        array = np.asarray(value)
        plain = not any(isinstance(x, bool | np.bool_) for x in value)
    except (TypeError, ValueError):
        array, plain = np.empty(0), False
    if array.shape != (3,) or array.dtype.kind not in "iuf" or not plain:
        raise ValueError(f"`field` must be three finite numbers in V/Å, got {value!r}")
    field = array.astype(float)
    if not np.isfinite(field).all():
        raise ValueError(f"`field` must be three finite numbers in V/Å, got {value!r}")
    field.flags.writeable = False
    return field


def require_option(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raise ValueError, naming the choices, if an option is not one of them."""
    if not any(
        value is choice or (isinstance(value, str) and value == choice) for choice in allowed
    ):
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"`{name}` must be one of {choices}, got {value!r}")


def _mass_fractions(atoms: Atoms) -> Array:
    masses = atoms.get_masses()
    fractions: Array = masses / masses.sum()
    return fractions
