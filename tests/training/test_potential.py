"""Training of potentials: errors, their gradient, and what is fitted beforehand."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from descriptor_examples import skewed
from model_examples import ELEMENTS, potential

from ase_bec import NeuralNetworkPotential, NNPCalculator
from ase_bec.data import Frame
from ase_bec.training.tasks.potential import PotentialSample, PotentialTask
from ase_bec.training.tasks.task import rmse

ALL = {"energy": 2.0, "forces": 0.5, "stress": 30.0}
pytestmark = pytest.mark.filterwarnings("ignore:.*outside the range:UserWarning")


def trainable(**options) -> NeuralNetworkPotential:
    functions = {"g5": [(0.02, 4, -1), (0.2, 2, 0.7), (0.02, 1, 1)], "g4": ()}
    return potential(**{**functions, **options})


def frame(seed: int, atoms: Atoms | None = None, **labels) -> Frame:
    """Rattled structure with labels of no meaning."""
    rng = np.random.default_rng(seed)
    atoms = skewed() if atoms is None else atoms
    atoms.rattle(0.1, seed=seed)
    stress = 0.1 * rng.normal(size=(3, 3))
    given = {
        "energy": float(rng.normal()),
        "forces": rng.normal(size=(len(atoms), 3)),
        "stress": stress + stress.T,
    }
    return Frame(atoms, **(given | labels))


def frames() -> list[Frame]:
    """Of different sizes and compositions, one of them a supercell."""
    return [frame(0), frame(1, skewed()[[0, 1, 3, 5, 6]]), frame(2, skewed() * (1, 1, 2))]


def task_and_samples(
    given: list[Frame] | None = None, weights=ALL, dtype=torch.float64, **options
) -> tuple[PotentialTask, list[PotentialSample]]:
    task = PotentialTask(trainable(**options), weights, dtype)
    return task, [task.prepare(f) for f in (frames() if given is None else given)]


def wrong(model: NeuralNetworkPotential, given: list[Frame]) -> dict[str, list[np.ndarray]]:
    """Errors of each frame by the calculator."""
    errors: dict[str, list[np.ndarray]] = {"energy": [], "forces": [], "stress": []}
    for f in given:
        atoms = f.atoms.copy()
        atoms.calc = NNPCalculator(model)
        energy = (atoms.get_potential_energy() - f.energy) / len(atoms)
        errors["energy"].append(np.array([energy]))
        errors["forces"].append(atoms.get_forces() - f.forces)
        if f.stress is not None:
            errors["stress"].append(atoms.get_stress(voigt=False) - f.stress)
    return errors


@pytest.mark.parametrize(
    "options",
    [{}, {"g2": ()}, {"activation": "silu", "hidden": ()}, {"g5": [(0.1, 3, -1)]}],
    ids=["G2-G5", "G5", "linear", "one G5"],
)
def test_errors_are_those_of_the_calculator(options) -> None:
    task, samples = task_and_samples(**options)
    expected = wrong(task.model, frames())
    found = task.errors(samples)
    shown = task.loss(samples, None).errors
    for name, parts in expected.items():
        flat = np.concatenate([part.flatten() for part in parts])
        tally = [(flat**2).sum(), np.abs(flat).sum(), flat.size]
        np.testing.assert_allclose(found[name], tally, rtol=1e-10)
        np.testing.assert_allclose(shown[name], tally, rtol=1e-10)
    symbols = np.concatenate([f.atoms.get_chemical_symbols() for f in frames()])
    forces = np.concatenate(expected["forces"])
    for element in ELEMENTS:
        chosen = forces[symbols == element]
        tally = [(chosen**2).sum(), np.abs(chosen).sum(), chosen.size]
        np.testing.assert_allclose(found[f"forces {element}"], tally, rtol=1e-10)


def test_each_error_is_that_of_the_calculator() -> None:
    """Not only their sums, and each frame alone as well as among others."""
    task, samples = task_and_samples()
    expected = wrong(task.model, frames())
    together = task._wrong(samples, create_graph=False)
    for k, sample in enumerate(samples):
        alone = task._wrong([sample], create_graph=False)
        for name in ALL:
            for found in (together[name][k], alone[name][0]):
                assert np.abs(found.detach().numpy() - expected[name][k]).max() < 1e-10


def test_loss_is_the_formula() -> None:
    task, samples = task_and_samples()
    errors = wrong(task.model, frames())
    expected = [
        2.0 * e[0] ** 2 + 0.5 * (f**2).sum() / (3 * len(f)) + 30.0 * (s**2).sum() / 9
        for e, f, s in zip(*errors.values(), strict=True)
    ]
    np.testing.assert_allclose(task.loss(samples, None).values.detach(), expected, rtol=1e-10)
    same = frames()[:1]
    sample = [task.prepare(f) for f in same]
    assert task.score(task.errors(sample)) == pytest.approx(expected[0], rel=1e-10)


@pytest.mark.parametrize("weights", [ALL, {"energy": 1, "forces": 0}, {"energy": 0, "forces": 1}])
def test_gradient_of_the_loss_by_every_kind_of_parameter(weights) -> None:
    task, samples = task_and_samples(weights=weights)
    parameters = list(task.network.parameters())

    def loss() -> torch.Tensor:
        return task.loss(samples, None).values.sum()

    slopes = torch.autograd.grad(loss(), parameters, allow_unused=True)
    rng, step, compared = np.random.default_rng(0), 1e-5, 0
    for parameter, slope in zip(parameters, slopes, strict=True):
        k = int(rng.integers(parameter.numel()))
        found = 0.0 if slope is None else slope.flatten()[k].item()
        values = []
        for shift in (step, -2 * step):
            with torch.no_grad():
                parameter.view(-1)[k] += shift
            values.append(loss().item())
        with torch.no_grad():
            parameter.view(-1)[k] += step
        numerical = (values[0] - values[1]) / (2 * step)
        assert found == pytest.approx(numerical, rel=1e-6, abs=1e-7)
        compared += abs(found) > 1e-4
    assert compared >= 6


def test_start_fits_offsets_by_least_squares() -> None:
    given = [*frames(), *(frame(k, skewed()[: 3 + k]) for k in range(4))]
    task, samples = task_and_samples(given)
    task.start(samples)
    counts = np.array([[list(f.atoms.symbols).count(e) for e in ELEMENTS] for f in given])
    expected = np.linalg.lstsq(counts, [f.energy for f in given], rcond=None)[0]
    np.testing.assert_allclose(task.model.network.offsets, expected, rtol=0, atol=1e-10)
    exact = [
        Frame(f.atoms, energy=float(n @ [-2.0, 3.0, -400.0]))
        for f, n in zip(given, counts, strict=True)
    ]
    task, samples = task_and_samples(exact, {"energy": 1, "forces": 0})
    task.start(samples)
    np.testing.assert_allclose(task.model.network.offsets, [-2, 3, -400], rtol=0, atol=1e-9)


def test_offsets_of_one_composition_are_the_smallest_ones() -> None:
    given = [frame(0, energy=-70.0), frame(1, energy=-84.0)]
    task, samples = task_and_samples(given)
    task.start(samples)
    offsets = task.model.network.offsets.numpy()
    assert offsets @ [3, 1, 3] == pytest.approx(-77, abs=1e-9)
    np.testing.assert_allclose(offsets, -77 / 19 * np.array([3, 1, 3]), atol=1e-9)


def test_start_puts_features_in_range_and_turns_the_first_layers() -> None:
    task, samples = task_and_samples()
    task.start(samples)
    model = task.model.eval()
    for f in frames():
        calc = NNPCalculator(model)
        calc.get_forces(f.atoms.copy())
        assert calc.extras["outside"] == 0
    width = model.network.scaling.high - model.network.scaling.low
    assert (width[[0, 2]] > 0).all()
    features, species = [], []
    for sample in samples:
        leaves = sample.radial.density, sample.angular.density, sample.own
        features.append(task._features(sample, leaves))
        species.append(sample.radial.species)
    scaled = model.network.scaling(torch.cat(features), torch.cat(species))
    for element, network in enumerate(model.network.networks.networks):
        chosen = scaled[torch.cat(species) == element]
        assert chosen.amax() == pytest.approx(1, abs=1e-12)
        assert chosen.amin() == pytest.approx(-1, abs=1e-12)
        mean = network[0](chosen).mean(dim=0) - network[0].bias
        assert mean.abs().max() < 1e-10


def test_the_end_leaves_plain_layers_that_give_the_same() -> None:
    task, samples = task_and_samples()
    before = {name: rmse(t) for name, t in task.errors(samples).items()}
    task.start(samples)
    turned = {name: rmse(t) for name, t in task.errors(samples).items()}
    assert turned != pytest.approx(before, rel=1e-3)
    assert type(task.model.network.networks.networks[0][0]) is not torch.nn.Linear
    task.finish(samples)
    assert {name: rmse(t) for name, t in task.errors(samples).items()} == pytest.approx(turned)
    assert all(type(n[0]) is torch.nn.Linear for n in task.model.network.networks.networks)


def test_weightless_energies_leave_the_offsets() -> None:
    given = [frame(k, energy=None) for k in range(2)]
    task, samples = task_and_samples(given, {"energy": 0, "forces": 1})
    task.start(samples)
    assert task.model.network.offsets.tolist() == [-1.0, 2.0, 0.5]
    assert task.loss(samples, None).values.isfinite().all()


def test_single_precision_keeps_large_energies() -> None:
    """All-electron energies are some 10^5 eV per atom: float32 alone knows them to 0.01 eV."""
    counts = [[list(f.atoms.symbols).count(e) for e in ELEMENTS] for f in frames()]
    shift = np.array([-203.4567, -9301.123456, -512345.678901])
    given = [
        Frame(f.atoms, energy=f.energy + float(n @ shift), forces=f.forces)
        for f, n in zip(frames(), counts, strict=True)
    ]
    weights, errors = {"energy": 1, "forces": 1}, []
    for dtype in (torch.float64, torch.float32):
        task, samples = task_and_samples(given, weights, dtype)
        task.start(samples)
        found = task.loss(samples, None)
        assert found.values.dtype == dtype
        errors.append(rmse(found.errors["energy"]))
        assert next(task.network.parameters()).dtype == dtype
    assert errors[1] == pytest.approx(errors[0], abs=1e-5)


def test_single_precision() -> None:
    expected = task_and_samples()
    found = task_and_samples(dtype=torch.float32)
    for name, tally in found[0].errors(found[1]).items():
        np.testing.assert_allclose(tally, expected[0].errors(expected[1])[name], rtol=1e-4)


def test_molecules_and_isolated_atoms() -> None:
    """No periodic cell: energies and forces, no stress."""
    molecule = skewed()
    molecule.pbc = False
    slab = skewed()
    slab.pbc = (True, False, True)
    given = [
        frame(0, molecule, stress=None),
        frame(1, slab, stress=None),
        frame(2, Atoms("Li", pbc=False), stress=None),
    ]
    task, samples = task_and_samples(given, {"energy": 1, "forces": 1})
    assert [s.volume for s in samples] == [1.0, 1.0, 1.0]
    expected = wrong(task.model, given)
    for name, parts in task._wrong(samples, create_graph=False).items():
        for part, known in zip(parts, expected[name], strict=True):
            assert np.abs(part.detach().numpy() - known).max() < 1e-10
    task.start(samples)
    assert task.loss(samples, None).values.isfinite().all()


def test_labels_and_units_are_those_of_the_weights() -> None:
    assert task_and_samples([])[0].labels == ("energy", "forces", "stress")
    task = PotentialTask(trainable())
    assert task.labels == ("energy", "forces")
    assert task.units == {"energy": "eV/atom", "forces": "eV/Å"}
    assert task.weights == {"energy": 1.0, "forces": 1.0, "stress": 0.0}
    assert next(task.network.parameters()).dtype == torch.float32
    assert PotentialTask(trainable(), {"energy": 0, "stress": 1}).labels == ("forces", "stress")


def test_a_missing_label_with_a_weight_cannot_pass_for_a_number() -> None:
    for missing in ("energy", "forces", "stress"):
        task, samples = task_and_samples([frame(0), frame(1, **{missing: None})])
        values = task.loss(samples, None).values
        assert values.isfinite().tolist() == [True, False]


@pytest.mark.parametrize(
    "functions",
    [{"g4": [(0.01, 2, -1)]}, {"g5": [(0.02, 2.5, 1)]}, {"g5": [(0.02, 64, 1)]}, {"g5": ()}],
    ids=["G4", "fractional", "large", "no G5"],
)
def test_other_functions_are_refused(functions) -> None:
    with pytest.raises(ValueError, match="`model` must have G5 with whole-number ζ, and no G4"):
        PotentialTask(trainable(**functions))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"virial": 1}, "`loss` must have weights of energy, forces, stress, got 'virial'"),
        ({"energy": -1}, "positive or zero, not all zero"),
        ({"energy": 0, "forces": 0}, "positive or zero, not all zero"),
        ({"energy": float("nan")}, "positive or zero, not all zero"),
    ],
)
def test_bad_weights_are_refused(weights, message) -> None:
    with pytest.raises(ValueError, match=message):
        PotentialTask(trainable(), weights)


def test_unknown_elements_are_named() -> None:
    atoms = skewed()
    atoms.symbols[0] = "Na"
    with pytest.raises(ValueError, match="knows the elements Li, P, O, got atoms of Na"):
        PotentialTask(trainable()).prepare(frame(0, atoms))


def test_repulsion_begins_where_the_training_ends() -> None:
    """Compared with ASE's distances, also between an atom and its own images."""
    task, samples = task_and_samples()
    task.model.repulsion.closest += 9
    task.start(samples)
    task.finish(samples)
    expected = np.full((3, 3), np.inf)
    for f in frames():
        i, j, d = neighbor_list("ijd", f.atoms, task.model.cutoff)
        for a, b, r in zip(f.atoms.symbols[i], f.atoms.symbols[j], d, strict=True):
            key = ELEMENTS.index(a), ELEMENTS.index(b)
            expected[key] = min(expected[key], r)
    expected[np.isinf(expected)] = 0
    np.testing.assert_allclose(task.model.repulsion.closest, expected, rtol=1e-12)
    assert (expected > 0).sum() > 4
    known = expected * 1.1
    known[0, 0] = 0.5
    for trained, smallest in ((True, 0.5), (False, expected[0, 0])):
        task.trained = trained
        task.model.repulsion.closest.copy_(torch.as_tensor(known))
        task.finish(samples)
        found = task.model.repulsion.closest.numpy().copy()
        assert found[0, 0] == pytest.approx(smallest)
        found[0, 0] = expected[0, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
