"""Compiled descriptors inside torch: numba kernels as an autograd function, threaded over centres.

Used for inference on the CPU. The torch implementation of the same definition serves training
(second derivatives), accelerators, and machines without numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_bec.descriptors.neighbourhoods import Neighbourhoods
from ase_bec.kernels.cache import HAS_NUMBA, announce_compilation
from ase_bec.kernels.threads import over_ranges, thread_count

__all__ = ["CompiledDescriptor", "can_compile", "compiled_derivative", "compiled_features"]


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
    """Whether the compiled path can be used: numba, CPU, no second derivative needed."""
    known = vectors.dtype in (torch.float32, torch.float64)
    return HAS_NUMBA and vectors.device.type == "cpu" and known and not training


def compiled_features(nb: Neighbourhoods, descriptor: CompiledDescriptor) -> Tensor:
    """Features (n, *shape) of n centres, differentiable once with respect to ``nb.vectors``."""
    announce_compilation(descriptor.forward)
    out: Tensor = _Compiled.apply(  # type: ignore[no-untyped-call]
        nb.vectors, nb.neighbour_species, nb.first, descriptor
    )
    return out


def compiled_derivative(
    nb: Neighbourhoods, descriptor: CompiledDescriptor, weights: Tensor
) -> Tensor:
    """∂/∂vectors (e, 3) of Σ weights · features, weights (n, *shape), without the features."""
    announce_compilation(descriptor.forward)
    v, s, f = _arrays(nb.vectors, nb.neighbour_species, nb.first)
    return torch.from_numpy(_backward(descriptor, v, s, f, None, weights))


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, species: Tensor, first: Tensor, d: CompiledDescriptor
    ) -> Tensor:
        n = len(first) - 1
        v, s, f = _arrays(vectors, species, first)
        out = np.empty((n, *d.shape), v.dtype)
        kept = () if d.moments is None else (np.empty((n, *d.moments), v.dtype),)

        def work(low: int, high: int, thread: int) -> None:
            d.forward(v, s, f, low, high, d.tables, *kept, out)

        over_ranges(work, n, thread_count(n))
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
    """Derivative with respect to the vectors; ``kept`` from the forward pass, None without one."""
    if kept is None:
        kept = () if d.moments is None else (np.zeros((0, *d.moments), v.dtype),)
    (g,) = _arrays(d_out)
    grad, n = np.zeros_like(v), len(f) - 1

    def work(low: int, high: int, thread: int) -> None:
        d.backward(v, s, f, low, high, d.tables, *kept, g, grad)

    over_ranges(work, n, thread_count(n))
    return grad
