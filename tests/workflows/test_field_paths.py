"""Barriers in several fields against the closed forms of a double well."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from analytic import HALF_WIDTH, HEIGHT, DoubleWell, stationary_energies, wells
from ase.io import read

from ase_bec import FieldCalculator
from ase_bec.workflows import FieldPaths, MigrationPath, field_paths, find_path, interpolate_path

STRENGTHS = (-0.2, -0.1, -0.05, 0.05, 0.1, 0.2)


def in_field(field: np.ndarray, charge: float = 1.0) -> FieldCalculator:
    return FieldCalculator(DoubleWell(), {"Li": charge, "O": -charge}, field, net_force="keep")


def expected(strength: float) -> tuple[float, float]:
    left, saddle, right = stationary_energies(strength)
    return saddle - left, saddle - right


@pytest.fixture(scope="module")
def zero() -> MigrationPath:
    return find_path(
        interpolate_path(*wells(), 3), partial(in_field, np.zeros(3)), fmax=1e-3, relax_ends=True
    )


@pytest.fixture(scope="module")
def scan(zero: MigrationPath) -> FieldPaths:
    return field_paths(zero, in_field, STRENGTHS, (2, 0, 0), fmax=1e-3)


def test_barriers_of_every_field(scan: FieldPaths) -> None:
    assert scan.strengths.tolist() == sorted((0.0, *STRENGTHS))
    assert scan.direction.tolist() == [1, 0, 0]
    assert scan.converged
    barriers = np.transpose([scan.forward, scan.backward])
    assert barriers == pytest.approx(np.array([expected(e) for e in scan.strengths]), abs=1e-4)
    assert scan.difference == pytest.approx(scan.forward - scan.backward, abs=1e-12)
    assert scan.forward[-1] < 0.3 * scan.forward[0]  # lower along the field, higher against it


def test_first_order_estimate_fails_in_second_order(scan: FieldPaths) -> None:
    """Saddle and wells yield by E²/k each: 0.675 E² with the curvatures of the double well."""
    yielding = HALF_WIDTH**2 / HEIGHT * (1 / 8 + 1 / 16)
    for backward in (False, True):
        found = scan.backward if backward else scan.forward
        error = found - scan.first_order(backward)
        error -= error[scan.strengths == 0]
        ratio = error[scan.strengths != 0] / scan.strengths[scan.strengths != 0] ** 2
        assert ratio == pytest.approx(np.full(6, yielding), rel=0.15)
    slope = np.gradient(scan.first_order(), scan.strengths)
    assert slope == pytest.approx(np.full(7, -HALF_WIDTH), abs=2e-3)


def test_dipoles_are_charge_times_way(scan: FieldPaths) -> None:
    x = [image.positions[0, 0] - scan.zero.images[0].positions[0, 0] for image in scan.zero.images]
    assert scan.dipoles == pytest.approx(np.array(x), abs=1e-9)


def test_ion_alone_is_the_estimate_where_nothing_else_moves(scan: FieldPaths) -> None:
    for backward in (False, True):
        reference = scan.first_order(backward)
        assert scan.ion_alone(backward) == pytest.approx(reference, abs=1e-9)
        assert scan.ion_alone(backward, along_path=True) == pytest.approx(reference, abs=1e-9)
    assert scan.forward[1] - scan.ion_alone()[1] == pytest.approx(0.675 * 0.01, rel=0.1)


def test_work_of_changing_charges_along_the_path(scan: FieldPaths) -> None:
    assert scan.charges is not None
    x = np.array([image.positions[0, 0] for image in scan.zero.images])
    charges = scan.charges * (1 + 0.1 * (x - x[0]))[:, None, None]
    changed = FieldPaths(
        scan.direction, scan.strengths, scan.paths, scan.dipoles, scan.ion, charges
    )
    way = x[scan.zero.highest] - x[0]
    rest = changed.forward[3] - changed.ion_alone(along_path=True)[-1]
    assert rest == pytest.approx(0.2 * (way + 0.05 * way**2), rel=1e-6)
    initial = changed.forward[3] - changed.ion_alone()[-1]
    assert initial == pytest.approx(0.2 * way, rel=1e-6)
    way = x[scan.zero.highest] - x[-1]
    final = charges[-1, 0, 0]
    assert changed.backward[3] - changed.ion_alone(backward=True)[-1] == pytest.approx(
        0.2 * final * way, rel=1e-6
    )


def test_fit_ends_where_the_line_does(scan: FieldPaths) -> None:
    narrow = scan.fit(tolerance=1e-9)
    assert narrow.limit == 0.05
    assert narrow.slope == pytest.approx(-HALF_WIDTH, rel=0.01)
    assert narrow.intercept == pytest.approx(HEIGHT, abs=2e-3)
    assert scan.fit(backward=True, tolerance=1e-9).slope == pytest.approx(HALF_WIDTH, rel=0.01)
    middle = scan.fit(tolerance=0.005)
    assert middle.limit == 0.1
    assert 1e-3 < middle.residual < 0.005
    assert scan.fit(tolerance=1.0).limit == 0.2
    few = FieldPaths(scan.direction, scan.strengths[3:5], scan.paths[3:5], scan.dipoles, scan.ion)
    with pytest.raises(ValueError, match="`strengths` must have three or more fields"):
        few.fit()
    with pytest.raises(ValueError, match="`calculator` must have Born charges"):
        few.ion_alone()


def test_ends_kept_at_zero_field(zero: MigrationPath) -> None:
    scan = field_paths(zero, in_field, [0.1], (1, 0, 0), fmax=1e-3, relax_ends="zero")
    (_, path) = scan.paths
    for k in (0, -1):
        assert np.array_equal(path.images[k].positions, zero.images[k].positions)
    left, saddle, _ = stationary_energies(0.1)
    well = -0.1 * -HALF_WIDTH
    assert path.forward_barrier == pytest.approx(saddle - well, abs=1e-4)
    assert saddle - well < saddle - left - 1e-3


def test_both_directions_from_a_band_that_is_not_relaxed() -> None:
    band = interpolate_path(*wells(), 3)
    band[0].positions[0, 0] += 0.1
    kept = band[0].positions.copy()
    scan = field_paths(band, in_field, [0.1], (0, 0, 1), fmax=5e-3, both=True)
    assert scan.strengths.tolist() == [-0.1, 0.0, 0.1]
    assert scan.forward == pytest.approx(np.full(3, HEIGHT), abs=1e-3)  # E is across the hop
    never = field_paths(band, in_field, [0.0], (1, 0, 0), fmax=0.5, relax_ends="never")
    assert np.array_equal(never.zero.images[0].positions, kept)
    assert np.isnan(never.dipoles).all()


def test_files_and_resume(zero: MigrationPath, tmp_path: Path) -> None:
    """A search that is stopped anywhere goes on to the same barriers."""

    def file(strength: float) -> Path:
        return tmp_path / f"hop{strength:+g}.traj"

    class Killed(Exception):
        pass

    calls = 0

    class Limited(DoubleWell):
        def calculate(self, *args: object, **kwargs: object) -> None:
            nonlocal calls
            calls += 1
            if calls > limit:
                raise Killed
            super().calculate(*args, **kwargs)

    def limited(field: np.ndarray) -> FieldCalculator:
        return FieldCalculator(Limited(), {"Li": 1, "O": -1}, field, net_force="keep")

    options = {"fmax": 2e-3, "files": file, "every": 3}
    band = interpolate_path(*wells(), 3)
    random = np.random.default_rng(3)
    kills = 0
    while True:
        limit, calls = int(random.integers(20, 250)), 0
        try:
            scan = field_paths(band, limited, [0.1], (1, 0, 0), resume=True, **options)
        except Killed:
            kills += 1
            continue
        break
    assert kills > 1
    assert [scan.forward[k] for k in (0, 1)] == pytest.approx(
        [expected(0)[0], expected(0.1)[0]], abs=1e-4
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hop+0.1.traj", "hop+0.traj"]
    for strength, path in zip(scan.strengths, scan.paths, strict=True):
        written = read(file(strength), ":")
        assert [a.get_potential_energy() for a in written] == list(path.energies)
    again = field_paths(band, in_field, [0.1], (1, 0, 0), resume=True, **options)
    assert [path.steps for path in again.paths] == [0, 0]
    with pytest.raises(ValueError, match=r"must hold 6 images to continue from, got 5"):
        field_paths(
            interpolate_path(*wells(), 4), in_field, [0.1], (1, 0, 0), resume=True, **options
        )


def test_plots(scan: FieldPaths) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, (left, right) = pyplot.subplots(1, 2)
    assert scan.plot(left) is left
    labels = [f"{e:+g} V/Å" if e else "no field" for e in scan.strengths]
    assert left.get_legend_handles_labels()[1] == labels
    assert scan.plot_barriers(right) is right
    lines = right.get_lines()
    assert list(lines[0].get_ydata()) == list(scan.forward)
    assert list(lines[3].get_ydata()) == list(scan.first_order(backward=True))
    pyplot.close(figure)


def test_refusals(zero: MigrationPath, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="`calculator` must be a function"):
        field_paths(zero, DoubleWell(), [0.1], (1, 0, 0))
    with pytest.raises(ValueError, match=r"`relax_ends` must be one of .* got 'always'"):
        field_paths(zero, in_field, [0.1], (1, 0, 0), relax_ends="always")
    with pytest.raises(ValueError, match="`direction` must be three finite numbers"):
        field_paths(zero, in_field, [0.1], (0, 0, 0))
    for strengths in ([], [np.nan], [[0.1]]):
        with pytest.raises(ValueError, match="`strengths` must be finite fields"):
            field_paths(zero, in_field, strengths, (1, 0, 0))
