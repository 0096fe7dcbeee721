"""Nudged elastic bands against a double well whose barriers are known in closed form."""

from collections.abc import Callable

import numpy as np
import pytest
from analytic import CURVATURE, HALF_WIDTH, HEIGHT, DoubleWell, stationary_energies, wells
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from ase_bec import FieldCalculator
from ase_bec.workflows import MigrationPath, find_path, interpolate_path


def in_field(field: float) -> Callable[[], FieldCalculator]:
    base = DoubleWell()
    charges = {"Li": 1, "O": -1}
    return lambda: FieldCalculator(base, charges, field=(field, 0, 0), net_force="keep")


@pytest.mark.parametrize("field", [0.0, 0.1, -0.2])
@pytest.mark.parametrize("images", [3, 4])
def test_barriers_of_the_double_well(field: float, images: int) -> None:
    band = interpolate_path(*wells(), images)
    path = find_path(band, in_field(field), fmax=0.002, relax_ends=True)
    left, saddle, right = stationary_energies(field)
    assert path.converged
    assert path.fmax <= 0.002
    assert path.forward_barrier == pytest.approx(saddle - left, abs=1e-4)
    assert path.backward_barrier == pytest.approx(saddle - right, abs=1e-4)
    assert 0 < path.highest < images + 1


def test_path_in_field_starts_from_the_path_without() -> None:
    zero = find_path(interpolate_path(*wells(), 5), in_field(0.0), fmax=0.005)
    again = find_path(zero.images, in_field(0.0), fmax=0.005)
    assert again.steps == 0
    path = find_path(zero.images, in_field(0.1), fmax=0.005, relax_ends=True)
    left, saddle, right = stationary_energies(0.1)
    assert path.forward_barrier == pytest.approx(saddle - left, abs=1e-3)
    assert path.backward_barrier == pytest.approx(saddle - right, abs=1e-3)


def test_without_climbing_the_highest_image_is_a_lower_bound() -> None:
    path = find_path(interpolate_path(*wells(), 4), in_field(0.0), climb=False, fmax=0.002)
    assert path.converged
    assert path.forward_barrier < 0.95 * HEIGHT
    s, energy = path.curve()
    assert energy.max() - energy[0] == pytest.approx(HEIGHT, rel=0.05)
    assert s[-1] == path.coordinate[-1]


def test_slopes_are_the_derivative_of_the_energy_along_the_path() -> None:
    path = find_path(interpolate_path(*wells(), 25), in_field(0.1), climb=False, fmax=0.005)
    numeric = np.gradient(path.energies, path.coordinate)
    assert path.slopes[1:-1] == pytest.approx(numeric[1:-1], abs=0.02)
    assert np.abs(path.slopes).max() > 0.5


def test_coordinate_is_the_unwrapped_length() -> None:
    path = find_path(interpolate_path(*wells(), 9), in_field(0.0), climb=False, fmax=0.002)
    x = np.linspace(-HALF_WIDTH, HALF_WIDTH, 100_001)
    length = np.hypot(np.diff(x), np.diff(CURVATURE * x**2)).sum()
    assert path.coordinate[-1] == pytest.approx(length, rel=0.01)  # the valley, nearly
    assert np.all(np.diff(path.coordinate) > 0)


def test_restart_from_a_written_band(tmp_path: object) -> None:
    path = find_path(interpolate_path(*wells(), 3), in_field(0.1), fmax=0.002)
    file = f"{tmp_path}/band.traj"
    write(file, path.images)
    band = read(file, ":")
    assert [a.get_potential_energy() for a in band] == list(path.energies)
    again = find_path(band, in_field(0.1), fmax=0.002)
    assert again.steps == 0
    assert again.energies == pytest.approx(path.energies, abs=1e-12)


def test_observer_sees_every_step_and_limit_is_kept() -> None:
    seen = []
    path = find_path(
        interpolate_path(*wells(), 3),
        in_field(0.1),
        fmax=1e-6,
        max_steps=7,
        observer=lambda images: seen.append(images[2].get_positions()),
    )
    assert (path.steps, path.converged) == (7, False)
    assert len(seen) == 8
    assert np.array_equal(seen[-1], path.images[2].positions)
    assert not np.array_equal(seen[-2], seen[-1])


def test_relaxing_an_end_asks_for_no_energies() -> None:
    asked = []

    class Asked(DoubleWell):
        def get_property(self, name: str, *args: object, **kwargs: object) -> object:
            asked.append(name)
            return super().get_property(name, *args, **kwargs)

    band = interpolate_path(*wells(), 3)
    band[0].positions[0] += 0.1
    find_path(band, Asked, fmax=0.002, max_steps=40, relax_ends=True)
    alone = asked[: asked.index("energy")]
    assert len(alone) > 10
    assert set(alone) == {"forces"}


def test_vacancy_hop_in_copper_is_symmetric() -> None:
    atoms = bulk("Cu", cubic=True).repeat(2)
    neighbour = atoms.get_distances(0, range(1, len(atoms)), mic=True).argmin() + 1
    hole = atoms.positions[0].copy()
    initial = atoms.copy()
    del initial[0]
    final = initial.copy()
    final.positions[neighbour - 1] = hole
    final.wrap()
    path = find_path(interpolate_path(initial, final, 3), EMT, fmax=0.02, relax_ends=True)
    assert path.highest == 2
    assert path.forward_barrier == pytest.approx(path.backward_barrier, abs=1e-3)
    assert path.energies[1] == pytest.approx(path.energies[3], abs=1e-3)
    assert 0.4 < path.forward_barrier < 1.2
    hop = path.images[-1].positions - path.images[0].positions
    assert np.linalg.norm(hop, axis=1).max() == pytest.approx(3.61 / np.sqrt(2), abs=0.2)


def test_plot(tmp_path: object) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    path = MigrationPath(
        images=(),
        energies=np.array([-3.0, -2.0, -2.5]),
        coordinate=np.array([0.0, 1.0, 2.0]),
        slopes=np.zeros(3),
        converged=True,
        fmax=0.0,
        steps=0,
    )
    assert (path.forward_barrier, path.backward_barrier, path.highest) == (1.0, 0.5, 1)
    figure, ax = pyplot.subplots()
    assert path.plot(ax, label="E = 0") is ax
    curve, points = ax.get_lines()
    assert list(points.get_ydata()) == [0.0, 1.0, 0.5]
    assert curve.get_ydata().max() == pytest.approx(1.0)
    assert curve.get_label() == "E = 0"
    pyplot.close(figure)


def test_refusals() -> None:
    initial, final = wells()
    with pytest.raises(ValueError, match="`images` must be at least 1, got 0"):
        interpolate_path(initial, final, 0)
    with pytest.raises(ValueError, match="`final` must differ from `initial`"):
        interpolate_path(initial, initial, 3)
    with pytest.raises(ValueError, match="equal numbers of atoms"):
        interpolate_path(initial, final[:1], 3)
    band = interpolate_path(initial, final, 3)
    with pytest.raises(TypeError, match=r"function that makes a calculator .* got DoubleWell"):
        find_path(band, DoubleWell())
    with pytest.raises(ValueError, match="at least three images, got 2"):
        find_path(band[:2], DoubleWell)
    for name in ("fmax", "max_steps", "spring"):
        with pytest.raises(ValueError, match=f"`{name}` must be positive, got -1"):
            find_path(band, DoubleWell, **{name: -1})
