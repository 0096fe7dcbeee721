"""The cache in which numba keeps compiled kernels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

__all__ = ["HAS_NUMBA", "announce_compilation", "forget_stale_kernels"]

HAS_NUMBA = find_spec("numba") is not None  # without it everything works, more slowly

_announced: set[Callable[..., None]] = set()  # kernels whose cache was looked for


def announce_compilation(kernel: Callable[..., None]) -> None:
    """Say so before the first call compiles for some seconds; later runs load the cache."""
    if kernel in _announced:
        return
    cache = Path(kernel.stats.cache_path)  # type: ignore[attr-defined]
    if not _announced:
        forget_stale_kernels(cache)
    _announced.add(kernel)
    if not any(cache.glob(f"*{kernel.__name__}*.nbi")):
        logging.getLogger("ase_bec").warning(
            "compiling the kernels of a model for this machine (some 10 s, once; kept in %s)",
            cache,
        )


def forget_stale_kernels(cache: Path) -> None:
    """Empty the cache of kernels if any of their sources has changed.

    Numba itself compares the file of a kernel, not those of the functions that it calls: after an
    update, machine code of the older version could run. All kernels lie in this folder.

    Parameters
    ----------
    cache : Path
        Folder where numba keeps them.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = cache / "kernels.sha256"
    if stamp.is_file() and stamp.read_text() == digest:
        return
    for path in [*cache.glob("*.nbi"), *cache.glob("*.nbc")]:
        path.unlink(missing_ok=True)
    stamp.write_text(digest)
