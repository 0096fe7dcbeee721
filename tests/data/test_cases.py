"""Small inputs that once went wrong, with the answer that is right."""

import numpy as np
import pytest
from ase import Atoms
from data_examples import shared

from ase_bec.data import Frame, fold_polarization, read_dataset
from ase_bec.data.branches import smallest_dipole


def test_vasp5_nelm_reached() -> None:
    folder = shared("cases", "vasp5_nelm_reached")
    assert read_dataset(folder / "OUTCAR_converged")[0].energy == -9.12345678
    with pytest.raises(ValueError, match=r"all NELM = 3 steps were used, the last change is -0\.8"):
        read_dataset(folder / "OUTCAR_not_converged")


def test_qe_xml_out_of_steps() -> None:
    (frame,) = read_dataset(shared("cases", "qe_xml_out_of_steps", "out_of_steps.xml"))
    np.testing.assert_allclose(frame.atoms.positions[1, 0], 4.0 * 0.52917721)


def test_fold_fractional_charges() -> None:
    """The same crystal with two atoms in other cells: whole charges tell, others are refused."""
    cell = np.diag([4.0, 4.0, 4.2])
    scaled = [[0, 0, 0], [0.5, 0.5, 0.53], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    a = Atoms("KNbO3", scaled_positions=scaled, cell=cell, pbc=True)
    b = a.copy()
    b.positions[0] += cell[0]
    b.positions[2] -= cell[2]
    charges = {"K": 1, "Nb": 5, "O": -2}
    q = np.array([charges[symbol] for symbol in a.get_chemical_symbols()])
    dipole = smallest_dipole(q @ a.positions + [0, 0, 4 * 0.03 * 4.2], cell)
    frames = [Frame(x, polarization=dipole / x.get_volume()) for x in (a, b)]
    first, second = (frame.dipole for frame in fold_polarization(frames, charges))
    np.testing.assert_allclose(second - first, [4, 0, 8.4], atol=1e-9)
    for parts in ({"K": 0.8, "Nb": 4.0, "O": -1.6}, {"K": 1, "Nb": 5, "O": -2.001}):
        with pytest.raises(ValueError, match=r"must be whole formal charges, got .*O -\d"):
            fold_polarization(frames, parts)
    with pytest.raises(ValueError, match=r"got K 0\.8 \(nearest: \+1\), O -1\.6 \(nearest: -2\)"):
        fold_polarization(frames, {"K": 0.8, "Nb": 4.0, "O": -1.6})
