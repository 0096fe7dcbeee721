"""VASP: numbers that stand in the files, ASE's own readers, damage."""

import io

import numpy as np
import pytest
from ase.io import read
from ase.stress import voigt_6_to_full_3x3_stress
from data_examples import shared

from ase_bec.data import read_dataset
from ase_bec.data.files import read_text

OUTCARS = [
    "OUTCAR.BaTiO3.polar",
    "OUTCAR.dielectric",
    "OUTCAR.lepsilon.gz",
    "OUTCAR.lepsilon_old_born.gz",
    "OUTCAR.total_tensor.Li2O.gz",
]


def case(name: str):
    return shared("readers", "vasp", "vasp", name)


@pytest.mark.parametrize("name", OUTCARS)
def test_outcar_as_ase_reads_it(name) -> None:
    path = case(name)
    data = read_dataset(path)
    images = read(path, index=":", format="vasp-out")
    for frame, atoms in zip(data, images, strict=True):
        assert frame.energy == atoms.get_potential_energy(force_consistent=True)
        np.testing.assert_array_equal(frame.forces, atoms.get_forces())
        np.testing.assert_allclose(
            frame.stress, voigt_6_to_full_3x3_stress(atoms.get_stress()), atol=1e-12
        )
        np.testing.assert_array_equal(frame.atoms.numbers, atoms.numbers)
        np.testing.assert_allclose(frame.atoms.positions, atoms.positions, atol=1e-12)
        np.testing.assert_allclose(frame.atoms.cell.array, atoms.cell.array, atol=1e-12)
        assert frame.net_charge == 0


@pytest.mark.parametrize("name", ["OUTCAR.lepsilon.gz", "OUTCAR.lepsilon_old_born.gz"])
def test_born_charges_of_new_and_old_format(name) -> None:
    """Rows are fields: the file's own responses to field x on each ion are the first rows."""
    (frame,) = read_dataset(case(name))
    z = frame.born_effective_charges
    expected = [
        [
            [2.54988, -0.38491, -0.38491],
            [-0.38500, 2.54981, -0.38500],
            [-0.38488, -0.38488, 2.54991],
        ],
        [[-2.35452, 0.36467, 0.36467], [0.36471, -2.35444, 0.36471], [0.36465, 0.36465, -2.35455]],
    ]
    np.testing.assert_array_equal(z, expected)
    text = read_text(case(name))
    for field in range(3):
        block = text.split(f"DIRECTION {field + 1}           BORN EFFECTIVE CHARGE")[1]
        rows = [line.split()[3:6] for line in block.split("\n")[2:4]]
        np.testing.assert_array_equal(z[:, field], np.array(rows, dtype=float))
    np.testing.assert_array_equal(frame.dielectric_tensor.diagonal(), [3.716432] * 3)
    np.testing.assert_array_equal(frame.dielectric_tensor[0, 1], -0.204640)


def test_finite_differences_are_frames() -> None:
    data = read_dataset(case("OUTCAR.total_tensor.Li2O.gz"))
    assert len(data) == 17
    assert [frame.energy for frame in data[:3]] == [-57.054012, -57.039071, -57.040855]


@pytest.mark.parametrize("name", ["dfpt", "dfpt.phonon", "dfpt.unconverged"])
def test_vasprun_as_ase_reads_it(name) -> None:
    path = case(f"vasprun.{name}.xml.gz")
    (frame,) = read_dataset(path, allow_unconverged="un" in name)
    atoms = read(io.StringIO(read_text(path)), format="vasp-xml")
    assert frame.energy == atoms.get_potential_energy(force_consistent=True)
    np.testing.assert_array_equal(frame.forces, atoms.get_forces())
    np.testing.assert_allclose(frame.stress, voigt_6_to_full_3x3_stress(atoms.get_stress()))
    np.testing.assert_allclose(frame.atoms.positions, atoms.positions, atol=1e-12)
    assert frame.atoms.symbols.get_chemical_formula() == atoms.symbols.get_chemical_formula()
    assert frame.net_charge == 0


def test_vasprun_responses() -> None:
    (frame,) = read_dataset(case("vasprun.dfpt.xml.gz"))
    np.testing.assert_array_equal(
        frame.dielectric_tensor[0], [3.26105533, -0.00459066, -0.01281925]
    )
    assert frame.born_effective_charges is None
    (frame,) = read_dataset(case("vasprun.dfpt.unconverged.xml.gz"), allow_unconverged=True)
    assert frame.born_effective_charges.shape == (2, 3, 3)
    assert np.abs(frame.sum_rule_residual).max() < 0.02  # silicon
    np.testing.assert_array_equal(frame.dielectric_tensor[1, 1], 13.07230825)


def test_unconverged_runs_are_refused() -> None:
    path = case("vasprun.dfpt.unconverged.xml.gz")
    with pytest.raises(ValueError, match=r"unconverged\.xml\.gz, frame 0: .* in NELM = 7 steps"):
        read_dataset(path)


