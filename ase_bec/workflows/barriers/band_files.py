"""Files of bands, to continue from after an interruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from weakref import finalize

import ase.io
from ase import Atoms
from ase.io.trajectory import TrajectoryWriter

from ase_bec.atomic_files import atomic_path
from ase_bec.locks import locked
from ase_bec.paths import unwrap_images

__all__ = ["BandWriter", "read_band", "write_band"]


def write_band(
    path: str | Path, images: Sequence[Atoms], described: Mapping[str, Any] | None = None
) -> None:
    """Write images to a trajectory in one step: the file is the old or the new one at any time.

    Parameters
    ----------
    path
        Of an ASE trajectory.
    images
        With the results to be kept.
    described
        Plain values that say what search the band is of.

    Raises
    ------
    OutputInUse
        If another run writes to it.
    """
    with locked(path, again=True), atomic_path(path) as temporary:
        writer = TrajectoryWriter(temporary, "w", master=True)
        with closing(writer.backend.fd):
            if described is not None:
                writer.set_description({"neb": dict(described)})
            for image in images:
                writer.write(image)


def read_band(path: str | Path, initial: Atoms, images: int | None = None) -> list[Atoms]:
    """Read the images of an earlier path between structures like the initial one.

    Parameters
    ----------
    path
        Any file that ASE reads.
    initial
        Gives elements, order and cell, and the branch that the images are put on.
    images
        Number of images that the file must hold, ends included; three or more by default.

    Returns
    -------
    list of Atoms
        Without calculators.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If it cannot be read, has another number of images, other atoms or another cell.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file `{path}`")
    try:
        band = ase.io.read(path, index=":", parallel=False)
    except Exception as error:  # readers fail in all ways on a file of another kind
        raise ValueError(f"cannot read `{path}`: {error}") from error
    if not isinstance(band, list) or len(band) < 3:
        raise ValueError(f"`{path}` must hold at least three images")
    if images is not None and len(band) != images:
        raise ValueError(f"`{path}` must hold {images} images to go on from, got {len(band)}")
    return unwrap_images([initial, *band])[1:]


class BandWriter:
    """Observer of :func:`~ase_bec.workflows.barriers.neb.find_path` that writes the band at times.

    :func:`read_band` gives the band last written, from which the search goes on. The optimizer's
    memory of earlier steps (velocity and time step of FIRE) is not kept: a continued search takes
    other steps than an uninterrupted one, to the same path within the force asked for.

    Parameters
    ----------
    path
        Of the trajectory, which is replaced.
    every
        Steps from one writing to the next.
    described
        Plain values that say what search the band is of.

    Raises
    ------
    ValueError
        If `every` is not positive, or another run writes to the trajectory.

    Notes
    -----
    The trajectory is held against other runs until `close`, or until nobody refers to the writer.
    """

    def __init__(
        self, path: str | Path, every: int = 20, described: Mapping[str, Any] | None = None
    ) -> None:
        if every < 1:
            raise ValueError(f"`every` must be at least 1, got {every}")
        self._path = Path(path)
        self._every = every
        self._described = described
        self._calls = 0
        lock = ExitStack()
        lock.enter_context(locked(self._path, again=True))
        self.close = finalize(self, lock.close)

    def __call__(self, images: Sequence[Atoms]) -> None:
        """Count a step, and write the images if it is time."""
        self._calls += 1
        if self._calls % self._every == 0:
            self.write(images)

    def write(self, images: Sequence[Atoms]) -> None:
        """Write the images."""
        write_band(self._path, images, self._described)
