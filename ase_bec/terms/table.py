"""The terms that model files and settings may name."""

from __future__ import annotations

from ase_bec.terms.buckingham import Buckingham
from ase_bec.terms.coulomb import Coulomb
from ase_bec.terms.density_energy import DensityEnergy
from ase_bec.terms.energy import NetworkEnergy
from ase_bec.terms.equivariant import EquivariantNetwork
from ase_bec.terms.formal_charges import FormalCharges
from ase_bec.terms.messages import MessagePassingNetwork
from ase_bec.terms.repulsion import CoreRepulsion
from ase_bec.terms.split_charges import SplitCharges
from ase_bec.terms.term import Term
from ase_bec.terms.vaf import VAFNetwork

__all__ = ["TERMS"]

TERMS: dict[str, type[Term]] = {
    term.kind: term
    for term in (
        NetworkEnergy,
        DensityEnergy,
        Buckingham,
        CoreRepulsion,
        Coulomb,
        FormalCharges,
        EquivariantNetwork,
        MessagePassingNetwork,
        VAFNetwork,
        SplitCharges,
    )
}
