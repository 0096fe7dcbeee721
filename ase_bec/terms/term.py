"""Terms: the summands of the enthalpy of a structure in an electric field.

.. math:: H(\\mathbf R, h; \\mathbf E) = \\sum_{terms} \\sum_i H_i

There are three kinds, by what one centre needs: `LocalEnergy` and `LocalDipole` take the vectors
to its neighbours, `WholeStructure` all of the structure and the field. A term says what it is; how
forces, virial, dipole and Born charges follow from it is said once, in `ase_bec.evaluation`.
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
        How far each atom is out of what the term was made for: nothing to worry about up to 1.
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
"""Own way of a term to its contribution: from a system, the element index of every atom, and the
field (B, 3) in V/Å."""


class Term(nn.Module):
    """A summand of the enthalpy.

    Attributes
    ----------
    kind : str
        Its name in model files and settings.
    in_field : str
        How H depends on the field: ``none``, ``linear`` or ``quadratic``.
    cutoff : float
        Furthest neighbour in Å that it sees.
    n_elements : int
        Number of elements that it is made for.
    has_charges : bool
        Whether it has a method ``charges``, of the arguments of a rule, that gives those of all
        atoms (N,) in e.
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
        """Plain arguments that make this term again after the number of elements."""
        raise NotImplementedError

    def rule(self, device: torch.device) -> Rule | None:
        """A rule of its own, such as a compiled kernel with the numbers of now; None: by autograd.

        Parameters
        ----------
        device
            Where the system will be.
        """
        return None


class LocalEnergy(Term):
    """Energy of each centre from the vectors to its neighbours; must vanish at the cutoff."""

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
    """Enthalpy that needs all of the structure.

    Where H is a minimum over charges or the like, the minimum is found without a graph: at it, the
    derivatives of H are those at fixed charges.
    """

    in_field = "quadratic"
    cutoff = 0.0

    def forward(self, system: System, species: Tensor, field: Tensor) -> Tensor:
        """Summands of H (N,) in eV from positions, cells and fields (B, 3) in V/Å."""
        raise NotImplementedError
