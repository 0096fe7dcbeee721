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
    """Write images to a trajectory atomically: the file is always either the old or the new one.

    Parameters
    ----------
    path
        Of an ASE trajectory.
    images
        With the results to be kept.
    described
        Plain values that identify the search.

    Raises
    ------
    OutputInUse
        If another run writes to it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase import Atoms
    >>> from ase_bec.workflows import read_band, write_band
    >>> band = [Atoms("Li", [[0, 0, z]], cell=[4, 4, 4], pbc=True) for z in (0.0, 0.5, 1.0)]
    >>> with TemporaryDirectory() as folder:
    ...     write_band(Path(folder) / "band.traj", band)
    ...     print(len(read_band(Path(folder) / "band.traj", initial=band[0])))
    3
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

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase import Atoms
    >>> from ase_bec.workflows import read_band, write_band
    >>> band = [Atoms("Li", [[0, 0, z]], cell=[4, 4, 4], pbc=True) for z in (3.5, 4.0, 4.5)]
    >>> band[-1].wrap()
    >>> with TemporaryDirectory() as folder:
    ...     write_band(Path(folder) / "band.traj", band)
    ...     found = read_band(Path(folder) / "band.traj", initial=band[0], images=3)
    >>> [round(float(image.positions[0, 2]), 6) for image in found]  # on one branch
    [3.5, 4.0, 4.5]
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
        raise ValueError(f"`{path}` must hold {images} images to continue from, got {len(band)}")
    return unwrap_images([initial, *band])[1:]


class BandWriter:
    """Observer of :func:`~ase_bec.workflows.barriers.neb.find_path` that writes the band regularly.

    :func:`read_band` gives the band last written, from which a search can continue. The optimizer's
    memory of earlier steps (velocity and time step of FIRE) is not kept: a continued search takes
    different steps from an uninterrupted one, to the same path within the requested force.

    Parameters
    ----------
    path
        Of the trajectory, which is replaced.
    every
        Steps between writes.
    described
        Plain values that identify the search.

    Raises
    ------
    ValueError
        If `every` is not positive, or another run writes to the trajectory.

    Notes
    -----
    Other runs cannot write to the trajectory until `close`, or until the writer is deleted.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec.workflows import BandWriter, find_path, interpolate_path, read_band
    >>> initial = bulk("Cu", cubic=True) * (2, 2, 2)
    >>> vacancy = initial.pop(0).position
    >>> final = initial.copy()
    >>> final.positions[0] = vacancy  # a neighbour has hopped
    >>> band = interpolate_path(initial, final, images=1)
    >>> with TemporaryDirectory() as folder:
    ...     writer = BandWriter(Path(folder) / "band.traj", every=10)
    ...     path = find_path(band, EMT, fmax=0.1, observer=writer)
    ...     writer.close()
    ...     print(len(read_band(Path(folder) / "band.traj", initial)))
    3
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
