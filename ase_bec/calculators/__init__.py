"""ASE calculators: a neural-network potential, any calculator in a field, fields of time."""

from typing import TYPE_CHECKING

from ase_bec.lazy import lazy_names

if TYPE_CHECKING:
    from ase_bec.calculators.diagnostics import curl, loop_work
    from ase_bec.calculators.field import FieldCalculator
    from ase_bec.calculators.nnp import NNPCalculator
    from ase_bec.calculators.schedule import attach_field
    from ase_bec.calculators.waveforms import PulseField, RampField, SineField

__all__ = [
    "FieldCalculator",
    "NNPCalculator",
    "PulseField",
    "RampField",
    "SineField",
    "attach_field",
    "curl",
    "loop_work",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
