"""Quantum ESPRESSO: pw.x with and without field, ph.x, against ASE and the published sets."""

import numpy as np
import pytest
from ase import units
from ase.io import read
from ase.stress import voigt_6_to_full_3x3_stress
from data_examples import shared

from ase_bec.data import charges_from_fields, read_dataset

RUNS = [
    f"{name}/data/{name}-{kind}{field}-0/{name}-scf.out"
    for name, kinds in (("SiO2", ("T300-", "T600-")), ("BaTiO3", ("", "wall-")))
    for kind in kinds
    for field in ("E0", "Ex", "Ey", "Ez")
]


def run(name: str):
    return shared("readers", "qe", *name.split("/"))


@pytest.mark.parametrize("name", [*RUNS, "SiO2-E0.out", "SiO2-Ez-1e-3.out"])
def test_pw_as_ase_reads_it(name) -> None:
    data = read_dataset(run(name))
    images = read(run(name), index=":", format="espresso-out")
    for frame, atoms in zip(data, images, strict=True):
        # ASE takes the constants of 2006 here, hence the tolerances
        np.testing.assert_allclose(frame.energy, atoms.get_potential_energy(), rtol=2e-7)
        np.testing.assert_allclose(frame.forces, atoms.get_forces(), atol=5e-6)
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress())
        np.testing.assert_allclose(frame.stress, stress, atol=1e-7)
        np.testing.assert_allclose(frame.atoms.positions, atoms.positions, atol=2e-6)
        np.testing.assert_allclose(frame.atoms.cell.array, atoms.cell.array, atol=2e-6)
        assert frame.net_charge == 0
        assert (frame.electric_field is None) == ("E0" in name)


@pytest.mark.parametrize(("temperature", "n"), [("T300", 0), ("T600", 78)])
def test_forces_in_fields_are_the_born_charges_of_the_published_set(temperature, n) -> None:
    """Index order from raw forces: Z[a, i, j] = ΔF_aj / E_i, to the rounding of the output."""
    runs = [
        run(f"SiO2/data/SiO2-{temperature}-{f}-0/SiO2-scf.out") for f in ("E0", "Ex", "Ey", "Ez")
    ]
    raw = read_dataset(runs)
    assert "3 frames were computed in an electric field" in raw.notes[0]
    np.testing.assert_allclose(raw[2].electric_field, [0, 3.6361e-3, 0], rtol=1e-4)
    (solved,) = charges_from_fields(raw)
    published = read_dataset(shared("sio2", "sio2.xyz"))[n]
    np.testing.assert_allclose(solved.atoms.positions, published.atoms.positions, atol=3e-6)
    np.testing.assert_allclose(
        solved.born_effective_charges, published.born_effective_charges, atol=1e-4
    )
    assert (
        np.abs(
            solved.born_effective_charges.transpose(0, 2, 1) - published.born_effective_charges
        ).max()
        > 0.5
    )
    np.testing.assert_allclose(solved.forces, published.forces, atol=5e-6)
    np.testing.assert_allclose(solved.stress, published.stress, atol=1e-6)
    np.testing.assert_allclose(solved.energy, published.energy, atol=0.02)
    np.testing.assert_allclose(solved.dipole, published.dipole, atol=2e-3)
    np.testing.assert_allclose(solved.polarizability, published.polarizability.T, atol=1e-3)


def test_fields_need_directions_and_a_start() -> None:
    fields = ("E0", "Ex", "Ey", "Ez")
    raw = read_dataset([run(f"SiO2/data/SiO2-T300-{f}-0/SiO2-scf.out") for f in fields])
    with pytest.raises(ValueError, match="needs fields along three independent directions"):
        charges_from_fields(raw[:3])
    with pytest.raises(ValueError, match="has no frame of the same structure without field"):
        charges_from_fields(raw[1:])
    assert charges_from_fields(raw[:1]) == [raw[0]]


