"""Formal charges against the net charge of each frame."""

from dataclasses import replace
from pathlib import Path

import pytest
from training_examples import crystals

from ase_bec.cli.main import main
from ase_bec.data import write_dataset
from ase_bec.training.formal_charges import warn_of_net_charges

FORMAL = {"Li": 1.0, "F": -1.0}


def frames(*net_charges):
    return [
        replace(frame, net_charge=q, source=f"frames.xyz, frame {k}")
        for k, (q, frame) in enumerate(zip(net_charges, crystals(len(net_charges)), strict=True))
    ]


def test_charges_that_fit_are_not_complained_of():
    warn_of_net_charges(FORMAL, frames(0, 0, 0))
    warn_of_net_charges(None, frames(0, 0))
    warn_of_net_charges({"Li": 2.0, "F": -1.0}, frames(4, 4, 8))


def test_frames_that_disagree_are_named():
    with pytest.warns(UserWarning, match="net charge of 2 frames") as found:
        warn_of_net_charges(FORMAL, frames(0, 1, 0, -1, 0))
    text = str(found[0].message)
    assert "0 e instead of the frame's +1 e in frames.xyz, frame 1;" in text
    assert "0 e instead of the frame's -1 e in frames.xyz, frame 3." in text
    with pytest.warns(UserWarning, match="net charge of 5 frames") as found:
        warn_of_net_charges({"Li": 1.0, "F": -2.0}, frames(0, 0, 0, 0, 0))
    text = str(found[0].message)
    named = "frames.xyz, frame 0, frames.xyz, frame 1, frames.xyz, frame 3 and 1 more"
    assert f"-4 e instead of the frame's 0 e in {named}" in text
    assert "-8 e instead of the frame's 0 e in frames.xyz, frame 2" in text  # the long cell
    with pytest.warns(UserWarning, match=r"0 e instead of the frame's \+1 e"):
        warn_of_net_charges(None, frames(0, 1))


@pytest.mark.filterwarnings("default")
def test_training_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_dataset("frames.xyz", crystals(6))
    Path("bec.toml").write_text(
        'output = "bec.pt"\n[data]\nfiles = ["frames.xyz"]\ntest = 0.2\n'
        '[model]\nkind = "equivariant"\ncutoff = 3.5\nradial = 3\ndegree = 1\nchannels = 2\n'
        "hidden = [4]\nformal_charges = {Li = 1, F = -3}\n[training]\nepochs = 1\n"
    )
    assert main(["train", "bec.toml"]) == 0
    error = capsys.readouterr().err
    assert "ase-bec train: warning: `formal_charges` do not add up to the net charge of 6" in error
    assert main(["train", "bec.toml", "model.formal_charges={Li = 1, F = -1}", "--overwrite"]) == 0
    assert "net charge" not in capsys.readouterr().err
