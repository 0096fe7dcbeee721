"""Files whose parts contradict one another: words and numbers, counts, repeated structures."""

import re

import numpy as np
import pytest
from ase import units
from reader_examples import crystal, frames, outcar, pw, pw_xml, vasprun

from ase_bec.data import Frame, read_dataset


def read(tmp_path, name: str, text: str, **options):
    (tmp_path / name).write_text(text)
    return read_dataset(tmp_path / name, **options)


LOOPS = [  # most steps, changes of energy in each, what is wrong
    (60, (2.0, -0.3, 1e-7), None),
    (3, (2.0, -0.3, -0.8), r"all NELM = 3 steps were used, the last change is -0\.8 eV"),
    (3, (2.0, -0.3, 1e-7), "all NELM = 3 steps were used"),
    (60, (2.0, -0.3, 0.004), r"the last change is 0\.004 eV, EDIFF 1e-06"),
]


@pytest.mark.parametrize(("nelm", "changes", "message"), LOOPS)
def test_vasp_says_converged_in_any_case(tmp_path, nelm, changes, message) -> None:
    text = outcar(frames(), nelm=nelm, changes=changes)
    assert text.count("aborting loop because EDIFF is reached") == 5
    if message is None:
        assert len(read(tmp_path, "OUTCAR", text)) == 2
        return
    with pytest.raises(ValueError, match=rf"OUTCAR, frame 0: electrons .* \({message}"):
        read(tmp_path, "OUTCAR", text)
    assert len(read(tmp_path, "OUTCAR", text, allow_unconverged=True)) == 2


def test_responses_of_outcar_at_nelm(tmp_path) -> None:
    text = outcar(frames(), nelm=4)
    good = read(tmp_path, "OUTCAR", text)
    assert good[-1].born_effective_charges is not None
    slow = text.replace("Iteration      2(   2)", "Iteration      2(   4)")
    assert slow.count("(   4)") == 2  # of the second step and of the response to field y
    last = slow.rindex("Iteration      2(   4)")
    only_response = text[: last - 200] + slow[last - 200 :]
    with pytest.raises(ValueError, match=r"OUTCAR, frame 1: .*all NELM = 4 steps were used"):
        read(tmp_path, "OUTCAR", only_response)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 5, "nelm": 5}, "frame 0: electrons have not converged in NELM = 5"),
        ({"responses": 5, "nelm": 5}, "frame 1: a response has not converged in NELM = 5"),
        ({"steps": 4, "responses": 4, "nelm": 5}, None),
    ],
)
def test_steps_of_vasprun(tmp_path, options, message) -> None:
    text = vasprun(frames(), **options)
    if message is None:
        assert len(read(tmp_path, "vasprun.xml", text)) == 2
        return
    with pytest.raises(ValueError, match=message):
        read(tmp_path, "vasprun.xml", text)
    assert len(read(tmp_path, "vasprun.xml", text, allow_unconverged=True)) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("NIONS =      4", "NIONS =      5", "`ions per type` and NIONS must agree, got 4 and 5"),
        ("type =               2   2", "type =               2   3", "must agree, got 5 and 4"),
        ("type =               2   2", "type =               4", r"2 elements \(VRHFIN\) for 1"),
        ("VRHFIN =O", "VRHFIN =Q", "VRHFIN must be an element, got 'Q'"),
        ("VRHFIN =O", "VRHFIN =S", "VRHFIN and TITEL must agree"),
        (" ion    2", " ion    3", "table must be of ions 1 to 4"),
        ("    0.185300000", "   -0.185300000", "direct and reciprocal lattice vectors"),
        ("  in kB ", "  in kB   1.0 ", r"damaged \("),
        (" BORN EFFECTIVE CHARGES", " BORN EFECTIVE CHARGES", "responses must give born_effective"),
        ("TOTAL-FORCE (eV/Angst)", "TOTAL-FROCE (eV/Angst)", "must have a table of forces"),
        ("  free  energy   TOTEN", "  free  enegry   TOTEN", r"must have an energy \(TOTEN\)"),
    ],
)
def test_counts_of_outcar(tmp_path, old, new, message) -> None:
    text = outcar(frames())
    for damaged in (text.replace(old, new, 1), new.join(text.rsplit(old, 1))):
        assert damaged != text
        with pytest.raises(ValueError, match=message):
            read(tmp_path, "OUTCAR", damaged)


