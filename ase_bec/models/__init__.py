"""Models and their files."""

from .energy import NeuralNetworkPotential
from .equivariant import EquivariantNetwork
from .files import bundled, load
from .messages import MessagePassingNetwork
from .polarization import PolarizationModel
from .released import (
    ReleasedBornCharges,
    read_released_bec,
    read_released_nnp,
    released_field_energy,
)
from .vaf import VAFNetwork

__all__ = [
    "EquivariantNetwork",
    "MessagePassingNetwork",
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
