"""The published weight files: read whole, and every damage is named with its file and section."""

import re
from pathlib import Path

import numpy as np
import pytest

import ase_bec
from ase_bec import NeuralNetworkPotential, read_released_bec, read_released_nnp
from ase_bec.models import ReleasedBornCharges

MODELS = Path(__file__).parents[3] / "shared/data/shimizu_li3po4/models"
NNP, BEC = MODELS / "lammps-force.nnp", MODELS / "lammps_rot_bec.nnp"
READERS = {NNP: read_released_nnp, BEC: read_released_bec}

pytestmark = pytest.mark.skipif(
    not MODELS.is_dir(), reason=f"needs the published models in {MODELS}"
)
files = pytest.mark.parametrize("source", [NNP, BEC], ids=["nnp", "bec"])


def refused(tmp_path: Path, content: str | bytes, source: Path, message: str) -> None:
    """The damaged content is refused by its own reader and by `load`, and the file is named."""
    path = tmp_path / "damaged.nnp"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (READERS[source], ase_bec.load):
        with pytest.raises(ValueError, match=message) as caught:
            read(path)
        assert "damaged.nnp" in str(caught.value)


def test_potential_is_read() -> None:
    model = read_released_nnp(NNP)
    assert model.elements == ("Li", "P", "O")
    assert model.cutoff == 7.0
    assert model.network.hidden == (10, 10)
    assert model.network.activation == "tanh"
    assert model.network.descriptor.n_features == 126
    assert len(model.network.descriptor.g2) == 6
    assert len(model.network.descriptor.g5) == 18
    assert {row[1] for row in model.network.descriptor.g5} == {1.0, 4.0, 16.0}
    assert (model.network.scaling.high > model.network.scaling.low).all()
    assert not model.training
    assert "2305.19546" in model.metadata["source"]


def test_born_charges_are_read() -> None:
    source = read_released_bec(BEC)
    assert source.elements == ("Li", "P", "O")
    assert source.cutoff == 7.0
    (model,) = source._evaluator.models
    (row,) = model.terms
    assert row.descriptor.n_features == 180
    assert row.descriptor.slope == 2.0
    assert not source.has_dipole


def test_load_tells_them_apart() -> None:
    assert isinstance(ase_bec.load(NNP), NeuralNetworkPotential)
    assert isinstance(ase_bec.load(str(BEC)), ReleasedBornCharges)


def test_saved_again_it_is_the_same_model(tmp_path) -> None:
    model = read_released_nnp(NNP)
    model.save(tmp_path / "nnp.pt")
    found = ase_bec.load(tmp_path / "nnp.pt")
    assert found.config() == model.config()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(found.state_dict()[name], value)


def test_one_is_not_taken_for_the_other() -> None:
    with pytest.raises(ValueError, match=r"lammps_rot_bec\.nnp` must hold a potential, got Born"):
        read_released_nnp(BEC)
    with pytest.raises(ValueError, match=r"lammps-force\.nnp` must hold Born-charge weights, got"):
        read_released_bec(NNP)


