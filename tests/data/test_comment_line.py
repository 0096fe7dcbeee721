"""Comment lines of extended XYZ: everything comes back; ASE reads and writes the same."""

import io
from contextlib import suppress

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from data_examples import salt, shared
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ase_bec.data import Frame, read_dataset, write_dataset
from ase_bec.data.label_names import label_of
from ase_bec.data.readers.comment_line import read_pairs, write_pairs

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
NUMBERS = st.one_of(st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.one_of(
    NUMBERS,
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.lists(st.integers(-(2**62), 2**62), max_size=10),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=10),
    st.lists(st.booleans(), max_size=4),
    st.lists(st.text("ab 1.T", max_size=4), max_size=3),
    st.dictionaries(st.text("ab ", max_size=3), st.integers(), max_size=2),
)


def equal(a: object, b: object) -> bool:
    if isinstance(a, list):
        array = np.asarray(b)
        return array.shape == (len(a),) and all(map(equal, a, array.tolist()))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b or (isinstance(b, np.bool_) and a == bool(b))
    return bool(a == b)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read(info) -> None:
    found = read_pairs(write_pairs(info))
    assert list(found) == list(info)
    for key, value in info.items():
        assert equal(value, found[key]), (key, value, found[key])


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_any_line_is_read_or_refused(line) -> None:
    with suppress(ValueError):
        read_pairs(line)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(info=st.dictionaries(WORDS, VALUES, max_size=3))
def test_files_written_and_read_again_do_not_change(tmp_path, info) -> None:
    atoms = salt()
    atoms.info |= {key: value for key, value in info.items() if label_of(key) is None}
    write_dataset(tmp_path / "a.xyz", Frame(atoms, energy=1.0))
    write_dataset(tmp_path / "b.xyz", read_dataset(tmp_path / "a.xyz", check_units=False))
    once = (tmp_path / "b.xyz").read_text()
    write_dataset(tmp_path / "b.xyz", read_dataset(tmp_path / "b.xyz"))
    assert (tmp_path / "b.xyz").read_text() == once


def test_lines_of_ase_are_read_as_ase_reads_them() -> None:
    atoms = Atoms("HF", [[0, 0, 0], [0, 0, 0.92]], cell=np.diag([5.0, 6.0, 7.0]), pbc=(1, 1, 0))
    atoms.info = {
        "name": "a b", "quoted": 'x"y', "step": 3, "time": 0.5, "good": True, "bad": False,
        "matrix": np.arange(9.0).reshape(3, 3), "flags": np.array([True, False]),
        "many": np.arange(4), "nested": {"a": [1, 2]},
    }  # fmt: skip
    buffer = io.StringIO()
    write(buffer, atoms, format="extxyz")
    found = read_pairs(buffer.getvalue().split("\n")[1])
    again = read(io.StringIO(buffer.getvalue()), format="extxyz")
    for key, value in again.info.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)
    np.testing.assert_array_equal(np.reshape(found["Lattice"], (3, 3)), atoms.cell.array)


@pytest.mark.parametrize(
    "name", ["sio2/sio2", "li3po4_dfpt/li3po4_dfpt", "crystals_1520/crystals", "zno_pbe/zno_pbe"]
)
def test_published_files_are_read_as_ase_reads_them(name) -> None:
    from ase.io.extxyz import key_val_str_to_dict

    lines = shared(*f"{name}.xyz".split("/")).read_text().split("\n")
    comments = [line for line in lines if line.startswith("Lattice")][:20]
    for comment in comments:
        ours, theirs = read_pairs(comment), key_val_str_to_dict(comment)
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            flat = np.ravel(value.T if key in ("Lattice", "stress") else value)
            np.testing.assert_array_equal(np.ravel(ours[key]), flat, err_msg=key)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('energy="1', "must be key=value, got 'energy=\"1'; is a quote open"),
        ("a=1 a=2", "`a` must be there once, got '1' and '2'"),
        ("energy=-47. 137 b=1", r"numbers -47\. and 137 must be in quotes, or are one number"),
        ("stress=1 2 3", "numbers 1 and 2 must be in quotes"),
        ('x="_JSON [1"', "`x` must be JSON"),
    ],
)
def test_lines_that_are_no_good(line, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_pairs(line)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", {}),
        ("it's a molecule, 3 [eV]", {"comment": "it's a molecule, 3 [eV]"}),
        (" i = 3, time =  2.0, E = -45.2", {"i": 3, "time": 2.0, "E": -45.2}),
        ("a=1 a=1", {"a": 1}),
        ("good bad=F time[fs]=2", {"good": True, "bad": False, "time[fs]": 2}),
        ("config_type=007 x=007", {"config_type": "007", "x": 7}),
        ("a={1 2} b=[T F] c='x y'", {"a": [1, 2], "b": [True, False], "c": "x y"}),
    ],
)
def test_lines_of_other_programs(line, found) -> None:
    again = read_pairs(line)
    assert list(again) == list(found)
    for key, value in found.items():
        np.testing.assert_array_equal(again[key], value)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("words", ["x y", "z"]),
        ("words", ["", "z"]),
        ("a:b", [1, 2]),
        ("pos", [1, 2]),
        ("Z", [1, 2]),
    ],
)
def test_arrays_that_could_not_be_read_again_are_not_written(tmp_path, key, values) -> None:
    atoms = Atoms("HF", [[0, 0, 0], [0, 0, 0.92]])
    atoms.arrays[key] = np.array(values)
    with pytest.raises(ValueError, match=f"array `{key}` must "):
        write_dataset(tmp_path / "a.xyz", Frame(atoms))
    assert list(tmp_path.iterdir()) == []