OUTCAR = """ vasp.6.4.2 complex
   VRHFIN =Mg: s2p0
   POMASS =   24.305; ZVAL   =    2.000    mass and valenz
   VRHFIN =O: s2p4
   POMASS =   16.000; ZVAL   =    6.000    mass and valenz
   ions per type =               1   1
   IBRION =     {ibrion}    ionic relax
   NELECT =       9.0000    total number of electrons
      direct lattice vectors                 reciprocal lattice vectors
     0.000000000  2.100000000  2.100000000    -0.2  0.2  0.2
     2.100000000  0.000000000  2.100000000     0.2 -0.2  0.2
     2.100000000  2.100000000  0.000000000     0.2  0.2 -0.2
{steps} General timing and accounting informations for this job:
"""
STEP = """----- aborting loop because EDIFF is reached -----
  in kB      10.00000    20.00000    30.00000    40.00000    50.00000    60.00000
 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         0.100000      0.200000      0.300000
      2.10000      0.00000      0.00000        -0.100000     -0.200000     -0.300000
 -----------------------------------------------------------------------------------
  free  energy   TOTEN  =       -11.5 eV

  energy  without entropy=      -11.0  energy(sigma->0) =      -11.2
"""
BORN = """ MACROSCOPIC STATIC DIELECTRIC TENSOR (including local field effects)
 ------------------------------------------------------
           1.0     2.0     3.0
           4.0     5.0     6.0
           7.0     8.0     9.0
 ------------------------------------------------------
 BORN EFFECTIVE CHARGES (including local field effects) (in |e|, cummulative output)
 ---------------------------------------------------------------------------------
 ion    1
    1     1.1     1.2     1.3
    2     2.1     2.2     2.3
    3     3.1     3.2     3.3
 ion    2
    1    -1.1    -1.2    -1.3
    2    -2.1    -2.2    -2.3
    3    -3.1    -3.2    -3.3
"""


def outcar(tmp_path, steps: str, ibrion: int = 0, **options):
    path = tmp_path / "OUTCAR"
    path.write_text(OUTCAR.format(steps=steps, ibrion=ibrion))
    return read_dataset(path, **options)


def test_made_outcar(tmp_path) -> None:
    data = outcar(tmp_path, STEP + STEP.replace("-11.5", "-11.75") + BORN)
    assert [frame.energy for frame in data] == [-11.5, -11.75]
    assert data[0].net_charge == -1  # 8 valence electrons and 9 in the cell
    assert data[0].born_effective_charges is None
    z = data[1].born_effective_charges
    assert (z[0, 0, 1], z[0, 1, 0], z[1, 2, 0]) == (1.2, 2.1, -3.1)
    assert data[1].dielectric_tensor[0, 1] == 2
    gpa = 1 / 160.21766
    xx, yy, xy, yz, zx = (data[0].stress[k] for k in ((0, 0), (1, 1), (0, 1), (1, 2), (2, 0)))
    np.testing.assert_allclose([xx, yy, xy, yz, zx], -np.array([1, 2, 4, 5, 6]) * gpa, rtol=1e-6)


def test_responses_of_finite_differences_belong_to_the_first_step(tmp_path) -> None:
    data = outcar(tmp_path, STEP + STEP + BORN, ibrion=6)
    assert [f.born_effective_charges is not None for f in data] == [True, False]


def test_dipole_counts_electrons(tmp_path) -> None:
    dipole = """ Ionic dipole moment: p[ion]=(     0.5     0.0     0.0 ) electrons Angst
 Total electronic dipole moment: p[elc]=(     0.0     0.25     0.0 ) electrons Angst
"""
    (frame,) = outcar(tmp_path, dipole + STEP)
    np.testing.assert_allclose(frame.dipole, [-0.5, -0.25, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("", "OUTCAR: holds no complete ionic step"),
        (STEP.replace("aborting", "going on"), "OUTCAR, frame 0: electrons have not converged"),
        (
            STEP + " Linear response to external field, progress :\n" + BORN,
            "OUTCAR, frame 0: electrons have not converged",
        ),
        (STEP.replace("0.200000   ", "**********"), "OUTCAR, line 15: damaged .*too long"),
        (STEP + BORN[:-40], "OUTCAR, line 29: damaged .*ends within a table of 8 lines"),
        (STEP + BORN.replace("3.2     3.3", "3.2"), "OUTCAR, line 29: damaged .*equal lines"),
    ],
)
def test_outcars_that_are_no_good(tmp_path, steps, message) -> None:
    with pytest.raises(ValueError, match=message):
        outcar(tmp_path, steps)


def test_outcar_that_ends_early(tmp_path) -> None:
    path = tmp_path / "OUTCAR"
    whole = OUTCAR.format(steps=STEP + STEP, ibrion=0)
    path.write_text(whole[: whole.rindex("2.10000      0.00000")])
    with pytest.raises(ValueError, match=r"OUTCAR: ends early \(no timing at its end\)"):
        read_dataset(path)
    assert len(read_dataset(path, allow_unconverged=True)) == 1
    path.write_text(OUTCAR.format(steps=STEP, ibrion=0).replace("VRHFIN", "VRH"))
    with pytest.raises(ValueError, match="OUTCAR: no elements"):
        read_dataset(path)


def test_vasprun_that_ends_early(tmp_path) -> None:
    text = read_text(case("vasprun.dfpt.xml.gz"))
    path = tmp_path / "vasprun.xml"
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match=r"vasprun\.xml: XML is damaged or ends early"):
        read_dataset(path)
    path.write_text(text.replace("NELECT", "NELEC"))
    with pytest.raises(
        ValueError, match=r"vasprun\.xml: parts of the file are missing or damaged .*NELECT"
    ):
        read_dataset(path)


def test_options_of_other_formats_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"OUTCAR: `units` is for extended XYZ, not for vasp-"):
        outcar(tmp_path, STEP, units={"energy": "eV"})
    with pytest.raises(ValueError, match=r"`format` must be of extxyz, .*got 'vasp'"):
        outcar(tmp_path, STEP, format="vasp")
    (tmp_path / "what").write_text("nothing known")
    with pytest.raises(ValueError, match=r"what: format is not known; give `format`, one of"):
        read_dataset(tmp_path / "what")
