"""How compilation of kernels is announced, and what makes the cache forget them."""

import ast
import logging
from pathlib import Path

import pytest
from descriptor_examples import seen_by, skewed

from ase_bec.descriptors.symmetry_functions import SymmetryFunctions
from ase_bec.descriptors.vector_functions import VectorFunctions
from ase_bec.kernels import cache
from ase_bec.kernels.symmetry_functions import symmetry_forward

PACKAGE = Path(cache.__file__).parents[1]
ELEMENTS = ["Li", "P", "O"]
WITH_KERNELS = {path for path in PACKAGE.rglob("*.py") if "@njit" in path.read_text()}


def test_compilation_is_announced_once_for_each_kernel(monkeypatch, tmp_path, caplog) -> None:
    """Kernels in an empty cache have to be compiled; those in a filled one do not."""
    monkeypatch.setattr(cache, "_announced", set())
    cached = Path(symmetry_forward.stats.cache_path)
    _, nb = seen_by(skewed(), ELEMENTS, 4.0)
    symmetry = SymmetryFunctions(3, 3.5, g2=[(0.1, 0)]).eval()
    symmetry(nb)  # make sure that it is there
    cache._announced.clear()
    with caplog.at_level(logging.INFO, logger="ase_bec"):
        symmetry(nb)
        assert not caplog.records
        empty = symmetry_forward.stats._replace(cache_path=str(tmp_path))
        monkeypatch.setattr(type(symmetry_forward), "stats", property(lambda self: empty))
        cache._announced.clear()
        for _ in range(3):
            symmetry(nb)
        assert len(caplog.records) == 1
        VectorFunctions(3, 3.5, v1=[(0.1, 0)]).eval()(nb)
    assert [record.name for record in caplog.records] == ["ase_bec", "ase_bec"]
    assert "compiling the kernels of a model" in caplog.text
    assert str(tmp_path) in caplog.text
    assert any(cached.glob("*.nbi"))


def test_cache_of_other_sources_is_emptied(tmp_path) -> None:
    old = tmp_path / "kernels_symmetry.symmetry_forward-168.py311.nbi"
    data = tmp_path / "kernels_symmetry.symmetry_forward-168.py311.1.nbc"
    foreign = tmp_path / "notes.txt"
    for path in (old, data, foreign):
        path.write_text("of an older version")
    cache.forget_stale_kernels(tmp_path)
    assert not old.exists()
    assert not data.exists()
    assert foreign.exists()
    old.write_text("of this version")
    cache.forget_stale_kernels(tmp_path)
    assert old.exists()
    (tmp_path / "kernels.sha256").write_text("0" * 64)
    cache.forget_stale_kernels(tmp_path)
    assert not old.exists()


def test_stamp_depends_on_every_file_with_kernels() -> None:
    assert {path.parent for path in WITH_KERNELS} == {PACKAGE / "kernels"}
    names = {path.name for path in WITH_KERNELS}
    assert {"moments.py", "neighbours.py", "symmetry_functions.py", "triplet_rows.py"} <= names


@pytest.mark.parametrize("path", sorted(WITH_KERNELS), ids=lambda path: path.name)
def test_machine_code_holds_nothing_of_other_files(path: Path) -> None:
    """Numbers and functions of the package that a kernel names are frozen into it."""
    tree = ast.parse(path.read_text())
    foreign = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ase_bec")
        if node.module != "ase_bec.kernels" and not node.module.startswith("ase_bec.kernels.")
        for alias in node.names
    }
    kernels = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any("njit" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    assert kernels
    for kernel in kernels:
        body = [name for statement in kernel.body for name in ast.walk(statement)]
        assert not foreign & {node.id for node in body if isinstance(node, ast.Name)}, kernel.name
