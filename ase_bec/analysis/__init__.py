"""Analysis of molecular dynamics of ionic solids in a field."""

from typing import TYPE_CHECKING

from ase_bec.lazy import lazy_names

if TYPE_CHECKING:
    from ase_bec.analysis.activation import Arrhenius, arrhenius, is_resolved, smallest_resolved
    from ase_bec.analysis.currents import current, current_of_dipole, dipole, transported
    from ase_bec.analysis.drift import CommonMotion, common_motion
    from ase_bec.analysis.fluctuations import GreenKubo, green_kubo
    from ase_bec.analysis.hop_events import Hops, find_hops, initial_sites
    from ase_bec.analysis.infrared import (
        InfraredModes,
        Spectrum,
        infrared_modes,
        infrared_spectrum,
        mode_dipoles,
    )
    from ase_bec.analysis.lines import plot_lines
    from ase_bec.analysis.msd import (
        Diffusion,
        MeanSquareDisplacement,
        diffusion,
        drift_velocity,
        mean_square_displacement,
    )
    from ase_bec.analysis.order import bond_order, disordered_fraction
    from ase_bec.analysis.reading import read_trajectory
    from ase_bec.analysis.statistics import Estimate, Value
    from ase_bec.analysis.structure import (
        Coordination,
        RadialDistribution,
        coordination,
        radial_distribution,
    )
    from ase_bec.analysis.trajectory import Trajectory
    from ase_bec.analysis.transport import (
        einstein_helfand,
        einstein_mobility,
        field_conductivity,
        haven_ratio,
        mobility,
        nernst_einstein,
    )

__all__ = [
    "Arrhenius",
    "CommonMotion",
    "Coordination",
    "Diffusion",
    "Estimate",
    "GreenKubo",
    "Hops",
    "InfraredModes",
    "MeanSquareDisplacement",
    "RadialDistribution",
    "Spectrum",
    "Trajectory",
    "Value",
    "arrhenius",
    "bond_order",
    "common_motion",
    "coordination",
    "current",
    "current_of_dipole",
    "diffusion",
    "dipole",
    "disordered_fraction",
    "drift_velocity",
    "einstein_helfand",
    "einstein_mobility",
    "field_conductivity",
    "find_hops",
    "green_kubo",
    "haven_ratio",
    "infrared_modes",
    "infrared_spectrum",
    "initial_sites",
    "is_resolved",
    "mean_square_displacement",
    "mobility",
    "mode_dipoles",
    "nernst_einstein",
    "plot_lines",
    "radial_distribution",
    "read_trajectory",
    "smallest_resolved",
    "transported",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
