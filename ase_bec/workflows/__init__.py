"""Workflows over ASE: barriers, molecular dynamics, structures."""

from ase_bec.workflows.barriers.matching import match_ions

__all__ = ["match_ions"]
