"""A structure with first-principles labels: what every reader returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LARGEST = 1e15  # in any unit, beyond which a number is damage
COULOMB = 14.399645478425668  # e²/(4πε₀) in eV Å
LABELS = (
    "energy",
    "forces",
    "stress",
    "born_effective_charges",
    "polarization",
    "dielectric_tensor",
    "charges",
)


@dataclass(frozen=True, eq=False)
class Frame:
    r"""One structure and what is known about it; None where a label is missing.

    Shapes and finiteness are checked when a frame is made.

    Attributes
    ----------
    atoms : Atoms
        Structure, without calculator. Further data of the file stay in its `info` and `arrays`.
    energy : float
        eV.
    forces : array, shape (n, 3)
        eV/Å.
    stress : array, shape (3, 3)
        eV/Å³, symmetric, positive under tension (ASE's sign).
    born_effective_charges : array, shape (n, 3, 3)
        e, ``Z[a, i, j]`` :math:`= \partial D_i/\partial r_{aj} = \partial F_{aj}/\partial E_i`:
        field or polarization first, displacement or force second.
    polarization : array, shape (3,)
        e/Å², :math:`P = D/\Omega` on any branch; see
        :func:`~ase_bec.data.branches.fold_polarization`.
    dielectric_tensor : array, shape (3, 3)
        :math:`\varepsilon_\infty`, relative.
    charges : array, shape (n,)
        Charge of each atom in e, of whatever partition (such as Bader's).
    electric_field : array, shape (3,)
        Field in V/Å that the labels were computed in; None without field.
    net_charge : float
        e.
    config_type : str
        Kind of structure, by which data can be split.
    source : str
        File and number of the frame, for messages.

    Raises
    ------
    TypeError
        If `atoms` is not Atoms.
    ValueError
        If a label has the wrong shape or a number that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from ase_bec.data import Frame
    >>> charges = [2.0 * np.eye(3), -1.9 * np.eye(3)]
    >>> frame = Frame(bulk("MgO", "rocksalt", 4.2), energy=-11.9, born_effective_charges=charges)
    >>> frame.labels
    ('energy', 'born_effective_charges')
    >>> frame.sum_rule_residual.diagonal().round(6)
    array([0.1, 0.1, 0.1])
    """

    atoms: Atoms
    energy: float | None = None
    forces: Array | None = None
    stress: Array | None = None
    born_effective_charges: Array | None = None
    polarization: Array | None = None
    dielectric_tensor: Array | None = None
    charges: Array | None = None
    electric_field: Array | None = None
    net_charge: float = 0.0
    config_type: str | None = None
    source: str = field(default="frame")

    def __post_init__(self) -> None:
        if not isinstance(self.atoms, Atoms):
            raise TypeError(f"`atoms` must be Atoms, got {type(self.atoms).__name__}")
        n = len(self.atoms)
        if n == 0:
            raise ValueError(f"{self.source}: must hold at least one atom, got none")
        shapes: dict[str, tuple[int, ...]] = {
            "energy": (),
            "forces": (n, 3),
            "stress": (3, 3),
            "born_effective_charges": (n, 3, 3),
            "polarization": (3,),
            "dielectric_tensor": (3, 3),
            "charges": (n,),
            "electric_field": (3,),
            "net_charge": (),
        }
        strange = sorted({int(z) for z in self.atoms.numbers if not 0 < z < len(chemical_symbols)})
        if strange:
            raise ValueError(f"{self.source}: atomic numbers must be of elements, got {strange[0]}")
        self._check("positions", self.atoms.positions, (n, 3))
        self._check("cell", self.atoms.cell.array, (3, 3))
        for name, shape in shapes.items():
            if getattr(self, name) is not None:
                value = self._check(name, getattr(self, name), shape)
                object.__setattr__(self, name, float(value) if shape == () else value)

    def _check(self, name: str, value: Any, shape: tuple[int, ...]) -> Array:
        try:
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.source}: `{name}` must be numbers, got {value!r}") from error
        if array.shape != shape:
            raise ValueError(f"{self.source}: `{name}` must have shape {shape}, got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{self.source}: `{name}` must be finite, got NaN or infinity")
        if array.size and np.abs(array).max() > _LARGEST:
            raise ValueError(
                f"{self.source}: `{name}` must be below {_LARGEST:g}, got {np.abs(array).max():g}"
            )
        return array

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that are there."""
        return tuple(name for name in LABELS if getattr(self, name) is not None)

    @property
    def dipole(self) -> Array | None:
        r"""Cell dipole :math:`D = \Omega P`, e·Å, on the branch of `polarization`."""
        if self.polarization is None:
            return None
        return np.asarray(self.polarization * self.atoms.get_volume())

    @property
    def polarizability(self) -> Array | None:
        r""":math:`\partial D/\partial E = \varepsilon_0\Omega(\varepsilon_\infty - 1)`, e·Å²/V."""
        if self.dielectric_tensor is None:
            return None
        volume = self.atoms.get_volume() / (4 * np.pi * COULOMB)
        return np.asarray(volume * (self.dielectric_tensor - np.eye(3)))

    @property
    def sum_rule_residual(self) -> Array | None:
        r""":math:`\sum_a Z_a - Q\,1`, e, shape (3, 3)."""
        if self.born_effective_charges is None:
            return None
        return np.asarray(self.born_effective_charges.sum(0) - self.net_charge * np.eye(3))

    def to_atoms(self) -> Atoms:
        """Copy of the structure with the labels as results of an ASE calculator.

        Energy, forces, stress (Voigt), Born charges, polarization, dielectric tensor and charges
        are the calculator's; net charge, field and `config_type` are in `info`.
        """
        atoms: Atoms = self.atoms.copy()
        results = {name: getattr(self, name) for name in self.labels}
        if self.stress is not None:
            results["stress"] = self.stress.ravel()[[0, 4, 8, 5, 2, 1]]
        atoms.calc = SinglePointCalculator(atoms, **results)
        if self.net_charge:
            atoms.info["net_charge"] = self.net_charge
        if self.electric_field is not None:
            atoms.info["electric_field"] = self.electric_field
        if self.config_type is not None:
            atoms.info["config_type"] = self.config_type
        return atoms