def test_table_of_outcar_with_a_row_more(tmp_path) -> None:
    text = outcar(frames())
    row = re.search(r"^( +[-\d.]+){6}\n(?= -+\n    total drift)", text, re.M)
    with pytest.raises(ValueError, match=r"OUTCAR, line \d+: damaged \(table must have 4 lines, g"):
        read(tmp_path, "OUTCAR", text.replace(row[0], 2 * row[0], 1))
    with pytest.raises(ValueError, match=r"OUTCAR, line \d+: damaged"):
        read(tmp_path, "OUTCAR", text.replace(row[0], "", 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<atoms>     4 ", "<atoms>     5 ", "`atominfo` must agree with itself"),
        ("<rc><c>   2</c><c>Mg", "<rc><c>   3</c><c>Mg", "`atominfo` must agree with itself"),
        ("<rc><c>O </c>", "<rc><c>Mg</c>", "`atominfo` must agree with itself"),
        ("<rc><c>O </c>", "<rc><c>Qq</c>", "`atoms` must be elements, got 'Qq'"),
        ("</calculation>\n<calculation>", "", "parts of the file are missing or damaged .*two of"),
    ],
)
def test_counts_of_vasprun(tmp_path, old, new, message) -> None:
    text = vasprun(frames())
    assert old in text
    with pytest.raises(ValueError, match=message):
        read(tmp_path, "vasprun.xml", text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cell      =            4", "cell      =            3", r"must list 3 atoms .* got 4"),
        ("cell      =            4", "cell      =            5", r"must list 5 atoms .* got 4"),
        ("tau(   3)", "tau(   2)", "sites must be numbered"),
        ("     atom    2 type", "     atom    1 type", "table of forces must be of atoms 1 to 4"),
        (" Mg             2.00", " Ca             2.00", "species must have a valence, got none"),
        ("a(2) =", "a(3) =", r"crystal axes must be a\(1\) to a\(3\)"),
        ("1.020864", "1.021864", "unit-cell volume must be that of the axes"),
        ("\nO   ", "\nMg  ", "ATOMIC_POSITIONS must list the atoms in the order of the header"),
        ("3.1E-09 Ry", "3.1E-05 Ry", "electrons have not converged .*estimated accuracy 3.1E-05"),
        ("!    total energy", "     total energy", r"forces must follow a total energy"),
    ],
)
def test_counts_and_words_of_pw(tmp_path, old, new, message) -> None:
    text = pw(frames())
    assert old in text
    with pytest.raises(ValueError, match=message):
        read(tmp_path, "pw.out", text.replace(old, new, 1))


@pytest.mark.parametrize("table", ["type  1   force = ", "O     "])
def test_tables_of_pw_with_a_row_more_or_less(tmp_path, table) -> None:
    lines = pw(frames()).split("\n")
    last = max(k for k, line in enumerate(lines) if table in line)
    for damaged in (lines[:last] + lines[last:][:1] * 2 + lines[last + 1 :],
                    lines[:last] + lines[last + 1 :]):  # fmt: skip
        with pytest.raises(ValueError, match=r"must have 4 lines, got|must be of atoms 1 to 4"):
            read(tmp_path, "pw.out", "\n".join(damaged))


def test_labels_stay_with_the_structure_they_were_computed_for(tmp_path) -> None:
    """A step without energy keeps its stress from the step before, and its failure too."""
    first, second, third = frames(3)
    text = pw([first, second, third])
    begin = text.index("ATOMIC_POSITIONS")
    end = text.index("ATOMIC_POSITIONS", begin + 1)
    failed = text[begin:end].replace("!    total energy", "     total energy")
    failed = failed.replace("has been achieved in", "NOT achieved after")
    damaged = text[:begin] + failed + text[end:]
    with pytest.raises(ValueError, match=r"pw\.out, frame 1: electrons have not converged \(conv"):
        read(tmp_path, "pw.out", damaged)
    data = read(tmp_path, "pw.out", damaged, allow_unconverged=True)
    for frame, given in zip(data, (first, third), strict=True):
        np.testing.assert_allclose(frame.energy, given.energy, atol=1e-6)
        np.testing.assert_allclose(frame.stress, given.stress, atol=1e-6)


