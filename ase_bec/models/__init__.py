"""Models and their files."""

from ase_bec.models.formats.released import (
    ReleasedBornCharges,
    read_released_bec,
    read_released_nnp,
    released_field_energy,
)
from ase_bec.models.formats.saved import bundled, load
from ase_bec.models.polarization import PolarizationModel
from ase_bec.models.potential import NeuralNetworkPotential
from ase_bec.terms.equivariant import EquivariantNetwork
from ase_bec.terms.messages import MessagePassingNetwork
from ase_bec.terms.model import Model
from ase_bec.terms.vaf import VAFNetwork

__all__ = [
    "EquivariantNetwork",
    "MessagePassingNetwork",
    "Model",
    "NeuralNetworkPotential",
    "PolarizationModel",
    "ReleasedBornCharges",
    "VAFNetwork",
    "bundled",
    "load",
    "read_released_bec",
    "read_released_nnp",
    "released_field_energy",
]