def test_ph_as_phonopy_takes_it() -> None:
    (frame,) = read_dataset(shared("readers", "phonopy", "example", "NaCl-QE", "NaCl.ph.out"))
    assert frame.labels == ("born_effective_charges", "dielectric_tensor")
    np.testing.assert_allclose(frame.dielectric_tensor, 2.472958201 * np.eye(3), atol=1e-12)
    z = frame.born_effective_charges
    np.testing.assert_array_equal(z[1], np.diag([1.09924, 1.09922, 1.09922]))
    np.testing.assert_allclose(frame.atoms.cell.array, 5.6903 * np.eye(3), atol=1e-4)
    # BORN beside it holds half the difference of the means of Na and Cl
    np.testing.assert_allclose((z[:4] - z[4:]).mean(0) / 2, 1.105385 * np.eye(3), atol=1e-9)


PW = """     Program PWSCF v.7.2 starts on  1Jan2024
     number of atoms/cell      =            2
     number of electrons       =     {electrons}
     celldm(1)=  10.000000  celldm(2)=   0.000000
     crystal axes: (cart. coord. in units of alat)
               a(1) = (   1.000000   0.000000   0.000000 )
               a(2) = (   0.000000   1.000000   0.000000 )
               a(3) = (   0.000000   0.000000   1.000000 )
     atomic species   valence    mass     pseudopotential
        Na1            9.00    22.98977     Na( 1.00)
        Cl             7.00    35.45000     Cl( 1.00)

     site n.     atom                  positions (alat units)
         1           Na1 tau(   1) = (   0.0000000   0.0000000   0.0000000  )
         2           Cl  tau(   2) = (   0.5000000   0.0000000   0.0000000  )

!    total energy              =    -100.00000000 Ry
     convergence {convergence} in   9 iterations
     Forces acting on atoms (cartesian axes, Ry/au):

     atom    1 type  1   force =     0.01000000    0.00000000    0.00000000
     atom    2 type  2   force =    -0.01000000    0.00000000    0.00000000
     The non-local contrib.  to forces
     atom    1 type  1   force =     9.00000000    0.00000000    0.00000000

          total   stress  (Ry/bohr**3)                   (kbar)     P=       54.63
   0.00010000   0.00020000   0.00000000           1.0         2.0        0.0
   0.00020000   0.00000000   0.00000000           2.0         0.0        0.0
   0.00000000   0.00000000   0.00000000           0.0         0.0        0.0
{more}
   JOB DONE.
"""


def pw(tmp_path, convergence="has been achieved", electrons="16.00", more="", **options):
    path = tmp_path / "pw.out"
    path.write_text(PW.format(convergence=convergence, electrons=electrons, more=more))
    return read_dataset(path, **options)


def test_made_pw(tmp_path) -> None:
    (frame,) = pw(tmp_path, electrons="17.00")
    assert frame.net_charge == -1
    assert str(frame.atoms.symbols) == "NaCl"
    np.testing.assert_allclose(frame.atoms.positions[1, 0], 5 * units.Bohr)
    np.testing.assert_allclose(frame.energy, -100 * units.Ry)
    np.testing.assert_allclose(frame.forces[:, 0], np.array([1, -1]) * 0.257110, rtol=1e-5)
    np.testing.assert_allclose(frame.stress[0, :2], -np.array([1, 2]) * 1e-4 * 91.8158, rtol=1e-5)


@pytest.mark.parametrize(
    ("unit", "scale"),
    [("alat= 10.00000000", 10 * units.Bohr), ("bohr", units.Bohr), ("angstrom", 1.0)],
)
def test_relaxed_cells_and_positions(tmp_path, unit, scale) -> None:
    more = f"""
CELL_PARAMETERS ({unit})
   1.1 0.0 0.0
   0.1 1.0 0.0
   0.0 0.0 1.2

ATOMIC_POSITIONS (crystal)
Na1   0.0 0.0 0.1
Cl    0.5 0.5 0.5    0   0   0
!    total energy              =    -101.00000000 Ry
     convergence has been achieved in   9 iterations
"""
    data = pw(tmp_path, more=more)
    assert len(data) == 2
    expected = np.array([[1.1, 0, 0], [0.1, 1, 0], [0, 0, 1.2]]) * scale
    np.testing.assert_allclose(data[1].atoms.cell.array, expected)
    np.testing.assert_allclose(data[1].atoms.positions[1], 0.5 * expected.sum(0))
    assert data[1].forces is None
    np.testing.assert_allclose(data[0].atoms.cell.lengths(), 10 * units.Bohr)