@files
def test_every_truncation_is_noticed(tmp_path, source) -> None:
    whole = source.read_bytes()
    path = tmp_path / "part.nnp"
    cuts = np.linspace(0, len(whole) - 1, 25).astype(int).tolist()
    lines = [m.start() for m in re.finditer(b"\n", whole)]  # after whole lines
    for length in cuts + [cut + 1 for cut in lines[:: len(lines) // 12] if cut + 1 < len(whole)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"part\.nnp` must .*") as caught:
            READERS[source](path)
        assert re.search("truncated|section|param_", str(caught.value))


@files
@pytest.mark.parametrize(
    ("section", "line", "new", "message"),
    [
        ("param_g2_b_c", 2, "0.1 abc", "must hold numbers in param_g2_b_c: .*'abc'"),
        ("param_g5_c_aa", 1, "nan 0 1 1", "must .* in param_g5_c_aa"),
        ("param_g5_c_aa", 1, "0.1 nan 1 1", "must hold finite numbers in param_g5_c_aa"),
        ("param_g5_a_bb", 3, "0.1 0.2 1", "must have .* lines of 4 numbers in param_g5_a_bb"),
        ("param_g2_a_b", 1, "7.5 0.0", "must have the same functions in param_g2_a_b as in par"),
        ("g2_a_a_max", 3, "2 1e999", "must hold finite numbers in g2_a_a_max"),
        ("g5_b_ac_min", 4, "5 0.5", "must number the lines of g5_b_ac_min from 0 on"),
        ("g5_b_ac_min", 4, "3 1e9", "must have smaller numbers in g5_b_ac_min than in _max"),
        ("g5_c_cc_max", 5, "", "must have .* lines of 2 numbers in g5_c_cc_max, got"),
        ("weight_b", 7, "6 0.1.2", r"must hold numbers in weight_b: .*'0\.1\.2'"),
        ("weight_c", 7, "6", "must have .* lines of 2 numbers in weight_c"),
        ("weight_c", 7, "x", "must have .* lines of 2 numbers in weight_c"),
        ("weight_a", 8, "7 inf", "must hold finite numbers in weight_a"),
    ],
)
def test_damaged_lines_are_named(tmp_path, source, section, line, new, message) -> None:
    lines = source.read_text().splitlines(keepends=True)
    (start,) = [n for n, text in enumerate(lines) if text.split()[:1] == [section]]
    lines[start + line] = f"{new}\n"
    refused(tmp_path, "".join(lines), source, message)


@files
@pytest.mark.parametrize(
    ("name", "new", "message"),
    [
        ("cutoff_distance", "seven", "must hold numbers in cutoff_distance"),
        ("cutoff_distance", "nan", "must hold finite numbers in cutoff_distance"),
        ("cutoff_distance", "-7.0", "must hold usable functions.*`cutoff` must be positive"),
        ("cutoff_distance", "", "must have 1 lines of 1 numbers in cutoff_distance, got 0"),
        ("node_h1_a", "0", "must have a positive number in node_h1_a, got 0"),
        ("node_h2_a", "9.5", "must have a positive number in node_h2_a, got 9.5"),
        ("node_h1_a", "11", "must have .* lines of 2 numbers in weight_a"),
    ],
)
def test_damaged_values_are_named(tmp_path, source, name, new, message) -> None:
    text = re.sub(rf"^{name} .*$", f"{name} {new}", source.read_text(), count=1, flags=re.M)
    refused(tmp_path, text, source, message)


@files
@pytest.mark.parametrize(
    "section", ["param_g2_c_c", "param_g5_a_aa", "g2_a_c_min", "g5_c_bc_max", "weight_a"]
)
def test_missing_and_doubled_sections_are_named(tmp_path, source, section) -> None:
    text = source.read_text()
    body = re.search(rf"^{section}\s*\n[^a-z]*", text, flags=re.M)
    assert body
    missing = text[: body.start()] + text[body.end() :]
    refused(tmp_path, missing, source, f"must have a section {section}, got none")
    doubled = text + body[0].rstrip() + "\n"
    refused(tmp_path, doubled, source, f"must have one section {section}, got two")


@files
def test_impossible_functions_are_named(tmp_path, source) -> None:
    """The same damage in every section passes the comparison of sections."""
    text = source.read_text()
    rows = [text.split() for text in text.split("param_g5_a_aa")[1].splitlines()[1:4]]
    old = next(row for row in rows if row)
    pattern = r"^\s*" + r"\s+".join(re.escape(number) for number in old) + r"\s*$"
    damaged = re.sub(pattern, " ".join(["-1.0", *old[1:]]), text, flags=re.M)
    assert damaged != text
    refused(tmp_path, damaged, source, "must hold usable functions.*must have η >= 0, got -1")


@files
def test_other_files_are_refused(tmp_path, source) -> None:
    refused(tmp_path, b"", source, "must")
    refused(tmp_path, b"\0" * 5000, source, "must")
    refused(tmp_path, bytes(range(256)) * 30, source, "must be a")
    refused(tmp_path, "cutoff_distance 7.0\n", source, "must have a section .*, got none: the file")
    path = tmp_path / "damaged.nnp"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="must be a text file of released weights"):
        READERS[source](path)


@files
def test_missing_files_are_named(tmp_path, source) -> None:
    for path in (tmp_path / "missing.nnp", tmp_path):
        with pytest.raises(FileNotFoundError, match="`path` must be a file of released weights"):
            READERS[source](path)


@files
@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (("Li", "P"), r"`elements` must name a, b and c of the file, got \['Li', 'P'\]"),
        (("Li", "P", "O", "S"), "`elements` must name a, b and c of the file"),
        (("Li", "P", "Po4"), "`elements` must be different chemical symbols"),
        ("LiP", "`elements` must be a sequence of symbols"),
    ],
)
def test_bad_elements(source, elements, message) -> None:
    with pytest.raises(ValueError, match=message):
        READERS[source](source, elements)


@files
def test_other_elements_take_their_places(source) -> None:
    assert READERS[source](source, ("Na", "As", "S")).elements == ("Na", "As", "S")
