"""Signs and sizes: labels of neighbouring frames against one another, single absurd values."""

from dataclasses import replace

import numpy as np
import pytest
from data_examples import harmonic, labelled, salt, shared
from reader_examples import frames, outcar, pw, pw_xml, vasprun

from ase_bec.data import Frame, read_dataset, write_dataset
from ase_bec.data.checks import check_units, notes
from ase_bec.data.work import mismatches

GPA = 1 / 160.21766


def strained(n: int = 8, scale: float = 1.0) -> list[Frame]:
    """Frames of a crystal under strain, whose stress does the work that energies rise by."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(n):
        atoms = salt(amplitude=0.0)
        volume = atoms.get_volume()
        strain = 0.01 * rng.normal(size=(3, 3))
        strain = 0.5 * (strain + strain.T)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        stress = 0.3 * strain  # energy ½·0.3·Ω·ε:ε, to second order
        energy = 0.15 * volume * float((strain**2).sum())
        labels = {"energy": energy, "forces": np.zeros((8, 3)), "stress": scale * stress}
        found.append(Frame(atoms, **labels))
    return found


def polar(n: int = 8, scale: float = 1.0) -> list[Frame]:
    """Frames whose dipole follows their Born charges."""
    charges = np.multiply.outer([1.1, -1.1] * 4, np.eye(3)) + 0.1
    found = []
    for frame in harmonic(n):
        perfect = salt(amplitude=0.0)
        moved = frame.atoms.positions - perfect.positions
        dipole = np.einsum("aij,aj->i", charges, moved)
        polarization = scale * dipole / frame.atoms.get_volume()
        found.append(Frame(frame.atoms, born_effective_charges=charges, polarization=polarization))
    return found


@pytest.mark.parametrize("make", [harmonic, strained, polar])
def test_labels_that_belong_together_pass(make) -> None:
    check_units(make(8))
    assert list(mismatches(make(8))) == []


def turned(given: list[Frame], label: str, factor: float = -1.0) -> list[Frame]:
    return [replace(frame, **{label: factor * getattr(frame, label)}) for frame in given]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (turned(harmonic(8), "forces"), r"correlation -1\.00\): do they have the sign of the grad"),
        (turned(harmonic(8), "energy"), "do they have the sign of the gradient"),
        (strained(scale=-1.0), r"correlation -1\.00\): does it have the opposite sign\?"),
        (strained(scale=10 / GPA), r"`stress` .*units=\{'stress': 'GPa'\}"),
        (strained(scale=0.1), "`energy` changes 10.2 times as much as `stress` does work"),
        (polar(scale=-1.0), r"`polarization` changes -1 times as much as `born_effective_charges`"),
        (turned(polar(), "born_effective_charges"), r"`polarization` changes -1 times"),
    ],
)
def test_wrong_signs_and_units_are_refused(tmp_path, given, message) -> None:
    write_dataset(tmp_path / "a.xyz", given)
    with pytest.raises(ValueError, match=r"a\.xyz, frame 0.*" + message):
        read_dataset(tmp_path / "a.xyz")
    data = read_dataset(tmp_path / "a.xyz", check_units=False)
    write_dataset(tmp_path / "b.xyz", data)
    assert len(read_dataset(tmp_path / "b.xyz")) == 8  # taken once, it is read again


LAYOUTS = {"OUTCAR": outcar, "vasprun.xml": vasprun, "pw.out": pw, "pw.xml": pw_xml}


@pytest.mark.parametrize("name", LAYOUTS)
def test_signs_are_looked_at_in_every_format(tmp_path, name) -> None:
    """Of programs too: a run whose forces were turned round by a script."""
    rng = np.random.default_rng(2)
    perfect = frames(1)[0]
    given = []
    for _ in range(6):
        moved = 0.05 * rng.normal(size=(4, 3))
        moved -= moved.mean(axis=0)
        atoms = perfect.atoms.copy()
        atoms.positions += moved
        labels = {x: getattr(perfect, x) for x in perfect.labels}
        labels |= {"energy": float((moved**2).sum()), "forces": -2 * moved}
        given.append(Frame(atoms, **labels))
    path = tmp_path / name
    path.write_text(LAYOUTS[name](given))
    assert len(read_dataset(path)) == 6
    path.write_text(LAYOUTS[name](turned(given, "forces")))
    with pytest.raises(ValueError, match="do they have the sign of the gradient"):
        read_dataset(path)


def with_one(given: list[Frame], label: str, value: float, where: tuple = ()) -> list[Frame]:
    """Frames of which the fourth has one number replaced."""
    array = np.array(getattr(given[3], label))
    array[where] = value
    changed = replace(given[3], **{label: float(array) if array.shape == () else array})
    return [*given[:3], changed, *given[4:]]


@pytest.mark.parametrize(
    ("label", "value", "where", "message"),
    [
        ("energy", 500.0, (), r"frame 3: `energy` differs by \+5e\+02|frame [34]: `energy`"),
        ("energy", -60.0, (), r"frame [34]: `energy` differs by"),
        ("energy", 1e12, (), "frame 3: `energy` must be below 8e"),
        ("forces", 300.0, (2, 1), "frame 3: `forces` are 300 eV/Å on atom 2, with no neighbour"),
        ("forces", 3000.0, (2, 1), "frame 3: `forces` are 3e"),
        ("born_effective_charges", 80.0, (1, 0, 0), "frame 3: `born_effective_charges` must be"),
        ("dielectric_tensor", 1e6, (0, 0), r"frame 3: `dielectric_tensor` must be below 10000"),
        ("stress", 3.0, (1, 1), r"frame 3: `stress` is 3 eV/Å³, 480 GPa"),
        ("stress", 0.5, (0, 1), "frame 3: `stress` must be symmetric"),
        ("polarization", 0.2, (2,), "frame 3: `polarization` is 0.2 e/Å², 3.2 C/m²"),
        ("net_charge", 100.0, (), "frame 3: `net_charge` must be below 8 e, got 100"),
        ("energy", 1e300, (), r"frame 3: `energy` must be below 1e\+15, got 1e\+300"),
        ("forces", 1e200, (0, 0), "frame 3: `forces` must be below"),
    ],
)
def test_single_absurd_values_are_refused(tmp_path, label, value, where, message) -> None:
    given = [
        replace(
            frame,
            born_effective_charges=labelled().born_effective_charges,
            dielectric_tensor=np.eye(3),
            stress=np.zeros((3, 3)),
            polarization=np.zeros(3),
        )
        for frame in harmonic(8)
    ]
    write_dataset(tmp_path / "a.xyz", given)
    assert len(read_dataset(tmp_path / "a.xyz")) == 8
    try:
        write_dataset(tmp_path / "a.xyz", with_one(given, label, value, where))
    except ValueError:  # beyond what a Frame may hold: put into the text
        text = (tmp_path / "a.xyz").read_text()
        shown = repr(float(np.asarray(getattr(given[3], label))[where]))
        (tmp_path / "a.xyz").write_text(text.replace(shown, repr(value)))
    with pytest.raises(ValueError, match=message):
        read_dataset(tmp_path / "a.xyz")


def test_stress_in_gpa_of_all_frames_together() -> None:
    given = [replace(frame, stress=1.2 * np.eye(3)) for frame in harmonic(8)]
    with pytest.raises(ValueError, match=r"`stress` has a median of 1\.2 eV/Å³, 192 GPa.*'GPa'"):
        check_units(given)


@pytest.mark.parametrize("value", [0.3, 1.2])
def test_polarization_in_coulombs(value) -> None:
    atoms = salt()
    message = r"`polarization` is .*units=\{'polarization': '(C/m\^2|e Å)'\}"
    with pytest.raises(ValueError, match=message):
        check_units([Frame(atoms, polarization=np.array([0, 0, value]))])


def test_one_wrong_force_is_noted_by_the_sum(tmp_path) -> None:
    given = [replace(f, forces=f.forces - f.forces.mean(axis=0)) for f in harmonic(3)]
    write_dataset(tmp_path / "a.xyz", given)
    assert read_dataset(tmp_path / "a.xyz").notes == ()
    forces = given[1].forces.copy()
    forces[4, 2] += 2.0
    write_dataset(tmp_path / "a.xyz", [given[0], replace(given[1], forces=forces), given[2]])
    (note,) = read_dataset(tmp_path / "a.xyz").notes
    assert note.startswith("forces do not add up to zero in 1 frames: 2 eV/Å in ")


def test_strange_calculations_of_programs_are_noted(tmp_path) -> None:
    """Silicon carbide at 0.43 Å: units are known, so it is a strange calculation, not a unit."""
    path = shared("readers", "vasp", "vasp", "OUTCAR.lepsilon.gz")
    data = read_dataset(path)
    for text in ("`positions` have Si-C", "`forces` have a median", "1.22e+03 GPa"):
        assert any(text in note for note in data.notes)
    write_dataset(tmp_path / "a.xyz", data)
    again = read_dataset(tmp_path / "a.xyz")
    assert again[0].energy == data[0].energy
    assert any("`positions` have Si-C" in note for note in again.notes)


@pytest.mark.parametrize("name", ["sio2", "batio3"])
def test_published_sets_turned_round(tmp_path, name) -> None:
    data = list(read_dataset(shared(name, f"{name}.xyz")))[:60]
    assert check_units(data) == ()
    with pytest.raises(ValueError, match="do they have the sign of the gradient"):
        check_units(turned(data, "forces"))
    with pytest.raises(ValueError, match=r"`polarization` changes .* times as much as"):
        check_units(turned(data, "polarization"))


def test_duplicates_with_other_energies_say_by_how_much() -> None:
    (note,) = notes([labelled(1, born_effective_charges=None, energy=e) for e in (1.0, 1.5)])
    assert note.endswith("energies of one differ by up to 0.5 eV")
