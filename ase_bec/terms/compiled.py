"""Terms with a compiled kernel: numpy in, numpy out, threaded over ranges of centres."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_bec.kernels.cache import HAS_NUMBA, announce_compilation
from ase_bec.kernels.threads import over_ranges, thread_count
from ase_bec.networks import ACTIVATIONS
from ase_bec.system import System
from ase_bec.terms.term import Contribution, Term, field_contribution

__all__ = ["CompiledDipole", "CompiledEnergy", "serves", "weights_by_element"]

Array = NDArray[Any]
Kernel = Callable[..., None]
"""Numba function ``(structure, low, high, *arguments, values, outside, forces, virial)``: it writes
the first two of its results and adds to the others."""


def serves(term: Term, device: torch.device) -> bool:
    """Whether compiled code may replace a term: numba, CPU, no second derivative needed.

    A class that inherits its rule may have another formula: it is left to torch.
    """
    dtypes = {x.dtype for x in term.parameters()}
    known = dtypes <= {torch.float32} or dtypes <= {torch.float64}
    known = known and "rule" in vars(type(term))
    return HAS_NUMBA and device.type == "cpu" and known and not term.training


def weights_by_element(
    networks: Iterable[nn.Module], activation: str
) -> tuple[Array, int, Tensor] | None:
    """Layer sizes, activation and numbers (n_elements, …) for the kernel of a perceptron.

    None unless the networks are plain ones, as `ase_bec.networks.mlp` makes them.
    """
    from ase_bec.kernels import perceptron

    rows, sizes = [], []
    plain = (nn.Linear, ACTIVATIONS[activation])
    for network in networks:
        layers = list(network.children())
        if any(type(layer) is not plain[k % 2] for k, layer in enumerate(layers)):
            return None
        linear: list[Any] = layers[::2]
        sizes = [linear[0].in_features, *(layer.out_features for layer in linear)]
        rows.append(torch.cat([x.detach().flatten() for x in network.parameters()]))
    code: int = getattr(perceptron, activation.upper())
    return np.array(sizes, dtype=np.int64), code, torch.stack(rows)


class CompiledEnergy:
    """Contribution of a local energy by a kernel.

    Parameters
    ----------
    kernel : Kernel
    arguments
        Its further arguments.
    worth : int
        Number of centres that justify a thread.
    """

    def __init__(self, kernel: Kernel, *arguments: Any, worth: int = 8) -> None:
        self.kernel, self.arguments, self.worth = kernel, arguments, worth

    def __call__(self, system: System, species: Tensor, field: Tensor) -> Contribution:
        """Contribution; a local energy does not see the field."""
        energies, forces, virial, outside = _run(
            self.kernel, system, species, self.arguments, (), self.worth
        )
        none = torch.zeros(system.n_structures, 3, dtype=torch.float64)
        return Contribution(energies, forces, virial, none, outside)


class CompiledDipole:
    """Contribution of local dipoles by a kernel.

    Its last argument is directions e (K, B, 3); forces and virials are those of e·ΣD, for each.
    """

    def __init__(self, kernel: Kernel, *arguments: Any) -> None:
        self.kernel, self.arguments = kernel, arguments

    def __call__(self, system: System, species: Tensor, field: Tensor) -> Contribution:
        """Contribution of −E·ΣD."""
        local, forces, virial, outside = self._run(system, species, -field.numpy()[None])
        return field_contribution(system, field, local, forces[0], virial[0], outside)

    def rows(self, system: System, species: Tensor) -> Tensor:
        """∂(ΣD)_i/∂r, (3, N, 3), at once."""
        shape = (3, system.n_structures, 3)
        directions = np.broadcast_to(-np.eye(3)[:, None], shape)
        return self._run(system, species, np.ascontiguousarray(directions))[1]

    def _run(self, system: System, species: Tensor, directions: Array) -> tuple[Tensor, ...]:
        arguments = (*self.arguments, directions)
        return _run(self.kernel, system, species, arguments, (3,), 8, (len(directions),))


def _run(
    kernel: Kernel,
    system: System,
    species: Tensor,
    arguments: tuple[Any, ...],
    shape: tuple[int, ...],
    worth: int,
    several: tuple[int, ...] = (),
) -> tuple[Tensor, ...]:
    """Values (N, *shape), forces (*several, N, 3), virial (*several, B, 3, 3), outside (N,)."""
    from ase_bec.kernels.structure import Structure

    announce_compilation(kernel)
    pairs = (system.first, system.neighbour, system.shift)
    tensors = (system.positions, system.cell, system.batch, species, *pairs)
    at = Structure(*(x.numpy() for x in tensors))
    n, threads = system.n_atoms, thread_count(system.n_atoms, worth)
    values, outside = np.zeros((n, *shape)), np.zeros(n)
    # Every thread adds to its own forces: neighbours lie in the ranges of others.
    forces = np.zeros((threads, *several, n, 3))
    virial = np.zeros((threads, *several, len(at.cell), 3, 3))

    def work(low: int, high: int, thread: int) -> None:
        kernel(at, low, high, *arguments, values, outside, forces[thread], virial[thread])

    over_ranges(work, n, threads)
    pulled = forces[0] if threads == 1 else forces.sum(axis=0)
    strained = virial[0] if threads == 1 else virial.sum(axis=0)
    strained = (strained + strained.swapaxes(-1, -2)) / 2
    return tuple(torch.from_numpy(x) for x in (values, pulled, strained, outside))
