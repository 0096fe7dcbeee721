"""Barriers of one migration path in several fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ase_bec.plotting import axes_or_current
from ase_bec.workflows.barriers.migration import MigrationPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FieldPaths", "LinearFit"]

Array = NDArray[np.float64]


class LinearFit(NamedTuple):
    """Barrier = intercept + slope · E over the fields with |E| ≤ limit.

    Examples
    --------
    >>> from ase_bec.workflows import LinearFit
    >>> fit = LinearFit(slope=-0.6, intercept=0.158, residual=0.001, limit=0.1)
    >>> round(fit.intercept + fit.slope * 0.05, 3)  # barrier in eV at 0.05 V/Å
    0.128
    """

    slope: float  # e·Å; minus the charge times its way to the saddle point
    intercept: float  # eV
    residual: float  # eV, the largest
    limit: float  # V/Å; the next stronger field no longer fits, unless there is none


@dataclass(frozen=True, eq=False)
class FieldPaths:
    r"""Paths of one hop in fields :math:`E\,\hat{\mathbf d}`.

    Attributes
    ----------
    direction
        Unit vector d, (3,).
    strengths
        E in V/Å, ascending, zero among them, [field].
    paths
        One for each field.
    dipoles
        d·[D − D(initial)] in e·Å of the zero-field images, [image], that is the work of a unit
        field on all atoms; NaN without a field other than zero.
    ion
        Index of the migrating ion.
    charges
        Its Z[field, displacement] in e in the zero-field images, [image, 3, 3]; None where the
        calculator has no Born charges.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from ase_bec import FieldCalculator
    >>> from ase_bec.workflows import field_paths, interpolate_path
    >>> crystal = bulk("Cu", cubic=True) * (2, 2, 2)
    >>> crystal.symbols[crystal.positions[:, 2] % 3.61 > 1] = "Au"
    >>> vacancy = crystal.pop(0).position
    >>> final = crystal.copy()
    >>> final.positions[2] = vacancy  # the Cu next to it has hopped
    >>> paths = field_paths(
    ...     interpolate_path(crystal, final, images=1),
    ...     lambda field: FieldCalculator(EMT(), {"Cu": 1, "Au": -1}, field),
    ...     strengths=[-0.02, 0.02],
    ...     direction=vacancy - crystal.positions[2],
    ...     relax_ends="never",
    ...     fmax=0.2,
    ... )
    >>> print(paths.strengths, paths.ion)
    [-0.02  0.    0.02] 2
    >>> print(paths.forward.round(2))
    [0.84 0.81 0.79]
    >>> bool(abs(paths.first_order() - paths.forward).max() < 1e-3)
    True
    """

    direction: Array
    strengths: Array
    paths: tuple[MigrationPath, ...]
    dipoles: Array
    ion: int
    charges: Array | None = None

    @property
    def zero(self) -> MigrationPath:
        """The path without field."""
        return self.paths[int(np.flatnonzero(self.strengths == 0)[0])]

    @property
    def forward(self) -> Array:
        """Forward barriers in eV, [field]."""
        return np.array([path.forward_barrier for path in self.paths])

    @property
    def backward(self) -> Array:
        """Backward barriers in eV, [field]."""
        return np.array([path.backward_barrier for path in self.paths])

    @property
    def difference(self) -> Array:
        """Enthalpy of the final above the initial structure in eV, [field]."""
        return self.forward - self.backward

    @property
    def converged(self) -> bool:
        """Whether all paths have converged."""
        return all(path.converged for path in self.paths)

    def first_order(self, backward: bool = False) -> Array:
        r"""Barriers estimated from the zero-field path, in eV, [field].

        .. math:: \Delta H(E) \approx \Delta H(0) - E\,\hat{\mathbf d}\cdot[\mathbf D_\text{saddle}
                  - \mathbf D_\text{end}]

        Exact to first order in E where `relax_ends` is "field" or the ends are stationary without
        field; what saddle point and ends yield to the field is of second order.
        """
        zero = self.zero
        end, barrier = (-1, zero.backward_barrier) if backward else (0, zero.forward_barrier)
        return self._tilted(barrier, float(self.dipoles[zero.highest] - self.dipoles[end]))

    def ion_alone(self, backward: bool = False, along_path: bool = False) -> Array:
        r"""Barriers estimated from the migrating ion alone, in eV, [field].

        .. math:: \Delta H(E) \approx \Delta H(0) - E\,Z_{dd}\,\Delta r_d

        with Z_dd of the ion at the end where the hop starts, as in the source paper, or, with
        `along_path`, :math:`\int Z_{dd}\,\mathrm d r_d` up to the saddle point. It leaves out all
        other atoms.

        Raises
        ------
        ValueError
            If the calculator had no Born charges.

        References
        ----------
        K. Shimizu et al., arXiv:2305.19546.
        """
        if self.charges is None:
            raise ValueError("`calculator` must have Born charges for the ion's share, got none")
        zero = self.zero
        z = np.einsum("i,kij,j->k", self.direction, self.charges, self.direction)
        r = np.array([image.positions[self.ion] @ self.direction for image in zero.images])
        end, barrier = (-1, zero.backward_barrier) if backward else (0, zero.forward_barrier)
        way = r[zero.highest] - r[end]
        if not along_path:
            return self._tilted(barrier, float(z[end] * way))
        work = np.concatenate([[0.0], np.cumsum((z[1:] + z[:-1]) / 2 * np.diff(r))])
        return self._tilted(barrier, float(work[zero.highest] - work[end]))

    def _tilted(self, barrier: float, dipole: float) -> Array:
        return barrier - self.strengths * dipole

    def fit(self, backward: bool = False, tolerance: float = 0.005) -> LinearFit:
        """Fit a line to the barriers over the widest range of fields where it fits.

        Parameters
        ----------
        backward
            Fit the backward barriers.
        tolerance
            Largest residual in eV. The three weakest fields are fitted in any case.

        Raises
        ------
        ValueError
            If there are fewer than three fields.
        """
        if len(self.strengths) < 3:
            raise ValueError(
                f"`strengths` must have three or more fields, zero included, for a fit, got "
                f"{len(self.strengths)}"
            )
        barriers = self.backward if backward else self.forward
        sizes = np.abs(self.strengths)
        limits = [limit for limit in np.unique(sizes) if (sizes <= limit).sum() >= 3]
        line = self._line(barriers, limits[0])
        for limit in limits[1:]:
            wider = self._line(barriers, limit)
            if wider.residual > tolerance:
                break
            line = wider
        return line

    def _line(self, barriers: Array, limit: float) -> LinearFit:
        inside = np.abs(self.strengths) <= limit
        slope, intercept = np.polyfit(self.strengths[inside], barriers[inside], 1)
        error = barriers[inside] - intercept - slope * self.strengths[inside]
        return LinearFit(float(slope), float(intercept), float(np.abs(error).max()), float(limit))

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the enthalpy along the path in each field.

        Parameters
        ----------
        ax
            Where to draw; matplotlib's current axes by default.
        **style
            Passed to :meth:`matplotlib.axes.Axes.plot`.
        """
        from matplotlib import colormaps

        ax = axes_or_current(ax)
        shades = colormaps["coolwarm"](np.linspace(0, 1, len(self.paths)))
        for strength, path, shade in zip(self.strengths, self.paths, shades, strict=True):
            colour = "black" if strength == 0 else shade
            label = f"{strength:+g} V/Å" if strength else "no field"
            path.plot(ax, **{"label": label, "color": colour, **style})
        return ax

    def plot_barriers(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw barriers against the field, with first-order estimates as dashed lines."""
        ax = axes_or_current(ax)
        for name, barriers, backward in (
            ("forward", self.forward, False),
            ("backward", self.backward, True),
        ):
            (line,) = ax.plot(self.strengths, barriers, "o-", **{"label": name, **style})
            ax.plot(self.strengths, self.first_order(backward), "--", color=line.get_color())
        ax.locator_params(axis="x", nbins=5)
        ax.set_xlabel("Field (V/Å)")
        ax.set_ylabel("Barrier (eV)")
        return ax
