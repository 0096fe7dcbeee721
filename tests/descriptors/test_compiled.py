"""How compiled kernels are chosen, announced, threaded, kept and forgotten."""

import copy
import logging
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from descriptor_examples import EXAMPLES, random_weights, seen_by, skewed

from ase_bec.descriptors import compiled
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions
from ase_bec.descriptors.vector_functions import VectorFunctions
from ase_bec.kernels.symmetry_functions import symmetry_forward

ELEMENTS = ["Li", "P", "O"]


def small() -> SymmetryFunctions:
    return SymmetryFunctions(3, 3.5, g2=[(0.1, 0)], g5=[(0.1, 2, 1)], g4=[(0.1, 2, 1)]).eval()


def test_without_numba_everything_works(monkeypatch) -> None:
    _, nb = seen_by(skewed(), ELEMENTS, 4.0)
    for example in EXAMPLES:
        descriptor = example.make(3, 3.5).eval()
        expected = descriptor(nb)
        assert "_Compiled" in str(graph(descriptor, nb))
        monkeypatch.setattr(compiled, "HAS_NUMBA", False)
        torch.testing.assert_close(descriptor(nb), expected, rtol=1e-9, atol=1e-11)
        assert "_Compiled" not in str(graph(descriptor, nb))
        monkeypatch.undo()


def test_without_numba_installed() -> None:
    """Nothing imports it unless it is there."""
    code = (
        "import importlib.util as util, sys\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'numba' else find(name)\n"
        "sys.modules['numba'] = None\n"
        "from ase.build import molecule\n"
        "from ase_bec import NNPCalculator, NeuralNetworkPotential\n"
        "model = NeuralNetworkPotential(['O', 'H'], 4.0, g2=[(0, 0)], g5=[(0, 2, 1)],\n"
        "    g4=[(0, 2, 1)], scaling=None)\n"
        "model.scaling.high += 50\n"
        "print(NNPCalculator(model).get_forces(molecule('H2O')).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(3, 3)", done.stderr


def graph(descriptor, nb) -> list[str]:
    """Names of all operations behind the features."""
    values = descriptor(nb._replace(vectors=nb.vectors.clone().requires_grad_()))
    seen, waiting = set(), [values.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return sorted(node.name() for node in seen)


def test_other_dtypes_take_the_torch_implementation() -> None:
    _, nb = seen_by(skewed(), ELEMENTS, 4.0)
    assert compiled.can_compile(nb.vectors, training=False)
    assert not compiled.can_compile(nb.vectors, training=True)
    assert not compiled.can_compile(nb.vectors.bfloat16(), training=False)
    assert not compiled.can_compile(nb.vectors.to("meta"), training=False)


def test_centres_are_shared_among_threads(two_threads) -> None:
    for n, in_pool in ((15, False), (16, True), (1000, True)):
        ranges, names = [], set()

        def spy(low: int, high: int) -> None:
            names.add(threading.current_thread().name)  # noqa: B023
            ranges.append(np.arange(low, high))  # noqa: B023

        compiled._over_ranges(spy, n)
        np.testing.assert_array_equal(np.sort(np.concatenate(ranges)), np.arange(n))
        assert threading.current_thread().name in names  # the caller takes its part
        assert any(name.startswith("ase_bec") for name in names) == in_pool
        assert len(ranges) == (2 if in_pool else 1)


def test_error_in_a_thread_is_raised(two_threads) -> None:
    def fail(low: int, high: int) -> None:
        raise ZeroDivisionError(f"{low} to {high}")

    with pytest.raises(ZeroDivisionError, match="0 to"):
        compiled._over_ranges(fail, 100)


def test_compilation_is_announced_once_for_each_kernel(monkeypatch, tmp_path, caplog) -> None:
    """Kernels in an empty cache have to be compiled; those in a filled one do not."""
    monkeypatch.setattr(compiled, "_announced", set())
    cached = Path(symmetry_forward.stats.cache_path)
    _, nb = seen_by(skewed(), ELEMENTS, 4.0)
    symmetry = SymmetryFunctions(3, 3.5, g2=[(0.1, 0)]).eval()
    symmetry(nb)  # make sure that it is there
    compiled._announced.clear()
    with caplog.at_level(logging.INFO, logger="ase_bec"):
        symmetry(nb)
        assert not caplog.records
        empty = symmetry_forward.stats._replace(cache_path=str(tmp_path))
        monkeypatch.setattr(type(symmetry_forward), "stats", property(lambda self: empty))
        compiled._announced.clear()
        for _ in range(3):
            symmetry(nb)
        assert len(caplog.records) == 1
        VectorFunctions(3, 3.5, v1=[(0.1, 0)]).eval()(nb)
    assert [record.name for record in caplog.records] == ["ase_bec", "ase_bec"]
    assert "compiling the kernels of a descriptor" in caplog.text
    assert str(tmp_path) in caplog.text
    assert any(cached.glob("*.nbi"))


def test_cache_of_other_sources_is_emptied(tmp_path) -> None:
    old = tmp_path / "kernels_symmetry.symmetry_forward-168.py311.nbi"
    data = tmp_path / "kernels_symmetry.symmetry_forward-168.py311.1.nbc"
    foreign = tmp_path / "notes.txt"
    for path in (old, data, foreign):
        path.write_text("of an older version")
    compiled.forget_stale_kernels(tmp_path)
    assert not old.exists()
    assert not data.exists()
    assert foreign.exists()
    old.write_text("of this version")
    compiled.forget_stale_kernels(tmp_path)
    assert old.exists()
    (tmp_path / "kernels.sha256").write_text("0" * 64)
    compiled.forget_stale_kernels(tmp_path)
    assert not old.exists()


def test_stamp_depends_on_every_file_with_kernels() -> None:
    package = Path(compiled.__file__).parents[1]
    with_kernels = {path for path in package.rglob("*.py") if "@njit" in path.read_text()}
    assert {path.parent for path in with_kernels} == {package / "descriptors" / "kernels"}
    names = {path.name for path in with_kernels}
    assert {"moments.py", "symmetry_functions.py", "triplet_rows.py"} <= names


def test_copies_compute_the_same() -> None:
    _, nb = seen_by(skewed(), ELEMENTS, 4.0)
    for example in EXAMPLES:
        descriptor = example.make(3, 3.5).eval()
        expected = descriptor(nb)  # the kernels have been used
        for other in (copy.deepcopy(descriptor), pickle.loads(pickle.dumps(descriptor))):
            assert torch.equal(other(nb), expected)


def test_pickles_leave_the_kernels_at_home(tmp_path) -> None:
    """Another process finds them in the cache instead of compiling its own."""
    _, nb = seen_by(skewed(), ELEMENTS, 4.0)
    descriptor = small()
    weights = random_weights(7, descriptor.n_features)
    expected = descriptor(nb) * weights
    path = tmp_path / "descriptor.pickle"
    path.write_bytes(pickle.dumps((descriptor, nb, weights, expected)))
    assert path.stat().st_size < 100_000
    code = (
        "import pickle, sys, torch\n"
        "descriptor, nb, weights, expected = pickle.load(open(sys.argv[1], 'rb'))\n"
        "assert torch.equal(descriptor(nb) * weights, expected)\n"
        "from ase_bec.kernels.symmetry_functions import symmetry_forward\n"
        "assert sum(symmetry_forward.stats.cache_hits.values()) == 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
