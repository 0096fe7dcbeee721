"""Effective charges without training: known answers, and none where frames do not tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from zno_examples import FORMAL, frames, small

from ase_bec.cli.main import main
from ase_bec.data import write_dataset
from ase_bec.training.charge_selection import select_charges
from ase_bec.training.local_basis import LocalBasis


def test_charges_behind_the_labels_are_found() -> None:
    """Labels of ions of charge 2: 2.0 ± 0.2, where the plain regression says something else."""
    by_chance = select_charges(frames(kinds=False), FORMAL)
    by_kind = select_charges(frames(), FORMAL)
    for found in (by_chance, by_kind):
        assert found.verdict == "determined"
        assert 2 * found.scale == pytest.approx(2.0, abs=0.2)
        best = int(np.argmin(found.forces))
        assert found.scales[best] == pytest.approx(1.0, abs=0.15)
        assert found.forces[0] > 2 * found.forces[best]
        assert abs(2 * np.sqrt(found.regression) - 2) > 0.5
    assert by_kind.groups == ("rock salt", "wurtzite", "zinc blende")
    assert len(by_chance.groups) == 8


def test_labels_without_charges_have_none() -> None:
    """A pair energy within the reach of the basis leaves nothing to charges."""
    basis = LocalBasis(("O", "Zn"))
    rng = np.random.default_rng(0)
    chosen = frames(kinds=False)[::3]
    weights = rng.normal(size=len(basis.rows(chosen[0].atoms).energy))
    local = []
    for frame in chosen:
        rows = basis.rows(frame.atoms)
        local.append(
            replace(frame, energy=float(rows.energy @ weights), forces=rows.forces @ weights)
        )
    found = select_charges(local, FORMAL, basis=basis)
    assert found.verdict == "undetermined" or found.scale < 0.02
    assert found.forces[0] <= found.forces[-1]


def test_screened_charge_from_labels() -> None:
    labelled = []
    for frame in small(10):
        sign = np.where(frame.atoms.numbers == 30, 1.0, -1.0)
        born = 2.1 * sign[:, None, None] * np.eye(3)
        labelled.append(
            replace(frame, born_effective_charges=born, dielectric_tensor=4.0 * np.eye(3))
        )
    found = select_charges(labelled, FORMAL)
    assert 2 * found.screened == pytest.approx(2.1 / 2.0)
    assert np.isnan(select_charges(small(10), FORMAL).screened)


def test_features_have_the_right_slopes() -> None:
    basis, atoms = LocalBasis(("O", "Zn")), small(1, seed=3)[0].atoms
    forces = basis.rows(atoms).forces
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[2, 1] += sign * 1e-4
        energies.append(basis.rows(moved).energy)
    slope = (energies[1] - energies[0]) / 2e-4
    assert forces[2, 1] == pytest.approx(slope, abs=1e-6)
    turned = atoms.copy()
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    assert basis.rows(turned).energy == pytest.approx(basis.rows(atoms).energy, abs=1e-9)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="`frames` must have 10 energies"):
        select_charges(small(3), FORMAL)
    with pytest.raises(ValueError, match="`charges` must give a charge to each of O, Zn"):
        select_charges(small(10), {"Zn": 2.0})


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset("frames.xyz", small(12))
    command = ["charges", "frames.xyz", "--charges", "Zn=2,O=-2", "--plot", "charges.png"]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert "verdict: " in output
    assert Path("charges.png").stat().st_size > 1000
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["charges", "frames.xyz", "--charges", "Zn=2"]) == 2
    assert main(["charges", "frames.xyz"]) == 2
