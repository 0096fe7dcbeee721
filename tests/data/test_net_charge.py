"""Net charge: of the file, of the user, and where the two meet."""

import numpy as np
import pytest
from data_examples import labelled, shared
from reader_examples import FORMATS, put

from ase_bec.data import read_dataset, write_dataset

UNTOLD = ("phonopy-born", "abinit-ddb", "extxyz", "ase-traj", "espresso-ph")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_takes_one(tmp_path, kind) -> None:
    path, given = put(tmp_path, kind)
    if kind not in UNTOLD:
        with pytest.raises(ValueError, match=r"`net_charge` must be that of the file, \+0 e, got"):
            read_dataset(path, net_charge=1.0)
        assert read_dataset(path, net_charge=0.0)[0].net_charge == 0
        return
    data = read_dataset(path, net_charge=1.0)
    assert [frame.net_charge for frame in data] == [1.0] * len(given)
    assert read_dataset(path)[0].net_charge == 0


@pytest.mark.parametrize(
    "kind", ["vasp-outcar", "vasp-xml", "espresso-pw", "espresso-xml", "extxyz", "ase-traj"]
)
def test_files_tell_theirs(tmp_path, kind) -> None:
    path, _ = put(tmp_path, kind, net_charge=-1.0)
    assert {frame.net_charge for frame in read_dataset(path)} == {-1.0}
    assert {frame.net_charge for frame in read_dataset(path, net_charge=-1)} == {-1.0}
    with pytest.raises(ValueError, match=r"`net_charge` must be that of the file, -1 e, got \+2"):
        read_dataset(path, net_charge=2.0)


def test_sum_rule_adds_up_to_it() -> None:
    path = shared("cases", "charged_born_sum_rule", "BORN")
    assert "is `net_charge` = +1 missing?" in read_dataset(path).notes[0]
    (frame,) = read_dataset(path, net_charge=1.0, sum_rule="uniform")
    np.testing.assert_array_equal(frame.born_effective_charges.sum(axis=0), np.eye(3))
    assert frame.born_effective_charges[:, 0, 0].tolist() == [2.5, -1.5]


@pytest.mark.parametrize(("charge", "noted"), [(0.3, True), (3.0, True), (-1.0, False)])
def test_strange_charges_are_noted(tmp_path, charge, noted) -> None:
    write_dataset(tmp_path / "a.xyz", [labelled(k, net_charge=charge) for k in range(2)])
    notes = read_dataset(tmp_path / "a.xyz").notes
    found = [note for note in notes if note.startswith(f"net charge of {charge:+g} e in ")]
    assert len(found) == noted


@pytest.mark.parametrize("charge", [np.nan, np.inf])
def test_charges_are_numbers(tmp_path, charge) -> None:
    write_dataset(tmp_path / "a.xyz", labelled())
    with pytest.raises(ValueError, match="`net_charge` must be a finite number of e, got"):
        read_dataset(tmp_path / "a.xyz", net_charge=charge)
