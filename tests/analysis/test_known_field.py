"""The field of frames: known where a calculator told it, unknown and not zero elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from analytic import Springs
from ase import Atoms
from ase.io import read, write

from ase_bec import FieldCalculator
from ase_bec.analysis import read_trajectory
from ase_bec.cli.main import main
from ase_bec.data.field_labels import remove_field_labels

FIELD = (0.0, 0.02, 0.05)


def frames(field=FIELD, count: int = 60) -> list[Atoms]:
    """Ions that drift, computed in a field or by the base calculator alone."""
    rng = np.random.default_rng(0)
    atoms = Atoms("Li2F2", np.arange(12.0).reshape(4, 3), cell=[30] * 3, pbc=True)
    made = []
    for _ in range(count):
        atoms.positions += 0.05 * rng.standard_normal((4, 3)) + [0, 0, 0.02]
        atoms.set_velocities(rng.standard_normal((4, 3)))
        copy = atoms.copy()
        copy.calc = Springs()
        if field is not None:
            copy.calc = FieldCalculator(Springs(), {"Li": 1, "F": -1}, field)
        copy.get_forces()
        made.append(copy)
    return made


@pytest.mark.parametrize("suffix", ["traj", "xyz"])
@pytest.mark.parametrize("field", [FIELD, (0, 0, 0)])
def test_frames_of_a_field_calculator_know_it(tmp_path: Path, suffix: str, field: tuple) -> None:
    path = tmp_path / f"a.{suffix}"
    write(path, frames(field))
    for source in (path, read(path, ":"), frames(field)):
        found = read_trajectory(source, timestep=10.0)
        assert found.field is not None
        assert found.constant_field() == pytest.approx(np.array(field))


def test_trajectories_of_earlier_versions_tell_it_by_their_parameters(tmp_path: Path) -> None:
    write(tmp_path / "new.traj", frames())
    earlier = read(tmp_path / "new.traj", ":")
    for atoms in earlier:
        remove_field_labels(atoms)
    found = read_trajectory(earlier, timestep=10.0)
    assert found.constant_field() == pytest.approx(np.array(FIELD))


@pytest.mark.parametrize("suffix", ["traj", "xyz"])
def test_frames_of_other_calculators_do_not(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write(path, frames(None))
    assert read_trajectory(path, timestep=10.0).field is None
    some = [*frames(None, 5), *frames(FIELD, 5)]
    write(path, some)
    assert read_trajectory(path, timestep=10.0).field is None


def test_a_field_that_changes_is_no_constant_one(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    write(path, [*frames(FIELD, 5), *frames((0, 0, 0), 5)])
    found = read_trajectory(path, timestep=10.0)
    assert found.field[0] == pytest.approx(FIELD)
    assert not found.field[-1].any()
    with pytest.raises(ValueError, match="`field` must be constant"):
        found.constant_field()


def test_the_command_says_unknown_and_not_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write("plain.xyz", frames(None))
    write("field.xyz", frames())
    analyse = "analyse {} --timestep 10fs --temperature 300 --fit 30fs 100fs --overwrite"
    for name, options, expected in (
        ("plain.xyz", "", "field unknown"),
        ("plain.xyz", "--field 0 0 0", "E = (0, 0, 0) V/Å"),
        ("plain.xyz", "--field 0 0 5MV/cm", "E = (0, 0, 0.05) V/Å"),
        ("field.xyz", "", "E = (0, 0.02, 0.05) V/Å"),
    ):
        assert main(f"{analyse.format(name)} {options}".split()) == 0
        text = capsys.readouterr().out
        assert expected in text.splitlines()[0]
        assert ("mobility v/E" in text) == ("0.05" in expected)
        assert ("E = (0, 0, 0)" in text) == (options == "--field 0 0 0")
    assert main(f"{analyse.format('field.xyz')} --field 0 0 1".split()) == 2
    assert "--field must not be given: the frames have recorded fields" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_the_command_says_the_net_charge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write("a.xyz", frames())
    analyse = "analyse a.xyz --timestep 10fs --temperature 300 --fit 30fs 100fs --overwrite"
    for charges, net, warned in (("Li=1,F=-1", "0 e", False), ("Li=1,F=-0.9", "+0.2 e", True)):
        assert main([*analyse.split(), "--charges", charges]) == 0
        output = capsys.readouterr()
        assert f"net charge {net}" in output.out.splitlines()[0]
        assert ("which is not a whole number" in output.err) is warned
