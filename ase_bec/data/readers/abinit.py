"""ABINIT derivative database (DDB): Born charges, dielectric tensor, energy, forces, stress."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import chemical_symbols

from ase_bec.data.frame import Array, Frame
from ase_bec.data.net_charge import settled_charge
from ase_bec.data.numbers import reals, strict, whole
from ase_bec.data.readers.crystal import crystal

_SAME, _SYMMETRY = 1e-12, 5e-3  # of the largest derivative: by two fields, by field and position
_HEAD = re.compile(
    r"^ *(Total energy|1st der\w+|2nd der\w+|3rd der\w+)[^\n]*elements *: *(\S+)", re.M
)


def read_ddb(text: str, name: str, net_charge: float | None = None) -> list[Frame]:
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
    net_charge
        e, which the file doesn't tell.

    Raises
    ------
    ValueError
        If the file is damaged, contradicts itself, or has none of these derivatives at
        :math:`q = 0`.
    """
    if "DERIVATIVE DATABASE" not in text[:200]:
        raise ValueError(f"{name}: must be a DDB (`DERIVATIVE DATABASE` in its first line)")
    try:
        atoms, ionic = _structure(text)
        blocks = _blocks(text)
        labels: dict[str, Any] = {}
        for kind, elements in blocks:
            if kind.startswith("Total"):
                _add(labels, {"energy": elements[()] * units.Ha})
            elif kind.startswith("1st"):
                _add(labels, _gradients(elements, atoms))
            else:
                _add(labels, _responses(elements, atoms, ionic))
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(f"{name}: damaged: {error}") from error
    if not labels:
        raise ValueError(
            f"{name}: holds no dielectric tensor, Born charges, energy or forces at q = 0"
        )
    source = f"{name}, frame 0"
    charge = settled_charge(source, None, net_charge)
    return [Frame(atoms, source=source, net_charge=charge, **labels)]


def _add(labels: dict[str, Any], found: dict[str, Any]) -> None:
    """Add the labels of a block; refuse those that another block has otherwise."""
    for label, value in found.items():
        if not np.allclose(labels.setdefault(label, value), value, rtol=1e-4, atol=1e-3):
            raise ValueError(f"blocks must agree on `{label}`, got two; split the file")


def _structure(text: str) -> tuple[Atoms, Array]:
    """Structure, and charges of the ions in e."""
    header = _Header(text[: text.find("Description of the pot")])
    n, ntypat = header.count("natom"), header.count("ntypat")
    cell = header.reals("rprim", 9).reshape(3, 3)
    cell *= header.reals("acell", 3)[:, None] * units.Bohr
    types = [whole(word) for word in header.words("typat", n)]
    if not set(types) <= set(range(1, ntypat + 1)):
        raise ValueError(f"`typat` must be of {ntypat} types, got {sorted(set(types))}")
    kinds = np.array(types) - 1
    charges = header.reals("znucl", ntypat).round()
    if not 0 < charges.min() <= charges.max() < len(chemical_symbols):
        raise ValueError(f"`znucl` must be of elements, got {charges.tolist()}")
    numbers = charges.astype(int)[kinds]
    scaled = header.reals("xred", 3 * n).reshape(n, 3)
    return crystal(numbers.tolist(), cell, scaled=scaled), header.reals("zion", ntypat)[kinds]


class _Header:
    """Words behind each name at the beginning of a line, up to the next name."""

    def __init__(self, text: str) -> None:
        self._words: dict[str, list[str]] = {}
        found: list[str] = []
        for line in text.split("\n"):
            words = line.split()
            if words and words[0][0].isalpha():
                found = self._words.setdefault(words[0], [])
                del words[0]
            found += words

    def words(self, key: str, n: int) -> list[str]:
        """All n words."""
        words = self._words.get(key, [])
        if len(words) != n:
            raise ValueError(
                f"header must have {n} numbers `{key}`, got {len(words)}; is the file truncated?"
            )
        return words

    def reals(self, key: str, n: int) -> Array:
        """First n numbers."""
        return reals(self.words(key, n))

    def count(self, key: str) -> int:
        """Positive whole number, small enough for lists of as many words to follow."""
        count = whole(self.words(key, 1)[0])
        if not 0 < count <= sum(map(len, self._words.values())):
            raise ValueError(f"`{key}` must be positive and fit the file, got {count}")
        return count


def _blocks(text: str) -> list[tuple[str, dict[tuple[int, ...], float]]]:
    """Kind of derivatives and elements of every block of total energies, first and second ones."""
    heads = list(_HEAD.finditer(text))
    blocks = []
    summary = text.find("List of bloks")
    told = re.search(r"Number of data blo[ck]+s *= *(\S+)", text)
    count = sum(summary < 0 or head.start() < summary for head in heads)
    if told is not None and whole(told[1]) != count:
        raise ValueError(f"must have {told[1]} data blocks, got {count}; is the file truncated?")
    for k, head in enumerate(heads):
        if 0 <= summary < head.start() or head[1].startswith("3rd"):
            continue
        end = heads[k + 1].start() if k + 1 < len(heads) else len(text)
        lines = text[head.end() : end if summary < 0 else min(end, summary)].splitlines()
        point = [line for line in lines if line.strip().startswith("qpt")]
        if point and reals(point[0].split()[1:4]).any():
            continue
        blocks.append((head[1], _elements(lines, head[1], whole(head[2]))))
    return blocks


def _elements(lines: list[str], kind: str, n: int) -> dict[tuple[int, ...], float]:
    """Derivatives of a block, by directions and perturbations."""
    rows = [row for line in lines if len(row := line.split()) in (2, 4, 6) and row[0] != "qpt"]
    values = reals(row[-2] for row in rows)
    if not np.isfinite(values).all():
        raise ValueError(f"block `{kind}` must have finite elements")
    for row in rows:
        strict("".join(row[:-2]))
    keys = [tuple(map(int, row[:-2])) for row in rows]
    elements = dict(zip(keys, values.tolist(), strict=True))
    if len(elements) != n or len(rows) != n:
        raise ValueError(
            f"block `{kind}` must have {n} elements, got {len(elements)} in {len(rows)} lines; is "
            "the file truncated?"
        )
    return elements


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
    except KeyError as error:
        raise ValueError(
            f"1st derivatives must be by all coordinates and strains, not {error}"
        ) from error
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
    allowed = _SAME if p == q else _SYMMETRY
    if len(found) == 2 and np.ptp(found, axis=0).max() > allowed * np.abs(found).max():
        raise ValueError(f"derivatives by {p} and {q} must be those by {q} and {p}")
    return np.mean(found, axis=0) if found else None
