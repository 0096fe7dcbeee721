"""Models and their files."""

from .energy import NeuralNetworkPotential
from .files import bundled, load
from .released import (
    ReleasedBornCharges,
    read_released_bec,
    read_released_nnp,
    released_field_energy,
)

__all__ = [
    "NeuralNetworkPotential",
    "ReleasedBornCharges",
    "bundled",
    "load",
    "read_released_bec",
    "read_released_nnp",
    "released_field_energy",
]
