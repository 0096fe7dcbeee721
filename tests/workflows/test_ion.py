"""The migrating ion along a path: which one, its forces, neighbours and charges."""

import numpy as np
import pytest
from analytic import DoubleWell, wells
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ase_bec import FieldCalculator
from ase_bec.workflows import (
    MigrationPath,
    find_path,
    interpolate_path,
    ion_profile,
    migration_path,
    moving_ion,
)


def in_field() -> FieldCalculator:
    return FieldCalculator(DoubleWell(), {"Li": 1, "O": -1}, (0.1, 0, 0.02), net_force="keep")


@pytest.fixture(scope="module")
def path() -> MigrationPath:
    return find_path(interpolate_path(*wells(), 3), in_field, fmax=0.02)


@pytest.fixture(scope="module")
def crystal() -> MigrationPath:
    """Li (index 2) from 0.5 over the boundary of the cell to −1.0, others standing."""
    frames = []
    for x in (0.5, 0.0, -1.0):
        places = [[5.0, 1.5, 0], [2.0, 0, 0], [x, 0, 0], [3.0, 3.0, 3.0]]
        atoms = Atoms("OPLiO", places, cell=[6, 7, 8], pbc=True)
        forces = np.zeros((4, 3))
        forces[2] = [x, 2 * x, 3.0]
        atoms.calc = SinglePointCalculator(atoms, energy=x**2, forces=forces)
        frames.append(atoms)
    return migration_path(frames, True, 0.0, 0)


def test_forces_include_the_field(path: MigrationPath) -> None:
    profile = ion_profile(path)
    assert (profile.ion, profile.symbol) == (0, "Li")
    for k, image in enumerate(path.images):
        bare = DoubleWell().get_forces(image)[0]
        assert profile.forces[k] == pytest.approx(bare + [0.1, 0, 0.02], abs=1e-9)
        assert profile.positions[k] == pytest.approx(image.positions[0], abs=0)
    assert profile.coordinate is path.coordinate
    assert profile.charges is None


def test_neighbours_stand_beside_the_ion(crystal: MigrationPath) -> None:
    profile = ion_profile(crystal, neighbours=2)
    assert (profile.ion, profile.symbol) == (2, "Li")
    assert profile.neighbours == (0, 1)  # O at (−1, 1.5, 0) across the boundary, then P
    assert profile.neighbour_symbols == ("O", "P")
    assert profile.neighbour_positions[:, 0] == pytest.approx(np.tile([-1, 1.5, 0], (3, 1)))
    assert profile.neighbour_positions[:, 1] == pytest.approx(np.tile([2, 0, 0], (3, 1)))
    assert profile.distances[2] == pytest.approx([1.5, 3.0])
    assert profile.distances[0, 1] == pytest.approx(1.5)
    assert profile.axes[0] == 0
    fewer = ion_profile(crystal, neighbours=1)
    assert fewer.neighbours == (0, 1)  # the nearest of each element
    assert ion_profile(crystal, neighbours=0).neighbours == ()
    assert ion_profile(crystal, neighbours=9).neighbours == (0, 1, 3)


def test_charges_of_the_ion_alone(crystal: MigrationPath) -> None:
    tensor = np.arange(9.0).reshape(3, 3)
    profile = ion_profile(crystal, charges={"Li": tensor, "O": -2, "P": 5})
    assert profile.charges is not None
    assert np.array_equal(profile.charges, np.tile(tensor, (3, 1, 1)))
    with pytest.raises(ValueError, match="got none for P"):
        ion_profile(crystal, charges={"Li": 1, "O": -2})
    with pytest.raises(ValueError, match="`charges` must be given to `ion_profile`"):
        ion_profile(crystal).plot_charges()


def test_another_ion_may_be_named(crystal: MigrationPath) -> None:
    assert ion_profile(crystal, ion=1, neighbours=0).symbol == "P"
    with pytest.raises(ValueError, match="`ion` must be an index of 4 atoms, got 4"):
        ion_profile(crystal, ion=4)
    with pytest.raises(ValueError, match="`neighbours` must not be negative, got -1"):
        ion_profile(crystal, neighbours=-1)
    with pytest.raises(ValueError, match="`images` must differ at the ends"):
        moving_ion([crystal.images[0], crystal.images[0]])


def test_plots(crystal: MigrationPath) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    profile = ion_profile(crystal, charges={"Li": 1, "O": -2, "P": 5}, neighbours=2)
    figure, axes = pyplot.subplots(1, 3)
    assert profile.plot(axes[0]) is axes[0]
    lines = axes[0].get_lines()
    assert list(lines[0].get_xdata()) == [0.5, 0.0, -1.0]
    assert list(lines[1].get_ydata()) == [1.0, 0.0, -2.0]
    profile.plot_positions(axes[1], axes=(0, 1))
    assert axes[1].get_legend_handles_labels()[1] == ["Li", "O", "P"]
    assert list(axes[1].get_lines()[1].get_ydata()) == [1.5] * 3
    profile.plot_charges(axes[2])
    assert list(axes[2].get_lines()[2].get_ydata()) == [1, 1, 1]
    pyplot.close(figure)
