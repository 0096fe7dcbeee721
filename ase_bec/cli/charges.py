"""`ase-bec charges`: effective charges for a potential, chosen without training a network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ase_bec.cli.errors import InputError, input_checked, require_new
from ase_bec.cli.inputs import charges

if TYPE_CHECKING:
    from ase_bec.training.charge_selection import ChargeSelection

NAME = "charges"
HELP = "choose the effective charges of a potential from labelled frames"
DETAILS = """\
A cheap linear model of local invariants is fitted to energies and forces less the Coulomb part of
charges s Q, Q being formal ones, and tested on groups of frames left out in turn: kinds of
`config_type`, or parts by chance. Printed are the errors over s, the best s in closed form with
its scatter, what energies and forces alone say, Z*/sqrt(eps) where Born charges and dielectric
tensors are labelled, and a verdict. It is `undetermined` where charges are not better than none by
more than two standard deviations: train without them then, or take the screened value. The plain
regression of E on the Coulomb energy stands beside it as a warning: it takes for long-ranged
whatever goes with that energy in these frames.

example:
  ase-bec charges frames.xyz --charges Zn=2,O=-2 --plot charges.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("data", nargs="+", type=Path, help="files of labelled frames")
    parser.add_argument("--charges", type=charges, metavar="Zn=2,O=-2",
                        help="formal charges; guessed from Born charges if not given")  # fmt: skip
    parser.add_argument("--width", type=float, default=1.2, metavar="A",
                        help="of the Gaussians in Å, 0 for points (default: 1.2)")  # fmt: skip
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the errors over the charges")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier picture")


def run(options: argparse.Namespace) -> int:
    """Choose charges."""
    if isinstance(options.charges, Path):
        raise InputError(f"--charges must be as in Zn=2,O=-2, got `{options.charges}`")
    if options.plot is not None:
        if options.plot.suffix != ".png":
            raise InputError(f"--plot must end in .png, got `{options.plot}`")
        require_new([options.plot], options.overwrite)
    from ase_bec.data import read_dataset
    from ase_bec.progress import progress_bar
    from ase_bec.training.charge_picture import plot_selection
    from ase_bec.training.charge_selection import select_charges
    from ase_bec.training.formal_charges import guess_formal_charges

    with input_checked():
        data = read_dataset(options.data)
        formal = options.charges or guess_formal_charges(data)
        with progress_bar("charges", "frame", True, len(data)) as bar:
            found = select_charges(list(data), formal, options.width, step=bar.update)
        _report(found)
        if options.plot is not None:
            plot_selection(options.plot, found)
            print(f"picture in {options.plot}")
    return 0


def _report(found: ChargeSelection) -> None:
    element = max(found.charges, key=lambda e: found.charges[e])
    print(f"left out in turn: {', '.join(found.groups)}\n")
    print(f"{'s':>5}{'q ' + element:>8}{'E meV/atom':>12}{'F meV/Å':>10}")
    for s, energy, forces in zip(found.scales, found.energy, found.forces, strict=True):
        row = f"{s:5.2f}{s * found.charges[element]:8.2f}{1e3 * energy:12.2f}{1e3 * forces:10.1f}"
        print(row)
    low = max(found.square - found.spread, 0) ** 0.5
    high = max(found.square + found.spread, 0) ** 0.5
    print(f"\nbest s² = {found.square:.3f} ± {found.spread:.3f}; by energies alone "
          f"{found.by_energy:.3f}, by forces alone {found.by_forces:.3f}")  # fmt: skip
    print(f"s = {found.scale:.3f} (one standard deviation: {low:.2f} to {high:.2f})")
    print(f"s² of the plain regression of E on the Coulomb energy (biased): {found.regression:.3f}")
    if found.screened == found.screened:
        print(f"Z*/√ε∞ over the formal charge: {found.screened:.3f}")
    print(f"verdict: {found.verdict}")
    if found.verdict == "determined":
        listed = ", ".join(f"{e} = {found.scale * q:+.2f}" for e, q in found.charges.items())
        print(f"charges: {listed}")
