"""What runs on the calculators: migration barriers, molecular dynamics, structures."""

from typing import TYPE_CHECKING

from ase_bec.lazy import lazy_names

if TYPE_CHECKING:
    from ase_bec.interruption import handling_interruption
    from ase_bec.workflows.barriers.band_files import BandWriter, read_band, write_band
    from ase_bec.workflows.barriers.distinct_hops import Hop, interstitial_hops, vacancy_hops
    from ase_bec.workflows.barriers.field_barriers import FieldPaths, LinearFit
    from ase_bec.workflows.barriers.field_paths import field_paths
    from ase_bec.workflows.barriers.ion import IonProfile, ion_profile, moving_ion
    from ase_bec.workflows.barriers.matching import match_ions
    from ase_bec.workflows.barriers.migration import MigrationPath, migration_path
    from ase_bec.workflows.barriers.neb import find_path, interpolate_path
    from ase_bec.workflows.barriers.workers import Workers, launched_world
    from ase_bec.workflows.dynamics.limits import Limits, UnphysicalStructure
    from ase_bec.workflows.dynamics.md import MDRun, run_md
    from ase_bec.workflows.dynamics.settings import MDSettings
    from ase_bec.workflows.dynamics.table import plot_run, read_table
    from ase_bec.workflows.structures.amorphous import AmorphousStructure, melt_quench
    from ase_bec.workflows.structures.bonds import Bonds, count_bonds
    from ase_bec.workflows.structures.crystals import beta_lithium_phosphate, vacancy_hop
    from ase_bec.workflows.structures.melt_settings import MeltQuenchSettings
    from ase_bec.workflows.structures.packing import density_of, random_structure, scaled_to_density
    from ase_bec.workflows.structures.walls import Walls

__all__ = [
    "AmorphousStructure",
    "BandWriter",
    "Bonds",
    "FieldPaths",
    "Hop",
    "IonProfile",
    "Limits",
    "LinearFit",
    "MDRun",
    "MDSettings",
    "MeltQuenchSettings",
    "MigrationPath",
    "UnphysicalStructure",
    "Walls",
    "Workers",
    "beta_lithium_phosphate",
    "count_bonds",
    "density_of",
    "field_paths",
    "find_path",
    "handling_interruption",
    "interpolate_path",
    "interstitial_hops",
    "ion_profile",
    "launched_world",
    "match_ions",
    "melt_quench",
    "migration_path",
    "moving_ion",
    "plot_run",
    "random_structure",
    "read_band",
    "read_table",
    "run_md",
    "scaled_to_density",
    "vacancy_hop",
    "vacancy_hops",
    "write_band",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