def test_pw_that_is_no_good(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"pw\.out, frame 0: electrons have not converged"):
        pw(tmp_path, convergence="NOT achieved")
    assert len(pw(tmp_path, convergence="NOT achieved", allow_unconverged=True)) == 1
    path = tmp_path / "pw.out"
    text = PW.format(convergence="has been achieved", electrons="16.00", more="")
    for cut, message in (
        ("   JOB DONE", r"pw\.out: ends early \(no JOB DONE\)"),
        ("         2           Cl", r"pw\.out: must list 2 atoms \(tau\), got 1"),
        ("!    total", r"pw\.out: holds no total energy"),
        ("     atom    2 type", r"pw\.out: damaged: table must have 2 lines, got 1"),
    ):
        path.write_text(text[: text.index(cut)])
        with pytest.raises(ValueError, match=message):
            read_dataset(path, allow_unconverged="JOB" not in cut)


def ph(blocks: str, done: str = "JOB DONE") -> str:
    head = PW.split("!    total")[0].replace("Program PWSCF", "Program PHONON")
    head = head.replace(" tau(", " 22.9 tau(").format(electrons="16.00")
    return f"{head}{blocks}   {done}.\n"


EPSILON = """
          Dielectric constant in cartesian axis

          (       2.100000000       0.100000000       0.000000000 )
          (       0.200000000       2.200000000      -0.000000000 )
          (       0.000000000      -0.000000000       2.300000000 )
"""
CHARGES = """
          Effective charges (d Force / dE) in cartesian axis{asr}

           atom      1   Na1{mean}
      Ex  (        1.10000        0.12000        0.00000 )
      Ey  (        0.21000        1.20000        0.00000 )
      Ez  (       -0.00000        0.00000        {zz} )
           atom      2   Cl {mean}
      Ex  (       -1.10000        0.00000        0.00000 )
      Ey  (        0.00000       -1.20000        0.00000 )
      Ez  (       -0.00000        0.00000       -1.30000 )
"""


def test_made_ph_joins_pw(tmp_path) -> None:
    plain = CHARGES.format(asr="", mean="", zz="1.30000")
    (tmp_path / "ph.out").write_text(ph(EPSILON + plain))
    pw(tmp_path)
    (frame,) = read_dataset([tmp_path / "pw.out", tmp_path / "ph.out"])
    z = frame.born_effective_charges
    assert (z[0, 0, 1], z[0, 1, 0]) == (0.12, 0.21)  # row Ex: force y in a field along x
    assert frame.dielectric_tensor[0, 1] == 0.1
    assert frame.energy is not None
    assert frame.source.endswith("ph.out, frame 0")


def test_charges_as_computed_come_before_those_with_the_sum_rule(tmp_path) -> None:
    raw = CHARGES.format(
        asr=" without acoustic sum rule applied (asr)", mean="  Mean Z*:  1.2", zz="1.31000"
    )
    ruled = CHARGES.format(asr=" with asr applied: ", mean="  E*Z mean:  1.2", zz="1.30000")
    for text in (raw + ruled, ruled + raw):
        (tmp_path / "ph.out").write_text(ph(text))
        (frame,) = read_dataset(tmp_path / "ph.out")
        assert frame.born_effective_charges[0, 2, 2] == 1.31


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ph(EPSILON, done="killed"), r"ph\.out: ends early \(no JOB DONE\)"),
        (ph(""), r"ph\.out: holds no dielectric constant or effective charges"),
        (ph(EPSILON + "\n     No convergence has been achieved\n"), "has not converged"),
        (
            ph(CHARGES.format(asr="", mean="", zz="1.3").split("           atom      2")[0]),
            r"ph\.out: .*must have 6 rows, got 3; truncated\?",
        ),
        (
            ph(CHARGES.format(asr="", mean="", zz="1.3").replace("d Force / dE", "d P / du")),
            r"only \(d P / du\)",
        ),
    ],
)
def test_ph_that_is_no_good(tmp_path, text, message) -> None:
    (tmp_path / "ph.out").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_dataset(tmp_path / "ph.out")


