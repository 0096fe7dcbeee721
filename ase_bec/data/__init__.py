"""First-principles data: readers of several codes, one convention, checks."""

from typing import TYPE_CHECKING

from ase_bec.lazy import lazy_names

if TYPE_CHECKING:
    from ase_bec.data.branches import fold_polarization
    from ase_bec.data.dataset import Dataset, read_dataset, write_dataset
    from ase_bec.data.finite_field import charges_from_fields
    from ase_bec.data.frame import Frame
    from ase_bec.data.keys import frame_from_atoms
    from ase_bec.data.sum_rule import impose_sum_rule

__all__ = [
    "Dataset",
    "Frame",
    "charges_from_fields",
    "fold_polarization",
    "frame_from_atoms",
    "impose_sum_rule",
    "read_dataset",
    "write_dataset",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
