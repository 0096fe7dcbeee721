"""Files that would take time or memory without bound are refused early."""

import bz2
import gzip
import lzma
import os
import signal
from contextlib import contextmanager
from itertools import pairwise

import pytest
from reader_examples import FORMATS, ddb, frames, outcar, ph, put, pw, pw_xml, vasprun

from ase_bec.data import files, read_dataset
from ase_bec.data.files import read_text

HUGE = "2000000000"


@contextmanager
def within(seconds: int):
    """Fail where the block takes longer."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", FORMATS)
def test_pipes_are_not_waited_for(tmp_path, kind) -> None:
    path, _ = put(tmp_path, kind)
    path.unlink()
    os.mkfifo(path)
    with within(2), pytest.raises(ValueError, match="must be a regular file, got a pipe or device"):
        read_dataset(path)


def test_pipes_beside_born_are_not_waited_for(tmp_path) -> None:
    path, _ = put(tmp_path, "phonopy-born")
    (tmp_path / "POSCAR").unlink()
    os.mkfifo(tmp_path / "POSCAR")
    with within(2), pytest.raises(ValueError, match="must be a regular file"):
        read_dataset(path)


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_small_files_of_much_text(tmp_path, monkeypatch, module) -> None:
    """A file that unpacks to a thousand times its size; the limits are made small for the test."""
    monkeypatch.setattr(files, "ALWAYS", 2**16)
    text = b"0.0 0.0 0.0\n" * 10**5
    packed = module.compress(text)
    assert files.RATIO * len(packed) < len(text)
    (tmp_path / "a.xyz").write_bytes(packed)
    with pytest.raises(ValueError, match=r"a\.xyz: must be at most \d+ MiB of text, got more; unp"):
        read_text(tmp_path / "a.xyz")


def test_large_files(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 1000)
    (tmp_path / "a.xyz").write_text("0.0\n" * 300)
    with pytest.raises(ValueError, match=r"must be at most \d+ MiB of text, got more; split it"):
        read_text(tmp_path / "a.xyz")


SINGLE, TWO = frames(1), frames(2)
MANY_ATOMS = {
    "OUTCAR": outcar(TWO).replace("type =               2   2", f"type =     {HUGE}   2"),
    "vasprun.xml": vasprun(TWO).replace("<rc><c>   2</c>", f"<rc><c>{HUGE}</c>"),
    "pw.out": pw(TWO).replace("cell      =            4", f"cell      =   {HUGE}"),
    "pw.xml": pw_xml(TWO).replace('nat="4"', f'nat="{HUGE}"'),
    "ph.out": ph(SINGLE).replace("cell      =            4", f"cell      =   {HUGE}"),
    "natom_DDB": ddb(SINGLE).replace("natom 4", f"natom {HUGE}"),
    "ntypat_DDB": ddb(SINGLE).replace("ntypat 2", f"ntypat {HUGE}"),
    "negative_DDB": ddb(SINGLE).replace("natom 4", "natom -4"),
    "a.xyz": f"{HUGE}\nProperties=species:S:1:pos:R:3\nH 0 0 0\n",
    "columns.xyz": f"1\nProperties=species:S:1:pos:R:{HUGE}\nH 0 0 0\n",
}


@pytest.mark.parametrize("name", MANY_ATOMS)
def test_counts_beyond_the_file_are_refused_at_once(tmp_path, name) -> None:
    text = MANY_ATOMS[name]
    (tmp_path / name).write_text(text)
    with within(2), pytest.raises(ValueError, match=name.replace(".", r"\.")):
        read_dataset(tmp_path / name)


def test_counts_of_poscar(tmp_path) -> None:
    path, _ = put(tmp_path, "phonopy-born")
    poscar = tmp_path / "POSCAR"
    lines = poscar.read_text().split("\n")
    lines[6] = f"{HUGE} 2"
    poscar.write_text("\n".join(lines))
    with within(2), pytest.raises(ValueError, match=r"POSCAR: must be a POSCAR .*2000000002 at"):
        read_dataset(path)


BLANKS = " " * 200_000
SLOW = {
    "OUTCAR": outcar(TWO).replace("VRHFIN =Mg:", f"VRHFIN ={BLANKS}Mg{BLANKS}"),
    "1_OUTCAR": outcar(TWO).replace("  in kB ", f"{BLANKS}in kB{BLANKS}"),
    "pw.out": pw(TWO).replace("\n         1  ", f"\n{BLANKS}1{BLANKS}Mg{BLANKS}tau"),
    "1_pw.out": pw(TWO).replace("atomic species", f"{BLANKS}atomic species{BLANKS}"),
    "2_pw.out": pw(TWO).replace("Forces acting", f"{BLANKS}{'1' * 200_000}Forces acting"),
    "ph.out": ph(SINGLE).replace("Ex  (", f"Ex{BLANKS}({BLANKS}"),
    "a_DDB": ddb(SINGLE).replace("acell", f"acell{BLANKS}" + "1" * 200_000),
    "1_a_DDB": ddb(SINGLE).replace("Total energy", f"Total energy{BLANKS}"),
    "a.xyz": f"1\n{BLANKS}=\"{BLANKS}'{{[\nH 0 0 0\n",
    "1_a.xyz": "1\n" + '"' * 200_001 + "=\nH 0 0 0\n",
    "2_a.xyz": "1\n" + "a=" * 100_000 + "\nH 0 0 0\n",
    "3_a.xyz": '1\nx="_JSON ' + "[" * 200_000 + '"\nH 0 0 0\n',
    "vasprun.xml": "<modeling>" + "<a>" * 200_000,
    "1_vasprun.xml": "<modeling>" + "<a>" * 100_000 + "</a>" * 100_000 + "</modeling>",
}


@pytest.mark.parametrize("name", SLOW)
def test_long_lines_and_deep_nests_take_no_time(tmp_path, name) -> None:
    """Refused or read, in time that grows with the size of the file alone."""
    path = tmp_path / name
    path.write_text(SLOW[name])
    with within(5):
        message = ""
        try:
            read_dataset(path)
        except ValueError as error:
            message = str(error)
    assert len(message) < 2000 + len(str(path))


def test_entities_of_xml_do_not_multiply(tmp_path) -> None:
    names = "abcdefghijkl"
    entities = '<!ENTITY a "1.0 1.0 1.0 1.0 1.0">'
    for before, name in pairwise(names):
        entities += f'<!ENTITY {name} "{f"&{before};" * 10}">'
    path = tmp_path / "vasprun.xml"
    path.write_text(f"<!DOCTYPE m [{entities}]><modeling><i>&l;</i></modeling>")
    with within(5), pytest.raises(ValueError, match=r"vasprun\.xml: XML is damaged"):
        read_dataset(path)
