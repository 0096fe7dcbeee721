"""Frames that a model was made from are known again, in whatever file they come."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read, write
from hypothesis import given, settings
from hypothesis import strategies as st
from training_examples import crystals

import ase_bec
from ase_bec.cli.main import main
from ase_bec.data import Dataset, read_dataset, write_dataset
from ase_bec.training.known_frames import (
    frame_hashes,
    known_frames,
    known_frames_text,
    structure_hashes,
)
from ase_bec.training.split import Split

TOML = """\
output = "{output}"
[data]
files = ["frames.xyz"]
validation = 0.2
test = 0.3
[model]
{model}
[training]
epochs = 1
batch = 4
"""
TINY = 'kind = "equivariant"\ncutoff = 3.5\nradial = 3\ndegree = 1\nchannels = 2\nhidden = [4]'


def model_of(frames, train, validation=()):
    rest = [k for k in range(len(frames)) if k not in (*train, *validation)]
    split = Split(list(train), list(validation), rest)
    return SimpleNamespace(metadata={"frame_hashes": frame_hashes(Dataset(frames), split)})


def same(a, b):
    return bool(set(structure_hashes(a)) & set(structure_hashes(b)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from(["extxyz", "vasp", "traj"]))
def test_the_same_structure_in_any_file(seed, file_format):
    rng = np.random.default_rng(seed)
    atoms = crystals(1, seed)[0].atoms
    atoms.positions[:] = np.round(atoms.positions / 5e-4) * 5e-4  # where rounding is undecided
    changed = atoms[rng.permutation(len(atoms))]
    changed.positions += rng.integers(-2, 3, size=(len(atoms), 3)) @ changed.cell.array
    changed.positions += rng.uniform(-1e-8, 1e-8, size=changed.positions.shape)
    if file_format == "traj":
        assert same(atoms, changed)
        return
    file = io.StringIO()
    write(file, changed, format=file_format)
    file.seek(0)
    assert same(atoms, read(file, format=file_format))


def test_another_structure_is_another():
    frames = [frame.atoms for frame in crystals(40)]
    hashes = [set(structure_hashes(atoms)) for atoms in frames]
    assert len(set().union(*hashes)) == 80
    atoms = frames[0]
    for change in (
        lambda a: a.positions.__setitem__((0, 0), a.positions[0, 0] + 0.005),
        lambda a: a.set_cell(a.cell * 1.001, scale_atoms=True),
        lambda a: a.symbols.__setitem__(0, "Na"),
        lambda a: a.set_pbc(False),
    ):
        other = atoms.copy()
        change(other)
        assert not same(atoms, other)


def test_molecules_without_a_cell():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.set_cell(None)
    atoms.pbc = False
    other = atoms.copy()
    assert same(atoms, other[::-1])
    other.positions[0, 0] += 0.01
    assert not same(atoms, other)


def test_frames_are_found_by_their_part():
    frames = crystals(8)
    model = model_of(frames, train=(0, 1, 2), validation=(3,))
    assert known_frames(model, [*crystals(3, seed=7), *frames[2:6]]) == {
        "train": [3],
        "validation": [4],
    }
    assert known_frames_text(model, crystals(3, seed=7), ()) is None
    text = known_frames_text(model, frames, ())
    assert text.startswith("of these 8 frames the model was 3 trained and 1 validated on")
    relabelled = [replace(frame, born_effective_charges=None) for frame in frames[:2]]
    assert known_frames(model, relabelled)["train"] == [0, 1]


def test_models_without_hashes_know_nothing_but_their_files(tmp_path):
    file = tmp_path / "frames.xyz"
    write_dataset(file, crystals(2))
    bare = SimpleNamespace()
    assert known_frames(bare, crystals(2)) == {}
    assert known_frames_text(bare, crystals(2), [file]) is None
    data = Path(__file__).parents[2] / "tutorials" / "data" / "li3po4_dfpt.xyz"
    text = known_frames_text(ase_bec.load("li3po4-bec"), read_dataset(data), [data, file])
    assert text.startswith(f"the model was made from frames of {data}:")


@pytest.mark.filterwarnings("ignore:.*local dipole:UserWarning")
def test_evaluate_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frames = crystals(10)
    write_dataset("frames.xyz", frames)
    Path("bec.toml").write_text(TOML.format(output="bec.pt", model=TINY))
    assert main(["train", "bec.toml"]) == 0
    split = ase_bec.load("bec.pt").metadata["split"]
    assert [len(split[part]) for part in ("train", "validation", "test")] == [5, 2, 3]
    write_dataset("test.xyz", [frames[k] for k in split["test"]])
    write_dataset("new.xyz", crystals(2, seed=9))
    capsys.readouterr()
    for file, expected in (
        ("frames.xyz", "of these 10 frames the model was 5 trained and 2 validated on"),
        ("test.xyz", None),
        ("new.xyz", None),
    ):
        assert main(["evaluate", "bec.pt", file]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(expected or "Z in e")
    # A model that goes on from this one was made from its frames, too.
    write_dataset("frames.xyz", crystals(6, seed=4))
    Path("more.toml").write_text(TOML.format(output="more.pt", model='start = "bec.pt"'))
    assert main(["train", "more.toml"]) == 0
    capsys.readouterr()
    write_dataset("first.xyz", frames)
    assert main(["evaluate", "more.pt", "first.xyz"]) == 0
    assert "of these 10 frames the model was 5 trained and 2 validated" in capsys.readouterr().out
    assert main(["info", "bec.pt"]) == 0
    assert "frame_hashes" not in capsys.readouterr().out
