"""ASE's nudged elastic band with field calculators, own, shared and in threads."""

import copy
import threading

import numpy as np
import pytest
from ase.build import add_adsorbate, fcc100
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from field_examples import CountingEMT

from ase_bec.calculators.charges import SpeciesCharges
from ase_bec.calculators.field import FieldCalculator

FIELD = (0.3, 0.0, 0.1)
CHARGES = {"Al": -0.1, "Au": 0.4}  # Q = 0


def hop(calculators):
    """Gold hopping between hollows of a small aluminium slab, five images."""
    first = fcc100("Al", size=(2, 2, 1), vacuum=5, periodic=True)
    add_adsorbate(first, "Au", 1.7, "hollow")
    first.set_constraint(FixAtoms(mask=[atom.symbol == "Al" for atom in first]))
    last = first.copy()
    last.positions[-1, 0] += first.cell[0, 0] / 2
    images = [first, *(first.copy() for _ in range(3)), last]
    for image, calculator in zip(images, calculators, strict=True):
        image.calc = calculator
    for end in (first, last):
        BFGS(end, logfile=None).run(fmax=0.02)
    return images


def in_field(base):
    return FieldCalculator(base, CHARGES, field=FIELD)


def own_over_one_base():
    base = EMT()
    return [in_field(base) for _ in range(5)]


def converged(images, **options):
    neb = NEB(images, method="improvedtangent", climb=True, **options)
    neb.interpolate()
    FIRE(neb, logfile=None).run(fmax=0.02, steps=200)
    return np.array([image.get_potential_energy() for image in images])


@pytest.fixture(scope="module")
def profile():
    return converged(hop([in_field(EMT()) for _ in range(5)]))


def test_barriers_differ_by_the_work_of_the_field(profile):
    plain = converged(hop([EMT() for _ in range(5)]))
    length = fcc100("Al", size=(2, 2, 1)).cell[0, 0] / 2
    tilt = profile[-1] - profile[0]
    assert plain[-1] - plain[0] == pytest.approx(0.0, abs=1e-4)
    # the gold atom carries 0.4 e, the net force being zero: the slab is fixed
    assert tilt == pytest.approx(-0.4 * FIELD[0] * length, abs=1e-3)
    assert profile.max() - profile[0] < plain.max() - plain[0] - 0.05


@pytest.mark.parametrize("kind", ["one base", "one calculator", "threads", "threads, copies"])
def test_every_way_to_share_gives_the_same_profile(kind, profile):
    options = {}
    calculators = own_over_one_base()
    if kind == "one calculator":
        calculators = [in_field(EMT())] * 5
        options["allow_shared_calculator"] = True
    elif kind == "threads, copies":
        calculators = [copy.deepcopy(calculators[0]) for _ in range(5)]
    if kind.startswith("threads"):
        options["parallel"] = True
    energies = converged(hop(calculators), **options)
    assert energies == pytest.approx(profile, abs=1e-9)


def test_end_images_over_a_shared_base_keep_their_energies():
    base = CountingEMT()
    images = hop([in_field(base) for _ in range(5)])
    neb = NEB(images, method="improvedtangent")
    neb.interpolate()
    neb.get_forces()
    before = base.calculations
    for image in images[1:-1]:
        image.positions[-1, 2] += 0.01
    neb.get_forces()
    assert base.calculations == before + 3


class Overlapping(EMT):
    """Notices two threads in one calculation."""

    def __init__(self):
        super().__init__()
        self.inside = 0
        self.overlaps = 0
        self.pause = threading.Event()

    def calculate(self, *args, **kwargs):
        self.inside += 1
        self.overlaps += self.inside > 1
        self.pause.wait(0.02)
        super().calculate(*args, **kwargs)
        self.inside -= 1


def test_threads_take_turns_on_a_shared_base():
    base = Overlapping()
    images = hop([EMT() for _ in range(5)])
    for image in images:
        image.calc = in_field(base)
    neb = NEB(images, method="improvedtangent", parallel=True)
    neb.interpolate()
    neb.get_forces()
    assert base.overlaps == 0


def test_threads_take_turns_on_shared_charges():
    class Charges(SpeciesCharges):
        inside = overlaps = 0
        __hash__ = None

        def response(self, atoms, field):
            self.inside += 1
            self.overlaps += self.inside > 1
            threading.Event().wait(0.02)
            self.inside -= 1
            return super().response(atoms, field)

    charges = Charges(CHARGES)
    images = hop([EMT() for _ in range(5)])
    for image in images:
        image.calc = FieldCalculator(EMT(), charges, field=FIELD)
    neb = NEB(images, method="improvedtangent", parallel=True)
    neb.interpolate()
    neb.get_forces()
    assert charges.overlaps == 0


def test_threads_share_one_calculator():
    calc = in_field(Overlapping())
    images = hop([EMT() for _ in range(5)])
    for index, image in enumerate(images):
        image.positions[-1, 2] += 0.1 * index
        image.calc = calc
    found = [None] * 5
    threads = [
        threading.Thread(target=lambda k=k: found.__setitem__(k, images[k].get_forces()))
        for k in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for image, forces in zip(images, found, strict=True):
        assert np.array_equal(forces[-1], in_field(EMT()).get_forces(image)[-1])


def test_threads_with_own_bases_run_side_by_side():
    meeting = threading.Barrier(3, timeout=10)

    class Meeting(EMT):
        meets = True

        def calculate(self, *args, **kwargs):
            if self.meets:
                meeting.wait()  # breaks unless all three images are here at once
                self.meets = False
            super().calculate(*args, **kwargs)

    images = hop([EMT() for _ in range(5)])
    for index, image in enumerate(images):
        image.calc = in_field(EMT() if index in (0, 4) else Meeting())
    neb = NEB(images, method="improvedtangent", parallel=True)
    neb.interpolate()
    assert np.isfinite(neb.get_forces()).all()
