"""Terms: the summands of the enthalpy of a structure in an electric field.

.. math:: H(\\mathbf R, h; \\mathbf E) = \\sum_{terms} \\sum_i H_i

There are three kinds, by what they need as input: `LocalEnergy` and `LocalDipole` take the vectors
to its neighbours, `WholeStructure` the whole structure and the field. A term only defines H; how
forces, virial, dipole and Born charges follow from it is defined once, in `ase_bec.evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.system import System

__all__ = ["Contribution", "LocalDipole", "LocalEnergy", "Rule", "Term", "WholeStructure"]
__all__ += ["field_contribution"]


class Contribution(NamedTuple):
    """What a term gives to N atoms of B structures in a field.

    Attributes
    ----------
    energies : Tensor, (N,)
        Summands of H in eV.
    forces : Tensor, (N, 3)
        -∂H/∂r in eV/Å.
    virial : Tensor, (B, 3, 3)
        ∂H/∂ε in eV by a homogeneous strain of positions and cell at fixed voltages E·a_i.
    dipole : Tensor, (B, 3)
        -∂H/∂E in e·Å.
    outside : Tensor, (N,)
        How far each atom is outside the range that the term was made for: suspect beyond 1.

    Examples
    --------
    >>> import torch
    >>> from ase.build import bulk
    >>> from ase_bec.system import System
    >>> from ase_bec.terms.formal_charges import FormalCharges
    >>> system = System.from_atoms(bulk("MgO", "rocksalt", 4.2), cutoff=3.0)
    >>> rule = FormalCharges(2, [2, -2]).rule(torch.device("cpu"))
    >>> field = torch.tensor([[0.0, 0.0, 0.1]], dtype=torch.float64)
    >>> rule(system, torch.tensor([0, 1]), field).forces[:, 2].tolist()
    [0.2, -0.2]
    """

    energies: Tensor
    forces: Tensor
    virial: Tensor
    dipole: Tensor
    outside: Tensor


def field_contribution(
    system: System,
    field: Tensor,
    local: Tensor,
    forces: Tensor,
    virial: Tensor,
    outside: Tensor,
) -> Contribution:
    """Contribution of −E·ΣD from local dipoles D_i (N, 3) that do not see the field.

    ``virial`` (B, 3, 3) is that at fixed field; at fixed voltages the field turns and shrinks with
    the cell, which adds ½(E⊗D + D⊗E).
    """
    dipole = system.sum_structures(local)
    turned = field[:, :, None] * dipole[:, None, :]
    energies = -(field[system.batch] * local).sum(dim=1)
    return Contribution(
        energies, forces, virial + (turned + turned.transpose(1, 2)) / 2, dipole, outside
    )


Rule = Callable[[System, Tensor, Tensor], Contribution]
"""A term's own way of computing its contribution: from a system, the element index of every atom,
and the field (B, 3) in V/Å."""


class Term(nn.Module):
    """A summand of the enthalpy.

    Attributes
    ----------
    kind : str
        Its name in model files and settings.
    in_field : str
        How H depends on the field: ``none``, ``linear`` (H then vanishes at zero field) or
        ``quadratic``.
    cutoff : float
        Furthest neighbour in Å that it sees.
    n_elements : int
        Number of elements that it was made for.
    has_charges : bool
        Whether it has a method ``charges``, with the arguments of a rule, that gives those of all
        atoms (N,) in e.

    Examples
    --------
    >>> from ase_bec.terms.formal_charges import FormalCharges
    >>> term = FormalCharges(2, [2, -2])
    >>> term.kind, term.in_field, term.config()
    ('formal-charges', 'linear', {'charges': [2.0, -2.0]})
    """

    kind: ClassVar[str]
    in_field: ClassVar[str] = "none"
    has_charges: ClassVar[bool] = False
    cutoff: float
    n_elements: int

    @property
    def vanishes(self) -> bool:
        """Whether H is zero without field, as it always is where it is linear."""
        return self.in_field == "linear"

    def config(self) -> dict[str, Any]:
        """Plain arguments that, after the number of elements, rebuild this term."""
        raise NotImplementedError

    def rule(self, device: torch.device) -> Rule | None:
        """Its own rule, such as a compiled kernel with the current weights; None for autograd.

        Parameters
        ----------
        device
            Device of the system.
        """
        return None


class LocalEnergy(Term):
    """Energy of each centre from the vectors to its neighbours; must vanish at the cutoff.

    Examples
    --------
    Springs between neighbours, vanishing at 3 Å:

    >>> import torch
    >>> from ase import Atoms
    >>> from ase_bec.evaluation.evaluator import Evaluator
    >>> from ase_bec.models import Model
    >>> from ase_bec.terms.term import LocalEnergy
    >>> class Springs(LocalEnergy):
    ...     n_elements, cutoff = 1, 3.0
    ...     def forward(self, nb):
    ...         pairs = (nb.vectors.norm(dim=1) - self.cutoff).clamp(max=0) ** 2 / 4
    ...         centre = torch.repeat_interleave(nb.first[1:] - nb.first[:-1])
    ...         return pairs.new_zeros(len(nb.species)).index_add(0, centre, pairs)
    >>> pair = Atoms("Ar2", [(0, 0, 0), (2, 0, 0)])
    >>> [values] = Evaluator(Model(["Ar"], [Springs()]), "energies").values(pair)
    >>> round(values.energy, 6), values.forces[:, 0].round(6).tolist()
    (0.5, [-1.0, 1.0])
    """

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Energies (n,) in eV of n centres."""
        raise NotImplementedError

    def with_outside(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """Energies (n,), and how far each centre is outside; see `Contribution`."""
        energies = self(nb)
        return energies, torch.zeros_like(energies)


class LocalDipole(Term):
    """Dipole of each centre from the vectors to its neighbours; H = −E·ΣD.

    Attributes
    ----------
    whole : bool
        Whether all atoms of the structures must come as centres at once.

    Examples
    --------
    A dipole of each atom along the vectors to its neighbours, up to 3 Å:

    >>> import torch
    >>> from ase import Atoms
    >>> from ase_bec.evaluation.evaluator import Evaluator
    >>> from ase_bec.models import Model
    >>> from ase_bec.terms.term import LocalDipole
    >>> class Pulled(LocalDipole):
    ...     n_elements, cutoff = 2, 3.0
    ...     def forward(self, nb):
    ...         charge = 0.1 * (2 * nb.neighbour_species - 1)  # -0.1 e and 0.1 e
    ...         pairs = charge[:, None] * nb.vectors
    ...         centre = torch.repeat_interleave(nb.first[1:] - nb.first[:-1])
    ...         return pairs.new_zeros(len(nb.species), 3).index_add(0, centre, pairs)
    >>> pair = Atoms("ArKr", [(0, 0, 0), (2, 0, 0)])
    >>> [values] = Evaluator(Model(["Ar", "Kr"], [Pulled()]), "dipoles").values(pair)
    >>> values.dipole.round(6) + 0.0
    array([0.4, 0. , 0. ])
    """

    in_field = "linear"
    whole: ClassVar[bool] = False

    def forward(self, nb: Neighbourhoods) -> Tensor:
        """Dipoles (n, 3) in e·Å of n centres."""
        raise NotImplementedError

    def with_outside(self, nb: Neighbourhoods) -> tuple[Tensor, Tensor]:
        """Dipoles (n, 3), and how far each centre is outside; see `Contribution`."""
        dipoles = self(nb)
        return dipoles, dipoles.new_zeros(len(dipoles))


class WholeStructure(Term):
    """Enthalpy that needs the whole structure.

    Where H is a minimum over charges or similar variables, the minimum is found without a graph: at
    the minimum, the derivatives of H are those at fixed charges.

    Examples
    --------
    Polarizable atoms, α = 3 e·Å²/V:

    >>> from ase import Atoms
    >>> from ase_bec.evaluation.evaluator import Evaluator
    >>> from ase_bec.models import Model
    >>> from ase_bec.terms.term import WholeStructure
    >>> class Polarizable(WholeStructure):
    ...     n_elements = 1
    ...     def forward(self, system, species, field):
    ...         return -1.5 * field[system.batch].square().sum(dim=1)
    >>> evaluator = Evaluator(Model(["Ar"], [Polarizable()]), "dipoles")
    >>> evaluator.values(Atoms("Ar"), [0, 0, 0.1])[0].dipole.round(6) + 0.0
    array([0. , 0. , 0.3])
    """

    in_field = "quadratic"
    cutoff = 0.0

    def forward(self, system: System, species: Tensor, field: Tensor) -> Tensor:
        """Summands of H (N,) in eV from positions, cells and fields (B, 3) in V/Å."""
        raise NotImplementedError
