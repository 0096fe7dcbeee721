"""Settings, splits, formal charges: what they give, and what is refused."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from training_examples import crystals

from ase_bec.data import Dataset, Frame
from ase_bec.training.build import make_task
from ase_bec.training.config import Config, DataOptions, read_config
from ase_bec.training.formal_charges import guess_formal_charges
from ase_bec.training.split import Split, split_frames

TOML = """\
output = "out.pt"
[data]
files = ["a.xyz", "b.xyz"]
keys = {energy = "E_pbe"}
sum_rule = "uniform"
[model]
kind = "equivariant"
cutoff = 5
[loss]
born_charges = 2
[training]
epochs = 7
rate = 1e-3
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(TOML)
    return path


def test_settings_are_read(path: Path) -> None:
    config = read_config(path)
    assert config.data.files == (str(path.parent / "a.xyz"), str(path.parent / "b.xyz"))
    assert config.data.keys == {"energy": "E_pbe"}
    assert config.data.sum_rule == "uniform"
    assert config.model == {"kind": "equivariant", "cutoff": 5}
    assert config.loss == {"born_charges": 2.0}
    assert (config.training.epochs, config.training.rate, config.output) == (7, 1e-3, "out.pt")
    assert config.training.batch == 4


def test_settings_given_anew(path: Path) -> None:
    given = [
        "training.epochs=3", "training.rate=1", "output=other.pt", "data.files=['c.xyz']",
        "data.validation=['melt', 'hop']", "data.test=0.5", "model.formal_charges={Li = 1}",
        "model.hidden=[8, 8]", "training.dtype=float64", "data.displacement_first=true",
    ]  # fmt: skip
    config = read_config(path, given)
    assert (config.training.epochs, config.training.rate) == (3, 1.0)
    assert (config.output, config.training.dtype) == ("other.pt", "float64")
    assert config.data.files == (str(path.parent / "c.xyz"),)
    assert config.data.validation == ("melt", "hop")
    assert config.data.test == 0.5
    assert config.data.displacement_first is True
    assert config.model["formal_charges"] == {"Li": 1}
    assert config.model["hidden"] == [8, 8]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("training.epoch=3", "`training.epoch` is not a setting; did you mean `training.epochs`"),
        ("trainning.epochs=3", "`trainning` is not a setting; did you mean `training`"),
        ("training.epochs=many", "`training.epochs` must be an integer, got 'many'"),
        ("training.epochs=1.5", "`training.epochs` must be an integer, got 1.5"),
        ("training.epochs=true", "`training.epochs` must be an integer, got True"),
        ("training.rate=fast", "`training.rate` must be a number, got 'fast'"),
        ("training.rate=0", "`training.rate` must be positive, got 0"),
        ("training.batch=0", "`training.batch` must be 1 or more, got 0"),
        ("training.average=1", "`training.average` must be at least 0 and below 1"),
        ("training.dtype=half", "`training.dtype` must be float32 or float64, got 'half'"),
        ("training=3", "`training` must be a section, got 3"),
        ("training.epochs", "must be as in training.epochs=50, got 'training.epochs'"),
        (".a=3", "must be as in training.epochs=50"),
        ("output.a=3", "`output.a` must be a setting"),
        ("data.files=[1]", r"`data.files` must be a list of strings, got \[1\]"),
        ("data.files=[]", r"`data.files` must be a list of strings, got \[\]"),
        ("data.validation=true", "`data.validation` must be a number or a list of strings"),
        ("loss.born_charges=a", "`loss.born_charges` must be a number, got 'a'"),
        ("data.keys=3", "`data.keys` must be a table, got 3"),
    ],
)
def test_wrong_settings_are_named(path: Path, given: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_config(path, [given])


def test_files_of_no_use(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_config(tmp_path / "none.toml")
    for text, message in (("a = ", "must be a TOML file"), ("", "`data` must be given"),
                          ("[data]", "`data.files` must be given")):  # fmt: skip
        (tmp_path / "a.toml").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_config(tmp_path / "a.toml")


def config(**model: Any) -> Config:
    return Config(DataOptions(files=("a.xyz",)), model=model)


def test_task_of_settings() -> None:
    data = Dataset(crystals(3))
    task, messages = make_task(config(kind="equivariant", cutoff=4.0, hidden=[5]), data)
    assert task.model.formal_charges == {"Li": 1.0, "F": -1.0}
    assert task.model.network.hidden == (5,)
    assert "formal charges, guessed: F = -1, Li = +1" in messages[0]
    charges = {"F": -1.0, "Li": 1.0}
    task, messages = make_task(config(formal_charges=charges, elements=["F", "Li"]), data)
    assert (task.model.elements, messages) == (("F", "Li"), [])
    with pytest.warns(UserWarning, match="single-valued"):
        task, _ = make_task(config(formal_charges="none"), data)
    assert task.model.formal_charges is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"kind": "magic"},
            "`model.kind` must be one of nnp, .*equivariant, message-passing, vaf, .*got",
        ),
        ({"cutof": 3.0}, "`model.cutof` is not a setting of EquivariantNetwork; known: cutoff"),
        ({"kind": "nnp", "offsets": [0.0]}, "`model.offsets` is not a setting of NeuralNetwork"),
        ({"kind": "vaf"}, "`model.cutoff` must be given for VAFNetwork"),
        ({"cutoff": "far"}, "section `model` has a value of the wrong type"),
        ({"formal_charges": "Li"}, 'must be a table such as {Li = 1}, "guess" or "none"'),
        ({"formal_charges": {"Li": 1}}, "must have a finite charge for each of Li, F"),
    ],
)
def test_wrong_models_are_named(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(config(**model), Dataset(crystals(2)))


def whole(split: Split, n: int) -> bool:
    parts = [*split.train, *split.validation, *split.test]
    return sorted(parts) == list(range(n))


def test_random_split() -> None:
    kinds = [None] * 50
    split = split_frames(kinds, "random", 0.1, 0.2, seed=3)
    assert [len(part) for part in split] == [35, 5, 10]
    assert whole(split, 50)
    assert split == split_frames(kinds, "random", 0.1, 0.2, seed=3)
    assert split != split_frames(kinds, "random", 0.1, 0.2, seed=4)
    # the test does not depend on what is held back for validation
    assert split.test == split_frames(kinds, "random", 0.3, 0.2, seed=3).test


def test_block_split() -> None:
    split = split_frames([None] * 10, "block", 0.2, 0.3)
    assert split == Split([0, 1, 2, 3, 4], [5, 6], [7, 8, 9])


def test_split_by_kind() -> None:
    kinds = [*"aabbbccdde"]
    split = split_frames(kinds, "config_type", ["b"], ["e", "a"])
    assert split == Split([5, 6, 7, 8], [2, 3, 4], [0, 1, 9])
    for seed in range(5):
        split = split_frames(kinds, "config_type", 0.2, ["c"], seed)
        parts = [{kinds[k] for k in part} for part in split]
        assert whole(split, 10)
        assert parts[2] == {"c"}
        assert len(split.validation) >= 2
        assert not parts[0] & parts[1]


@pytest.mark.parametrize(
    ("kinds", "arguments", "message"),
    [
        ([None] * 4, ("other",), "must be one of random, config_type, block"),
        ([None] * 4, ("random", 1.0), "`validation` must be at least 0 and below 1, got 1.0"),
        ([None] * 4, ("random", 0.5, -0.1), "`test` must be at least 0"),
        ([None] * 4, ("random", 0.01), "`validation` must give at least one frame, got 0.01 of 4"),
        ([None] * 4, ("random", ["a"]), "`validation` must be a number"),
        ([None] * 4, ("random", 0.5, 0.5), "must leave frames to train on"),
        ([None] * 4, ("config_type", 0.5), "needs a `config_type` in every frame"),
        ([*"aabb"], ("config_type", ["c"]), "'c' is not in any frame, known: a, b"),
        ([*"aabb"], ("config_type", ["a"], ["a"]), "must name different kinds"),
        ([*"aabb"], ("config_type", ["a"], ["b"]), "must leave frames to train on"),
    ],
)
def test_splits_of_no_use(
    kinds: Sequence[str | None], arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        split_frames(kinds, *arguments)


def labelled(formula: str, charges: dict[str, float], net: float = 0.0) -> Frame:
    atoms = Atoms(formula)
    atoms.positions[:, 0] = np.arange(len(atoms))
    z = np.array([charges[s] for s in atoms.get_chemical_symbols()])[:, None, None] * np.eye(3)
    return Frame(atoms, born_effective_charges=z, net_charge=net)


@pytest.mark.parametrize(
    ("formula", "mean", "expected"),
    [
        ("Li3PO4", {"Li": 1.0, "P": 3.1, "O": -1.53}, {"Li": 1, "P": 5, "O": -2}),
        ("SiO2", {"Si": 3.2, "O": -1.6}, {"Si": 4, "O": -2}),
        ("BaTiO3", {"Ba": 2.7, "Ti": 7.2, "O": -3.3}, {"Ba": 2, "Ti": 4, "O": -2}),
        ("Zr2O3", {"Zr": 5.5, "O": -2.8}, {"Zr": 4, "O": -2}),  # a vacancy with its electrons
        ("FeS", {"Fe": 2.3, "S": -2.3}, {"Fe": 2, "S": -2}),
    ],
)
def test_formal_charges(formula: str, mean: dict[str, float], expected: dict[str, int]) -> None:
    assert guess_formal_charges([labelled(formula, mean)]) == expected


def test_formal_charges_of_charged_vacancies() -> None:
    mean = {"Li": 1.0, "P": 3.1, "O": -1.53}
    vacancy = labelled("Li2PO4", mean, net=-1.0)
    assert guess_formal_charges([vacancy]) == {"Li": 1, "P": 5, "O": -2}
    neutral = [labelled("Li3PO4", mean)] * 3
    wrong = replace(vacancy, net_charge=0.0)  # a minority that does not fit
    assert guess_formal_charges([*neutral, wrong]) == {"Li": 1, "P": 5, "O": -2}


def test_formal_charges_that_cannot_be_guessed() -> None:
    with pytest.raises(ValueError, match=r"mean Born charges: Fe \+9.00, O -2.00"):
        guess_formal_charges([labelled("FeO", {"Fe": 9.0, "O": -2.0})])
    with pytest.raises(ValueError, match="no frame has Born charges"):
        guess_formal_charges([Frame(Atoms("Li"))])
