"""`ase-bec train` and `ase-bec evaluate`: killed, shared by processes, and given bad input."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from training_examples import crystals

import ase_bec
from ase_bec.cli.main import main
from ase_bec.data import write_dataset
from ase_bec.training.evaluation import Comparison, errors_of, evaluate

TOML = """\
output = "bec.pt"
[data]
files = ["frames.xyz"]
validation = 0.2
test = 0.2
[model]
kind = "equivariant"
cutoff = 4.0
radial = 5
degree = 2
channels = 2
hidden = [6]
[training]
epochs = 8
batch = 3
interval = 2
dtype = "float64"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("bec.toml").write_text(TOML)
    write_dataset("frames.xyz", crystals(10))
    return tmp_path


def command(*words: str, processes: int = 1) -> list[str]:
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        start += ["--master-port", str(20000 + os.getpid() % 20000)]
    return [*start, "-m", "ase_bec.cli.main", "train", "bec.toml", *words]


def parameters(path: str) -> dict[str, torch.Tensor]:
    return dict(ase_bec.load(path).network.named_parameters())


def assert_same(one: str, other: str, tolerance: float = 0.0) -> None:
    a, b = parameters(one), parameters(other)
    assert a.keys() == b.keys()
    for name, parameter in a.items():
        assert torch.allclose(parameter, b[name], rtol=tolerance, atol=tolerance), name


