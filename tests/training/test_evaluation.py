"""Errors of models on labelled frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_examples import crystals

from ase_bec import EquivariantNetwork, PolarizationModel
from ase_bec.training.evaluation import errors_of, evaluate


def test_dipole_of_neutral_crystals_on_the_nearest_branch() -> None:
    torch.manual_seed(0)
    charges = {"Li": 1.0, "F": -1.0}
    model = PolarizationModel(["Li", "F"], EquivariantNetwork(2, cutoff=4.0, hidden=[5]), charges)
    wrong = np.array([0.3, -0.2, 0.1])  # e·Å
    frames = []
    for k, frame in enumerate(crystals(3)):
        atoms = frame.atoms
        branch = np.array([k, -2, 1]) @ atoms.cell.array
        dipole = model.dipole(atoms) + wrong + branch
        frames.append(replace(frame, polarization=dipole / atoms.get_volume()))
    charged = replace(frames[0], net_charge=1.0)  # its dipole depends on the origin
    _, dipoles = evaluate(model, [*frames, charged])
    assert dipoles.label.shape == (3, 3)
    np.testing.assert_allclose(dipoles.model - dipoles.label, [-wrong] * 3, atol=1e-10)
    assert errors_of(dipoles)["D"]["rmse"] == pytest.approx(np.sqrt((wrong**2).mean()), abs=1e-10)
