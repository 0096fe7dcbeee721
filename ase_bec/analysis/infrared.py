"""Infrared absorption, from currents in dynamics and from harmonic modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants, fft

from ase_bec.analysis.correlations import autocorrelation
from ase_bec.analysis.statistics import Array
from ase_bec.analysis.transport import S_PER_M, thermal_volume
from ase_bec.plotting import axes_or_current

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# 1/cm of an angular frequency of 1/fs
PER_CM = 1 / constants.femto / (2 * np.pi * constants.c * 100)
# 1/fs of an angular frequency sqrt(eV/(Å² amu))
_PER_FS = float(np.sqrt(constants.e / constants.atomic_mass) / constants.angstrom * constants.femto)
# 1/cm of a conductivity of 1 S/m, over ε0 c
_ABSORPTION = 1 / (constants.epsilon_0 * constants.c) / 100
# km/mol of 1 e²/amu: N_A/(12 ε0 c²)
KM_PER_MOL = float(
    constants.N_A
    * constants.e**2
    / constants.atomic_mass
    / (12 * constants.epsilon_0 * constants.c**2)
    / 1e3
)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Infrared absorption spectrum.

    Attributes
    ----------
    wavenumbers
        In 1/cm, [frequency].
    absorption
        Index of refraction times absorption coefficient n·α in 1/cm for light polarized along x,
        y and z, [frequency, 3]; their mean is that of a powder or a liquid.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import infrared_spectrum
    >>> times = np.arange(0.0, 4000.0, 2.0)
    >>> current = np.outer(np.cos(0.1 * times), [1.0, 1.0, 1.0])  # 0.1 rad/fs
    >>> spectrum = infrared_spectrum(times, current, volume=1000.0, temperature=300.0)
    >>> spectrum.absorption.shape == (len(spectrum.wavenumbers), 3)
    True
    >>> peak = spectrum.wavenumbers[spectrum.absorption.mean(axis=1).argmax()]
    >>> print(f"{peak:.0f} 1/cm")
    531 1/cm
    """

    wavenumbers: Array
    absorption: Array

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the mean of the directions.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        ax = axes_or_current(ax)
        ax.plot(self.wavenumbers, self.absorption.mean(axis=1) / 1e3, **style)
        ax.set_xlabel("Wavenumber (cm⁻¹)")
        ax.set_ylabel("Absorption n·α (10³ cm⁻¹)")
        return ax


def infrared_spectrum(
    times: Array,
    current: Array,
    volume: float,
    temperature: float,
    *,
    max_time: float = 1000.0,
    padding: int = 4,
) -> Spectrum:
    r"""Absorption spectrum of classical dynamics.

    .. math:: n(\omega)\,\alpha_i(\omega) = \frac{\mathrm{Re}\,\sigma_i(\omega)}{\epsilon_0 c},
              \qquad \mathrm{Re}\,\sigma_i(\omega) = \frac{1}{\Omega k T} \int_0^\infty
              \langle J_i(0) J_i(t) \rangle \cos(\omega t)\, dt

    It is absolute, with the classical prefactor, which is the harmonic quantum correction of the
    classical line shape: harmonic modes have their exact intensity at any temperature. The mean
    current is subtracted.

    Parameters
    ----------
    times
        Equally spaced, in fs, [frame]; the highest wavenumber is 16678/Δt (1/cm, fs).
    current
        J in e·Å/fs, [frame, 3].
    volume, temperature
        Ω in Å³ and T in K.
    max_time
        Time in fs at which the window cos²(πt/2t_max) brings the correlation to zero; the
        resolution in 1/cm is about 33000 divided by it.
    padding
        Factor by which the frequencies are more closely spaced than `max_time` requires.

    Raises
    ------
    ValueError
        If `max_time` is not within half the trajectory, or `padding` is not positive.

    References
    ----------
    R. Ramírez, T. López-Ciudad, P. Kumar and D. Marx, J. Chem. Phys. 121, 3973 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import infrared_spectrum
    >>> times = np.arange(0.0, 4000.0, 2.0)
    >>> current = np.outer(np.cos(0.1 * times), [0.0, 0.0, 1.0])  # 0.1 rad/fs along z
    >>> spectrum = infrared_spectrum(times, current, volume=1000.0, temperature=300.0)
    >>> peak = spectrum.wavenumbers[spectrum.absorption[:, 2].argmax()]
    >>> print(f"{peak:.0f} 1/cm")
    531 1/cm
    >>> print(spectrum.absorption[:, 0].max())  # light polarized along x is not absorbed
    0.0
    """
    interval = float(times[-1] - times[0]) / (len(times) - 1)
    longest = interval * (len(times) - 1) / 2
    if not interval <= max_time <= longest:
        raise ValueError(
            f"`max_time` must be from {interval:g} fs to {longest:g} fs, half of the trajectory, "
            f"got {max_time:g}"
        )
    if padding < 1:
        raise ValueError(f"`padding` must be at least 1, got {padding}")
    lags = int(max_time / interval + 1e-6) + 1
    window = np.cos(0.5 * np.pi * np.arange(lags) / lags) ** 2
    correlation = autocorrelation(current - current.mean(axis=0))[:lags] * window[:, None]
    correlation[0] /= 2  # the integral by trapezia
    length = fft.next_fast_len(2 * lags * padding, real=True)
    integral = interval * fft.rfft(correlation, n=length, axis=0).real
    conductivity = S_PER_M * integral / thermal_volume(volume, temperature)
    wavenumbers = 2 * np.pi * fft.rfftfreq(length, interval) * PER_CM
    return Spectrum(wavenumbers, _ABSORPTION * conductivity)