@pytest.mark.parametrize("name", RUNS)
def test_xml_is_the_text_with_more_digits(name) -> None:
    path = run(name)
    (text,) = read_dataset(path)
    (xml,) = read_dataset(next(path.parent.glob("*.xml")))
    assert xml.labels == text.labels
    np.testing.assert_allclose(xml.energy, text.energy, rtol=1e-9)
    np.testing.assert_allclose(xml.forces, text.forces, atol=3e-7)
    np.testing.assert_allclose(xml.stress, text.stress, atol=1e-6)
    np.testing.assert_allclose(xml.dipole, text.dipole, atol=2e-3)
    np.testing.assert_allclose(xml.atoms.positions, text.atoms.positions, atol=1e-5)
    np.testing.assert_array_equal(xml.atoms.numbers, text.atoms.numbers)
    if xml.electric_field is None:
        assert text.electric_field is None
    else:
        np.testing.assert_allclose(xml.electric_field, text.electric_field)


XML = """<?xml version="1.0" encoding="UTF-8"?>
<qes:espresso xmlns:qes="http://www.quantum-espresso.org/ns/qes/qes-1.0">
{steps}<output>
<convergence_info><scf_conv><convergence_achieved>{done}</convergence_achieved></scf_conv>
</convergence_info>
{structure}
<bands><tot_charge>-1.0</tot_charge></bands>
<total_energy><etot>-2.0</etot></total_energy>
<forces rank="2" dims="3 2">
0.1 0.2 0.3
-0.1 -0.2 -0.3
</forces>
<stress rank="2" dims="3 3">1e-4 2e-4 0 2e-4 0 0 0 0 0</stress>
</output></qes:espresso>
"""
STRUCTURE = """<atomic_structure nat="2"><atomic_positions>
<atom name="Na1" index="1">0 0 0</atom><atom name="Cl" index="2">{x} 0 0</atom>
</atomic_positions><cell><a1>10 0 0</a1><a2>0 10 0</a2><a3>1 0 10</a3></cell></atomic_structure>"""


def test_made_xml(tmp_path) -> None:
    step = "<step>{}<total_energy><etot>-1.0</etot></total_energy></step>\n"
    steps = step.format(STRUCTURE.format(x=4)) + step.format(STRUCTURE.format(x=5))
    path = tmp_path / "x.xml"
    path.write_text(XML.format(steps=steps, done="true", structure=STRUCTURE.format(x=5)))
    first, last = read_dataset(path)  # the output is the last step once more
    assert (first.energy, last.energy) == (-units.Ha, -2 * units.Ha)
    assert first.net_charge == last.net_charge == -1
    np.testing.assert_allclose(last.forces[0], np.array([0.1, 0.2, 0.3]) * 51.42207, rtol=1e-6)
    np.testing.assert_allclose(last.stress[0, :2], [-0.0183631, -0.0367263], rtol=1e-5)
    np.testing.assert_allclose(last.atoms.positions[1, 0], 5 * units.Bohr)
    np.testing.assert_allclose(last.atoms.cell.array[2, 0], units.Bohr)


def test_xml_that_is_no_good(tmp_path) -> None:
    path = tmp_path / "x.xml"
    good = XML.format(steps="", done="true", structure=STRUCTURE.format(x=5))
    for text, message in (
        (good[:-30], r"x\.xml: XML is damaged or ends early"),
        (good.replace(">true<", ">false<"), r"x\.xml, frame 0: electrons have not converged"),
        (good.replace("total_energy", "energy"), r"x\.xml: holds no <output> with a total energy"),
        (good.replace("<a3>1 0 10</a3>", ""), r"x\.xml, frame 0: parts are missing or damaged"),
        (good.replace("0.1 0.2", "0.1 x"), r"x\.xml, frame 0: parts are missing or damaged"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_dataset(path)
