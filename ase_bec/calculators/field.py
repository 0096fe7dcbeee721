"""Any ASE calculator in a uniform electric field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
)
from ase.outputs import Properties
from numpy.typing import ArrayLike, NDArray

from ase_bec.calculators.charges import ChargeSource, as_charge_source
from ase_bec.calculators.electric import (
    Contribution,
    ElectricTerm,
    field_vector,
    require_option,
    sum_rule,
)
from ase_bec.calculators.field_size import FieldLimit
from ase_bec.calculators.labelled import LabelledAtoms
from ase_bec.calculators.model_charges import ModelCharges
from ase_bec.calculators.net_charge import NetCharge
from ase_bec.calculators.properties import (
    ENERGIES,
    ON_DEMAND,
    combined,
    has_charges,
    labels,
    offered,
    refusal,
)
from ase_bec.calculators.state import state_changes
from ase_bec.calculators.work import TOLERANCE
from ase_bec.calculators.wrapped import WrappedCalculator, exclusive
from ase_bec.evaluation.evaluator import Job

Array = NDArray[np.float64]
FieldFunction = Callable[[float], ArrayLike]


class FieldCalculator(Calculator):
    """Electric enthalpy H = U − E·D over any base calculator of U.

    The forces are F_aj + Σ_i E_i Z[a, i, j], Z in e with the field first and the displacement
    second, E in V/Å. Positions are never wrapped: D is on the branch of the positions as they
    are, and shifting an atom by a lattice vector T changes H by −E·Z·T and no force.

    Parameters
    ----------
    calculator : ASE calculator
        Gives U and its forces. Field calculators may share it, as they may share
        `charges`; threads then take turns.
    charges : dict, array_like, str, path, ASE calculator or ChargeSource
        ``{"Li": 1, "P": 5, "O": -2}`` (numbers or (3, 3) tensors), a constant (natoms, 3, 3)
        array, a polarization model, its path or bundled name, or a calculator with
        ``born_effective_charges``.
    field : array_like of 3 floats, or callable
        V/Å; or a function of the time in fs that returns them, for use with `attach_field`;
        until then it is taken at time zero.
    reference : Atoms, optional
        Configuration with D = 0 (the origin otherwise), with the elements, order and cell of the
        atoms.
    energy : {"potential", "work", "none"}
        ``"potential"``: H = U − E·D, for charges with a dipole. ``"work"``: U minus the work of
        the field along the straight line from `reference` through unwrapped positions; a function
        of state, but dependent on that choice of path, and not the potential of the forces, where
        Z has curl (see `curl`). ``"none"``: forces only; asking for an energy is refused.
    components : {None, "diagonal"}
        ``"diagonal"`` keeps only Z_ii (in Cartesian axes); needs ``"work"`` or ``"none"``.
    net_force : {"remove", "keep", "error"}
        What to do with S = Σ_a Z_a, which is Q·1 in a cell of charge Q. ``"remove"`` replaces D by
        D − S·R, R being the centre of mass: each atom gives up its share m_a/M of the net force.
        ``"keep"`` leaves it, and H then depends on the origin. ``"error"`` refuses more than
        0.001 e.
    stress : {"error", "zero-field"}
        In a non-zero field the stress depends on the branch of D: refuse it, or give the base
        calculator's.
    work_tolerance : float
        Tolerance of the work integral of ``energy="work"``, in eV; the integral is computed only
        when an energy is requested, from 9 or more evaluations of the charges.
    net_charge : float, optional
        Net charge in e of the cell. Charges that add up to another one are refused; without it,
        a warning says where their sum is not a whole number or exceeds 2 e.
    field_limit : float, optional
        Fields of this size (V/Å) and above are refused; by default 10, with a warning from 1.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        If an argument or a combination of arguments is not supported.

    Notes
    -----
    ``born_effective_charges`` is ∂F_aj/∂E_i of the forces given here, and ``polarization`` is D/Ω
    of the D above, so both are after the rules of `components` and `net_force`. They are computed
    on request and stay out of ``results``, because ASE's file formats could not write them.
    Per-atom energies and stresses are given at zero field only, since they would not add up.

    Atoms that have been computed carry ``electric_field`` (V/Å), ``energy_zero_field`` (eV) and
    ``forces_zero_field`` (eV/Å) in their ``info``, the last also in their ``arrays``, and take them
    along into trajectories and extended XYZ; see `ase_bec.data.field_labels`.

    Changes of the base calculator's ``parameters`` are noticed; after any other change to it,
    call `reset`. A calculator around this one, such as ``SumCalculator``, is made to forget its
    results when the field changes; one that computes copies of the Atoms, as
    ``FiniteDifferenceCalculator`` does, keeps them until the positions change.

    Examples
    --------
    >>> from ase_bec import FieldCalculator, NNPCalculator
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> atoms = beta_lithium_phosphate()
    >>> atoms.calc = FieldCalculator(NNPCalculator("li3po4-nnp"), "li3po4-bec", (0, 0, 0.1))
    >>> push = atoms.get_forces() - atoms.info["forces_zero_field"]
    >>> push[[0, 6], 2].round(1)  # of Li and P, eV/Å
    array([0.1, 0.3])
    >>> atoms.calc.get_property("born_effective_charges", atoms).shape
    (16, 3, 3)
    """

    applies_field = True  # so that no second field is put over this one

    def __init__(
        self,
        calculator: Any,
        charges: Any,
        field: ArrayLike | FieldFunction,
        reference: Atoms | None = None,
        energy: str = "potential",
        components: str | None = None,
        net_force: str = "remove",
        stress: str = "error",
        work_tolerance: float = TOLERANCE,
        net_charge: float | None = None,
        field_limit: float | None = None,
    ) -> None:
        Calculator.__init__(self)
        self._net_charge = NetCharge(net_charge)
        self._limit = FieldLimit(field_limit)
        self._base = WrappedCalculator(calculator)
        self._base.refuse_applied_field(self)
        require_option("stress", stress, ("error", "zero-field"))
        self._stress = stress
        self._time = 0.0
        self._function = field if callable(field) else None
        self._term = ElectricTerm(
            source=as_charge_source(charges),
            field=self._field_at(0.0) if callable(field) else self._field_vector(field),
            reference=reference.copy() if isinstance(reference, Atoms) else reference,
            energy=energy,
            components=components,
            net_force=net_force,
            work_tolerance=work_tolerance,
        )
        self._limit.check_amplitude(field)
        self._labelled = LabelledAtoms(self._term.field)
        self._contribution: Contribution | None = None
        self._born: Array | None = None
        self.implemented_properties = offered(self._base.properties, self._term)

    @property
    def calculator(self) -> Any:
        """The base calculator."""
        return self._base.calculator

    @property
    def source(self) -> ChargeSource:
        """The source of the Born charges, before `components` and `net_force`."""
        return self._term.source

    @property
    def field(self) -> Array:
        """Field E in V/Å, (3,), read-only; assign a new one, or a function of time in fs."""
        field = self._term.field.view()
        field.flags.writeable = False
        return field

    @field.setter
    def field(self, value: ArrayLike | FieldFunction) -> None:
        with exclusive(self):
            function, self._function = self._function, value if callable(value) else None
            try:
                self._limit.check_amplitude(value)
                self._set_field(self._field_at(self._time) if callable(value) else value)
            except Exception:
                self._function = function
                raise

    @property
    def time_dependent(self) -> bool:
        """Whether the field is a function of time."""
        return self._function is not None

    @property
    def time(self) -> float:
        """Time in fs at which a time-dependent field is taken; `attach_field` advances it."""
        return self._time

    @time.setter
    def time(self, value: float) -> None:
        with exclusive(self):
            if self._function is not None:
                self._set_field(self._field_at(float(value)))
            self._time = float(value)

    @property
    def extras(self) -> dict[str, Any]:
        """Further output of the last calculation; empty before the first.

        ``field_forces`` (natoms, 3) in eV/Å, as added to the base calculator's;
        ``field_energy`` in eV, where an energy was computed; ``net_charge`` Q in e, the mean of
        the known diagonal of S = Σ_a Z_a, and ``sum_rule_residual`` in e, max |S − Q·1| over its
        known rows, both of the source's own charges; ``charges_outside``, the number of atoms
        outside the range that a model of the charges was made for.
        """
        with exclusive(self):
            if self._contribution is None or self.atoms is None:
                return {}
            rule = sum_rule(self._source_charges(self.atoms))
            extras = {
                "field_forces": self._contribution.forces.copy(),
                "net_charge": rule.net_charge,
                "sum_rule_residual": rule.residual,
            }
            if self._contribution.energy is not None:
                extras["field_energy"] = self._contribution.energy
            if self._contribution.outside is not None:
                extras["charges_outside"] = self._contribution.outside
            return extras

    @property
    def charges_outside(self) -> int | None:
        """Number of atoms out of what a model of the charges was made for, as in `extras`."""
        with exclusive(self):
            return None if self._contribution is None else self._contribution.outside

    def jobs(self, atoms: Atoms) -> list[Job]:
        """What the evaluators of this package's models will be asked for a structure."""
        found: list[Job] = self.calculator.jobs(atoms) if hasattr(self.calculator, "jobs") else []
        if isinstance(self.source, ModelCharges) and self._term.components is None:
            found += self.source.jobs(atoms, self._term.field)
        return found

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Iterable[str] = ("energy",),
        system_changes: Iterable[str] = tuple(all_changes),
    ) -> None:
        """Compute properties; called by `get_property`, which ASE's methods use.

        Anything refused is refused before the base calculator runs, and a failure leaves no
        results behind.
        """
        atoms = self._given(atoms)
        wanted = set(properties)
        for name in wanted:
            self._refuse(name)
        if not wanted.isdisjoint(ENERGIES):
            wanted.update(ENERGIES)
        if list(system_changes):
            self._forget()
        try:
            self._check(atoms)
            contribution = self._contributed(atoms, energy="energy" in wanted)
            base = self._base.values(atoms, sorted(wanted.difference(ON_DEMAND[:2])))
        except BaseException:
            self.reset()
            self._labelled.put(atoms, self, valid=False)
            raise
        self.results = combined(base, contribution, self._term, self._stress)
        self.atoms = atoms.copy()
        self._labelled.note(labels(self._labelled.field, base, contribution, self.results))
        self._labelled.put(atoms, self, valid=True)
        if self._term.net_force != "error":
            self._net_charge.warn()

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """Return a property, stored or newly computed.

        Raises
        ------
        PropertyNotImplementedError
            If the property is not defined with these options; the message names the alternative.
        """
        with exclusive(self):
            atoms = self._given(atoms)
            self._refuse(name)
            of_base = name == "charges" and not has_charges(self._term)
            if name not in ON_DEMAND or of_base:
                value = Calculator.get_property(self, name, atoms, allow_calculation)
            elif allow_calculation:
                value = self._on_demand(name, atoms)
            else:
                return None
            self._labelled.put(atoms, self, valid=bool(self.results))
            return value

    def calculate_properties(self, atoms: Atoms, properties: Iterable[str]) -> Properties:
        """Return several properties at once, for ``Atoms.get_properties``."""
        asked = {name: self.get_property(name, atoms) for name in properties}
        return Properties(self.results | asked)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """List what differs from the last calculation, the base's parameters included."""
        changes = state_changes(self.atoms, atoms)
        return [*changes, "calculator"] if self._base.changed() else changes

    def reset(self) -> None:
        """Forget every result, including those kept from the base calculator."""
        Calculator.reset(self)
        self._forget()

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse parameters other than ``field``, which would have no effect."""
        if kwargs.keys() - {"field"}:
            raise TypeError(f"only `field` can be set, got {', '.join(sorted(kwargs))}")
        if kwargs:
            self.field = kwargs["field"]
        return kwargs

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Return the options as plain values, for ASE's files."""
        return {
            "calculator": self._base.name,
            "charges": type(self.source).__name__,
            "field": self.field.tolist(),
            **self._term.options,
            "stress": self._stress,
        }

    def _field_at(self, time: float) -> Array:
        if self._function is None:
            return self._term.field
        return self._field_vector(self._function(time))

    def _field_vector(self, value: ArrayLike) -> Array:
        return self._limit.checked(field_vector(value))

    def _set_field(self, value: ArrayLike) -> None:
        field = self._field_vector(value)
        if not np.array_equal(field, self._term.field):
            self._term = replace(self._term, field=field)
            self._contribution = None
            if getattr(self.source, "quadratic", False):
                self._born = None
            self.results = {}
            self._labelled.take_off(self)
            self._labelled = LabelledAtoms(field)

    def _given(self, atoms: Atoms | None) -> Atoms:
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise ValueError("`atoms` must be given in the first call, got None")
        return atoms

    def _forget(self) -> None:
        self._base.forget()
        self._contribution = None
        self._born = None

    def _check(self, atoms: Atoms) -> None:
        self._base.refuse_applied_field(self)
        self._term.check(atoms)
        if self._term.field.any():
            self._net_charge.require(atoms, lambda: self._source_charges(atoms))

    def _contributed(self, atoms: Atoms, energy: bool) -> Contribution:
        energy = energy or self._term.energy == "potential"
        kept = self._contribution
        if kept is None or (energy and kept.energy is None and self._term.energy != "none"):
            with exclusive(self.source):
                kept = self._contribution = self._term.contribution(atoms, energy)
        return kept

    def _on_demand(self, name: str, atoms: Atoms) -> Array:
        if self.check_state(atoms):
            self.reset()
        self._check(atoms)
        if name == "charges":
            with exclusive(self.source):
                found: Array = self.source.charges(atoms, self._term.field)  # type: ignore[attr-defined]
            self.atoms = atoms.copy()
            return found
        charges = self._source_charges(atoms)
        if name == "polarization":
            with exclusive(self.source):
                value = self._term.polarization(atoms, charges)
        else:
            value = self._term.born_charges(atoms, charges)
        self.atoms = atoms.copy()
        return value

    def _source_charges(self, atoms: Atoms) -> Array:
        if self._born is None:
            with exclusive(self.source):
                found = self.source.born_charges(atoms, self._term.field)
                self._born = np.array(found, dtype=float)
        return self._born

    def _refuse(self, name: str) -> None:
        reason = refusal(name, self._term, self._stress)
        if reason is not None:
            raise PropertyNotImplementedError(reason)
