"""What model files may ask for: refused before anything is built, and without unsafe advice."""

import os
import pickle
import re
import time
import zipfile
from pathlib import Path

import pytest
import torch
from model_examples import potential
from reference_data import NNP, needs_data

import ase_bec
from ase_bec.models.formats.saved import _FOLDER
from ase_bec.terms.limits import check_sizes, load_plain, reason


def changed(path: Path, part: str, value: object) -> Path:
    """The bundled Born charges with one part replaced, or changed by a function."""
    content = torch.load(_FOLDER / "li3po4-bec.pt", weights_only=True)
    content[part] = value(content[part]) if callable(value) else value
    torch.save(content, path)
    return path


def network(**options: object):
    return lambda config: {**config, "network": {**config["network"], **options}}


def numbers(value: float):
    return lambda state: {**state, "network.mean": torch.full_like(state["network.mean"], value)}


DEEP: object = 1
for _ in range(60):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("config", network(degree=50), "`degree` must be from 0 to 12, got 50"),
        ("config", network(channels=10**9), "`channels` must be from 0 to 256, got 1000000000"),
        ("config", network(radial=-5), "`radial` must be from 0 to 256, got -5"),
        ("config", network(hidden=[10**6]), "`hidden` must be 16 layers of 4096 nodes at most"),
        ("config", network(hidden=[4000] * 16), "at most 100000000 weights"),
        ("config", network(radial=256, channels=256, degree=12), "got: .*size|weights|shape"),
        ("config", network(cutoff=1e300), r"`config.network.cutoff` of 1e\+300"),
        ("config", network(cutoff=400.0), "`cutoff` must be positive and at most 50 Å, got 400"),
        ("config", network(cutoff=float("nan")), "`config.network.cutoff` of nan"),
        ("config", network(kind=["x"]), "must be a consistent model file"),
        ("config", lambda c: {**c, "elements": ["Li"] * 10**5}, "at most 100000000 weights"),
        ("config", lambda c: {**c, "formal_charges": {"Li": 1e300, "P": 5, "O": -2}}, "1e[+]300"),
        ("config", {"x": DEEP}, "`config` nested more than 40 times"),
        ("metadata", {"x": DEEP}, "`metadata` nested more than 40 times"),
        ("state", numbers(1e300), r"numbers in network.mean up to 1e\+300"),
        ("state", numbers(float("inf")), "numbers in terms.1.mean that are not finite"),
        ("state", lambda s: {**s, "network.mean": 3}, "`network.mean` must be a tensor"),
        (
            "state",
            lambda s: {**s, "network.mean": torch.zeros(1).expand(10**9)},
            "`network.mean` with 1000000000 numbers in a file of",
        ),
        ("version", -5, "must have a format version of at most 2, got -5: it is damaged"),
        ("version", True, "must have a format version of at most 2, got True"),
        ("version", 1e300, "must have a format version of at most 2, got 1e"),
        ("kind", ["x"], r"must hold one of .*, got \['x'\]"),
        ("kind", {"x": 1}, "must hold one of .*, got {'x': 1}"),
    ],
)
def test_absurd_models_are_refused_at_once(tmp_path, part, value, message) -> None:
    path = changed(tmp_path / "model.pt", part, value)
    begin = time.process_time()
    with pytest.raises(ValueError, match=message) as caught:
        ase_bec.load(path)
    assert time.process_time() - begin < 2
    assert str(caught.value).count("\n") == 0


def test_bundled_models_are_within_limits() -> None:
    for name in ase_bec.bundled():
        assert ase_bec.load(name) is not None


class Trap:
    def __reduce__(self):
        return os.system, ("true",)


def refusals(tmp_path: Path) -> list[str]:
    """What is said about files that could execute code, by all that read or write them."""
    from ase_bec.training.checkpoint import read_checkpoint

    path = changed(tmp_path / "trap.pt", "metadata", {"note": Trap()})
    texts = []
    for read in (ase_bec.load, read_checkpoint):
        with pytest.raises(ValueError, match="could execute code") as caught:
            read(path)
        texts.append(str(caught.value))
    with pytest.raises(ValueError, match="`metadata` must hold") as caught:
        potential(metadata={"note": Trap()}).save(tmp_path / "model.pt")
    return [*texts, str(caught.value)]


def test_refusals_never_advise_unsafe_loading(tmp_path) -> None:
    for text in refusals(tmp_path):
        for word in ("weights_only", "trust", "safe_globals", "add_safe", "False", "\n"):
            assert word not in text
        assert "system" in text  # what it holds is named


def test_torch_itself_does_advise_it(tmp_path) -> None:
    """Else the test above would pass without doing anything."""
    path = changed(tmp_path / "trap.pt", "metadata", {"note": Trap()})
    with pytest.raises(pickle.UnpicklingError, match="weights_only") as caught:
        torch.load(path, weights_only=True)
    assert reason(caught.value).startswith("`")


def test_archives_that_unpack_to_more_than_they_are(tmp_path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10**7)
    with pytest.raises(ValueError, match=r"10000000 bytes in a file of \d+"):
        load_plain(path)
    with pytest.raises(ValueError, match="must be a whole model file"):
        ase_bec.load(path)


def test_every_change_of_a_checkpoint_is_noticed(tmp_path) -> None:
    from ase_bec.training.checkpoint import read_checkpoint, write_checkpoint

    path = tmp_path / "a.checkpoint"
    write_checkpoint(path, {"numbers": torch.arange(1000.0)})
    assert read_checkpoint(path)["numbers"][7] == 7
    whole = path.read_bytes()
    at = whole.index(torch.arange(1000.0).numpy().tobytes())
    path.write_bytes(whole[: at + 400] + b"\x01" + whole[at + 401 :])
    with pytest.raises(ValueError, match=r"must be a whole checkpoint, got: .* was changed since"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "config",
    [{"degree": 12}, {"hidden": [48, 48], "channels": 8}, {"network": {"messages": 4}}, {}, None],
)
def test_usual_sizes_pass(config) -> None:
    check_sizes(config)


@needs_data
def test_released_weights_with_absurd_numbers(tmp_path) -> None:
    text = NNP.read_text()
    number = re.search(r"^weight_a\s*\n0 (\S+)", text, re.M)[1]
    path = tmp_path / "released.nnp"
    path.write_text(text.replace(number, "1e300", 1))
    with pytest.raises(ValueError, match=r"numbers of a model, got `weight_a` of 1e\+300"):
        ase_bec.load(path)