@dataclass(frozen=True, eq=False)
class InfraredModes:
    r"""Harmonic modes and their infrared intensities.

    Attributes
    ----------
    wavenumbers
        In 1/cm, ascending; negative for an imaginary frequency, [mode].
    vectors
        Mass-weighted eigenvectors e, orthonormal, [mode, atom, 3].
    dipoles
        :math:`\partial D_i/\partial Q = \sum_{aj} Z_{a,ij}\,e_{aj}/\sqrt{m_a}` in e/√amu, [mode,
        3].

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import infrared_modes
    >>> spring = np.zeros((2, 3, 2, 3))
    >>> spring[:, 0, :, 0] = [[20, -20], [-20, 20]]  # eV/Å² between Li and F along x
    >>> charges = np.array([np.eye(3), -np.eye(3)])
    >>> modes = infrared_modes([6.94, 19.0], spring, charges)
    >>> print(f"{modes.wavenumbers[-1]:.0f} 1/cm, {modes.in_km_per_mol()[-1]:.0f} km/mol")
    1034 1/cm, 192 km/mol
    >>> spectrum = modes.spectrum(np.linspace(500, 1500, 1001), volume=50.0, width=10.0)
    >>> print(spectrum.wavenumbers[spectrum.absorption[:, 0].argmax()])
    1034.0
    """

    wavenumbers: Array
    vectors: Array
    dipoles: Array

    @property
    def intensities(self) -> Array:
        """Squares of the mode dipoles in e²/amu, [mode]."""
        found: Array = (self.dipoles**2).sum(axis=1)
        return found

    def in_km_per_mol(self) -> Array:
        """Integrated absorption coefficients N_A |∂D/∂Q|²/(12 ε₀c²) in km/mol, [mode]."""
        return KM_PER_MOL * self.intensities

    def spectrum(
        self, wavenumbers: ArrayLike, volume: float, width: float, lowest: float = 1.0
    ) -> Spectrum:
        r"""Absorption spectrum of the modes, each broadened to a Lorentzian.

        .. math:: \int n\alpha_i\,d\tilde\nu = \frac{1}{4\,\Omega\,\epsilon_0 c^2}
                  \sum_m \left(\frac{\partial D_i}{\partial Q_m}\right)^2

        Parameters
        ----------
        wavenumbers
            Where to give it, in 1/cm, [frequency].
        volume
            Ω in Å³.
        width
            Half width at half height in 1/cm.
        lowest
            Modes below this, in 1/cm, are left out: translations of the crystal, and imaginary
            ones.

        Raises
        ------
        ValueError
            If volume or width is not positive.
        """
        for name, value in {"volume": volume, "width": width}.items():
            if not 0 < value < np.inf:
                raise ValueError(f"`{name}` must be positive, got {value}")
        nu = np.asarray(wavenumbers, dtype=float)
        there = self.wavenumbers > lowest
        distance = nu[:, None] - self.wavenumbers[there]
        lines = width / np.pi / (distance**2 + width**2)
        return Spectrum(nu, _LINE / volume * lines @ self.dipoles[there] ** 2)


