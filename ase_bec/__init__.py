"""Ionic solids in an electric field, with ASE.

Two ASE calculators, `NNPCalculator` and `FieldCalculator`, the models behind them, and what runs
on them. Units: eV, Å, e, V/Å. Names are imported when first used, so that the command line
answers at once.
"""

from typing import TYPE_CHECKING

from ase_bec.lazy import lazy_names

if TYPE_CHECKING:
    from ase_bec.calculators.field import FieldCalculator
    from ase_bec.calculators.nnp import NNPCalculator
    from ase_bec.calculators.schedule import attach_field
    from ase_bec.data import read_dataset, write_dataset
    from ase_bec.models import (
        EquivariantNetwork,
        MessagePassingNetwork,
        NeuralNetworkPotential,
        PolarizationModel,
        VAFNetwork,
        bundled,
        load,
        read_released_bec,
        read_released_nnp,
    )
    from ase_bec.paths import unwrap_images

__version__ = "0.1.0"

__all__ = [
    "EquivariantNetwork",
    "FieldCalculator",
    "MessagePassingNetwork",
    "NNPCalculator",
    "NeuralNetworkPotential",
    "PolarizationModel",
    "VAFNetwork",
    "attach_field",
    "bundled",
    "load",
    "read_dataset",
    "read_released_bec",
    "read_released_nnp",
    "unwrap_images",
    "write_dataset",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
