"""One model of HfO2 from what was trained apart.

python bundle/hfo2/join.py hfo2-charges.pt hfo2-energy-*.pt hfo2.pt
"""

from __future__ import annotations

import sys

from ase_bec import load
from ase_bec.models import Model
from ase_bec.terms.density_energy import DensityEnergy

CARD = {
    "knows": "Hf32O64, amorphous, 9.95 g/cm³, about 1,130 K (Bader charges, energies, forces, "
    "PBE); ε∞ of monoclinic (4.9) and rutile HfO2",
    "does not know": "other densities and temperatures, surfaces, vacancies (Hf keeps the rest of "
    "the charge: extrapolation), melts, fields so strong that electrons do more than respond "
    "linearly; its energies without field see no charges beyond 5.5 Å",
    "data": "hfo2_bader: CNMD-POSTECH/CIGNN, MIT (c) 2025 CNMD, Hyo Gyeong Shin; rutile ε∞: "
    "shiangfang/e3nn-models, MIT",
}


def main(charges: str, energies: list[str], output: str) -> None:
    """Put the terms side by side."""
    responding, apart = load(charges), [load(path) for path in energies]
    assert isinstance(responding, Model)
    (split,) = responding.terms
    split.at_rest = False  # the energies were fitted whole
    energy = DensityEnergy.mean_of([model.terms[0] for model in apart])  # type: ignore[union-attr]
    repulsion = apart[0].terms[1]  # type: ignore[union-attr]
    metadata = {**CARD, "charges": responding.metadata}
    metadata |= {f"energy {k}": model.metadata for k, model in enumerate(apart)}
    model = Model(responding.elements, [energy, repulsion, split], metadata)
    model.float().eval().save(output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:-1], sys.argv[-1])
