"""A local energy whose derivatives are known, through the one place that differentiates."""

import dataclasses

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from ase_bec.descriptors.neighbourhoods import Neighbourhoods, chunks
from ase_bec.evaluation import evaluate as module
from ase_bec.evaluation.evaluate import Response, evaluate
from ase_bec.system import System
from ase_bec.terms.model import Model
from ase_bec.terms.term import LocalEnergy

CUTOFF = 3.0


def skewed() -> Atoms:
    cell = [[3.1, 0, 0], [1.0, -2.9, 0], [-0.4, 0.8, 3.3]]  # left-handed, shorter than the cutoff
    atoms = Atoms("LiOLi", [[0, 0, 0], [1.4, 0.9, 5.1], [-2.2, -3.4, 1.7]], cell=cell, pbc=True)
    assert atoms.cell.handedness == -1
    return atoms


class Springs(LocalEnergy):
    """Σ_j (R_c² - r²)³ by element, with a weight that no centre shares with another."""

    kind = "springs"
    cutoff = CUTOFF
    n_elements = 2

    def forward(self, nb: Neighbourhoods) -> torch.Tensor:
        left = (CUTOFF**2 - nb.vectors.square().sum(dim=1)).clamp(min=0)
        centre = torch.repeat_interleave(torch.arange(len(nb.species)), nb.first.diff())
        weight = (1 + nb.species[centre]) * (2 + nb.neighbour_species) * nb.vectors.new_tensor(1e-3)
        return torch.zeros(len(nb.species)).double().index_add(0, centre, weight * left**3)


def springs(*terms: LocalEnergy) -> Model:
    return Model(["Li", "O"], terms or [Springs()])


def species(atoms: Atoms) -> torch.Tensor:
    return torch.tensor([["Li", "O"].index(symbol) for symbol in atoms.symbols])


def response(*frames: Atoms, field: torch.Tensor | None = None) -> Response:
    return evaluate(springs(), System.from_atoms(list(frames), CUTOFF), field)


def total(atoms: Atoms) -> float:
    return response(atoms).energy.item()


def test_value_in_closed_form() -> None:
    """Two atoms, from both ends: weights 1·3 and 2·2."""
    atoms = Atoms("LiO", [[0, 0, 0], [1, 2, 0.5]])
    left = 1e-3 * (9 - 5.25) ** 3
    found = response(atoms)
    assert found.energies.tolist() == pytest.approx([3 * left, 4 * left], rel=1e-14)
    assert found.energy.tolist() == pytest.approx([7 * left], rel=1e-14)
    pull = 7 * 1e-3 * 3 * (9 - 5.25) ** 2 * 2 * np.array([1, 2, 0.5])  # apart: the energy is high
    np.testing.assert_allclose(found.forces, [-pull, pull], rtol=1e-14)


def test_forces() -> None:
    forces = response(skewed()).forces
    step = 1e-5
    for atom, axis in np.ndindex(3, 3):
        ends = []
        for sign in (1, -1):
            moved = skewed()
            moved.positions[atom, axis] += sign * step
            ends.append(total(moved))
        expected = (ends[1] - ends[0]) / (2 * step)
        assert forces[atom, axis].item() == pytest.approx(expected, abs=1e-8)
    assert forces.abs().max() > 1e-2
    assert forces.sum(dim=0).abs().max() < 1e-12


def test_virial() -> None:
    (found,) = response(skewed()).virial
    step = 1e-6
    for i, j in np.ndindex(3, 3):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += 0.5 * sign * step
            strain[j, i] += 0.5 * sign * step
            strained = skewed()
            strained.set_cell(strained.cell.array @ strain, scale_atoms=True)
            ends.append(total(strained))
        expected = (ends[0] - ends[1]) / (2 * step)
        assert found[i, j].item() == pytest.approx(expected, abs=1e-7)
    assert torch.equal(found, found.T)
    assert found.abs().min() > 1e-3


def test_terms_add_up() -> None:
    system = System.from_atoms(skewed(), CUTOFF)
    one, three = evaluate(springs(), system), evaluate(springs(*(Springs() for _ in "abc")), system)
    for field in dataclasses.fields(one):
        found, expected = getattr(three, field.name), 3 * getattr(one, field.name)
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


