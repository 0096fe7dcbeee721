"""How compiled kernels are chosen, and left out of copies."""

import copy
import pickle
import subprocess
import sys

import torch
from descriptor_examples import EXAMPLES, random_weights, seen_by, skewed

from ase_bec.descriptors import compiled
from ase_bec.descriptors.symmetry_functions import SymmetryFunctions

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
        "model.network.scaling.high += 50\n"
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
