r"""Mobility and ionic conductivity.

Conductivities come out in :math:`e^2/(\mathrm{eV\,Å\,fs})` and are given in S/m:
1 e²/(eV·Å·fs) = e/(Å·fs)/V = 1.602e6 S/m.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants

from ase_bec.analysis.msd import Diffusion, block_slopes, displacement_slopes
from ase_bec.analysis.statistics import (
    Array,
    Estimate,
    Value,
    mean_rate,
)

BOLTZMANN = constants.k / constants.e  # eV/K
S_PER_M = constants.e / (constants.angstrom * constants.femto)  # of 1 e²/(eV·Å·fs)
CM2_PER_VS = 0.1  # of 1 Å²/(V·fs)


def mobility(drift: Estimate, field: ArrayLike) -> Value:
    r"""Mobility along the field :math:`\mu = \mathbf v\cdot\hat{\mathbf E}/E` in Å²/(V·fs).

    Times :data:`CM2_PER_VS` in cm²/(V·s). Negative ions have a negative one.

    Parameters
    ----------
    drift
        Drift velocity in Å/fs, from :func:`ase_bec.analysis.msd.drift_velocity`.
    field
        In V/Å, [3].

    Raises
    ------
    ValueError
        If there is no field.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import Estimate, mobility
    >>> samples = np.array([[0, 0, 1.8e-5], [0, 0, 2.2e-5]])  # Å/fs, of two blocks
    >>> drift = Estimate(samples.mean(axis=0), samples)
    >>> print(mobility(drift, field=[0, 0, 0.1]))  # Å²/(V·fs)
    (2.00 ± 0.20)e-4
    """
    size = _field_size(field)
    along = drift.along(field)
    return Value(along.value / size, along.error / size)


def einstein_mobility(
    found: Diffusion, charge: float, temperature: float, direction: ArrayLike | None = None
) -> Value:
    r"""Mobility of linear response, :math:`\mu = q D/(k T)`, in Å²/(V·fs).

    It holds for ions that move independently and in fields whose work over a hop is small
    compared with kT.

    Parameters
    ----------
    found
        Diffusion without field, or about the drift.
    charge
        q in e.
    temperature
        In K.
    direction
        Take D along it, :math:`\sum_\alpha n_\alpha^2 D_\alpha`; by default the mean of the
        directions.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import Diffusion, Estimate, einstein_mobility
    >>> coefficient = Estimate(np.full(3, 1e-5), np.array([[9e-6] * 3, [1.1e-5] * 3]))  # Å²/fs
    >>> found = Diffusion("Li", 47, coefficient, window=(1000.0, 5000.0))
    >>> print(einstein_mobility(found, charge=1.0, temperature=800.0))  # Å²/(V·fs)
    (1.45 ± 0.15)e-4
    """
    along, factor = _directed(found, direction), charge / _thermal_energy(temperature)
    return Value(factor * along.value, abs(factor) * along.error)


def haven_ratio(einstein: Value, measured: Value) -> Value:
    """Ratio of the mobility (or conductivity) of independent ions to the measured one.

    In linear response it is the Haven ratio, 1 for ions that move independently; its error adds
    the relative errors of the two in squares.

    Raises
    ------
    ValueError
        If the measured one is zero.

    Examples
    --------
    >>> from ase_bec.analysis import Value, haven_ratio
    >>> print(haven_ratio(einstein=Value(1.5e-4, 1e-5), measured=Value(3e-4, 4e-5)))
    0.500 ± 0.075
    """
    if measured.value == 0:
        raise ValueError("`measured` must not be zero, got 0")
    ratio = einstein.value / measured.value
    error = np.hypot(einstein.error, ratio * measured.error) / abs(measured.value)
    return Value(ratio, float(error))


def nernst_einstein(
    diffusions: Iterable[Diffusion],
    charges: Mapping[str, float],
    volume: float,
    temperature: float,
    direction: ArrayLike | None = None,
) -> Value:
    r"""Ionic conductivity of independent ions in S/m.

    .. math:: \sigma = \frac{1}{\Omega k T} \sum_s N_s q_s^2 D_s

    Parameters
    ----------
    diffusions
        One for each element that carries current.
    charges
        Formal charge of each of these elements in e.
    volume
        Ω in Å³.
    temperature
        In K.
    direction
        Take D along it; by default the mean of the directions.

    Raises
    ------
    ValueError
        If an element has no charge.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import Diffusion, Estimate, nernst_einstein
    >>> coefficient = Estimate(np.full(3, 1e-5), np.array([[9e-6] * 3, [1.1e-5] * 3]))  # Å²/fs
    >>> found = Diffusion("Li", 47, coefficient, window=(1000.0, 5000.0))
    >>> print(nernst_einstein([found], {"Li": 1}, volume=1300.0, temperature=800.0))  # S/m
    8.40 ± 0.84
    """
    factor = S_PER_M / (thermal_volume(volume, temperature))
    value, variance = 0.0, 0.0
    for found in diffusions:
        if found.element not in charges:
            raise ValueError(f"`charges` must have one for {found.element}, got {dict(charges)}")
        weight = factor * found.atoms * charges[found.element] ** 2
        along = _directed(found, direction)
        value += weight * along.value
        variance += (weight * along.error) ** 2
    return Value(value, float(np.sqrt(variance)))


def einstein_helfand(
    times: Array,
    dipole: Array,
    volume: float,
    temperature: float,
    window: tuple[float, float],
    *,
    blocks: int = 5,
    remove_drift: bool = False,
) -> Estimate:
    r"""Ionic conductivity from the collective dipole in S/m, along x, y and z.

    .. math:: \sigma_\alpha = \frac{1}{2\,\Omega k T}\,
              \frac{d}{dt}\langle [D_\alpha(t_0+t) - D_\alpha(t_0)]^2 \rangle_{t_0}

    by least squares over the window; the mean of the directions is
    :math:`\lim \langle|\Delta \mathbf D|^2\rangle/(6\Omega kTt)`. Correlations between ions are
    included, and so is the background of a charged cell where the dipole includes it.

    Parameters
    ----------
    times
        Equally spaced, in fs, [frame].
    dipole
        D in e·Å on one continuous branch, [frame, 3].
    volume, temperature
        Ω in Å³ and T in K.
    window
        First and last time of displacement in fs.
    blocks
        Number of blocks of time whose slopes give the uncertainty.
    remove_drift
        Subtract the mean current first: needed in a field. The remaining dipole begins and ends
        at the same value, so that windows should be short compared with the trajectory.

    Raises
    ------
    ValueError
        If the window does not lie within a block.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import einstein_helfand
    >>> times = 10.0 * np.arange(2000)
    >>> steps = 0.1 * np.random.default_rng(0).standard_normal((2000, 3))
    >>> found = einstein_helfand(
    ...     times, steps.cumsum(axis=0), volume=1000.0, temperature=800.0, window=(20.0, 200.0)
    ... )
    >>> print(f"{found.mean().value:.0f} S/m")  # 1.602e6 · 0.1² / (2 · 10 · Ω k T) is 12
    12 S/m
    """
    moves = dipole - dipole[0]
    if remove_drift:
        moves = moves - (times - times[0])[:, None] * moves[-1] / (times[-1] - times[0])
    interval = float(times[-1] - times[0]) / (len(times) - 1)
    factor = S_PER_M / (2 * thermal_volume(volume, temperature))
    values = displacement_slopes(moves, interval, window)
    return Estimate(values, block_slopes(moves, interval, window, blocks)).scaled(factor)


def field_conductivity(
    times: Array, dipole: Array, volume: float, field: ArrayLike, blocks: int = 10
) -> Value:
    r"""Ionic conductivity in a field, :math:`\sigma = \bar{\mathbf J}\cdot\mathbf E/(\Omega E^2)`.

    The mean current is that of the whole change of dipole; blocks of it give the uncertainty.

    Parameters
    ----------
    times
        In fs, [frame].
    dipole
        D in e·Å on one continuous branch, [frame, 3].
    volume
        Ω in Å³.
    field
        In V/Å, [3].
    blocks
        Number of blocks of time.

    Returns
    -------
    Value
        In S/m.

    Raises
    ------
    ValueError
        If there is no field.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import field_conductivity
    >>> times = 10.0 * np.arange(101)
    >>> dipole = np.outer(times, [0, 0, 1e-4])  # a constant current along z
    >>> found = field_conductivity(times, dipole, volume=1000.0, field=[0, 0, 0.1])
    >>> print(f"{found.value:.2f} S/m")
    1.60 S/m
    """
    size = _field_size(field)
    mean = mean_rate(times, dipole, blocks).scaled(S_PER_M / (_volume(volume) * size))
    return mean.along(field)


def _directed(found: Diffusion, direction: ArrayLike | None) -> Value:
    """D along a direction, or the mean of x, y and z, in Å²/fs."""
    d = found.coefficient
    return d.mean() if direction is None else d.tensor_along(direction)


def _field_size(field: ArrayLike) -> float:
    size = float(np.linalg.norm(np.asarray(field, dtype=float)))
    if not 0 < size < np.inf:
        raise ValueError(f"`field` must not be zero (V/Å), got {np.asarray(field).tolist()}")
    return size


def thermal_volume(volume: float, temperature: float) -> float:
    """Return Ω k T in Å³ eV.

    Raises
    ------
    ValueError
        If `volume` (Å³) or `temperature` (K) is not positive.
    """
    return _volume(volume) * _thermal_energy(temperature)


def _volume(volume: float) -> float:
    if not 0 < volume < np.inf:
        raise ValueError(f"`volume` must be positive (Å³), got {volume}")
    return volume


def _thermal_energy(temperature: float) -> float:
    if not 0 < temperature < np.inf:
        raise ValueError(f"`temperature` must be positive (K), got {temperature}")
    return float(BOLTZMANN * temperature)
