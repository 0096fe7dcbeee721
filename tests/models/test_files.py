"""Model files: whole or not at all, and nothing of them is executed."""

import os
import pickle
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from descriptor_examples import skewed
from model_examples import potential, total_energy

import ase_bec
from ase_bec import NeuralNetworkPotential
from ase_bec.models.formats.saved import FORMAT, VERSION

METADATA = {"source": "random", "rmse": 0.1, "frames": [1, 2], "nested": {"ok": True}}


def written(path: Path, **changes: object) -> Path:
    """A saved model, some of its content replaced (None: removed)."""
    potential(metadata=METADATA).save(path)
    content = torch.load(path, weights_only=True)
    content.update(changes)
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_loads_what_was_saved_to_the_bit(tmp_path, dtype) -> None:
    model = potential(activation="softplus", metadata=METADATA).to(dtype)
    model.save(tmp_path / "model.pt")
    found = ase_bec.load(tmp_path / "model.pt")
    assert isinstance(found, NeuralNetworkPotential)
    assert found.config() == model.config()
    assert found.metadata == METADATA
    assert not found.training
    state = found.state_dict()
    assert state.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        kept = torch.float64 if name.endswith("offsets") else dtype
        assert state[name].dtype == value.dtype == kept
        assert torch.equal(state[name], value)
    if dtype == torch.float64:
        assert total_energy(found, skewed()) == total_energy(model, skewed())
    assert os.listdir(tmp_path) == ["model.pt"]


def test_path_may_be_text(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    potential().save("model")
    assert ase_bec.load("model").elements == ("Li", "P", "O")


def test_file_has_the_usual_permissions(tmp_path) -> None:
    (tmp_path / "usual").touch()
    potential().save(tmp_path / "model.pt")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "model.pt")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch, error) -> None:
    path = tmp_path / "model.pt"
    potential(seed=1).save(path)
    before = path.read_bytes()

    def fail(content: object, file) -> None:
        file.write(b"half of a mod")
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(type(error)):
        potential(seed=2).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.pt"]


def test_refuses_places_that_hold_no_file(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="`path` must lie in an existing folder, got"):
        potential().save(tmp_path / "missing" / "model.pt")
    with pytest.raises(ValueError, match="`path` must be a file, got the folder"):
        potential().save(tmp_path)
    with pytest.raises(FileNotFoundError, match="must be a model file or the name of a bundled"):
        ase_bec.load(tmp_path)


def test_metadata_that_could_not_be_read_again_is_refused(tmp_path) -> None:
    model = potential(metadata={"path": Path("somewhere")})
    with pytest.raises(ValueError, match="`metadata` must hold numbers, strings, tensors"):
        model.save(tmp_path / "model.pt")
    assert os.listdir(tmp_path) == []


def test_unknown_name_lists_the_bundled_models(monkeypatch) -> None:
    bundled = ase_bec.bundled()
    with pytest.raises(FileNotFoundError, match="`no-such-model` must be a model file") as caught:
        ase_bec.load("no-such-model")
    assert all(name in str(caught.value) for name in bundled)
    bundled["mine"] = "changes nothing"
    assert "mine" not in ase_bec.bundled()


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_files_with_code_are_refused_and_not_executed(tmp_path) -> None:
    trap = tmp_path / "executed"
    path = written(tmp_path / "model.pt", metadata={"note": Malicious(trap)})
    with pytest.raises(ValueError, match=r"must hold numbers and strings.*could execute code"):
        ase_bec.load(path)
    path.write_bytes(pickle.dumps(Malicious(trap)))
    with pytest.raises(ValueError, match=r"must be a file written by model.save"):
        ase_bec.load(path)
    assert not trap.exists()
    torch.load(written(path, metadata=Malicious(trap)), weights_only=False)
    assert trap.exists()  # the trap works


def test_every_truncation_is_noticed(tmp_path) -> None:
    potential().save(tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    path = tmp_path / "part.pt"
    for length in {0, 1, 10, 100, *range(0, len(whole), 997), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"part\.pt` must be a"):
            ase_bec.load(path)


def test_every_change_of_a_number_is_noticed(tmp_path) -> None:
    model = potential()
    path = tmp_path / "model.pt"
    model.save(path)
    whole = path.read_bytes()
    weights = model.network.networks.networks[1][0].weight.detach().numpy().tobytes()
    start = whole.index(weights)
    for position in np.linspace(start, start + len(weights) - 1, 23).astype(int):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"must be a whole model file.*data/.* was changed"):
            ase_bec.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "something"}, "must be a file written by model.save, got another torch file"),
        ({"version": VERSION + 1}, f"version of at most {VERSION}, got {VERSION + 1}: update"),
        ({"version": None}, f"version of at most {VERSION}, got None"),
        ({"kind": "magic"}, "must hold one of .*neural-network potential.*, got 'magic'"),
        ({"kind": None}, "must hold one of .*, got None"),
        ({"config": None}, "must be a consistent model file, got: 'config'"),
        ({"config": {"elements": ["Li"]}}, "must be a consistent model file.*cutoff"),
        ({"config": {"elements": ["Q"], "cutoff": 3.0}}, "consistent model file.*chemical symbols"),
        ({"state": {}}, "must be a consistent model file, got: .*Missing key"),
        ({"state": None}, "must be a consistent model file, got: 'state'"),
        ({"state": [1, 2]}, "must be a consistent model file"),
        ({"metadata": 3}, "must be a consistent model file"),
    ],
)
def test_inconsistent_content_is_named(tmp_path, changes, message) -> None:
    path = written(tmp_path / "model.pt", **changes)
    with pytest.raises(ValueError, match=message):
        ase_bec.load(path)


def test_weights_that_are_not_finite_are_refused(tmp_path) -> None:
    model = potential()
    model.network.networks.networks[2][0].weight.data[0, 0] = float("nan")
    model.save(tmp_path / "model.pt")
    message = r"numbers in terms\.0\.networks\.networks\.2\.0\.weight that are"
    with pytest.raises(ValueError, match=message):
        ase_bec.load(tmp_path / "model.pt")


def test_foreign_files(tmp_path) -> None:
    path = tmp_path / "foreign"
    torch.save({"state_dict": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"written by model.save, got another torch file"):
        ase_bec.load(path)
    torch.save(torch.zeros(3), path)
    with pytest.raises(ValueError, match=r"written by model.save, got another torch file"):
        ase_bec.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no model")
    with pytest.raises(ValueError, match="must be a whole model file, got one that cannot be read"):
        ase_bec.load(path)
    for content in (b"", b"Li 0 0 0\n", bytes(range(256)) * 40):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="got something else"):
            ase_bec.load(path)


def test_format_is_as_documented(tmp_path) -> None:
    """Files of this version must stay readable: what they hold is fixed."""
    potential(metadata=METADATA).save(tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    assert FORMAT == "ase_bec model"
    assert set(content) == {"format", "version", "kind", "config", "state", "metadata"}
    assert (content["kind"], content["version"]) == ("neural-network potential", 2)
    names = {name.split(".")[1] for name in content["state"]}
    assert names == {"0", "1"}  # terms: the network, the repulsion
