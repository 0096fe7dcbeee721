"""One model of HfO2 from what was trained apart, and its errors on the frames held back.

python bundle/hfo2/join.py ../shared/data/hfo2_bader/hfo2.xyz charges.pt energy-*.pt hfo2.pt
"""

from __future__ import annotations

import sys
from pathlib import Path

from ase_bec import load
from ase_bec.data import read_dataset
from ase_bec.models import Model
from ase_bec.terms.density_energy import DensityEnergy
from ase_bec.training.evaluation import error_table, errors_of, evaluate

TESTED = 128  # frames at the end of the trajectory, that no training has seen
CARD = {
    "knows": "Hf32O64, amorphous, 9.95 g/cm³, about 1,130 K (Bader charges, energies, forces, "
    "PBE); ε∞ of monoclinic (4.9) and rutile HfO2",
    "does not know": "other densities and temperatures, surfaces, vacancies (Hf keeps the rest of "
    "the charge: extrapolation), melts, fields so strong that electrons do more than respond "
    "linearly; its energies without field see nothing beyond 5.5 Å",
    "data": "hfo2_bader: CNMD-POSTECH/CIGNN, MIT (c) 2025 CNMD, Hyo Gyeong Shin; rutile ε∞: "
    "shiangfang/e3nn-models, MIT",
}


def joined(charges: Model, energies: list[Model]) -> Model:
    """Terms side by side: the mean of the energies, their repulsion, and the charges."""
    (split,) = charges.terms
    split.at_rest = False  # the energies were fitted whole
    energy = DensityEnergy.mean_of([model.terms[0] for model in energies])  # type: ignore[misc]
    metadata = {**CARD, "charges": charges.metadata}
    metadata |= {f"energy {k}": model.metadata for k, model in enumerate(energies)}
    terms = [energy, energies[0].terms[1], split]
    return Model(charges.elements, terms, metadata)  # type: ignore[arg-type]


def main(data: Path, charges: str, energies: list[str], output: str) -> None:
    """Join, test and save."""
    parts = [load(path) for path in (charges, *energies)]
    assert all(isinstance(part, Model) for part in parts)
    model = joined(parts[0], parts[1:])  # type: ignore[arg-type]
    frames = read_dataset(data)[-TESTED:]
    errors = {}
    for comparison in evaluate(model.eval(), frames):
        errors |= errors_of(comparison)
    print(error_table(errors))
    model.metadata["errors"] = {"test": errors}
    model.double().save(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:-1], sys.argv[-1])
