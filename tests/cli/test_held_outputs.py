"""Commands write to no output that another run holds, and touch nothing of it."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import killing
import pytest
from analytic import DoubleWell, Springs, wells
from ase.build import bulk
from ase.io import write
from data_examples import labelled
from dynamics_examples import assert_same_record, cluster
from training_examples import crystals

from ase_bec.cli import field
from ase_bec.cli.main import main
from ase_bec.data import write_dataset
from ase_bec.locks import locked
from ase_bec.workflows import BandWriter, interpolate_path

TOML = """
output = "bec.pt"
[data]
files = ["frames.xyz"]
[model]
kind = "equivariant"
cutoff = 4.0
radial = 3
degree = 1
channels = 2
hidden = [4]
[training]
epochs = 1
"""


@pytest.fixture(autouse=True)
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(field, "potential", lambda *_: Springs)
    cluster().write("start.xyz")
    for name, atoms in zip(("initial", "final"), wells(), strict=True):
        write(f"{name}.traj", atoms)
    write("cu.vasp", bulk("Cu", cubic=True) * (2, 2, 2))
    write_dataset("frames.xyz", crystals(6))
    write_dataset("a.xyz", [labelled(1), labelled(2)])
    Path("bec.toml").write_text(TOML)


MD = "md start.xyz --nnp m --temperature 50 --interval 5 --time 40fs"
COMMANDS = {
    MD: ("md.traj", "md.csv", "md.png"),
    "neb initial.traj final.traj --nnp m --images 1 --max-steps 3": (
        "neb-zero.traj",
        "neb.csv",
        "neb.png",
    ),
    "train bec.toml": ("bec.pt", "bec.csv", "bec.png", "bec.checkpoint"),
    "amorphous start.xyz --nnp m --melt 900 100fs --quench 9000K/ps --output glass": ("glass",),
    "convert a.xyz --output b.xyz": ("b.xyz",),
    "hops cu.vasp --species Cu --cutoff 2.6 --output hop": ("hop-0-final.vasp",),
}


@contextmanager
def held(path: str) -> Iterator[None]:
    """Another run, in a thread, that holds an output."""
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(path):
            begun.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def files() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("command", "output"), [(c, output) for c, outputs in COMMANDS.items() for output in outputs]
)
def test_a_held_output_is_refused(
    command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if command.startswith("neb"):
        field.potential = lambda *_: DoubleWell
    assert main([*command.split()]) in (0, 1)
    capsys.readouterr()
    with held(output):
        before = files()
        words = ["--overwrite"] if command.startswith(("convert", "hops")) else ["--resume"]
        for word in ("--overwrite", *words):
            assert main([*command.split(), word]) == 2
            error = capsys.readouterr().err
            assert re.search(f"`{output}` must be free to write, got another run writing", error)
            assert files() == before
    assert main([*command.split(), "--overwrite"]) in (0, 1)
    assert not list(Path().rglob("*.lock"))


def test_a_band_is_held_by_its_writer() -> None:
    band = interpolate_path(*wells(), images=1)
    with held("a.traj"), pytest.raises(ValueError, match="another run writing"):
        BandWriter("a.traj")
    writer = BandWriter("a.traj", every=1)
    assert Path(".a.traj.lock").exists()
    BandWriter("a.traj")  # the same run goes on
    writer.close()
    assert not Path(".a.traj.lock").exists()
    writer = BandWriter("a.traj")
    del writer
    assert not Path(".a.traj.lock").exists()
    assert len(band) == 3


SLOW = """
import sys, time
from analytic import Springs
from ase_bec.cli import field
from ase_bec.cli.main import main
class Slow(Springs):
    def calculate(self, *args, **kwargs):
        time.sleep(0.01)
        super().calculate(*args, **kwargs)
field.potential = lambda *_: Slow
sys.exit(main(sys.argv[1:]))
"""


def test_two_writers_of_one_trajectory(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*MD.replace("40fs", "300fs").split(), "--overwrite"]
    first = killing.start(SLOW, *words)
    while not Path("md.csv").exists() and first.poll() is None:
        time.sleep(0.01)
    refused = main(words)
    message = capsys.readouterr().err
    assert refused == 2
    assert f"another run writing to it: process {first.pid} on" in message
    assert "md start.xyz --nnp m" in message
    assert first.wait() == 0
    assert main([*words, "--output", "whole.traj"]) == 0
    assert_same_record(Path("whole.traj"), Path("md.traj"))


def test_the_dead_hold_nothing() -> None:
    words = MD.replace("40fs", "300fs").split()
    first = killing.start(SLOW, *words)
    killing.kill(first, Path("md.traj"), 2000)
    assert Path(".md.traj.lock").exists()
    assert main([*words, "--resume"]) == 0
    assert not list(Path().glob(".*.lock"))
    assert main([*words, "--output", "whole.traj"]) == 0
    assert_same_record(Path("whole.traj"), Path("md.traj"))


def test_resuming_before_the_first_frame_begins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MD.split(), "--output", "whole.traj"]) == 0
    capsys.readouterr()
    assert main([*MD.split(), "--resume"]) == 0
    assert "nothing to resume yet: the run starts from the beginning" in capsys.readouterr().out
    assert_same_record(Path("whole.traj"), Path("md.traj"))
    Path("md.traj").unlink()
    assert main([*MD.split(), "--resume"]) == 2  # whose table is it?
    assert "`md.csv` exists" in capsys.readouterr().err


def test_which_frame_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MD.split(), "--output", "a.traj"]) == 0
    capsys.readouterr()
    for start, said in {
        "a.traj": "of the 9 structures in a.traj the last",
        "a.traj@-9": "of the 9 structures in a.traj number 0",
    }.items():
        words = MD.replace("start.xyz", start).split()
        assert main([*words, "--overwrite"]) == 0
        assert capsys.readouterr().out.splitlines()[0] == f"Li2O2, 4 atoms; {said}"
    assert main([*MD.replace("start.xyz", "a.traj@9").split(), "--overwrite"]) == 2
    assert "structure 9 must be one of the 9 in the file" in capsys.readouterr().err
