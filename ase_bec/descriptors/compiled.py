"""Compiled descriptors inside torch: numba kernels as an autograd function, threaded over centres.

Used for inference on the CPU. The torch implementation of the same definition serves training
(second derivatives), accelerators, and machines without numba.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.descriptors.neighbourhoods import Neighbourhoods

HAS_NUMBA = find_spec("numba") is not None  # without it everything works, more slowly

__all__ = ["CompiledDescriptor", "can_compile", "compiled_derivative", "compiled_features"]
__all__ += ["compiled_dipoles", "forget_stale_kernels"]

_announced: set[Callable[..., None]] = set()  # kernels whose cache was looked for
_SMALLEST_RANGE = 8  # centres that are worth a thread


class CompiledDescriptor(NamedTuple):
    """Kernels of one descriptor.

    Attributes
    ----------
    forward, backward : callable
        Numba functions over a range of centres.
    tables : NamedTuple
        Their constants.
    shape : tuple of int
        Shape of the features of one centre.
    moments : tuple of int or None
        Shape of what the forward pass keeps for the backward pass, per centre.
    """

    forward: Callable[..., None]
    backward: Callable[..., None]
    tables: Any
    shape: tuple[int, ...]
    moments: tuple[int, ...] | None


def can_compile(vectors: Tensor, training: bool) -> bool:
    """Whether the compiled path serves: numba, CPU, no second derivative wanted."""
    known = vectors.dtype in (torch.float32, torch.float64)
    return HAS_NUMBA and vectors.device.type == "cpu" and known and not training


def compiled_features(nb: Neighbourhoods, descriptor: CompiledDescriptor) -> Tensor:
    """Features (n, *shape) of n centres, once differentiable by ``nb.vectors``."""
    _announce_compilation(descriptor.forward)
    out: Tensor = _Compiled.apply(  # type: ignore[no-untyped-call]
        nb.vectors, nb.neighbour_species, nb.first, descriptor
    )
    return out


def compiled_derivative(
    nb: Neighbourhoods, descriptor: CompiledDescriptor, weights: Tensor
) -> Tensor:
    """∂/∂vectors (e, 3) of Σ weights · features, weights (n, *shape), without the features."""
    _announce_compilation(descriptor.forward)
    v, s, f = _arrays(nb.vectors, nb.neighbour_species, nb.first)
    return torch.from_numpy(_backward(descriptor, v, s, f, None, weights))


def compiled_dipoles(
    nb: Neighbourhoods, tables: Any, numbers: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """Dipoles (n, 3) of an equivariant network, and ∂/∂vectors (e, 3) of their sum along e.

    ``tables`` and ``numbers`` as :mod:`.kernels_equivariant` has them.
    """
    from ase_bec.descriptors.kernels.equivariant import local_dipoles

    _announce_compilation(local_dipoles)
    v, s, f, centres = _arrays(nb.vectors, nb.neighbour_species, nb.first, nb.species)
    w, e = _arrays(numbers, direction)
    dipoles, slope = np.empty((len(centres), 3), v.dtype), np.zeros_like(v)

    def work(low: int, high: int) -> None:
        local_dipoles(v, s, f, centres, low, high, tables, w, e, dipoles, slope)

    _over_ranges(work, len(centres))
    return torch.from_numpy(dipoles), torch.from_numpy(slope)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, species: Tensor, first: Tensor, d: CompiledDescriptor
    ) -> Tensor:
        n = len(first) - 1
        v, s, f = _arrays(vectors, species, first)
        out = np.empty((n, *d.shape), v.dtype)
        kept = () if d.moments is None else (np.empty((n, *d.moments), v.dtype),)
        _over_ranges(lambda low, high: d.forward(v, s, f, low, high, d.tables, *kept, out), n)
        ctx.save_for_backward(vectors)
        ctx.inputs = (d, v, s, f, kept)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, None, None, None]:
        (vectors,) = ctx.saved_tensors
        slope: Tensor = _Gradient.apply(d_out, vectors, ctx.inputs)  # type: ignore[no-untyped-call]
        return slope, None, None, None


class _Gradient(torch.autograd.Function):
    """The derivative, which has none: a second one must fail, not vanish."""

    @staticmethod
    def forward(ctx: Any, d_out: Tensor, vectors: Tensor, inputs: tuple[Any, ...]) -> Tensor:
        d, v, s, f, kept = inputs
        return torch.from_numpy(_backward(d, v, s, f, kept, d_out))

    @staticmethod
    def backward(ctx: Any, d_slope: Tensor) -> None:
        raise RuntimeError(
            "compiled descriptors have first derivatives only, got a request for a second one: "
            "switch the model to training with .train()"
        )


def _arrays(*tensors: Tensor) -> tuple[NDArray[Any], ...]:
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)


def _backward(
    d: CompiledDescriptor,
    v: NDArray[Any],
    s: NDArray[Any],
    f: NDArray[Any],
    kept: tuple[NDArray[Any], ...] | None,
    d_out: Tensor,
) -> NDArray[Any]:
    """Derivative by the vectors; ``kept`` as the forward pass left it, None if there was none."""
    if kept is None:
        kept = () if d.moments is None else (np.zeros((0, *d.moments), v.dtype),)
    (g,) = _arrays(d_out)
    grad, n = np.zeros_like(v), len(f) - 1
    _over_ranges(lambda low, high: d.backward(v, s, f, low, high, d.tables, *kept, g, grad), n)
    return grad


def _over_ranges(work: Callable[[int, int], None], n: int) -> None:
    """Run ``work(low, high)`` over all of range(n), on as many threads as torch uses."""
    available = torch.get_num_threads()
    threads = min(available, max(n // _SMALLEST_RANGE, 1))
    if threads == 1:
        work(0, n)
        return
    edges = np.linspace(0, n, threads + 1).astype(int).tolist()
    pool = _pool(available, os.getpid())
    others = [pool.submit(work, a, b) for a, b in pairwise(edges[1:])]
    work(edges[0], edges[1])  # the caller is one of the threads
    for result in others:
        result.result()


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process (a forked one gets its own)."""
    return ThreadPoolExecutor(threads, thread_name_prefix="ase_bec")


def _announce_compilation(kernel: Callable[..., None]) -> None:
    """Say so before the first call compiles for some seconds; later runs load the cache."""
    if kernel in _announced:
        return
    cache = Path(kernel.stats.cache_path)  # type: ignore[attr-defined]
    if not _announced:
        forget_stale_kernels(cache)
    _announced.add(kernel)
    if not any(cache.glob(f"*{kernel.__name__}*.nbi")):
        logging.getLogger("ase_bec").warning(
            "compiling the kernels of a descriptor for this machine (some 10 s, once; kept in %s)",
            cache,
        )


def forget_stale_kernels(cache: Path) -> None:
    """Empty the cache of kernels if any of their sources has changed.

    Numba itself compares the file of a kernel, not those of the functions that it calls: after an
    update, machine code of the older version could run.

    Parameters
    ----------
    cache : Path
        Folder where numba keeps them.
    """
    folder = Path(__file__).parent / "kernels"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))))
    stamp = cache / "kernels.sha256"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest():
        return
    for path in [*cache.glob("*.nbi"), *cache.glob("*.nbc")]:
        path.unlink(missing_ok=True)
    stamp.write_text(digest.hexdigest())
