"""Trajectory of molecular dynamics at constant cell, the input of every analysis."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_EQUAL = 1e-6  # relative; times are equally spaced up to rounding


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Frames of the same atoms in the same cell.

    Attributes
    ----------
    times
        Time of each frame in fs, increasing, [frame].
    positions
        Unwrapped positions in Å, [frame, atom, 3].
    numbers
        Atomic numbers, [atom].
    masses
        In amu, [atom].
    cell
        Lattice vectors in Å as rows, [3, 3].
    pbc
        Periodic directions, [3].
    velocities
        In Å/fs, [frame, atom, 3], or None where none are recorded.
    field
        Electric field in V/Å, [frame, 3], or None where it is not known.
    dipole
        Dipole D of the cell in e·Å on one continuous branch, [frame, 3], or None.
    outside
        Number of atoms outside the range of the "potential" and of the model of Born "charges",
        [frame], where they were counted.

    Raises
    ------
    ValueError
        If shapes disagree, values are not finite, or times do not increase.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase_bec.analysis import read_trajectory
    >>> frames = [bulk("NaCl", "rocksalt", 5.64, cubic=True) for _ in range(5)]
    >>> for k, atoms in enumerate(frames):
    ...     atoms.positions[atoms.symbols == "Na", 2] += 0.1 * k  # Na drifts along z
    >>> trajectory = read_trajectory(frames, timestep=2.0)
    >>> trajectory.elements, trajectory.duration
    (('Na', 'Cl'), 8.0)
    >>> relative = trajectory.relative_to(["Na"])
    >>> moved = relative.positions[-1] - relative.positions[0]
    >>> print(moved[trajectory.indices("Cl")[0]].round(3))
    [ 0.   0.  -0.4]
    """

    times: Array
    positions: Array
    numbers: Integers
    masses: Array
    cell: Array
    pbc: NDArray[np.bool_]
    velocities: Array | None = None
    field: Array | None = None
    dipole: Array | None = None
    outside: Mapping[str, Integers] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        frames, atoms = len(self.times), len(self.numbers)
        shapes = {
            "times": (frames,),
            "positions": (frames, atoms, 3),
            "masses": (atoms,),
            "cell": (3, 3),
            "pbc": (3,),
            "velocities": (frames, atoms, 3),
            "field": (frames, 3),
            "dipole": (frames, 3),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            if np.shape(value) != shape:
                raise ValueError(f"`{name}` must have the shape {shape}, got {np.shape(value)}")
            if not np.isfinite(value).all():
                raise ValueError(f"`{name}` must be finite, got NaN or infinity")
        if frames < 2 or not atoms:
            raise ValueError(
                f"`positions` must hold at least two frames of at least one atom, got {frames} "
                f"frames of {atoms} atoms"
            )
        if (np.diff(self.times) <= 0).any():
            frame = int(np.argmax(np.diff(self.times) <= 0)) + 1
            raise ValueError(
                f"`times` must increase, got {self.times[frame]:g} fs in frame {frame} after "
                f"{self.times[frame - 1]:g} fs"
            )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols, each once, in the order of the atoms."""
        return tuple(dict.fromkeys(chemical_symbols[z] for z in self.numbers))

    @property
    def duration(self) -> float:
        """Time from the first frame to the last in fs."""
        return float(self.times[-1] - self.times[0])

    @property
    def interval(self) -> float:
        """Time from frame to frame in fs.

        Raises
        ------
        ValueError
            If the frames are not equally spaced in time.
        """
        steps = np.diff(self.times)
        mean = self.duration / len(steps)
        if np.abs(steps - mean).max() > _EQUAL * mean:
            raise ValueError(
                "`times` must be equally spaced for this analysis, got steps from "
                f"{steps.min():g} to {steps.max():g} fs"
            )
        return float(mean)

    @property
    def volume(self) -> float:
        """Volume Ω of the cell in Å³.

        Raises
        ------
        ValueError
            If a direction is not periodic: densities and conductivities then have no volume.
        """
        if not self.pbc.all():
            raise ValueError(
                f"`pbc` must be true along all directions for a volume, got {self.pbc.tolist()}"
            )
        return float(abs(np.linalg.det(self.cell)))

    @property
    def temperatures(self) -> Array:
        """Kinetic temperature Σ m v²/(3 N k) of each frame in K, [frame], as ASE counts it."""
        squares = np.einsum("tax,a->t", self.require_velocities() ** 2, self.masses)
        found: Array = squares / units.fs**2 / (3 * len(self.masses) * units.kB)
        return found

    def indices(self, element: str) -> Integers:
        """Return the indices of the atoms of an element.

        Raises
        ------
        ValueError
            If there are none.
        """
        found = np.flatnonzero(self.numbers == atomic_numbers.get(element, -1))
        if not len(found):
            raise ValueError(
                f"`element` must be one of {', '.join(self.elements)}, got {element!r}"
            )
        return found.astype(np.int64)

    def charges(self, charges: Mapping[str, float]) -> Array:
        """Charge of each atom in e, [atom], from one for each element.

        Raises
        ------
        ValueError
            If an element has no charge, or one that is not finite.
        """
        missing = [symbol for symbol in self.elements if symbol not in charges]
        if missing or not all(np.isfinite(charges[symbol]) for symbol in self.elements):
            raise ValueError(
                f"`charges` must have a finite number for each of {', '.join(self.elements)}, "
                f"got {dict(charges)}"
            )
        return np.array([charges[chemical_symbols[z]] for z in self.numbers], dtype=float)

    def require_velocities(self) -> Array:
        """Return the velocities.

        Raises
        ------
        ValueError
            If none are recorded.
        """
        if self.velocities is None:
            raise ValueError("`trajectory` must have velocities, got one without: record momenta")
        return self.velocities

    def constant_field(self) -> Array:
        """Return the field in V/Å, [3], the same in every frame; zero where none is known.

        Raises
        ------
        ValueError
            If the field changes along the trajectory.
        """
        if self.field is None:
            return np.zeros(3)
        if np.ptp(self.field, axis=0).max() > 1e-9:
            raise ValueError(
                "`field` must be constant for this analysis, got one that changes by "
                f"{np.ptp(self.field, axis=0).max():g} V/Å: cut out a part with `start` and `stop`"
            )
        found: Array = self.field[0]
        return found

    def atoms(self, frame: int) -> Atoms:
        """Return one frame as :class:`ase.Atoms` with unwrapped positions, without velocities."""
        return Atoms(
            numbers=self.numbers,
            positions=self.positions[frame],
            masses=self.masses,
            cell=self.cell,
            pbc=self.pbc,
        )

    def part(self, frames: slice) -> Trajectory:
        """Return some of the frames."""
        cut: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[frames]
            for name in ("times", "positions", "velocities", "field", "dipole")
        }
        cut["outside"] = {model: counts[frames] for model, counts in self.outside.items()}
        return replace(self, **cut)

    def relative_to(
        self, elements: Iterable[str] | None = None, net_charge: float | None = None
    ) -> Trajectory:
        r"""Return the trajectory relative to the centre of mass of some elements.

        .. math:: \mathbf r_a'(t) = \mathbf r_a(t) - [\mathbf R(t) - \mathbf R(0)], \qquad
                  \mathbf v_a' = \mathbf v_a - \dot{\mathbf R}, \qquad
                  \mathbf D' = \mathbf D - Q\,[\mathbf R(t) - \mathbf R(0)]

        A thermostat or a net force can move the crystal as a whole; diffusion and drift of
        mobile ions are measured relative to the framework.

        Parameters
        ----------
        elements
            Elements of the framework, such as ``["P", "O"]``; all atoms by default.
        net_charge
            Charge Q of the cell in e, needed to transform the dipole, which is dropped without it.

        Raises
        ------
        ValueError
            If an element is not there.
        """
        wanted = self.elements if elements is None else tuple(elements)
        if not wanted:
            raise ValueError("`elements` must name at least one element, got none")
        atoms = np.concatenate([self.indices(element) for element in wanted])
        weights = self.masses[atoms] / self.masses[atoms].sum()
        centre = np.einsum("a,tax->tx", weights, self.positions[:, atoms])
        shift = centre - centre[0]
        velocities, dipole = self.velocities, self.dipole
        if velocities is not None:
            velocities = velocities - np.einsum("a,tax->tx", weights, velocities[:, atoms])[:, None]
        if dipole is not None:
            dipole = None if net_charge is None else dipole - net_charge * shift
        return replace(
            self, positions=self.positions - shift[:, None], velocities=velocities, dipole=dipole
        )