def test_a_field_changes_nothing_of_what_does_not_feel_it() -> None:
    calm, biased = response(skewed()), response(skewed(), field=torch.tensor([0.3, -0.1, 2.0]))
    for field in dataclasses.fields(calm):
        assert torch.equal(getattr(calm, field.name), getattr(biased, field.name))
    assert not calm.dipole.any()
    assert calm.dipole.shape == (1, 3)


def test_chunks_change_nothing(monkeypatch) -> None:
    whole = response(skewed())
    for size in (1, 2, 3, 100):
        sizes = []

        def in_parts(system, species, dtype, whole, size=size, sizes=sizes):
            for start, nb in chunks(system, species, dtype, whole, size):
                sizes.append(len(nb.species))
                yield start, nb

        monkeypatch.setattr(module, "chunks", in_parts)
        found = response(skewed())
        assert max(sizes) == min(size, 3)
        for field in dataclasses.fields(whole):
            torch.testing.assert_close(
                getattr(found, field.name), getattr(whole, field.name), rtol=0, atol=1e-14
            )


def test_chunks_cover_every_centre_once() -> None:
    atoms = skewed()
    system = System.from_atoms(atoms, CUTOFF)
    starts, parts = zip(*chunks(system, species(atoms), chunk=2), strict=True)
    assert starts == (0, 2)
    assert [len(part.species) for part in parts] == [2, 1]
    assert torch.equal(torch.cat([part.species for part in parts]), species(atoms))
    assert torch.equal(torch.cat([part.vectors for part in parts]), system.vectors())
    counted = [start + part.neighbour for start, part in zip(starts, parts, strict=True)]
    assert torch.equal(torch.cat(counted), system.neighbour)
    neighbours = torch.cat([part.neighbour_species for part in parts])
    assert torch.equal(neighbours, species(atoms)[system.neighbour])
    for part in parts:
        assert part.first[0] == 0
        assert part.first[-1] == len(part.vectors)


def test_chunks_of_whole_structures() -> None:
    """As messages need them: neighbours are among the centres."""
    frames = [skewed(), Atoms("O"), skewed(), skewed()]
    system = System.from_atoms(frames, CUTOFF)
    kinds = torch.cat([species(atoms) for atoms in frames])
    for size, expected in ((1, [3, 1, 3, 3]), (4, [4, 6]), (5, [7, 3]), (100, [10])):
        parts = list(chunks(system, kinds, whole=True, chunk=size))
        assert [len(part.species) for _, part in parts] == expected
        for _, part in parts:
            assert ((part.neighbour >= 0) & (part.neighbour < len(part.species))).all()
        assert torch.equal(torch.cat([part.vectors for _, part in parts]), system.vectors())


def test_chunks_of_many_atoms_are_bounded() -> None:
    """Memory for one chunk, not for the structure."""
    atoms = bulk("Li", cubic=True) * (6, 6, 6)
    system = System.from_atoms(atoms, CUTOFF)
    sizes = [len(nb.species) for _, nb in chunks(system, species(atoms))]
    assert sum(sizes) == len(atoms) == 432
    assert max(sizes) <= 256


def test_no_neighbours() -> None:
    found = response(Atoms("LiO", [[0, 0, 0], [0, 0, 9]]))
    assert found.energies.tolist() == [0, 0]
    assert found.forces.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert not found.virial.any()


def test_several_structures_are_as_each_alone() -> None:
    frames = [skewed(), Atoms("LiO", [[0, 0, 0], [1, 2, 0.5]]), Atoms("O"), skewed()]
    frames[3].rattle(0.1, seed=1)
    found = response(*frames)
    alone = [response(atoms) for atoms in frames]
    assert found.energy.shape == (4,)
    for field in dataclasses.fields(found):
        expected = torch.cat([getattr(one, field.name) for one in alone])
        torch.testing.assert_close(getattr(found, field.name), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_nothing_of_the_caller_is_changed(mode) -> None:
    system = System.from_atoms(skewed(), CUTOFF)
    before = system.positions.clone()
    with mode():
        found = evaluate(springs(), system)
    assert torch.equal(found.forces, response(skewed()).forces)
    assert torch.equal(system.positions, before)
    assert not system.positions.requires_grad
    assert not any(getattr(found, f.name).requires_grad for f in dataclasses.fields(found))


def test_unknown_elements_are_named() -> None:
    with pytest.raises(ValueError, match="knows the elements Li, O, got atoms of Na: use"):
        response(Atoms("NaO", [[0, 0, 0], [0, 0, 2]]))
