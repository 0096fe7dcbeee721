"""What `charges` may be, and the sources that it becomes."""

from pathlib import Path

import numpy as np
import pytest
from field_examples import (
    FIELD,
    BornCalculator,
    CurledCharges,
    PairCharges,
    neutral_charges,
    random_tensors,
    skewed_alloy,
)

from ase_bec.calculators.charges import (
    ArrayCharges,
    CalculatorCharges,
    ChargeSource,
    SpeciesCharges,
    as_charge_source,
)


def sources():
    atoms = skewed_alloy()
    tensors = random_tensors(len(atoms))
    by_element = dict(zip(("Cu", "Au", "Al"), random_tensors(3, seed=1), strict=True))
    return {
        "numbers": (neutral_charges(), SpeciesCharges),
        "tensors": (by_element, SpeciesCharges),
        "both": ({**by_element, "Al": 3}, SpeciesCharges),
        "array": (tensors, ArrayCharges),
        "list": (tensors.tolist(), ArrayCharges),
        "single precision": (tensors.astype(np.float32), ArrayCharges),
        "calculator": (BornCalculator(CurledCharges(atoms)), CalculatorCharges),
        "protocol": (PairCharges(atoms, neutral_charges()), PairCharges),
    }


@pytest.mark.parametrize("kind", sources())
def test_every_kind_becomes_a_source_whose_parts_agree(kind):
    atoms = skewed_alloy()
    charges, expected = sources()[kind]
    source = as_charge_source(charges)
    assert isinstance(source, expected)
    assert isinstance(source, ChargeSource)
    source.check(atoms, FIELD)
    born = source.born_charges(atoms)
    assert born.shape == (8, 3, 3)
    assert born.dtype == np.float64
    assert source.response(atoms, FIELD).forces == pytest.approx(
        np.tensordot(FIELD, born, axes=(0, 1)), abs=1e-14
    )
    if not source.has_dipole:
        return
    for a, j in ((0, 0), (3, 1), (7, 2)):
        dipoles = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[a, j] += sign * 1e-4
            dipoles.append(source.dipole(moved))
        assert (dipoles[0] - dipoles[1]) / 2e-4 == pytest.approx(born[a, :, j], abs=1e-7)


def test_charges_of_elements_go_to_their_atoms():
    atoms = skewed_alloy()
    charges, _ = sources()["both"]
    born = as_charge_source(charges).born_charges(atoms)
    for symbol, tensor in zip(atoms.symbols, born, strict=True):
        value = charges[symbol]
        assert np.array_equal(tensor, 3 * np.eye(3) if symbol == "Al" else value)


def test_later_changes_of_the_array_given_have_no_effect():
    tensors = random_tensors(8)
    source = as_charge_source(tensors)
    kept = tensors.copy()
    tensors[:] = 0
    source.born_charges(skewed_alloy())[:] = 0
    assert np.array_equal(source.born_charges(skewed_alloy()), kept)


@pytest.fixture
def released():
    folder = Path(__file__).parents[2] / "../shared/data/shimizu_li3po4/models"
    if not folder.is_dir():
        pytest.skip(f"needs the released weights in {folder}")
    return folder


def test_files_of_weights_are_loaded(released):
    path = released / "lammps_rot_bec.nnp"
    for given in (path, str(path)):
        source = as_charge_source(given)
        assert isinstance(source, ChargeSource)
        assert not source.has_dipole


def test_files_without_born_charges_are_refused(released, tmp_path):
    with pytest.raises(ValueError, match="must be a model with a dipole, got a neural-network pot"):
        as_charge_source(released / "lammps-force.nnp")
    with pytest.raises(FileNotFoundError, match="bundled"):
        as_charge_source("no-such-model")
    (tmp_path / "notes.txt").write_text("Li 1, P 5, O -2")
    with pytest.raises(ValueError, match=r"notes.txt"):
        as_charge_source(tmp_path / "notes.txt")
