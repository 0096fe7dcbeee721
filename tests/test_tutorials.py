"""The tutorials: run anew in their short setting, and committed with clean outputs."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parents[1] / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))
LARGEST = 400_000  # bytes

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def count_pictures(notebook: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


def text_of(output: Any) -> str:
    """All that an output says, but its pictures."""
    data = output.get("data", {})
    texts = [value for kind, value in data.items() if not kind.startswith("image/")]
    return "\n".join(map(str, [output.get("text", ""), *texts]))


def test_there_are_tutorials():
    assert len(NOTEBOOKS) >= 4


@notebooks
def test_runs(path, tmp_path, monkeypatch):
    """In the short setting, with no error, no warning and nothing on standard error."""
    if "chgnet" in path.read_text().lower() and importlib.util.find_spec("chgnet") is None:
        pytest.skip("needs chgnet")
    shutil.copytree(TUTORIALS / "data", tmp_path / "data")
    monkeypatch.setenv("ASE_BEC_SHORT", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # a notebook's pictures go into it
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    pictures = count_pictures(notebook)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    said = "".join(o.text for o in outputs(notebook) if o.get("name") == "stderr")
    lines = said.splitlines()
    assert [line for line in lines if not line.startswith("compiling the kernels")] == []
    assert count_pictures(notebook) == pictures


@notebooks
def test_is_committed_with_clean_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    shown = list(outputs(notebook))
    assert count_pictures(notebook) > 0
    assert any(output.get("name") == "stdout" for output in shown)
    assert {output.output_type for output in shown} <= {"stream", "display_data", "execute_result"}
    assert "stderr" not in {output.get("name") for output in shown}
    for output in shown:
        text = text_of(output)
        assert not re.search(r"/(work|tmp|home|root|Users|usr|opt)/|site-packages|Warning", text)
    assert path.stat().st_size < LARGEST


@notebooks
def test_every_code_cell_was_run_in_order(path):
    notebook = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@notebooks
def test_has_a_short_setting_and_advice(path):
    cells = nbformat.read(path, as_version=4).cells
    first = next(cell.source for cell in cells if cell.cell_type == "code")
    assert 'os.environ.get("ASE_BEC_SHORT")' in first
    assert cells[-1].cell_type == "markdown"
    assert "What to change for your own material" in cells[-1].source
