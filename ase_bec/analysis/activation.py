"""Activation energies of diffusion from trajectories at several temperatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ase_bec.analysis.msd import Diffusion
from ase_bec.analysis.statistics import Value
from ase_bec.analysis.transport import BOLTZMANN

__all__ = ["Arrhenius", "arrhenius", "is_resolved", "smallest_resolved"]

FEWEST_HOPS = 10  # in all, for an uncertainty of a third


def smallest_resolved(atoms: int, duration: float, hop: float = 2.5) -> float:
    r"""Smallest diffusion coefficient in Å²/fs that a trajectory can tell from none.

    .. math:: D_{min} = \frac{n_{hops}\, a^2}{6 N t}

    for ten hops in all: with fewer, the number of hops alone is known to no better than a third.

    Parameters
    ----------
    atoms : int
        Number N of ions.
    duration : float
        Length t in fs.
    hop : float
        Length a of a hop in Å.

    Raises
    ------
    ValueError
        If a number is not positive.

    Examples
    --------
    >>> from ase_bec.analysis import smallest_resolved
    >>> print(f"{smallest_resolved(64, 100e3):.2e} Å²/fs")
    1.63e-06 Å²/fs
    """
    for name, value in (("atoms", atoms), ("duration", duration), ("hop", hop)):
        if not value > 0:
            raise ValueError(f"`{name}` must be positive, got {value}")
    return FEWEST_HOPS * hop**2 / (6 * atoms * duration)


def is_resolved(found: Diffusion, duration: float, hop: float = 2.5) -> bool:
    """Whether D is more than twice its error, and more than :func:`smallest_resolved`.

    Examples
    --------
    >>> import numpy as np
    >>> from ase import Atoms
    >>> from ase_bec.analysis import diffusion, is_resolved, read_trajectory
    >>> steps = 0.1 * np.random.default_rng(0).standard_normal((500, 20, 3))
    >>> frames = [Atoms("Li20", p, cell=[9, 9, 9], pbc=True) for p in steps.cumsum(axis=0)]
    >>> found = diffusion(read_trajectory(frames, timestep=10.0), "Li", window=(20.0, 200.0))
    >>> is_resolved(found, 4990.0), is_resolved(found, 100.0)
    (True, False)
    """
    mean = found.coefficient.mean()
    return mean.value > max(2 * mean.error, smallest_resolved(found.atoms, duration, hop))


@dataclass(frozen=True, eq=False)
class Arrhenius:
    r"""Fit of :math:`D = D_0 e^{-E_a/kT}`.

    Attributes
    ----------
    barrier
        E_a in eV.
    logarithm
        ln D₀, D₀ in Å²/fs.
    coefficients
        D at each temperature in K, Å²/fs: mean and standard error of the trajectories' means.
    left_out
        Temperatures in K at which D is not resolved.

    Examples
    --------
    >>> from ase_bec.analysis import Arrhenius, Value
    >>> fit = Arrhenius(Value(0.3, 0.02), Value(-4.0, 0.2), {}, ())
    >>> print(f"{fit.at(1000.0):.2e} Å²/fs")
    5.63e-04 Å²/fs
    """

    barrier: Value
    logarithm: Value
    coefficients: dict[float, Value]
    left_out: tuple[float, ...]

    def at(self, temperature: float) -> float:
        """D in Å²/fs at a temperature in K."""
        exponent = self.logarithm.value - self.barrier.value / (BOLTZMANN * temperature)
        return float(np.exp(exponent))


def arrhenius(
    runs: Mapping[float, Sequence[Diffusion]], duration: float, hop: float = 2.5
) -> Arrhenius:
    r"""Activation energy from several trajectories at each of several temperatures.

    ln D is fitted to 1/kT by least squares with the errors as weights. Errors of D are those
    between the trajectories of a temperature, or, of one trajectory, between its blocks. Where the
    points scatter more than their errors say, errors of the fit are that much larger.

    Parameters
    ----------
    runs : mapping
        Temperature in K to what :func:`ase_bec.analysis.diffusion` found in each trajectory.
    duration : float
        Length of each trajectory in fs.
    hop : float
        Length of a hop in Å, to tell what can be resolved.

    Raises
    ------
    ValueError
        If D is resolved at fewer than two temperatures.

    Examples
    --------
    Random walks whose steps have a barrier of 0.3 eV:

    >>> import numpy as np
    >>> from ase import Atoms, units
    >>> from ase_bec.analysis import arrhenius, diffusion, read_trajectory
    >>> random, runs = np.random.default_rng(0), {}
    >>> for temperature in (800.0, 1200.0, 1600.0):
    ...     step = np.exp(-0.3 / (2 * units.kB * temperature))
    ...     path = step * random.standard_normal((500, 20, 3)).cumsum(axis=0)
    ...     frames = [Atoms("Li20", p, cell=[9, 9, 9], pbc=True) for p in path]
    ...     walk = read_trajectory(frames, timestep=10.0)
    ...     runs[temperature] = [diffusion(walk, "Li", window=(20.0, 200.0))]
    >>> fit = arrhenius(runs, duration=4990.0, hop=0.2)
    >>> print(fit.barrier, "eV")
    0.297 ± 0.012 eV
    """
    coefficients, left_out = {}, []
    for temperature, found in sorted(runs.items()):
        if not temperature > 0 or not found:
            raise ValueError(
                "`runs` must have positive temperatures and a trajectory at each, got "
                f"{len(found)} at {temperature} K"
            )
        value = _mean(found)
        atoms = sum(run.atoms for run in found)
        if value.value > max(2 * value.error, smallest_resolved(atoms, duration, hop)):
            coefficients[float(temperature)] = value
        else:
            left_out.append(float(temperature))
    if len(coefficients) < 2:
        raise ValueError(
            f"`runs` must resolve D at two temperatures or more, got {len(coefficients)}: "
            f"{left_out} K are too cold for {duration / 1e3:g} ps; take longer or larger runs"
        )
    barrier, logarithm = _fit(coefficients)
    return Arrhenius(barrier, logarithm, coefficients, tuple(left_out))


def _mean(found: Sequence[Diffusion]) -> Value:
    means = [run.coefficient.mean() for run in found]
    values = np.array([value.value for value in means])
    if len(values) == 1:
        return means[0]
    return Value(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def _fit(coefficients: Mapping[float, Value]) -> tuple[Value, Value]:
    """Barrier and ln D₀."""
    inverse = 1 / (BOLTZMANN * np.array(list(coefficients)))
    values = np.array([value.value for value in coefficients.values()])
    # The error of a logarithm; none is known better than to a hundredth.
    spread = np.array([max(v.error / v.value, 0.01) for v in coefficients.values()])
    design = np.column_stack([-inverse, np.ones_like(inverse)]) / spread[:, None]
    target = np.log(values) / spread
    solution, *_ = np.linalg.lstsq(design, target)
    covariance = np.linalg.inv(design.T @ design)
    freedom = len(values) - 2
    if freedom:
        scatter = float(((design @ solution - target) ** 2).sum()) / freedom
        covariance = covariance * max(scatter, 1.0)
    barrier, logarithm = (
        Value(float(x), float(np.sqrt(v)))
        for x, v in zip(solution, covariance.diagonal(), strict=True)
    )
    return barrier, logarithm
