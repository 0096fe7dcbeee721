"""Images shared among threads and MPI processes give the path of one process."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from analytic import DoubleWell, wells

from ase_bec import FieldCalculator
from ase_bec.workflows import MigrationPath, Workers, find_path, interpolate_path, launched_world

PROGRAM = """
import json, sys
import mpi4py
from ase.parallel import world
from test_workers import search
for images in map(int, sys.argv[1:]):
    written = []
    path = search(images, world=world, observer=lambda images: written.append(len(images)))
    with open(f"{images}-{world.rank}.json", "w") as file:
        positions = [image.positions.tolist() for image in path.images]
        json.dump([world.size, path.energies.tolist(), positions, path.steps, len(written)], file)
"""
FAILURE = """
import mpi4py
from ase.parallel import world
from ase_bec.workflows import Workers
def fail(k):
    if k == 1:
        raise ValueError("here")
    return k
try:
    Workers(1, world).share(fail, 4)
except (ValueError, RuntimeError) as error:
    open(f"rank{world.rank}.txt", "w").write(f"{type(error).__name__}: {error}")
"""


class Counted(FieldCalculator):
    """Says from which threads it is called."""

    threads: set[int] = set()  # noqa: RUF012

    def calculate(self, *args: object, **kwargs: object) -> None:
        self.threads.add(threading.get_ident())
        super().calculate(*args, **kwargs)


def search(images: int, **options: object) -> MigrationPath:
    def calculator() -> Counted:
        charges = {"Li": 1, "O": -1}
        return Counted(DoubleWell(), charges, field=(0.1, 0, 0), net_force="keep")

    band = interpolate_path(*wells(), images)
    return find_path(band, calculator, fmax=0.02, relax_ends=True, **options)


def launch(program: str, folder: Path, *arguments: str, processes: int = 2) -> None:
    """Run a program in several processes, or skip the test."""
    pytest.importorskip("mpi4py", reason="needs mpi4py")
    launcher = shutil.which("mpiexec") or shutil.which(
        "mpiexec", path=str(Path(sys.executable).parent)
    )
    if launcher is None:
        pytest.skip("needs mpiexec")
    version = subprocess.run([launcher, "--version"], capture_output=True, text=True).stdout
    openmpi = ["--allow-run-as-root", "--oversubscribe"] if "Open" in version else []
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "workflows")}
    environment["PYTHONPATH"] += os.pathsep + str(Path(__file__).parents[1])
    done = subprocess.run(
        [launcher, *openmpi, "-n", str(processes), sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_threads_give_the_same_path() -> None:
    serial = search(3)
    Counted.threads.clear()
    threaded = search(3, threads=3)
    assert threading.get_ident() not in Counted.threads
    assert threaded.steps == serial.steps
    assert threaded.energies == pytest.approx(serial.energies, abs=1e-12)


def test_processes_give_the_same_path(tmp_path: Path) -> None:
    """As many images as processes, and a number that does not go into them."""
    launch(PROGRAM, tmp_path, "2", "5")
    for images in (2, 5):
        serial = search(images)
        for rank in range(2):
            text = (tmp_path / f"{images}-{rank}.json").read_text()
            size, energies, positions, steps, written = json.loads(text)
            assert size == 2
            assert steps == serial.steps
            assert energies == pytest.approx(serial.energies, abs=1e-8)
            for found, image in zip(positions, serial.images, strict=True):
                assert np.array(found) == pytest.approx(image.positions, abs=1e-8)
            assert (written > serial.steps) == (rank == 0)


def test_failure_in_one_process_ends_all(tmp_path: Path) -> None:
    launch(FAILURE, tmp_path)
    texts = [(tmp_path / f"rank{rank}.txt").read_text() for rank in range(2)]
    assert texts == ["RuntimeError: a calculation failed in another process", "ValueError: here"]


def test_sharing_keeps_the_order_and_raises() -> None:
    for threads in (1, 3):
        assert Workers(threads).share(lambda k: k**2, 7) == [0, 1, 4, 9, 16, 25, 36]
        with pytest.raises(ZeroDivisionError):
            Workers(threads).share(lambda k: 1 // (k - 2), 4)
    with pytest.raises(ValueError, match="`threads` must be at least 1, got 0"):
        search(3, threads=0)


def test_a_process_alone_has_no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE", "MPI_LOCALNRANKS"):
        monkeypatch.delenv(name, raising=False)
    assert launched_world() is None
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match="several processes need mpi4py"):
        launched_world()
