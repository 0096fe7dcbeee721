"""The package as a whole: version, imports in one direction, README and gate in step."""

import ast
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import ase_bec

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ase_bec"

# Each module may import from its own and from earlier layers.
LAYERS = (
    {
        "atomic_files",
        "cutoffs",
        "directions",
        "interruption",
        "lattice",
        "neighbours",
        "paths",
        "plotting",
        "progress",
        "system",
    },
    {"descriptors", "networks", "derivatives"},
    {"data"},
    {"models"},
    {"calculators"},
    {"training"},
    {"analysis"},
    {"workflows"},
    {"cli"},
)


def layer(name: str) -> int:
    for index, names in enumerate(LAYERS):
        if name in names:
            return index
    raise ValueError(f"`ase_bec.{name}` has no place among the layers of this test")


def imported_parts(path: Path) -> set[str]:
    """Return the names directly below `ase_bec` that a module imports, "" for the package."""
    package = path.relative_to(ROOT).parent.parts
    modules = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*base, *([node.module] if node.module else [])))
            modules += (
                [f"{origin}.{a.name}" for a in node.names] if origin == "ase_bec" else [origin]
            )
    return {(m + ".").split(".")[1] for m in modules if m.split(".")[0] == "ase_bec"}


def sources() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    own = layer(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    if own == len(LAYERS) - 1:
        return  # the last layer may import all the others, and the public names
    for part in imported_parts(path):
        assert part, "a module of the package imports the whole package"
        assert layer(part) <= own, f"imports `ase_bec.{part}` of a later layer"


def test_import_walk_sees_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "ase_bec" / "models" / "energy.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import ase_bec.system as s\n"
        "from ase_bec import paths\n"
        "from ase_bec.cli.main import main\n"
        "def f():\n    from ..calculators import nnp\n    from . import networks\n"
        "    import numpy\n"
    )
    assert imported_parts(path) == {"system", "paths", "cli", "calculators", "models"}


def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", ase_bec.__version__)
    assert version("ase-bec") == ase_bec.__version__


def test_package_imports_without_warning_and_leaves_torch_alone() -> None:
    code = (
        "import torch; n, d = torch.get_num_threads(), torch.get_default_dtype(); import ase_bec;"
        "assert (torch.get_num_threads(), torch.get_default_dtype()) == (n, d)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def block_after(heading: str) -> str:
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"^## {heading}$.*?^```\n(.*?)^```$", text, re.M | re.S)
    assert found, f"README has no code block under '{heading}'"
    return found[1].strip()


def test_readme_commands_are_single_lines() -> None:
    assert block_after("Install") == "pip install ."
    assert "\n" not in block_after("Test")
    assert block_after("Test").endswith("python -m pytest")


def test_gate_runs_the_test_command_of_readme() -> None:
    gate = (ROOT / ".ci" / "run").read_text()
    extraction = re.search(r'^test_command="\$\((.*)\)"$', gate, re.M)
    assert extraction
    done = subprocess.run(["bash", "-c", extraction[1]], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == block_after("Test")
    assert gate.rstrip().endswith('eval "$test_command"')


def test_python_of_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_console_script_is_declared() -> None:
    assert "ase-bec = ase_bec.cli.main:main" in (ROOT / "setup.cfg").read_text()
