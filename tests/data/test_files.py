"""Files: compressed or damaged."""

import gzip

import pytest

from ase_bec.data.files import read_text


def test_missing_folder_and_damaged_files(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.xyz: there is no such file"):
        read_text(tmp_path / "none.xyz")
    with pytest.raises(ValueError, match="must be a file, got a folder"):
        read_text(tmp_path)
    whole = gzip.compress(b"12\n" * 10000)
    for name, data in (("cut", whole[:-20]), ("flipped", whole[:30] + b"\xff" * 9 + whole[39:])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name}: compressed file is truncated or damaged"):
            read_text(tmp_path / name)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00abc")
    with pytest.raises(ValueError, match="binary: must be a text file"):
        read_text(tmp_path / "binary")
