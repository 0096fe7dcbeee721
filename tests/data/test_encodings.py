"""Line ends and encodings of every text format."""

import gzip

import pytest
from data_examples import assert_equal_frames
from reader_examples import FORMATS, put

from ase_bec.data import read_dataset
from ase_bec.data.files import read_text

TEXTS = [kind for kind in FORMATS if kind != "ase-traj"]
FORMS = {
    "windows": lambda data: data.replace(b"\n", b"\r\n"),
    "old mac": lambda data: data.replace(b"\n", b"\r"),
    "byte-order mark": lambda data: b"\xef\xbb\xbf" + data,
    "both": lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
    "utf-16": lambda data: data.decode().encode("utf-16"),
    "gzip of windows": lambda data: gzip.compress(data.replace(b"\n", b"\r\n")),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("form", FORMS)
def test_every_format_in_every_form(tmp_path, kind, form) -> None:
    path, _ = put(tmp_path, kind)
    before = read_dataset(path)
    files = [path, path.with_name("POSCAR")] if kind == "phonopy-born" else [path]
    for file in files:
        if not (form.startswith("gzip") and file.name == "POSCAR"):
            file.write_bytes(FORMS[form](file.read_bytes()))
    after = read_dataset(path)
    assert len(before) == len(after)
    for a, b in zip(before, after, strict=True):
        assert_equal_frames(a, b)
    assert after.notes == before.notes


@pytest.mark.parametrize("kind", TEXTS)
def test_a_stray_carriage_return_is_damage(tmp_path, kind) -> None:
    path, _ = put(tmp_path, kind)
    data = path.read_bytes()
    at = data.index(b"-")
    path.write_bytes(data[:at] + b"\r" + data[at + 1 :])
    with pytest.raises(ValueError, match="must have no carriage return within a line"):
        read_dataset(path)


def test_xml_may_declare_latin_letters(tmp_path) -> None:
    path, _ = put(tmp_path, "vasp-xml")
    text = path.read_text().replace("<parameters>", "<i>Größe</i><parameters>")
    path.write_bytes(text.encode("latin-1"))
    assert len(read_dataset(path)) == 2


@pytest.mark.parametrize("kind", ["vasp-outcar", "extxyz"])
def test_other_encodings_name_a_remedy(tmp_path, kind) -> None:
    path, _ = put(tmp_path, kind)
    path.write_bytes(path.read_bytes() + "Größe".encode("latin-1"))
    with pytest.raises(ValueError, match=r"must be a text file in UTF-8.*such as with iconv"):
        read_dataset(path)


def test_control_characters_are_binary_data(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"12\n3\x1c4\n")
    with pytest.raises(ValueError, match=r"binary data \(byte 28 in line 2\)"):
        read_text(tmp_path / "a")


@pytest.mark.parametrize("kind", ["extxyz", "phonopy-born"])
def test_a_last_line_that_does_not_end_is_noted(tmp_path, kind) -> None:
    path, _ = put(tmp_path, kind)
    path.write_bytes(path.read_bytes()[:-3])
    assert "its last line does not end; is the last number, " in read_dataset(path).notes[-1]