def test_model_with_its_card(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "bec.toml", "training.epochs=2"]) == 0
    output = capsys.readouterr().out
    assert "formal charges, guessed: F = -1, Li = +1" in output
    assert "frames: 6 train, 2 validation, 2 test" in output
    model = ase_bec.load("bec.pt")
    card = model.metadata
    assert card["frames"] == {"train": 6, "validation": 2, "test": 2}
    assert card["data"][0]["file"] == "frames.xyz"
    assert len(card["data"][0]["sha256"]) == 64
    assert card["config"]["training"]["epochs"] == 2
    frames = crystals(10)
    for part in ("train", "validation", "test"):
        chosen = [frames[k] for k in card["split"][part]]
        errors = errors_of(evaluate(model, chosen)[0])
        for name, figures in card["errors"][part].items():
            assert figures["rmse"] == pytest.approx(errors[name]["rmse"], rel=1e-6)
            assert figures["mae"] == pytest.approx(errors[name]["mae"], rel=1e-6)
    with open("bec.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["2"]
    assert Path("bec.png").read_bytes().startswith(b"\x89PNG")
    assert not list(Path().glob(".*"))
    assert not Path("bec.checkpoint").exists()
    assert main(["info", "bec.pt"]) == 0


def interrupted(number: int, when: Callable[[], bool]) -> int:
    """Start a training, send a signal when the time has come, return the exit status."""
    with subprocess.Popen(command(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 60
        while not when() and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        run.send_signal(number)
        return run.wait()


def test_killed_and_resumed_is_as_never_interrupted(folder: Path) -> None:
    assert main(["train", "bec.toml"]) == 0
    for name in ("bec.pt", "bec.csv"):
        Path(name).rename(f"whole-{name}")
    Path("bec.png").unlink()
    status = interrupted(signal.SIGKILL, Path("bec.checkpoint").exists)
    assert status == -signal.SIGKILL
    assert not Path("bec.pt").exists()
    assert main(["train", "bec.toml", "--resume"]) == 0
    assert_same("bec.pt", "whole-bec.pt")
    assert Path("bec.csv").read_text() == Path("whole-bec.csv").read_text()


def test_terminated_says_how_to_go_on(folder: Path) -> None:
    Path("bec.toml").write_text(TOML.replace("epochs = 8", "epochs = 2000"))
    status = interrupted(signal.SIGTERM, Path("bec.checkpoint").exists)
    assert status == 130
    assert Path("bec.checkpoint").exists()
    assert not Path("bec.pt").exists()


def test_two_processes_agree_with_one(folder: Path) -> None:
    for words, processes in ((["output=one.pt"], 1), (["output=two.pt"], 2)):
        run = subprocess.run(command(*words, processes=processes), capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert run.stdout.count("frames: 6 train") == 1
    assert_same("one.pt", "two.pt", tolerance=1e-9)
    one, two = (np.genfromtxt(f"{name}.csv", delimiter=",", skip_header=1) for name in
                ("one", "two"))  # fmt: skip
    assert two == pytest.approx(one, rel=1e-9)


BAD = [
    (["bec.toml", "training.epoch=3"], "`training.epoch` is not a setting"),
    (["bec.toml", "data.files=['none.xyz']"], "none.xyz"),
    (["bec.toml", "loss.polarization=1", "data.files=['no-dipole.xyz']"], "label `polarization`"),
    (["bec.toml", "output=none/bec.pt"], "there is no folder"),
    (["bec.toml", "output=bec.csv"], "must end in .pt"),
    (["bec.toml", "training.device=abacus"], "abacus"),
    (["bec.toml", "training.patience=2", "data.validation=0"], "without frames for validation"),
    (["bec.toml", "training.rate=1e30", "training.clip=0"], "`training.rate` must be smaller"),
    (["none.toml"], "there is no file `none.toml`"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    frames = crystals(10)
    for frame in frames:
        object.__setattr__(frame, "polarization", None)
    write_dataset("no-dipole.xyz", frames)
    before = sorted(Path().rglob("*"))
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err.splitlines()
    assert message in error[-1]
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("name", ["bec.pt", "bec.csv", "bec.png", "bec.checkpoint"])
def test_nothing_is_overwritten_unasked(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path(name).write_text("precious")
    assert main(["train", "bec.toml", "training.epochs=1"]) == 2
    assert f"`{name}` exists: give" in capsys.readouterr().err
    assert Path(name).read_text() == "precious"
    assert main(["train", "bec.toml", "training.epochs=1", "--overwrite"]) == 0
    assert not Path(name).exists() or Path(name).read_bytes() != b"precious"


def test_resuming_with_other_data_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(signal.SIGKILL, Path("bec.checkpoint").exists)
    checkpoint = Path("bec.checkpoint").read_bytes()
    assert main(["train", "bec.toml", "training.rate=0.5", "--resume"]) == 2
    assert "`training.rate` 0.01, got 0.5" in capsys.readouterr().err
    write_dataset("frames.xyz", crystals(10, seed=1))
    assert main(["train", "bec.toml", "--resume"]) == 2
    assert "with `sha256`" in capsys.readouterr().err
    assert Path("bec.checkpoint").read_bytes() == checkpoint


def test_resuming_before_the_first_checkpoint_begins(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "bec.toml", "output=whole.pt"]) == 0
    assert interrupted(signal.SIGKILL, Path(".bec.pt.lock").exists) == -signal.SIGKILL
    assert not Path("bec.checkpoint").exists()
    assert main(["train", "bec.toml", "--resume"]) == 0
    assert "no checkpoint yet: the training starts from the beginning" in capsys.readouterr().out
    assert_same("bec.pt", "whole.pt")
    assert not list(Path().glob(".*.lock"))


def test_resuming_a_training_that_is_done_leaves_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "bec.toml"]) == 0
    report, before = capsys.readouterr().out, Path("bec.pt").read_bytes()
    assert main(["train", "bec.toml", "--resume"]) == 0
    assert report.endswith(capsys.readouterr().out)
    assert main(["train", "bec.toml", "training.epochs=9", "--resume"]) == 2
    message = "`bec.pt` belongs to a training with `training.epochs` 8, got 9"
    assert message in capsys.readouterr().err
    assert Path("bec.pt").read_bytes() == before
    Path("bec.pt").unlink()
    assert main(["train", "bec.toml", "--resume"]) == 2  # whose table is it?
    assert "`bec.csv` exists" in capsys.readouterr().err


def test_two_trainings_do_not_write_to_one_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(command("training.epochs=2000"), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as run:  # fmt: skip
        while not Path("bec.checkpoint").exists() and run.poll() is None:
            time.sleep(0.002)
        for word in ("--overwrite", "--resume"):
            assert main(["train", "bec.toml", "training.epochs=2000", word]) == 2
            assert f"another run writing to it: process {run.pid} on" in capsys.readouterr().err
        run.kill()
    assert main(["train", "bec.toml", "--overwrite"]) == 0


def test_evaluate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "bec.toml", "training.epochs=1"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "bec.pt", "frames.xyz", "--plot", "parity.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line[:20].strip(): line[20:].split() for line in lines if line.startswith("Z ")}
    assert {"Z diagonal", "Z Li", "Z F off-diagonal"} <= set(table)
    frames = crystals(10)
    model = ase_bec.load("bec.pt")
    wrong = np.concatenate([model.born_charges(f.atoms) - f.born_effective_charges for f in frames])
    lithium = np.concatenate([f.atoms.numbers == 3 for f in frames])
    labels = np.concatenate([f.born_effective_charges for f in frames])[lithium]
    rmse, mae, spread, count = map(float, table["Z Li"])
    assert rmse == pytest.approx(np.sqrt((wrong[lithium] ** 2).mean()), abs=6e-5)
    assert mae == pytest.approx(np.abs(wrong[lithium]).mean(), abs=6e-5)
    assert spread == pytest.approx(np.sqrt(labels.var(axis=0).mean()), abs=6e-5)
    assert count == labels.size
    assert Path("parity.png").read_bytes().startswith(b"\x89PNG")
    assert main(["evaluate", "bec.pt", "frames.xyz", "--plot", "parity.png"]) == 2
    assert "exists" in capsys.readouterr().err


def test_evaluate_input_of_no_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "bec.toml", "training.epochs=1"]) == 0
    frames = crystals(2)
    for frame in frames:
        object.__setattr__(frame, "born_effective_charges", None)
        object.__setattr__(frame, "polarization", None)
    write_dataset("bare.xyz", frames)
    for words, message in (
        (["none.pt", "frames.xyz"], "must be a model file"),
        (["bec.pt", "none.xyz"], "none.xyz"),
        (["bec.pt", "bare.xyz"], "must have born_effective_charges"),
        (["bec.pt", "frames.xyz", "--plot", "a.pdf"], "must end in .png"),
    ):
        capsys.readouterr()
        assert main(["evaluate", *words]) == 2
        assert message in capsys.readouterr().err


def test_figures_leave_out_what_the_model_does_not_give() -> None:
    label = np.zeros((4, 3, 3))
    model = np.full((4, 3, 3), np.nan)
    model[:, 2] = 0.5
    c = Comparison("Z", "e", model, label, np.array(["Li", "Li", "F", "F"]))
    errors = errors_of(c)
    assert errors["Z"]["rmse"] == errors["Z Li diagonal"]["mae"] == 0.5
    assert errors["Z"]["count"] == 12
    assert errors["Z F off-diagonal"]["count"] == 4
