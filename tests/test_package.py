"""The package as a whole: version, imports in one direction, README and gate in step."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
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
        "frame_checksums",
        "identity",
        "interruption",
        "lattice",
        "lazy",
        "locks",
        "paths",
        "plotting",
        "progress",
        "trajectory_files",
    },
    {"descriptors", "kernels", "neighbours", "networks", "system", "verlet"},
    {"data"},
    {"terms"},
    {"evaluation"},
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


def module_name(path: Path) -> str:
    """Return the dotted name of a module or package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Return the modules of the package that one imports, wherever in it, for types alone too."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*base, *([node.module] if node.module else [])))
            for alias in node.names:
                file = ROOT.joinpath(*origin.split("."), alias.name)
                submodule = file.with_suffix(".py").exists() or file.is_dir()
                found.add(f"{origin}.{alias.name}" if submodule else origin)
    return {name for name in found if name.split(".")[0] == "ase_bec"}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return  # shows names of all layers
    own = layer(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    for name in imported(path):
        if own < len(LAYERS) - 1:  # the last layer may also import the public names
            assert name != "ase_bec", "a module of the package imports the whole package"
        if name != "ase_bec":
            assert layer(name.split(".")[1]) <= own, f"imports `{name}` of a later layer"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return names that lead from one back to it, none where there is no such circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def import_graph(name: Callable[[str], str]) -> dict[str, set[str]]:
    """Return what each module imports, under names that may unite several."""
    graph: dict[str, set[str]] = {}
    for path in sources():
        module = module_name(path)
        graph.setdefault(name(module), set()).update(map(name, imported(path)))
    return {node: others - {node} for node, others in graph.items()}


def wing(module: str) -> str:
    """Return the folder of a module that lies two or more folders deep, else the module."""
    return ".".join(module.split(".")[:3])


@pytest.mark.parametrize("name", [str, wing], ids=["modules", "wings"])
def test_no_imports_in_circles(name: Callable[[str], str]) -> None:
    found = circle(import_graph(name))
    assert not found, "imports go in a circle: " + " <- ".join(found)


def test_circles_are_found() -> None:
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()})) == {"a", "b", "c"}


def test_import_walk_sees_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    folder = tmp_path / "ase_bec" / "models"
    folder.mkdir(parents=True)
    for name in ("energy", "saved", "../networks", "../paths"):
        (folder / f"{name}.py").touch()
    path = folder / "energy.py"
    path.write_text(
        "import ase_bec.system as s\n"
        "from ase_bec import paths, load\n"
        "from ase_bec.cli.main import main\n"
        "if TYPE_CHECKING:\n    from ase_bec.training import trainer\n"
        "def f():\n    from ..calculators import nnp\n    from . import saved\n"
        "    from .. import networks\n    import numpy\n"
    )
    assert imported(path) == {
        "ase_bec",
        "ase_bec.calculators",
        "ase_bec.cli.main",
        "ase_bec.models.saved",
        "ase_bec.networks",
        "ase_bec.paths",
        "ase_bec.system",
        "ase_bec.training",
    }


FACES = ("", ".analysis", ".calculators", ".data", ".models", ".training", ".workflows")


@pytest.mark.parametrize("face", FACES)
def test_public_names_are_there(face: str) -> None:
    package = import_module(f"ase_bec{face}")
    assert package.__all__
    for name in package.__all__:
        shown = getattr(package, name)
        assert shown.__module__.startswith("ase_bec."), name
        assert shown.__name__ == name
        assert name in dir(package)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        package.no_such_name  # noqa: B018


# Faces whose names still lack examples: take away what has them.
WITHOUT_EXAMPLES: tuple[str, ...] = ()


@pytest.mark.parametrize(
    "face",
    [
        pytest.param(
            face, marks=pytest.mark.xfail(face in WITHOUT_EXAMPLES, reason="to come", strict=True)
        )
        for face in FACES
    ],
)
def test_public_names_have_examples(face: str) -> None:
    package = import_module(f"ase_bec{face}")
    without = [
        name for name in package.__all__ if ">>>" not in (getattr(package, name).__doc__ or "")
    ]
    assert not without, "no example in the docstrings of " + ", ".join(without)


def test_faces_import_nothing_before_it_is_used() -> None:
    code = (
        "import sys, ase_bec, ase_bec.analysis, ase_bec.calculators, ase_bec.data;"
        "import ase_bec.training, ase_bec.workflows;"
        "print(*sorted({'torch', 'numpy', 'ase'} & set(sys.modules)));"
        "from ase_bec.workflows import MDSettings, run_md; print(MDSettings.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\nMDSettings\n"


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
