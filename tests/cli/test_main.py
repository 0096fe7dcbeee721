"""The command line as a whole: help, exit status, one line for bad input."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from analytic import DoubleWell, wells
from ase.io import write

from ase_bec.cli import field
from ase_bec.cli.main import main, parser


@pytest.fixture
def structures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with two structures, and a potential that needs no file."""
    monkeypatch.setattr(field, "potential", lambda *_: DoubleWell)
    monkeypatch.chdir(tmp_path)
    for name, atoms in zip(("initial", "final"), wells(), strict=True):
        write(f"{name}.traj", atoms)
    write("other.traj", wells()[0][:1])
    Path("text.txt").write_text("no structure\n")
    Path("broken.traj").write_bytes(b"- of UlmASE-Trajectory  ")
    Path("lammps.data").write_text("comment\n\n1 atoms\n2 atom types\n\nAtoms\n\n1 2 0 0 0\n")
    Path("taken.traj").touch()
    return tmp_path


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom ase_bec.cli.main import main\n"
        "try:\n    main(['neb', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numba', 'scipy', 'matplotlib', 'ase'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", [[], ["info"], ["neb"], ["md"], ["amorphous"]])
def test_help_shows_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    example = re.search(r"^examples?:\n((?:  .*\n)+)", text, re.M)
    assert example
    for line in re.sub(r"\\\n", " ", example[1]).strip().splitlines():
        words = line.split()
        assert words[0] == "ase-bec"
        parser().parse_args(words[1:])  # raises SystemExit where the example is wrong


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert re.fullmatch(r"ase-bec \d+\.\d+\.\d+\n", capsys.readouterr().out)


NEB = "neb initial.traj final.traj --nnp model --output new"
MD = "md initial.traj --nnp model --output new.traj --time 10fs --temperature 300"
CHARGES = "--charges Li=1,O=-1"

BAD = {
    "no command": ("", "required: COMMAND"),
    "unknown command": ("paint", "invalid choice: 'paint'"),
    "no model": ("neb initial.traj final.traj", "required: --nnp"),
    "missing file": ("neb none.traj final.traj --nnp m", "there is no file `none.traj`"),
    "no structure": ("neb text.txt final.traj --nnp m", "cannot read a structure from `text.txt`"),
    "truncated": ("neb broken.traj final.traj --nnp m", "cannot read a structure from `broken"),
    "wrong format": (NEB + " --format no", "cannot read a structure from `initial.traj`"),
    "other end": ("neb initial.traj other.traj --nnp m", "equal numbers of atoms, got 2"),
    "same ends": ("neb final.traj final.traj --nnp m", "`final` must differ from `initial`"),
    "no images": (NEB + " --images 0", "--images must be positive, got 0"),
    "fmax": (NEB + " --fmax -0.1", "--fmax must be positive, got -0.1"),
    "spring": (NEB + " --spring nan", "--spring must be positive, got nan"),
    "steps": (NEB + " --max-steps 0", "--max-steps must be positive, got 0"),
    "field of two": (NEB + " --field 0 0.1", "--field: expected 3 arguments"),
    "field of text": (NEB + " --field 0 0 z", "--field: invalid float value: 'z'"),
    "nan field": (NEB + f" --field 0 0 nan {CHARGES}", "--field must be .*finite"),
    "field alone": (NEB + " --field 0 0 0.1", "--field needs --charges"),
    "charges unread": (NEB + " --field 0 0 0.5 --charges none.pt", "none.pt"),
    "charges for Xx": (NEB + " --charges Xx=1", "unknown element 'Xx'"),
    "charges twice": (NEB + " --charges Li=1,Li=2", "has Li twice"),
    "charges of text": (NEB + " --charges Li=one", "must be as in Li=1,P=5,O=-2, got 'Li=one'"),
    "charges missing": (NEB + " --field 0 0 0.1 --charges Li=1", "got none for O"),
    "zero charges": (
        NEB + " --field 0 0 0.5 --charges Li=0,O=0",
        "zero where every charge is zero",
    ),
    "charged cell": (
        NEB + " --field 0 0 0.5 --charges Li=1,O=1 --net-force error",
        "with --net-force error",
    ),
    "diagonal": (
        NEB + f" --field 0 0 0.5 {CHARGES} --components diagonal --energy potential",
        "work",
    ),
    "neb energy": (NEB + " --energy none", "invalid choice: 'none'"),
    "no folder": ("neb initial.traj final.traj --nnp m --output a/b", "no folder `a`"),
    "restart": (NEB + " --restart none.traj", "--restart: there is no file `none.traj`"),
    "short restart": (NEB + " --restart initial.traj", "must hold at least three images"),
    "no restart": (NEB + " --restart text.txt", "--restart: cannot read `text.txt`"),
    "reference": (NEB + f" --field 0 0 0.5 {CHARGES} --reference other.traj", "--reference"),
    "species": ("neb lammps.data final.traj --nnp m", "is a LAMMPS data file: give --species"),
    "few species": (f"{MD.replace('initial.traj', 'lammps.data')} --species Li", "atom type 2"),
    "unknown species": (MD + " --species Li,Qq", "unknown element 'Qq'"),
    "no unit": (MD + " --time 10", "--time: must be a positive number with its unit fs, ps or ns"),
    "wrong unit": (MD + " --timestep 1as", "--timestep: must be a positive number with its unit"),
    "negative time": (MD + " --time -10fs", "--time: expected one argument"),
    "zero time": (MD + " --time 0ps", "--time: must be a positive number"),
    "odd time": (
        MD + " --time 15fs",
        "--time must be a positive multiple of the 10 fs from frame to frame",
    ),
    "cold": (MD + " --temperature -1", "--temperature must be positive"),
    "no temperature": ("md initial.traj --nnp m --time 1ps", "--temperature must be given"),
    "interval": (MD + " --interval 0", "--interval must be positive, got 0"),
    "seed": (MD + " --seed -1", "--seed must not be negative"),
    "thermostat": (MD + " --thermostat hot", "invalid choice: 'hot'"),
    "not traj": (MD + " --output md.xyz", "--output must end in .traj"),
    "taken": (MD + " --output taken.traj", "`taken.traj` exists: give --overwrite"),
    "both": (MD + " --resume --overwrite", "not allowed with argument"),
    "not ours": (MD + " --output final.traj --resume", "holds no state to continue from"),
}


@pytest.mark.parametrize(("line", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_leaves_nothing(
    structures: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    before = {path: path.read_bytes() for path in structures.iterdir()}
    try:
        status = main(line.split())
    except SystemExit as end:
        status = end.code
    output = capsys.readouterr()
    assert status == 2
    assert output.out == ""
    assert re.fullmatch(r"ase-bec( neb| md)?: error: .+\n", output.err)
    assert re.search(message, output.err)
    assert {path: path.read_bytes() for path in structures.iterdir()} == before


def test_interruption_has_its_own_status(
    structures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DoubleWell, "calculate", interrupted)
    assert main(NEB.split()) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "ase-bec neb: interrupted"


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(
    structures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warned(*_: object) -> type[DoubleWell]:
        warnings.warn("two\nlines", stacklevel=1)
        return DoubleWell

    monkeypatch.setattr(field, "potential", warned)
    assert main([*NEB.split(), "--max-steps", "1"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "ase-bec neb: warning: two lines"
