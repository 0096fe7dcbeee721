"""Bond-orientational order."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from split_examples import monoclinic

from ase_bec.analysis import bond_order, disordered_fraction


def test_fcc_has_order_one() -> None:
    atoms = bulk("Hf", "fcc", a=4.5, cubic=True)
    assert bond_order(atoms, "Hf") == pytest.approx(1, abs=1e-5)


def test_hcp_has_its_known_order() -> None:
    """Q4 = 0.097, Q6 = 0.485 of twelve neighbours in ideal hcp."""
    atoms = bulk("Hf", "hcp", a=3.2, c=3.2 * np.sqrt(8 / 3))
    expected = np.hypot(0.09722, 0.48476) / np.hypot(0.190941, 0.574524)
    assert bond_order(atoms, "Hf") == pytest.approx(expected, abs=1e-4)


def test_rotation_and_repetition_change_nothing() -> None:
    atoms = monoclinic(0.1)
    before = bond_order(atoms, "Hf")
    assert bond_order(atoms * (2, 1, 1), "Hf") == pytest.approx(np.tile(before, 2), abs=1e-12)
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    assert bond_order(atoms, "Hf") == pytest.approx(before, abs=1e-12)


def test_a_crystal_is_ordered_and_a_gas_is_not() -> None:
    crystal = monoclinic(0.05) * (2, 2, 2)
    assert disordered_fraction(crystal, "Hf") < 0.1
    gas = Atoms("Hf200", np.random.default_rng(0).uniform(0, 20, (200, 3)), cell=[20] * 3, pbc=True)
    assert disordered_fraction(gas, "Hf") > 0.7
    # Twelve independent directions have Q_l² = 1/12 on average.
    expected = np.sqrt((1 / 12 + 1 / 12) / (0.190941**2 + 0.574524**2))
    assert np.sqrt((bond_order(gas, "Hf") ** 2).mean()) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"element": "Zr"}, "`element` must be one of the atoms'"),
        ({"element": "Hf", "neighbours": 0}, "`neighbours` must be 1 or more"),
    ],
)
def test_bad_input(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bond_order(monoclinic(), **options)


def test_clusters_too_small() -> None:
    with pytest.raises(ValueError, match="`neighbours` must be below the number of atoms, 4"):
        bond_order(Atoms("Hf4", np.eye(4)[:, :3] * 3), "Hf")
