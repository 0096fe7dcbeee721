r"""The released Li3PO4 weights of Shimizu et al. (2023), read as they are.

The files hold a neural-network potential, and a network for the row Z_zj of the Born charges
with a field along z. What the published interface computes from the latter differs from the
paper's equations; reproducing its results needs three deviations, all of which live here:

1. hidden activations are not evaluated, so tanh' = 1 and the network is linear;
2. the radial derivative of V2's Gaussian is taken twice (``slope=2`` of `VectorFunctions`), so Z
   is not the gradient of any dipole: :attr:`ReleasedBornCharges.has_dipole` is False;
3. its field energy, :func:`released_field_energy`, uses Z_zz and wrapped positions and is not
   the potential of its forces.

Vectors point from neighbour to centre there; V1 and V2 are odd, so their sign turns.

References
----------
K. Shimizu, R. Otsuka, M. Hara, E. Minamitani and S. Watanabe, arXiv:2305.19546.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from ase_bec.descriptors.neighbourhoods import chunks
from ase_bec.descriptors.vector_functions import VectorFunctions
from ase_bec.evaluation.evaluator import Evaluator
from ase_bec.evaluation.field_response import FieldResponse
from ase_bec.models.formats.released_text import RELEASED_MARK, ReleasedFile, parse_released
from ase_bec.models.potential import NeuralNetworkPotential
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.terms.species import check_elements
from ase_bec.terms.term import Contribution, Rule, Term

__all__ = ["RELEASED_MARK", "ReleasedBornCharges", "read_released_bec", "read_released_nnp"]
__all__ += ["released_field_energy"]


def read_released_nnp(
    path: str | PathLike[str], elements: Sequence[str] = ("Li", "P", "O")
) -> NeuralNetworkPotential:
    """Read the released neural-network potential (``lammps-force.nnp``).

    Parameters
    ----------
    path : str or path
        The file.
    elements : sequence of str
        The elements that it calls a, b and c; the file does not say.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not such a file, is truncated, or holds Born-charge weights.

    Examples
    --------
    The released files are not part of this package:

    >>> from ase_bec import NNPCalculator, read_released_nnp
    >>> calculator = NNPCalculator(read_released_nnp("lammps-force.nnp"))  # doctest: +SKIP
    >>> read_released_nnp("nowhere/lammps-force.nnp")
    Traceback (most recent call last):
        ...
    FileNotFoundError: `path` must be a file of released weights, got nowhere/lammps-force.nnp
    """
    symbols = _three(elements)
    content = parse_released(Path(path), angular_columns=4)
    if content.is_born:
        raise ValueError(f"`{path}` must hold a potential, got Born-charge weights")
    low = torch.tensor(np.array(content.low))
    high = torch.tensor(np.array(content.high))
    try:
        model = NeuralNetworkPotential(
            symbols,
            content.cutoff,
            g2=content.radial.tolist(),
            g5=content.angular[:, [0, 2, 3]].tolist(),
            hidden=content.hidden,
            scaling=(low, high),
            metadata={"source": "released weights of Shimizu et al., arXiv:2305.19546"},
        )
    except ValueError as error:
        raise _unusable(path, error) from error
    for network, layers in zip(model.network.networks.networks, content.layers, strict=True):
        for linear, (weight, bias) in zip(_linears(network), layers, strict=True):
            linear.weight.data = torch.tensor(weight)
            linear.bias.data = torch.tensor(bias)
    return model.eval()


def read_released_bec(
    path: str | PathLike[str], elements: Sequence[str] = ("Li", "P", "O")
) -> ReleasedBornCharges:
    """Read the released Born-charge network (``lammps_rot.nnp``), as its interface evaluates it.

    Parameters and errors as for :func:`read_released_nnp`.

    Examples
    --------
    The released files are not part of this package:

    >>> from ase_bec import read_released_bec
    >>> row = read_released_bec("lammps_rot.nnp").z_row(atoms)  # doctest: +SKIP
    >>> read_released_bec("nowhere/lammps_rot.nnp")
    Traceback (most recent call last):
        ...
    FileNotFoundError: `path` must be a file of released weights, got nowhere/lammps_rot.nnp
    """
    symbols = _three(elements)
    content = parse_released(Path(path), angular_columns=4)
    if not content.is_born:
        raise ValueError(f"`{path}` must hold Born-charge weights, got a potential")
    try:
        return ReleasedBornCharges(content, symbols)
    except ValueError as error:
        raise _unusable(path, error) from error


def _three(elements: Sequence[str]) -> tuple[str, ...]:
    symbols = check_elements(elements)
    if len(symbols) != 3:
        raise ValueError(f"`elements` must name a, b and c of the file, got {list(symbols)}")
    return symbols


def _unusable(path: str | PathLike[str], error: ValueError) -> ValueError:
    return ValueError(f"`{path}` must hold usable functions, got damaged ones: {error}")


def _linears(network: torch.nn.Module) -> list[torch.nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]


class ReleasedRow(Term):
    """Forces E_z Z_zj of the released linear network; they are not the gradient of any energy.

    Parameters
    ----------
    content : ReleasedFile
        The parsed file.
    """

    kind = "released-row"
    in_field = "linear"

    def __init__(self, content: ReleasedFile) -> None:
        super().__init__()
        self.n_elements = len(content.layers)
        self.cutoff = content.cutoff
        self.descriptor = VectorFunctions(
            self.n_elements,
            content.cutoff,
            v1=content.radial.tolist(),
            v2=[[eta, zeta, centre, 0.0] for eta, _, zeta, centre in content.angular.tolist()],
            slope=2.0,
        )
        gains = []  # of the linear network, for features of vectors from centre to neighbour
        for low, high, layers in zip(content.low, content.high, content.layers, strict=True):
            gain = np.ones((1, 1))
            for weight, _ in reversed(layers):
                gain = gain @ weight
            gains.append(-gain[0] * 2 / (high - low))
        self.register_buffer("gains", torch.tensor(np.array(gains)))

    gains: torch.Tensor

    def rule(self, device: torch.device) -> Rule:
        """The derivative as the interface computes it."""
        return self._contribution

    def _contribution(
        self, system: System, species: torch.Tensor, field: torch.Tensor
    ) -> Contribution:
        row = torch.zeros_like(system.positions)
        for start, nb in chunks(system, species, self.gains.dtype):
            slope = self.descriptor.weighted_derivative(nb, self.gains[nb.species]).to(row)
            centre = start + torch.repeat_interleave(nb.first[1:] - nb.first[:-1])
            row.index_add_(0, start + nb.neighbour, slope, alpha=-1).index_add_(0, centre, slope)
        none = torch.zeros_like(row[:, 0])
        virial, dipole = torch.zeros_like(system.cell), torch.full_like(field, torch.nan)
        return Contribution(none, field[system.batch, 2:] * row, virial, dipole, none)


class ReleasedBornCharges:
    """Row Z_zj of the Born charges as the released Li3PO4 interface computes it.

    A source for ``FieldCalculator(charges=…)`` with the field along z. It is not the gradient
    of any dipole, so an energy needs ``energy="work"`` or ``"none"``.

    Parameters
    ----------
    content : ReleasedFile
        The parsed file.
    elements : sequence of str
        The elements that it calls a, b and c.

    Examples
    --------
    A network of one function of each kind, with one hidden node in each layer:

    >>> import numpy as np
    >>> from ase_bec.models import ReleasedBornCharges
    >>> from ase_bec.models.formats.released_text import ReleasedFile
    >>> from ase_bec.workflows import beta_lithium_phosphate
    >>> functions = np.array([[0.5, 2.0]]), np.array([[0.1, 1.0, 2.0, 0.0]])
    >>> layers = [(np.ones((1, inputs)), np.zeros(1)) for inputs in (9, 1, 1)]
    >>> ranges = [-np.ones(9)] * 3, [np.ones(9)] * 3
    >>> content = ReleasedFile(True, 4.0, *functions, *ranges, (1, 1), [layers] * 3)
    >>> charges = ReleasedBornCharges(content, ["Li", "P", "O"])
    >>> charges.z_row(beta_lithium_phosphate()).shape, charges.has_dipole
    ((16, 3), False)
    """

    has_dipole = False

    def __init__(self, content: ReleasedFile, elements: Sequence[str]) -> None:
        self.elements = check_elements(elements)
        self._evaluator = Evaluator(Model(self.elements, [ReleasedRow(content)]), "Born charges")

    @property
    def cutoff(self) -> float:
        """Furthest neighbour in Å that it sees."""
        return self._evaluator.cutoff

    @property
    def terms(self) -> list[Term]:
        """The row, as a term."""
        return list(self._evaluator.models[0].terms)  # type: ignore[arg-type]

    def check(self, atoms: Atoms, field: NDArray[np.float64]) -> None:
        """Refuse atoms of other elements, and fields that are not along z."""
        if np.any(np.abs(field[:2]) > 1e-12 * max(abs(field[2]), 1e-300)):
            raise ValueError(
                "`field` must be along z with the released Born charges (they hold no other row "
                f"of Z), got {np.asarray(field).tolist()}: turn the structure so that the field "
                "is along z, or use another source of charges"
            )
        self._evaluator.check_elements(atoms)

    def z_row(self, atoms: Atoms) -> NDArray[np.float64]:
        """Z_zj = ∂F_j/∂E_z of every atom, (natoms, 3), in e."""
        return self._evaluator.values(atoms, np.array([0.0, 0.0, 1.0]))[0].forces

    def born_charges(
        self, atoms: Atoms, field: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Z[a, i, j], (natoms, 3, 3), in e; the rows i = x and y are unknown: NaN."""
        out = np.full((len(atoms), 3, 3), np.nan)
        out[:, 2] = self.z_row(atoms)
        return out

    def response(self, atoms: Atoms, field: NDArray[np.float64]) -> FieldResponse:
        """Σ_i E_i Z[a, i, j] for a field along z, (natoms, 3), in eV/Å.

        Raises
        ------
        ValueError
            If the field is not along z, or an element is unknown.
        """
        self.check(atoms, np.asarray(field, dtype=float))
        return FieldResponse(float(field[2]) * self.z_row(atoms))

    def dipole(self, atoms: Atoms) -> NDArray[np.float64]:
        """Raise an error: there is no dipole."""
        raise ValueError(
            "the released Born charges are not the derivative of a dipole: use energy='work' "
            "with a reference, or energy='none'"
        )


def released_field_energy(atoms: Atoms, z_row: NDArray[np.float64], field_z: float) -> float:
    """Field energy as the released interface reports it: -E_z Σ_a Z_zz,a z_a with z wrapped.

    Not the potential of its forces, and it jumps when an atom crosses the cell boundary;
    provided for comparison with published energies.

    Parameters
    ----------
    atoms : Atoms
        The structure.
    z_row : ndarray, (natoms, 3)
        From :meth:`ReleasedBornCharges.z_row`, in e.
    field_z : float
        E_z in V/Å.

    Returns
    -------
    float
        eV.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from ase_bec.models import released_field_energy
    >>> atoms = bulk("MgO", "rocksalt", 4.2, cubic=True)
    >>> row = np.zeros((8, 3))
    >>> row[:, 2] = np.where(atoms.numbers == 12, 2, -2)
    >>> atoms.positions[0, 2] += 0.1  # Mg
    >>> round(released_field_energy(atoms, row, 0.05), 6)
    -0.01
    """
    wrapped = atoms.get_positions(wrap=True)[:, 2]
    return float(-field_z * np.sum(z_row[:, 2] * wrapped))
