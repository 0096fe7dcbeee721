"""ABINIT derivative database (DDB): Born charges, dielectric tensor, energy, forces, stress."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from ase import Atoms, units

from ase_bec.data.frame import Array, Frame

_NUMBER = r"[-+]?\d+\.?\d*(?:[DEde][-+]?\d+)?"


def read_ddb(text: str, name: str) -> list[Frame]:
    r"""Frame of an ABINIT DDB.

    Second derivatives at :math:`q = 0` with respect to reduced coordinates :math:`\xi` (direction
    1 to 3 of perturbations 1 to n) and reduced fields :math:`\mathcal E` (perturbation n + 2) give

    .. math:: Z_{a} = \frac{1}{2\pi}\, R\, \Big(\frac{\partial^2E}
              {\partial\mathcal E\,\partial\xi_a}\Big) G^T + z_a 1

    with the columns of :math:`R` the lattice vectors, those of :math:`G = (R^{-1})^T` the
    reciprocal ones, and :math:`z_a` the charge of the ion; [field, displacement].

    Parameters
    ----------
    text, name
        The file, and its name for messages.

    Raises
    ------
    ValueError
        If the file is damaged or has none of these derivatives at :math:`q = 0`.
    """
    if "DERIVATIVE DATABASE" not in text[:200]:
        raise ValueError(f"{name}: must be a DDB (`DERIVATIVE DATABASE` in its first line)")
    try:
        atoms, ionic = _structure(text)
        blocks = _blocks(text)
        labels: dict[str, Any] = {}
        for kind, elements in blocks:
            if kind.startswith("Total"):
                labels["energy"] = elements[()] * units.Ha
            elif kind.startswith("1st"):
                labels |= _gradients(elements, atoms)
            else:
                labels |= _responses(elements, atoms, ionic)
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(f"{name}: damaged: {error}") from error
    if not labels:
        raise ValueError(
            f"{name}: holds no dielectric tensor, Born charges, energy or forces at q = 0"
        )
    return [Frame(atoms, source=f"{name}, frame 0", **labels)]


def _structure(text: str) -> tuple[Atoms, Array]:
    """Structure, and charges of the ions in e."""
    header = text[: text.find("Description of the pot")]
    n, ntypat = int(_values(header, "natom", 1)[0]), int(_values(header, "ntypat", 1)[0])
    scale = _values(header, "acell", 3) * units.Bohr
    cell = scale[:, None] * _values(header, "rprim", 9).reshape(3, 3)
    kinds = _values(header, "typat", n).astype(int) - 1
    numbers = _values(header, "znucl", ntypat).round().astype(int)[kinds]
    scaled = _values(header, "xred", 3 * n).reshape(n, 3)
    if not 0 < numbers.min() <= numbers.max() < 119:
        raise ValueError(f"`znucl` must be of elements, got {sorted(set(numbers))}")
    atoms = Atoms(numbers, scaled_positions=scaled, cell=cell, pbc=True)
    return atoms, _values(header, "zion", ntypat)[kinds]


def _values(header: str, key: str, n: int) -> Array:
    """First n numbers behind a name."""
    found = re.search(rf"^ *{key} +((?:{_NUMBER}\s+){{{n}}})", header, re.M)
    if found is None:
        raise ValueError(f"header must have {n} numbers `{key}`; is the file truncated?")
    return np.array([float(x.upper().replace("D", "E")) for x in found[1].split()])


def _blocks(text: str) -> list[tuple[str, dict[tuple[int, ...], float]]]:
    """Kind of derivatives and elements of every block of total energies, first and second ones."""
    heads = list(
        re.finditer(
            r"^ *(Total energy|1st der\w+|2nd der\w+|3rd der\w+).*elements *: *(\d+)", text, re.M
        )
    )
    blocks = []
    summary = text.find("List of bloks")
    for k, head in enumerate(heads):
        if 0 <= summary < head.start() or head[1].startswith("3rd"):
            continue
        end = heads[k + 1].start() if k + 1 < len(heads) else len(text)
        lines = text[head.end() : end if summary < 0 else min(end, summary)].splitlines()
        point = [line for line in lines if line.strip().startswith("qpt")]
        if point and any(float(x) for x in point[0].split()[1:4]):
            continue
        elements: dict[tuple[int, ...], float] = {}
        for line in lines:
            words = line.split()
            if len(words) in (2, 4, 6) and words[0] != "qpt":
                value = float(words[-2].upper().replace("D", "E"))
                elements[tuple(int(w) for w in words[:-2])] = value
        if not np.isfinite(list(elements.values())).all():
            raise ValueError(f"block `{head[1]}` must have finite elements")
        if len(elements) != int(head[2]):
            raise ValueError(
                f"block `{head[1]}` must have {head[2]} elements, got {len(elements)}; "
                "is the file truncated?"
            )
        blocks.append((head[1], elements))
    return blocks


def _gradients(elements: dict[tuple[int, ...], float], atoms: Atoms) -> dict[str, Any]:
    """Forces from derivatives by reduced coordinates, and stress."""
    n = len(atoms)
    labels = {}
    reciprocal = np.linalg.inv(atoms.cell.array)
    try:
        reduced = [[elements[i, a] for i in (1, 2, 3)] for a in range(1, n + 1)]
        labels["forces"] = -np.array(reduced) @ reciprocal.T * units.Ha
        diagonal = [elements[i, n + 3] for i in (1, 2, 3)]
        yz, xz, xy = (elements[i, n + 4] for i in (1, 2, 3))
    except KeyError:
        return labels
    stress = np.diag(diagonal) + np.array([[0, xy, xz], [xy, 0, yz], [xz, yz, 0]])
    labels["stress"] = stress * units.Ha / units.Bohr**3
    return labels


def _responses(
    elements: dict[tuple[int, ...], float], atoms: Atoms, ionic: Array
) -> dict[str, Any]:
    """Born charges and dielectric tensor, where all of their elements are there."""
    n, labels = len(atoms), {}
    lattice = atoms.cell.array.T / units.Bohr
    mixed = [_block(elements, n + 2, a) for a in range(1, n + 1)]
    if all(block is not None for block in mixed):
        tensors = lattice @ np.array(mixed) @ np.linalg.inv(lattice) / (2 * np.pi)
        labels["born_effective_charges"] = tensors + ionic[:, None, None] * np.eye(3)
    fields = _block(elements, n + 2, n + 2)
    if fields is not None:
        response = lattice @ fields @ lattice.T / (2 * np.pi) ** 2
        volume = abs(np.linalg.det(lattice))
        labels["dielectric_tensor"] = np.eye(3) - 4 * np.pi / volume * response
    return labels


def _block(elements: dict[tuple[int, ...], float], p: int, q: int) -> Array | None:
    """3×3 derivatives by perturbations p, then q: the mean of both orders where both are there."""
    keys = [(i, j) for i in (1, 2, 3) for j in (1, 2, 3)]
    found = []
    for order in ([(i, p, j, q) for i, j in keys], [(j, q, i, p) for i, j in keys]):
        if all(key in elements for key in order):
            found.append(np.array([elements[key] for key in order]).reshape(3, 3))
    return np.mean(found, axis=0) if found else None
