"""Writing that is never seen half done, whatever writes and whatever stops it."""

import gzip
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from matplotlib.figure import Figure

from ase_bec import write_dataset
from ase_bec.atomic_files import atomic_path, atomic_write
from ase_bec.data import Frame
from ase_bec.plotting import save_figure
from ase_bec.training.checkpoint import write_checkpoint
from ase_bec.training.error_history import plot_history, write_history
from ase_bec.workflows import write_band
from ase_bec.workflows.dynamics.record import Table


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_interrupted_write_leaves_the_old_file_whole(tmp_path, monkeypatch, failing) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, failing, interrupt)
        with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
            file.write("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_error_while_writing_leaves_the_old_file_whole(tmp_path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.write(b"new")  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_and_links_are_kept(tmp_path) -> None:
    path, link = tmp_path / "a.xyz", tmp_path / "link.xyz"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write("new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    with atomic_write(tmp_path / "b.xyz") as file:
        file.write("new")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "b.xyz").stat().st_mode & 0o777 == 0o666 & ~mask


def figure() -> Figure:
    made = Figure()
    made.add_subplot().plot(np.arange(9.0))
    return made


CRYSTAL = bulk("MgO", "rocksalt", 4.2, cubic=True)
ROWS = [{"epoch": float(k), "train Z": 1.0 / (k + 1)} for k in range(500)]
WRITERS: dict[str, Callable[[Path], None]] = {
    "data.xyz": lambda path: write_dataset(path, [Frame(CRYSTAL)] * 9),
    "data.xyz.gz": lambda path: write_dataset(path, random_frames()),
    "state.checkpoint": lambda path: write_checkpoint(path, {"numbers": torch.zeros(999)}),
    "errors.csv": lambda path: write_history(path, ROWS),
    "errors.png": lambda path: plot_history(path, ROWS, {"Z": "e"}),
    "picture.pdf": lambda path: save_figure(figure(), path),
    "band.traj": lambda path: write_band(path, [CRYSTAL] * 9),
    "md.csv": lambda path: Table(path, ["x" * 3000], lambda *_: []).begin(),
}


def random_frames() -> list[Frame]:
    frames = [Frame(CRYSTAL.copy()) for _ in range(9)]
    for k, frame in enumerate(frames):
        frame.atoms.rattle(0.1, seed=k)
    return frames


@pytest.mark.parametrize("name", WRITERS)
def test_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, limits[1]))
        with pytest.raises((OSError, RuntimeError)):
            WRITERS[name](path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", WRITERS)
def test_interruption_leaves_no_file_where_there_was_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            WRITERS[name](tmp_path / name)
    assert not list(tmp_path.iterdir())
    WRITERS[name](tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).stat().st_size > 600


def test_compressed_by_name(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt.gz") as file:
        file.write("é\n")
    assert gzip.decompress((tmp_path / "a.txt.gz").read_bytes()) == "é\n".encode()


def test_bad_places_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    for path, error, message in (
        (tmp_path / "none" / "a.txt", FileNotFoundError, "there is no folder"),
        (tmp_path / "folder.txt", ValueError, "must be a file, got a folder"),
        (Path(os.devnull), ValueError, "must be a file, got a device"),
    ):
        with pytest.raises(error, match=message), atomic_path(path):
            raise AssertionError("the block has begun")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.txt"]
