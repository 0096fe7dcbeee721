"""Training of models on first-principles data, and their errors."""

from typing import TYPE_CHECKING

from ase_bec.lazy import lazy_names

if TYPE_CHECKING:
    from ase_bec.training.config import Config, DataOptions, TrainingOptions, read_config
    from ase_bec.training.evaluation import Comparison, error_table, errors_of, evaluate
    from ase_bec.training.formal_charges import guess_formal_charges
    from ase_bec.training.parallel import Processes, processes
    from ase_bec.training.parity import plot_parity
    from ase_bec.training.run import Result, train
    from ase_bec.training.split import Split, split_frames
    from ase_bec.training.trainer import Outcome

__all__ = [
    "Comparison",
    "Config",
    "DataOptions",
    "Outcome",
    "Processes",
    "Result",
    "Split",
    "TrainingOptions",
    "error_table",
    "errors_of",
    "evaluate",
    "guess_formal_charges",
    "plot_parity",
    "processes",
    "read_config",
    "split_frames",
    "train",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
