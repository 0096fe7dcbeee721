"""Analysis of molecular dynamics of ionic solids in a field."""

from .currents import current, current_of_dipole, dipole, transported
from .fluctuations import GreenKubo, green_kubo
from .hops import Hops, find_hops, initial_sites
from .infrared import InfraredModes, Spectrum, infrared_modes, infrared_spectrum, mode_dipoles
from .lines import plot_lines
from .msd import (
    Diffusion,
    MeanSquareDisplacement,
    diffusion,
    drift_velocity,
    mean_square_displacement,
)
from .reading import read_trajectory
from .statistics import Estimate, Value
from .structure import Coordination, RadialDistribution, coordination, radial_distribution
from .trajectory import Trajectory
from .transport import (
    einstein_helfand,
    einstein_mobility,
    field_conductivity,
    haven_ratio,
    mobility,
    nernst_einstein,
)

__all__ = [
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
    "coordination",
    "current",
    "current_of_dipole",
    "diffusion",
    "dipole",
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
    "mean_square_displacement",
    "mobility",
    "mode_dipoles",
    "nernst_einstein",
    "plot_lines",
    "radial_distribution",
    "read_trajectory",
    "transported",
]
