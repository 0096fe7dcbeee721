"""Fields among the settings of programs, in the input forms of their ASE calculators.

Every program is asked twice, with its field and with the same settings at zero field.
"""

import numpy as np
import pytest
from ase.calculators.abinit import Abinit, AbinitProfile
from ase.calculators.aims import Aims, AimsProfile
from ase.calculators.calculator import Calculator
from ase.calculators.dftb import Dftb
from ase.calculators.espresso import Espresso, EspressoProfile
from ase.calculators.gamess_us import GAMESSUS
from ase.calculators.gaussian import Gaussian
from ase.calculators.lammpslib import LAMMPSlib
from ase.calculators.lammpsrun import LAMMPS
from ase.calculators.loggingcalc import LoggingCalculator
from ase.calculators.mixing import SumCalculator
from ase.calculators.mopac import MOPAC
from ase.calculators.octopus import Octopus, OctopusProfile
from ase.calculators.orca import ORCA, OrcaProfile
from ase.calculators.siesta import Siesta
from ase.calculators.vasp import Vasp
from field_examples import FIELD, NoForces, neutral_charges

from ase_bec import NNPCalculator
from ase_bec.calculators.field import FieldCalculator
from ase_bec.calculators.field_settings import means_field

GOOD = neutral_charges()
REFUSED = "`calculator` must not apply a field itself, got "


def over(calculator):
    return FieldCalculator(calculator, GOOD, FIELD)


class Parametrized(Calculator):
    """Stands for programs whose ASE calculators need the program to be there."""

    implemented_properties = ("energy", "forces")

    def __init__(self, **parameters):
        super().__init__()
        self.parameters.update(parameters)


def espresso(**data):
    profile = EspressoProfile(command="pw.x", pseudo_dir=".")
    return Espresso(profile=profile, pseudopotentials={}, input_data=data)


def orca(blocks):
    return ORCA(profile=OrcaProfile(command="orca"), orcablocks=blocks)


def cp2k(strength):
    return Parametrized(
        inp="&FORCE_EVAL\n  &DFT\n    &PERIODIC_EFIELD\n"
        f"      INTENSITY {strength}\n      POLARISATION 0 0 1\n"
        "    &END PERIODIC_EFIELD\n  &END DFT\n&END FORCE_EVAL\n"
    )


