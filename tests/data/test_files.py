"""Files: compressed or damaged, and writing that is never seen half done."""

import gzip
import os

import pytest

from ase_bec.data.files import atomic_write, read_text


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


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_interrupted_write_leaves_the_old_file_whole(tmp_path, monkeypatch, failing) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, interrupt)
        with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
            file.write("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_error_while_writing_leaves_the_old_file_whole(tmp_path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.write(b"new")  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_and_links_are_kept(tmp_path) -> None:
    path, link = tmp_path / "a.xyz", tmp_path / "link.xyz"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write("new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    with atomic_write(tmp_path / "b.xyz") as file:
        file.write("new")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "b.xyz").stat().st_mode & 0o777 == 0o666 & ~mask