# 1/cm² of 1 e²/(amu Å³), over 4 ε0 c²
_LINE = float(
    constants.e**2
    / constants.atomic_mass
    / constants.angstrom**3
    / (4 * constants.epsilon_0 * constants.c**2)
    / 1e4
)


def infrared_modes(masses: ArrayLike, hessian: ArrayLike, born_charges: ArrayLike) -> InfraredModes:
    r"""Harmonic modes of a structure and their infrared intensities.

    Parameters
    ----------
    masses
        In amu, [atom].
    hessian
        Second derivatives of the energy in eV/Å², [3 atom, 3 atom] or [atom, 3, atom, 3], such as
        ``get_hessian()`` of :class:`ase.vibrations.VibrationsData` gives.
    born_charges
        Z[a, i, j] in e, [atom, 3, 3], the field first and the displacement second.

    Raises
    ------
    ValueError
        If shapes disagree, a mass is not positive, or the Hessian is not symmetric.

    References
    ----------
    P. Giannozzi and S. Baroni, J. Chem. Phys. 100, 8537 (1994).

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import infrared_modes
    >>> spring = np.zeros((2, 3, 2, 3))
    >>> spring[:, 0, :, 0] = [[20, -20], [-20, 20]]  # eV/Å² between Li and F along x
    >>> charges = np.array([np.eye(3), -np.eye(3)])
    >>> modes = infrared_modes([6.94, 19.0], spring, charges)
    >>> print(modes.wavenumbers.round()[-1], modes.intensities.round(4)[-1])
    1034.0 0.1967
    """
    mass = np.asarray(masses, dtype=float)
    n = len(mass)
    if not (mass > 0).all():
        raise ValueError(f"`masses` must be positive, got {mass.min()}")
    given = np.asarray(hessian, dtype=float)
    if given.shape not in ((3 * n, 3 * n), (n, 3, n, 3)):
        raise ValueError(f"`hessian` must have the shape {(3 * n, 3 * n)}, got {given.shape}")
    matrix = given.reshape(3 * n, 3 * n)
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-3 * np.abs(matrix).max()):
        raise ValueError("`hessian` must be symmetric, got one that is not: symmetrize it")
    roots = np.repeat(np.sqrt(mass), 3)
    squares, columns = np.linalg.eigh((matrix + matrix.T) / 2 / np.outer(roots, roots))
    vectors = columns.T.reshape(3 * n, n, 3)
    wavenumbers = np.sign(squares) * np.sqrt(np.abs(squares)) * _PER_FS * PER_CM
    return InfraredModes(wavenumbers, vectors, mode_dipoles(mass, vectors, born_charges))


def mode_dipoles(masses: ArrayLike, vectors: ArrayLike, born_charges: ArrayLike) -> Array:
    r"""Derivative of the dipole along each mode in e/√amu, [mode, 3].

    .. math:: \partial D_i/\partial Q = \sum_{aj} Z_{a,ij}\, e_{aj}/\sqrt{m_a}

    Parameters
    ----------
    masses
        In amu, [atom].
    vectors
        Mass-weighted orthonormal eigenvectors e, [mode, atom, 3].
    born_charges
        Z[a, i, j] in e, [atom, 3, 3], the field first and the displacement second.

    Raises
    ------
    ValueError
        If shapes disagree.

    Examples
    --------
    >>> import numpy as np
    >>> from ase_bec.analysis import mode_dipoles
    >>> stretch = np.array([[[1, 0, 0], [-1, 0, 0]]]) / np.sqrt(2)
    >>> charges = np.array([np.eye(3), -np.eye(3)])
    >>> print(mode_dipoles([2.0, 2.0], stretch, charges).round(6))
    [[1. 0. 0.]]
    """
    mass, modes = np.asarray(masses, dtype=float), np.asarray(vectors, dtype=float)
    charges = np.asarray(born_charges, dtype=float)
    if charges.shape != (len(mass), 3, 3):
        raise ValueError(
            f"`born_charges` must have the shape {(len(mass), 3, 3)}, got {charges.shape}"
        )
    if modes.shape[1:] != (len(mass), 3):
        raise ValueError(f"`vectors` must have the shape [mode, {len(mass)}, 3], got {modes.shape}")
    found: Array = np.einsum("aij,maj,a->mi", charges, modes, 1 / np.sqrt(mass))
    return found
