"""Ionic solids in an electric field, with ASE.

Two ASE calculators, :class:`NNPCalculator` and :class:`FieldCalculator`, the models behind them,
and what runs on them. Units: eV, Å, e, V/Å.
"""

from .calculators.field import FieldCalculator
from .calculators.nnp import NNPCalculator
from .calculators.schedule import attach_field
from .models import (
    NeuralNetworkPotential,
    bundled,
    load,
    read_released_bec,
    read_released_nnp,
)
from .paths import unwrap_images

__version__ = "0.1.0"

__all__ = [
    "FieldCalculator",
    "NNPCalculator",
    "NeuralNetworkPotential",
    "attach_field",
    "bundled",
    "load",
    "read_released_bec",
    "read_released_nnp",
    "unwrap_images",
]