def test_last_of_several_energies_of_one_structure(tmp_path) -> None:
    (given,) = frames(1)
    text = pw([given])
    inner = f"!    total energy              = {given.energy / units.Ry + 0.1:17.8f} Ry\n"
    (frame,) = read(tmp_path, "pw.out", text.replace("\n!    total", f"\n{inner}\n!!   total", 1)
                    .replace("!!   total", "!    total"))  # fmt: skip
    np.testing.assert_allclose(frame.energy, given.energy, atol=1e-6)


def moved(frame: Frame, shift: float) -> Frame:
    atoms = crystal(shift)
    labels = {label: getattr(frame, label) for label in frame.labels}
    return Frame(atoms, **labels)


@pytest.mark.parametrize("shift", [0.011, 0.011 + 1e-12, 0.09])
def test_output_of_xml_is_the_last_step(tmp_path, shift) -> None:
    """With its structure, with rounding of it, or with the next one, not computed any more."""
    given = frames(2)
    data = read(tmp_path, "pw.xml", pw_xml(given, moved(given[-1], shift)))
    assert len(data) == 2
    assert data.notes == ()
    np.testing.assert_allclose(data[1].atoms.positions, given[1].atoms.positions, atol=1e-9)
    np.testing.assert_allclose(data[1].stress, given[1].stress, atol=1e-9)


def test_output_of_xml_that_was_computed_is_a_frame(tmp_path) -> None:
    given = frames(3)
    data = read(tmp_path, "pw.xml", pw_xml(given[:2], given[2]))
    np.testing.assert_allclose([f.energy for f in data], [f.energy for f in given], atol=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pw_xml(frames(1), error=1e-3), r"not converged \(scf_error is 1.000E-03, conv_thr"),
        (pw_xml(frames(1)).replace('nat="4"', 'nat="5"'), "must list the 5 atoms of `nat`"),
        (pw_xml(frames(1)).replace('index="2"', 'index="3"'), "atoms of `nat` in order"),
        (pw_xml(frames(1)).replace("</step>", "<output/></step>"), "lies within another"),
    ],
)
def test_words_and_counts_of_xml(tmp_path, text, message) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, "pw.xml", text)


def test_fields_of_programs_are_not_silent(tmp_path) -> None:
    field = "EFIELD_PEAD=    0.0000    0.0000    0.0100"
    text = outcar(frames()).replace("EFIELD_PEAD=    0.0000    0.0000    0.0000", field)
    with pytest.raises(ValueError, match=r"OUTCAR: computed in an electric field \(EFIELD_PEAD"):
        read(tmp_path, "OUTCAR", text)
    own = text.replace(field, f"LCALCEPS   =     T    calculate\n   {field}")
    assert len(read(tmp_path, "OUTCAR", own)) == 2  # applies fields beside, to get responses
    values = "      0.00000000      0.00000000      0.00000000"
    text = vasprun(frames()).replace(values, values[:-4] + "1000")
    with pytest.raises(ValueError, match=r"vasprun\.xml: computed in an electric field"):
        read(tmp_path, "vasprun.xml", text)
    sawtooth = "        E field amplitude [Ha a.u.]:  1.0000E-03\n!    total energy"
    with pytest.raises(ValueError, match=r"pw\.out: computed with a sawtooth potential"):
        read(tmp_path, "pw.out", pw(frames()).replace("!    total energy", sawtooth))
    electric = (
        "<input><electric_field><electric_potential>sawtooth_potential</electric_potential>"
        "<electric_field_amplitude>1.0E-03</electric_field_amplitude></electric_field>"
    )
    with pytest.raises(ValueError, match=r"pw\.xml: computed with a sawtooth potential"):
        read(tmp_path, "pw.xml", pw_xml(frames()).replace("<input>", electric))
