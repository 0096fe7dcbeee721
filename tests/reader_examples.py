"""Small files of every format that is read, made from frames with known labels.

The programs' layouts, written here from the frames: what is read can be compared with what was
written, number by number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import write
from ase.io.trajectory import Trajectory

from ase_bec.data import Frame, write_dataset

VALENCES = {"Mg": 2.0, "O": 6.0}
RULER = " " + "-" * 83


def crystal(shift: float = 0.0) -> Atoms:
    """Four atoms of MgO in a skewed cell, an oxygen moved."""
    cell = [[2.9712, 0.0, 0.0], [0.1853, 2.9634, 0.0], [-0.1217, 0.0742, 4.2218]]
    scaled = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.0], [0, 0, 0.5]]
    atoms = Atoms("Mg2O2", scaled_positions=scaled, cell=cell, pbc=True)
    atoms.positions[3] += [0.0637 + shift, -0.0451, 0.0293]
    return atoms


def frames(n: int = 2, **labels: object) -> list[Frame]:
    """Frames with all labels; forces add up to zero, Born charges to the net charge."""
    found = []
    for k in range(n):
        rng = np.random.default_rng(k)
        forces = np.round(rng.normal(size=(4, 3)), 5)
        forces[3] = -forces[:3].sum(axis=0)
        stress = np.round(0.02 * rng.normal(size=(3, 3)), 5)
        born = np.array([q * np.eye(3) for q in (1.97, 1.97, -1.97, -1.97)])
        born[:2] += np.round(0.1 * rng.normal(size=(3, 3)), 5)
        born[2:] -= (born.sum(axis=0) / 2)[None]
        given: dict = {
            "energy": round(-47.0 - 0.137 * k, 6),
            "forces": forces,
            "stress": stress + stress.T,
            "born_effective_charges": np.round(born, 5),
            "dielectric_tensor": np.diag([3.01, 3.12, 2.97]) + 0.0137 * (np.ones((3, 3))),
        }
        found.append(Frame(crystal(0.011 * k), **(given | labels)))
    return found


def _matrix(rows: np.ndarray, form: str = "{:14.8f}") -> str:
    return "".join("".join(form.format(x) for x in row) + "\n" for row in np.atleast_2d(rows))


def _loop(name: int, changes: Sequence[float]) -> str:
    """Electronic steps of VASP that end with the last change."""
    steps = (
        f"--------------------- Iteration {name:6d}({k:4d})  ---------------------\n\n"
        f" total energy-change (2. order) :{change:15.7E}  (-0.1000000E-03)\n"
        for k, change in enumerate(changes, start=1)
    )
    end = "------------------------ aborting loop because EDIFF is reached --------------------\n"
    return "".join(steps) + end


def outcar(
    given: Sequence[Frame], nelm: int = 60, changes: Sequence[float] = (2.0, -0.3, 1e-7)
) -> str:
    """OUTCAR of VASP 5 with the responses of LEPSILON in the last step."""
    atoms = given[0].atoms
    electrons = 16.0 - given[0].net_charge
    text = (
        " vasp.5.4.4.18Apr17 complex\n   VRHFIN =Mg: s2p0\n   TITEL  = PAW_PBE Mg 13Apr2007\n"
        "   POMASS =   24.305; ZVAL   =    2.000    mass and valenz\n   VRHFIN =O: s2p4\n"
        "   TITEL  = PAW_PBE O_s 07Sep2000\n"
        "   POMASS =   16.000; ZVAL   =    6.000    mass and valenz\n"
        f"   number of dos      NEDOS =    301   number of ions     NIONS = {len(atoms):6d}\n"
        "   ions per type =               2   2\n"
        f"   NELM   = {nelm:6d};   NELMIN=  2; NELMDL= -5     # of ELM steps\n"
        "   EDIFF  = 0.1E-05   stopping-criterion for ELM\n   IBRION =     -1    ionic relax\n"
        f"   NELECT = {electrons:12.4f}    total number of electrons\n"
        "   EFIELD_PEAD=    0.0000    0.0000    0.0000\n"
    )
    for number, frame in enumerate(given, start=1):
        cell = frame.atoms.cell.array
        both = np.hstack([cell, np.linalg.inv(cell).T])
        kbar = -frame.stress[[0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 2, 0]] / (0.1 * units.GPa)
        table = _matrix(np.hstack([frame.atoms.positions, frame.forces]), "{:14.6f}")
        text += (
            f"{_loop(number, changes)}      direct lattice vectors                 reciprocal\n"
            f"{_matrix(both, '{:15.9f}')}\n  in kB {''.join(f'{x:14.6f}' for x in kbar)}\n"
            f" POSITION                                       TOTAL-FORCE (eV/Angst)\n{RULER}\n"
            f"{table}{RULER}\n    total drift:          0.000000      0.000000      0.000000\n"
            f"  free  energy   TOTEN  = {frame.energy:18.8f} eV\n\n"
        )
    for axis in (1, 2, 3):
        text += (
            " Linear response to external field, progress :\n"
            f"  Direction: {axis:3d}\n{_loop(axis, (1.0, 1e-8))}"
        )
    last = given[-1]
    text += (
        " MACROSCOPIC STATIC DIELECTRIC TENSOR (including local field effects in DFT)\n"
        f"{RULER}\n{_matrix(last.dielectric_tensor, '{:12.6f}')}{RULER}\n"
        " BORN EFFECTIVE CHARGES (including local field effects) (in e, cummulative output)\n"
        f"{RULER}\n"
    )
    for a, tensor in enumerate(last.born_effective_charges, start=1):
        rows = "".join(f"{i + 1:5d}{''.join(f'{x:12.5f}' for x in tensor[i])}\n" for i in range(3))
        text += f" ion {a:4d}\n{rows}"
    return text + "\n General timing and accounting informations for this job:\n"


def _varray(name: str, rows: np.ndarray) -> str:
    lines = "".join("<v>" + "".join(f"{x:16.8f}" for x in row) + " </v>\n" for row in rows)
    return f'<varray name="{name}" >\n{lines}</varray>\n'


def _scstep(energy: float) -> str:
    return f'<scstep><energy><i name="e_fr_energy">{energy:16.8f} </i></energy></scstep>\n'


def vasprun(given: Sequence[Frame], nelm: int = 60, steps: int = 3, responses: int = 2) -> str:
    """vasprun.xml with the responses of LEPSILON in the last step."""
    symbols = given[0].atoms.get_chemical_symbols()
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n<parameters><separator>\n'
        f'<i type="int" name="NELM">{nelm:6d}</i>\n<i name="EDIFF">      0.00000100</i>\n'
        f'<i name="NELECT">{16.0 - given[0].net_charge:16.8f}</i>\n'
        '<v name="EFIELD_PEAD">      0.00000000      0.00000000      0.00000000</v>\n'
        f"</separator></parameters>\n<atominfo><atoms>{len(symbols):6d} </atoms>\n"
        '<types>  2 </types>\n<array name="atoms" ><set>\n'
    )
    text += "".join(f"<rc><c>{s:2s}</c><c>   1</c></rc>\n" for s in symbols)
    text += '</set></array>\n<array name="atomtypes" ><set>\n'
    for symbol, mass in (("Mg", 24.305), ("O", 16.0)):
        count = symbols.count(symbol)
        text += (
            f"<rc><c>{count:4d}</c><c>{symbol:2s}</c><c>{mass:12.5f}</c>"
            f"<c>{VALENCES[symbol]:12.5f}</c><c> PAW_PBE </c></rc>\n"
        )
    text += "</set></array></atominfo>\n"
    for frame in given:
        path = [frame.energy + 2.0 * 0.5**k for k in range(1, steps)] + [frame.energy]
        scaled = frame.atoms.get_scaled_positions(wrap=False)
        text += (
            f"<calculation>\n{''.join(map(_scstep, path))}<structure><crystal>\n"
            f"{_varray('basis', frame.atoms.cell.array)}</crystal>\n"
            f"{_varray('positions', scaled)}</structure>\n{_varray('forces', frame.forces)}"
            f"{_varray('stress', -frame.stress / (0.1 * units.GPa))}"
            f'<energy><i name="e_fr_energy">{frame.energy:16.8f} </i></energy>\n'
        )
        if frame is given[-1]:
            for _ in range(3):
                path = [-2.0 + 0.3 / k for k in range(1, responses)] + [-1.7 - 1e-9]
                text += "".join(map(_scstep, path)) + "<kpoints></kpoints>\n"
            born = "".join(
                "<set>" + "".join(f"<v>{''.join(f'{x:16.8f}' for x in r)} </v>\n" for r in z)
                + "</set>\n" for z in frame.born_effective_charges
            )  # fmt: skip
            text += _varray("epsilon", frame.dielectric_tensor)
            text += f'<array name="born_charges" >\n{born}</array>\n'
        text += "</calculation>\n"
    return text + "</modeling>\n"


def _sites(atoms: Atoms, alat: float, mass: bool = False) -> str:
    """Structure as pw.x and ph.x print it."""
    cell = atoms.cell.array / units.Bohr / alat
    text = (
        f"     lattice parameter (alat)  = {alat:12.6f}  a.u.\n"
        f"     unit-cell volume          = {atoms.get_volume() / units.Bohr**3:12.4f} (a.u.)^3\n"
        f"     number of atoms/cell      = {len(atoms):12d}\n"
        "     crystal axes: (cart. coord. in units of alat)\n"
    )
    for k, row in enumerate(cell, start=1):
        text += f"               a({k}) = ({''.join(f'{x:11.6f}' for x in row)} )\n"
    text += "\n     site n.     atom                  positions (alat units)\n"
    for k, (symbol, row) in enumerate(
        zip(atoms.get_chemical_symbols(), atoms.positions / units.Bohr / alat, strict=True), start=1
    ):
        heavy = "  24.3050" if mass else ""
        text += f"{k:10d}           {symbol:2s} {heavy} tau({k:4d}) = ("
        text += "".join(f"{x:14.9f}" for x in row) + "  )\n"
    return text


def pw(given: Sequence[Frame], done: bool = True) -> str:
    """Text output of pw.x, a relaxation."""
    first = given[0]
    text = (
        "     Program PWSCF v.7.2 starts on  1Jan2024 at 12: 0: 0\n\n"
        f"{_sites(first.atoms, 5.5)}\n"
        f"     number of electrons       = {16 - first.net_charge:12.2f}\n"
        "     scf convergence threshold =      1.0E-08\n"
        "     atomic species   valence    mass     pseudopotential\n"
        "        Mg             2.00    24.30500     Mg( 1.00)\n"
        "        O              6.00    15.99900     O ( 1.00)\n\n"
    )
    for frame in given:
        if frame is not first:
            text += "\nATOMIC_POSITIONS (angstrom)\n"
            for symbol, row in zip(frame.atoms.symbols, frame.atoms.positions, strict=True):
                text += f"{symbol:4s}{''.join(f'{x:16.10f}' for x in row)}\n"
            text += "\n"
        text += (
            f"\n!    total energy              = {frame.energy / units.Ry:17.8f} Ry\n"
            "     estimated scf accuracy    <          3.1E-09 Ry\n\n"
            "     convergence has been achieved in   9 iterations\n\n"
            "     Forces acting on atoms (cartesian axes, Ry/au):\n\n"
        )
        for a, row in enumerate(frame.forces / (units.Ry / units.Bohr), start=1):
            text += f"     atom {a:4d} type  1   force = {''.join(f'{x:14.8f}' for x in row)}\n"
        text += "     Total force =     0.100000     Total SCF correction =     0.000001\n\n"
        text += "          total   stress  (Ry/bohr**3)                   (kbar)     P=   1.0\n"
        rydberg = -frame.stress / (units.Ry / units.Bohr**3)
        text += _matrix(np.hstack([rydberg, np.zeros((3, 3))]), "{:14.8f}")  # kbar are not read
    return text + ("\n   JOB DONE.\n" if done else "")


def _xml_part(frame: Frame) -> str:
    rows = "".join(
        f'<atom name="{s}" index="{k}">{" ".join(f"{x:.12E}" for x in r)}</atom>\n'
        for k, (s, r) in enumerate(
            zip(frame.atoms.symbols, frame.atoms.positions / units.Bohr, strict=True), start=1
        )
    )
    cell = "".join(
        f"<a{k}>{' '.join(f'{x:.12E}' for x in row)}</a{k}>\n"
        for k, row in enumerate(frame.atoms.cell.array / units.Bohr, start=1)
    )
    forces = _matrix(frame.forces / (units.Ha / units.Bohr), " {:.12E}")
    stress = _matrix(-frame.stress / (units.Ha / units.Bohr**3), " {:.12E}")
    return (
        f'<atomic_structure nat="{len(frame)}" alat="5.5"><atomic_positions>\n{rows}'
        f"</atomic_positions><cell>\n{cell}</cell></atomic_structure>\n"
        f"<total_energy><etot>{frame.energy / units.Ha:.14E}</etot></total_energy>\n"
        f'<forces rank="2" dims="3 {len(frame)}">\n{forces}</forces>\n'
        f'<stress rank="2" dims="3 3">\n{stress}</stress>\n'
    )


def pw_xml(given: Sequence[Frame], output: Frame | None = None, error: float = 3.1e-10) -> str:
    """XML output of pw.x: all frames as steps, and the last, or another, as output."""
    converged = (
        "<scf_conv><convergence_achieved>true</convergence_achieved><n_scf_steps>9</n_scf_steps>"
        f"<scf_error>{error:.3E}</scf_error></scf_conv>\n"
    )
    steps = "".join(
        f'<step n_step="{k}">\n{converged}{_xml_part(frame)}</step>\n'
        for k, frame in enumerate(given, start=1)
    )
    last = given[-1] if output is None else output
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<qes:espresso xmlns:qes="http://www.quantum-espresso.org/ns/qes/qes-1.0">\n'
        "<input><electron_control><conv_thr>5.0E-09</conv_thr></electron_control></input>\n"
        f"{steps}<output>\n<convergence_info>{converged}</convergence_info>\n{_xml_part(last)}"
        f"<bands><tot_charge>{last.net_charge:.3E}</tot_charge></bands>\n"
        "</output>\n</qes:espresso>\n"
    )


def ph(given: Sequence[Frame]) -> str:
    """Text output of ph.x with the response to the field."""
    (frame,) = given
    text = (
        "     Program PHONON v.7.2 starts on  1Jan2024 at 12: 0: 0\n\n"
        f"{_sites(frame.atoms, 5.5, mass=True)}\n"
        "          Dielectric constant in cartesian axis \n\n"
    )
    for row in frame.dielectric_tensor:
        text += f"          ({''.join(f'{x:18.9f}' for x in row)} )\n"
    text += "\n          Effective charges (d Force / dE) in cartesian axis\n\n"
    for a, tensor in enumerate(frame.born_effective_charges):
        text += f"           atom {a + 1:6d}   {frame.atoms.symbols[a]}\n"
        for axis, row in zip("xyz", tensor, strict=True):
            text += f"      E{axis}  ({''.join(f'{x:15.5f}' for x in row)} )\n"
    return text + "\n   JOB DONE.\n"


def ddb(given: Sequence[Frame]) -> str:
    """Derivative database of ABINIT: energy, forces, stress, responses."""
    (frame,) = given
    n, cell = len(frame), frame.atoms.cell.array / units.Bohr
    symbols = frame.atoms.get_chemical_symbols()
    ions = [VALENCES[s] for s in symbols]
    lines = [" **** DERIVATIVE DATABASE ****", "+DDB, Version number    100401", ""]
    for key, values in {
        "natom": [n],
        "ntypat": [2],
        "acell": [1.0, 1.0, 1.0],
        "rprim": cell.ravel(),
        "typat": [1 if s == "Mg" else 2 for s in symbols],
        "xred": frame.atoms.get_scaled_positions(wrap=False).ravel(),
        "znucl": [12.0, 8.0],
        "zion": [2.0, 6.0],
    }.items():
        words = [f"{x:d}" if isinstance(x, int) else _fortran(x) for x in values]
        lines.append(f" {key:>9} " + " ".join(words[:3]))
        lines += ["           " + " ".join(words[k : k + 3]) for k in range(3, len(words), 3)]
    lines += [" ", "  Description of the potentials (KB energies)", " Number of data blocks=    3"]
    blocks = {
        "Total energy                 ": {"": frame.energy / units.Ha},
        "1st derivatives              ": _first(frame),
        "2nd derivatives (non-stat.)  ": _second(frame, cell, ions),
    }
    for kind, elements in blocks.items():
        lines += ["", f" {kind}- # elements :{len(elements):12d}"]
        if kind.startswith("2nd"):
            lines.append(" qpt  0.00000000E+00  0.00000000E+00  0.00000000E+00   1.0")
        lines += [f"{key} {_fortran(x)}  0.00000000000000D+00" for key, x in elements.items()]
    return "\n".join(lines) + "\n"


def _fortran(value: float) -> str:
    return f"{value:.14E}".replace("E", "D")


def _first(frame: Frame) -> dict[str, float]:
    """Derivatives by reduced coordinates, and stress."""
    n = len(frame)
    reduced = -frame.forces @ frame.atoms.cell.array.T / units.Ha
    elements = {f"{i + 1:4d}{a + 1:4d}": reduced[a, i] for a in range(n) for i in range(3)}
    stress = frame.stress / (units.Ha / units.Bohr**3)
    elements |= {f"{i + 1:4d}{n + 3:4d}": stress[i, i] for i in range(3)}
    pairs = ((1, 2), (0, 2), (0, 1))
    elements |= {f"{k + 1:4d}{n + 4:4d}": stress[i, j] for k, (i, j) in enumerate(pairs)}
    return elements


def _second(frame: Frame, cell: np.ndarray, ions: Sequence[float]) -> dict[str, float]:
    """Derivatives by reduced fields and coordinates: Born charges, dielectric tensor."""
    n, inverse, elements = len(frame), np.linalg.inv(cell.T), {}
    for a, tensor in enumerate(frame.born_effective_charges):
        mixed = 2 * np.pi * inverse @ (tensor - ions[a] * np.eye(3)) @ cell.T
        for i in range(3):
            for j in range(3):
                elements[f"{i + 1:4d}{n + 2:4d}{j + 1:4d}{a + 1:4d}"] = mixed[i, j]
    scale = abs(np.linalg.det(cell)) / (4 * np.pi) * (2 * np.pi) ** 2
    fields = scale * inverse @ (np.eye(3) - frame.dielectric_tensor) @ inverse.T
    for i in range(3):
        for j in range(3):
            elements[f"{i + 1:4d}{n + 2:4d}{j + 1:4d}{n + 2:4d}"] = fields[i, j]
    return elements


def born(given: Sequence[Frame]) -> str:
    """BORN with the tensors of all atoms."""
    (frame,) = given
    rows = [frame.dielectric_tensor, *frame.born_effective_charges]
    return "14.400\n" + "".join(" ".join(f"{x:.8f}" for x in r.ravel()) + "\n" for r in rows)


def put_born(path: Path, given: Sequence[Frame]) -> None:
    path.write_text(born(given))
    write(path.with_name("POSCAR"), given[0].atoms, format="vasp", direct=True)


def put_trajectory(path: Path, given: Sequence[Frame]) -> None:
    with Trajectory(path, "w") as trajectory:
        for frame in given:
            atoms = frame.to_atoms()
            for label in ("born_effective_charges", "dielectric_tensor", "polarization"):
                atoms.calc.results.pop(label, None)
            trajectory.write(atoms)


def _texts(make: Callable[[Sequence[Frame]], str]) -> Callable[[Path, Sequence[Frame]], None]:
    def put(path: Path, given: Sequence[Frame]) -> None:
        path.write_text(make(given))

    return put


# Name of the file, how it is written, how many frames it holds, labels that are read of the first
# and of the last of them.
ENERGIES = ("energy", "forces", "stress")
RESPONSES = ("born_effective_charges", "dielectric_tensor")
FORMATS: dict[str, tuple[str, Callable[[Path, Sequence[Frame]], None], int, tuple, tuple]] = {
    "extxyz": ("a.xyz", write_dataset, 2, ENERGIES + RESPONSES, ENERGIES + RESPONSES),
    "ase-traj": ("a.traj", put_trajectory, 2, ENERGIES, ENERGIES),
    "vasp-outcar": ("OUTCAR", _texts(outcar), 2, ENERGIES, ENERGIES + RESPONSES),
    "vasp-xml": ("vasprun.xml", _texts(vasprun), 2, ENERGIES, ENERGIES + RESPONSES),
    "espresso-pw": ("pw.out", _texts(pw), 2, ENERGIES, ENERGIES),
    "espresso-xml": ("pw.xml", _texts(pw_xml), 2, ENERGIES, ENERGIES),
    "espresso-ph": ("ph.out", _texts(ph), 1, RESPONSES, RESPONSES),
    "abinit-ddb": ("a_DDB", _texts(ddb), 1, ENERGIES + RESPONSES, ENERGIES + RESPONSES),
    "phonopy-born": ("BORN", put_born, 1, RESPONSES, RESPONSES),
}


def put(folder: Path, kind: str, **labels: object) -> tuple[Path, list[Frame]]:
    """Write the example of a format; its path, and the frames that it was made from."""
    name, writer, n, *_ = FORMATS[kind]
    given = frames(n, **labels)
    writer(folder / name, given)
    return folder / name, given
