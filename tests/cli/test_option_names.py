"""Errors and warnings of the command line speak of its options."""

import argparse
import re
import warnings
from pathlib import Path

import pytest
from analytic import Springs
from ase.build import bulk
from ase.io import write

from ase_bec.cli import field
from ase_bec.cli.main import main, parser
from ase_bec.cli.option_names import in_options

NAMES = {
    "net_charge": "--net-charge",
    "energy": "--energy",
    "unwrap": "--unwrap",
    "units": "--unit",
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`net_charge` must be finite", "--net-charge must be finite"),
        ("set `unwrap=True` or unwrap=True", "set --unwrap or --unwrap"),
        ('with energy="work" only', "with --energy work only"),
        ("give `net_charge=-1`.", "give --net-charge -1."),
        ("give units={'stress': 'GPa'} (or", "give --unit stress=GPa (or"),
        ("give units=…", "give --unit …"),
        ("`reference` and reference=True", "`reference` and reference=True"),
        ("--energy=3 and my.energy=3", "--energy=3 and my.energy=3"),
        ("the energy is net", "the energy is net"),
    ],
)
def test_arguments_become_options(message: str, expected: str) -> None:
    assert in_options(message, NAMES) == expected


def test_a_file_named_like_an_argument_stays() -> None:
    message = "there is no file `energy`, `net_charge`"
    said = "there is no file `energy`, --net-charge"
    assert in_options(message, NAMES, ["--charges", "energy"]) == said


def test_other_names_are_those_of_options() -> None:
    """An option that was renamed must be renamed in messages too."""
    (commands,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    for command in commands.choices.values():
        names = command.get_default("in_options").keywords["names"]
        for shown in names.values():
            for option in re.findall(r"--[\w-]+", shown):
                assert option in command._option_string_actions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(field, "potential", lambda *_: Springs)
    salt = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    write("start.xyz", salt)
    write("frames.xyz", [salt, salt, salt])


MD = "md start.xyz --nnp m --time 10fs --temperature 300"
BAD = {
    f"{MD} --limit-temperature -5": "--limit-temperature must be positive, got -5",
    f"{MD} --limit-energy 0": "--limit-energy must be positive, got 0",
    f"{MD} --charges Na=1,Cl=-1 --field 0 0 50": "--field must be smaller than",
    f"{MD} --charges Na=1,Cl=-1 --field 0 0 0.1 --components diagonal --energy potential": (
        '--energy must be "work" or "none" with --components diagonal'
    ),
    "analyse frames.xyz": "--timestep must be given",
    "analyse frames.xyz --timestep 1fs --stride 9": "--start, --stop and --stride must leave",
    "analyse frames.xyz --timestep 1fs --fit 1fs 50fs": "--fit must hold",
    "hops start.xyz --species Na --cutoff 2 --site 0 0 0": "--site must be interstitial",
    "hops start.xyz --species Qq --cutoff 2": "--species must be the symbol of an element",
    "amorphous start.xyz --nnp m --melt 200 1ps": "the temperature of --anneal must be below",
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("line", "message"), BAD.items())
def test_errors_name_options(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    assert f"error: {message}" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.filterwarnings("default")
def test_warnings_name_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warned(*_: object) -> None:
        warnings.warn("`net_charge` is odd", stacklevel=1)
        raise ValueError("`dtype` must be another")

    monkeypatch.setattr(field, "potential", warned)
    assert main(MD.split()) == 2
    assert capsys.readouterr().err.splitlines() == [
        "ase-bec md: warning: --net-charge is odd",
        "ase-bec md: error: --dtype must be another",
    ]
