"""`ase-bec demo` with a shorter run of dynamics."""

import numpy as np
import pytest
from ase.io import read

from ase_bec.cli import demo
from ase_bec.cli.main import main


@pytest.mark.filterwarnings("ignore:.*environment outside the range:UserWarning")
def test_demo_prints_barriers_and_draws(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(demo, "DURATION", 50.0)
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "forward barrier" in printed
    assert (tmp_path / "demo.png").stat().st_size > 10_000
    frames = read(tmp_path / "demo-md.traj", ":")
    assert len(frames) == 6
    assert np.ptp([len(frame) for frame in frames]) == 0
    assert main(["demo"]) == 2  # nothing is overwritten
    assert "demo" in capsys.readouterr().err
