"""Damaged copies of files, and the judgement of what a reader makes of them.

A reader may refuse a damaged file. Where it doesn't, what it reads must be what was read before,
or what the text now says: a number in place of another number cannot be known to be wrong. That is
looked up by writing the frames that were read in the same layout once more: each number that the
layout takes from frames must stand in the damaged text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from ase.data import chemical_symbols

from ase_bec.data import Frame
from ase_bec.data.frame import LABELS

Layout = Callable[[Sequence[Frame]], str]
KINDS = (
    "byte flip",
    "deletion",
    "insertion",
    "line deletion",
    "line swap",
    "line repeat",
    "number edit",
    "truncation",
)
VERDICTS = ("refused", "unchanged", "noted", "follows the text", "part lost", "wrong", "crashed")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?", re.ASCII)
_COPIES = ("unit-cell volume", "<scstep>")  # compared to some rounding, or not read
_ALPHABET = "0123456789.-+eED _,\t\nx*²٣"


def mutate(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """Damage a file in one place."""
    at = int(rng.integers(len(data)))
    if kind == "byte flip":
        return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
    if kind == "deletion":
        return data[:at] + data[at + int(rng.choice([1, 1, 1, 2, 5, 20])) :]
    if kind == "insertion":
        letter = _ALPHABET[int(rng.integers(len(_ALPHABET)))]
        return data[:at] + letter.encode() + data[at:]
    if kind == "truncation":
        return data[:at]
    if kind == "number edit":
        return _edited(data.decode(), rng).encode()
    lines = data.split(b"\n")
    k, m = (int(x) for x in rng.integers(len(lines), size=2))
    if kind == "line deletion":
        del lines[k]
    elif kind == "line repeat":
        lines.insert(k, lines[k])
    else:
        near = min(k + int(rng.integers(1, 4)), len(lines) - 1) if rng.random() < 0.5 else m
        lines[k], lines[near] = lines[near], lines[k]
    return b"\n".join(lines)


def _edited(text: str, rng: np.random.Generator) -> str:
    """Text with one number changed: a digit, its sign, its size, or made none."""
    numbers = list(NUMBER.finditer(text))
    found = numbers[int(rng.integers(len(numbers)))]
    word = found[0]
    digits = [k for k, letter in enumerate(word) if letter.isdigit()]
    k = digits[int(rng.integers(len(digits)))]
    new = [
        word[:k] + str(int(rng.integers(10))) + word[k + 1 :],
        word[1:] if word[0] in "-+" else f"-{word}",
        word[:k] + "٣" + word[k + 1 :],
        word[: k + 1] + "_" + word[k + 1 :],
        word[:k] + "*" * (len(word) - k),
        f"{word}E+03",
        word.replace(".", ","),
        "NaN",
        "1" + word.lstrip("-+"),
    ][int(rng.integers(9))]
    return text[: found.start()] + new + text[found.end() :]


def judge(
    before: Sequence[Frame], after: Sequence[Frame], text: str, damaged: str, layout: Layout
) -> str:
    """Verdict on frames that were read from a damaged text, without a new note."""
    if same(before, after):
        return "unchanged"
    if _is_part(before, after):
        return "part lost"
    old, new = _words(text), _words(damaged)
    if len(old) != len(new):
        return "wrong"
    changed = [k for k, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    others = {x.atoms.numbers.tobytes() for x in before} != {
        x.atoms.numbers.tobytes() for x in after
    }
    words = [new[k] for k in changed if _value(new[k]) is None]
    if words and not (others and all(map(_is_element, words))):
        return "wrong"
    slots = _slots(before, text, layout)
    if slots & set(changed):
        written = (_words(layout(before)), _words(layout(after)))
        return "follows the text" if _agree(*written, new, slots, changed) else "wrong"
    constants = others or all("." in new[k] for k in changed)
    return "follows the text" if constants else "wrong"  # such as the length that axes are in


def _species(frames: Sequence[Frame]) -> set[str]:
    return {str(frame.atoms.symbols) for frame in frames}


def same(before: Sequence[Frame], after: Sequence[Frame]) -> bool:
    """Whether frames have the same structures and labels, but for rounding."""
    if len(before) != len(after):
        return False
    for a, b in zip(before, after, strict=True):
        if a.labels != b.labels or a.atoms.numbers.tolist() != b.atoms.numbers.tolist():
            return False
        pairs = [(getattr(a, x), getattr(b, x)) for x in (*a.labels, "net_charge")]
        pairs += [(a.atoms.positions, b.atoms.positions), (a.atoms.cell[:], b.atoms.cell[:])]
        if (a.electric_field is None) != (b.electric_field is None):
            return False
        if not all(np.allclose(x, y, rtol=1e-12, atol=1e-12) for x, y in pairs):
            return False
    return True


def _is_part(before: Sequence[Frame], after: Sequence[Frame]) -> bool:
    """Whether frames or labels are missing, and the others are as they were."""
    at = 0
    for frame in after:
        while at < len(before) and not _lacks(before[at], frame):
            at += 1
        if at == len(before):
            return False
        at += 1
    return True


def _lacks(whole: Frame, part: Frame) -> bool:
    labels = set(part.labels)
    if not labels <= set(whole.labels):
        return False
    reduced = Frame(
        whole.atoms,
        net_charge=whole.net_charge,
        electric_field=whole.electric_field,
        **{label: getattr(whole, label) for label in LABELS if label in labels},
    )
    return same([reduced], [part])


def _words(text: str) -> list[str]:
    """Words of a text between blanks and brackets, without lines that only repeat others."""
    lines = [line for line in text.split("\n") if not any(copy in line for copy in _COPIES)]
    return [word for word in re.split(r"[\s()<>=\":,]+", "\n".join(lines)) if word]


def _slots(before: Sequence[Frame], text: str, layout: Layout) -> set[int]:
    """Words of the text that the layout takes from frames: those that differ with other frames."""
    rng = np.random.default_rng(9)
    words = _words(text)
    found: set[int] = set()
    for extra in (0, 0, 1):
        others = []
        for frame in before:
            atoms = frame.atoms.copy()
            atoms.set_cell(atoms.cell[:] * rng.uniform(1.1, 1.3, size=(3, 3)) + 0.01)
            atoms.positions += rng.uniform(0.1, 0.3, size=atoms.positions.shape)
            labels = {x: getattr(frame, x) + rng.uniform(0.1, 0.3, size=np.shape(getattr(frame, x)))
                      for x in frame.labels}  # fmt: skip
            others.append(Frame(atoms, net_charge=frame.net_charge + extra, **labels))
        differing = _words(layout(others))
        if len(differing) == len(words):
            found |= {k for k, (a, b) in enumerate(zip(words, differing, strict=True)) if a != b}
    return found


def _agree(
    before: Sequence[str],
    after: Sequence[str],
    damaged: Sequence[str],
    slots: set[int],
    changed: Sequence[int],
) -> bool:
    """Whether all words that moved are in the text, and all of the text's were taken over.

    A number that the layout writes twice may have been read from either place.
    """
    if not len(before) == len(after) == len(damaged):
        return False
    read = {after[k] for k in changed if k in slots and _alike(after[k], damaged[k])}
    ignored = [k for k in changed if k in slots and not _alike(after[k], damaged[k])]
    moved = [k for k in slots if not _alike(after[k], before[k])]
    if any(_alike(before[k], after[k]) is False and after[k] not in read for k in ignored):
        return False
    return all(_alike(after[k], damaged[k]) or after[k] in read for k in moved)


def _alike(a: str, b: str) -> bool:
    """Whether two words are equal but for their last digit."""
    x, y = _value(a), _value(b)
    if x is None or y is None:
        return a == b
    return abs(x[0] - y[0]) <= 1.6 * max(x[1], y[1]) + 1e-9 * abs(x[0]) + 1e-12


def _value(word: str) -> tuple[float, float] | None:
    """Number that a word is, and the size of its last digit; None where it is none."""
    if not NUMBER.fullmatch(word):
        return None
    number = re.sub("[dD]", "E", word).upper()
    mantissa, _, exponent = number.partition("E")
    power = int(exponent or 0) - len(mantissa.partition(".")[2])
    return float(number), 10.0 ** min(max(power, -300), 300)


def _is_element(word: str) -> bool:
    """Whether a word is an element, or a label that begins with one."""
    return bool({word, word[:2], word[:1]} & set(chemical_symbols[1:]))