PROGRAMS = {
    "Vasp in a slab": lambda e: Vasp(efield=e, ldipol=True, idipol=3),
    "Vasp Berry phase": lambda e: Vasp(efield_pead=[0, 0, e]),
    "Espresso Berry phase": lambda e: espresso(
        control={"lelfield": True}, electrons={"efield_cart(3)": e}
    ),
    "Espresso flat": lambda e: espresso(lelfield=True, efield_cart=[0, 0, e]),
    "Espresso sawtooth": lambda e: espresso(
        control={"tefield": True, "dipfield": True}, system={"edir": 3, "eamp": e, "emaxpos": 0.7}
    ),
    "Dftb": lambda e: Dftb(
        Hamiltonian_ElectricField_External_Direction="0 0 1",
        Hamiltonian_ElectricField_External_Strength=e,
    ),
    "Gaussian": lambda e: Gaussian(field=f"z+{round(1e4 * e)}"),
    "Gaussian route": lambda e: Gaussian(extra=f"SCF=Tight Field=Z+{round(1e4 * e)}"),
    "ORCA line": lambda e: orca(f"%pal nprocs 2 end\n%scf EField 0,0,{e} end"),
    "ORCA block": lambda e: orca(f"%scf\n  MaxIter 200\n  EField 0.0, 0.0, {e}\nend"),
    "LAMMPS library": lambda e: LAMMPSlib(lmpcmds=["pair_style eam", f"fix 1 all efield 0 0 {e}"]),
    "LAMMPS amendment": lambda e: LAMMPSlib(
        lmpcmds=["pair_style eam"], amendments=[f"fix ef all efield/tip4p 0.0 0.0 {e}"]
    ),
    "LAMMPS run": lambda e: LAMMPS(fix=[f"1 all efield 0 0 {e}"]),
    "Siesta": lambda e: Siesta(fdf_arguments={"ExternalElectricField": [f"0 0 {e} V/Ang"]}),
    "FHI-aims": lambda e: Aims(
        profile=AimsProfile(command="aims", default_species_directory="."),
        homogeneous_field=f"0 0 {e}",
    ),
    "Octopus": lambda e: Octopus(
        profile=OctopusProfile(command="octopus"), StaticElectricField=[[0, 0, e]]
    ),
    "Abinit": lambda e: Abinit(
        profile=AbinitProfile(command="abinit"), berryopt=4, efield=[0, 0, e]
    ),
    "GAMESS": lambda e: GAMESSUS(efield={"evec(3)": e}),
    "MOPAC": lambda e: MOPAC(task=f"GRADIENTS FIELD=(0,0,{e})"),
    "CP2K": cp2k,
    "Q-Chem": lambda e: Parametrized(extra=f"$multipole_field\n  Z {e}\n$end"),
    "Psi4": lambda e: Parametrized(perturb_h=True, perturb_dipole=[0, 0, e]),
    "CASTEP": lambda e: Parametrized(external_efield=f"0 0 {e}"),
    "OpenMX": lambda e: Parametrized(scf_electric_field=[0, 0, e]),
    "Elk": lambda e: Parametrized(efieldc=[0, 0, e]),
    "deMon": lambda e: Parametrized(input_arguments={"FIELD": f"Z={e}"}),
    "Crystal": lambda e: Parametrized(otherkeys=["FIELD", f"{e}"]),
    "Gromacs": lambda e: Parametrized(mdp={"electric-field-z": f"{e} 0 0 0"}),
    "Turbomole": lambda e: Parametrized(control=["$electrostatic", f"homogeneous field 0 0 {e}"]),
    "GPAW by name": lambda e: Parametrized(
        external={"name": "ConstantElectricField", "strength": e, "direction": [0, 0, 1]}
    ),
    "tblite": lambda e: Parametrized(electric_field=np.array([0, 0, e])),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_fields_of_programs(program):
    with pytest.raises(ValueError, match=REFUSED):
        over(PROGRAMS[program](0.01))
    over(PROGRAMS[program](0.0))


class ConstantElectricField:
    """As in GPAW: an external potential, not a calculator."""

    def __init__(self, strength, direction):
        self.field_v = strength * np.array(direction)
        self.direction = direction


class Commanded(NoForces):
    """Has its input in an attribute."""

    def __init__(self, commands):
        super().__init__()
        self.commands = commands


class Fielded(NoForces):
    electric_field = (0.0, 0.0, 0.1)


class Computed(NoForces):
    @property
    def efield(self):
        return [0, 0, 0.1]


OTHERS = {
    "switch without strength": lambda: espresso(tefield=True),
    "another calculation's field": lambda: Gaussian(field="read"),
    "field of a LAMMPS variable": lambda: LAMMPS(fix=["1 all efield v_ex v_ey v_ez"]),
    "object of a class of fields": lambda: Parametrized(
        external=ConstantElectricField(0.1, [0, 0, 1])
    ),
    "text in an attribute": lambda: Commanded("fix 1 all efield 0.0 0.0 0.1\nrun 0\n"),
    "class attribute": Fielded,
    "property": Computed,
    "function of time": lambda: Parametrized(electric_field=lambda time: (0, 0, 0.1)),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_fields_in_other_places(kind):
    with pytest.raises(ValueError, match=REFUSED):
        over(OTHERS[kind]())
    with pytest.raises(ValueError, match=REFUSED):
        over(SumCalculator([NoForces(), LoggingCalculator(OTHERS[kind]())]))


HARMLESS = {
    "no settings": NoForces,
    "Vasp": Vasp,
    "dipole correction": lambda: Vasp(ldipol=True, idipol=3),
    "directories and commands": lambda: Parametrized(
        directory="runs/efield/001", label="efield-10", command="mpirun -np 4 run efield.in"
    ),
    "other fields": lambda: Parametrized(
        force_field="amber 99", forcefield=3, external_magnetic_field=[0, 0, 1], reaction_field=80
    ),
    "field gradient at nuclei": lambda: Parametrized(electric_field_gradient=True),
    "comment": lambda: Commanded("# fix 1 all efield 0 0 1\nrun 0  ! efield 1\n"),
    "what a model can do": lambda: Commanded({"supports": "electric fields of 1 V/Å"}),
    "neural network": lambda: NNPCalculator("li3po4-nnp"),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_applies_no_field(kind):
    over(HARMLESS[kind]())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("efield", True),
        ("EField", True),
        ("lelfield", True),
        ("efield_cart(3)", True),
        ("ExternalElectricField", True),
        ("TDExternalFields", True),
        ("homogeneous_field", True),
        ("field", True),
        ("eamp", True),
        ("Hamiltonian_ElectricField_External_Strength", True),
        ("forcefield", False),
        ("force_field", False),
        ("dipfield", False),
        ("damping", False),
        ("nextfield", False),
        ("magnetic_field", False),
        ("fields", False),
        ("electric_field_gradient", False),
    ],
)
def test_names_that_mean_a_field(name, expected):
    assert means_field(name) is expected
