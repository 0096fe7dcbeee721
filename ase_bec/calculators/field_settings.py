"""Settings of a program that mean an electric field, by their names and values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from numbers import Real
from typing import NamedTuple

import numpy as np

# "efield" of many programs, "lelfield", "tefield" and "eamp" of pw.x, "efieldc" of elk.
_WORD = re.compile(r"(?:[lt]|red)?el?field\w*|extfields?|eamp")
_JOINED = re.compile(
    r"(?:electric|external|externale|homogen(?:e)?ous|uniform|static|applied|finite|constant|multipole)"
    r"e?field|perturb(?:dipole|magnitude)"
)
_ALONE = ("field", "dfield", "reddfield")
# What only says how a field lies, oscillates or is switched on: nothing where its strength is zero.
_MANNER = re.compile(
    r"direction|edir|gdir|polari[sz]|phase|frequenc|omega|period$|cycle|emaxpos|eopreg|origin|unit"
    r"|axis|name|type|envelope|waveform"
)
_OTHER = re.compile(r"grad|pointcharges")  # of the field at nuclei; of embedding
_KIND = ("name", "type", "kind", "class", "keyword")
_NUMBER = re.compile(
    r"(?:(?<![\w.])|(?<=[xyzXYZ])(?=[-+]))[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?(?!\d)"
)
_INDEX = re.compile(r"(?<=\w)\(\d+\)")  # of an element, as in "efield_cart(3)"
_STYLE = re.compile(r"(?<=efield)/\w+(?=\s)")  # as in "fix 1 all efield/tip4p 0 0 0.1"
_VARIABLE = re.compile(r"\bv_\w+|\$\{?\w+")  # of a LAMMPS script
_IDENTIFIER = re.compile(r"(?<![\w/.\-])[A-Za-z]\w*(?![\w/.\-])")
_BLOCK_END = re.compile(r"\s*(?:[&%$]?end\w*|/|)\s*$", re.IGNORECASE)
_BLOCK = 12  # lines
_OFF = {"", "none", "false", ".false.", "f", "no", "n", "off"}
_DEPTH = 6


class FieldSetting(NamedTuple):
    """A setting that stands for a field, such as ``efield`` and ``[0, 0, 0.1]``."""

    name: str
    value: object


def means_field(name: str) -> bool:
    """Whether a name, in any program's spelling, means an applied electric field."""
    return _means_field(name)


@lru_cache(maxsize=4096)
def _means_field(name: str) -> bool:
    words = _words(name)
    joined = "".join(words)
    if _OTHER.search(joined):
        return False
    return (
        joined in _ALONE
        or any(_WORD.fullmatch(word) for word in (*words, joined))
        or _JOINED.search(joined) is not None
    )


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    """Words of a name in lower case, also of a camelCase one."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return tuple(word for word in re.split(r"[^a-z0-9]+", spaced) if word)


def field_setting(settings: Mapping[str, object]) -> FieldSetting | None:
    """Return the first of a calculator's settings that applies a field, or None.

    Settings whose names mean a field count where their strength is not zero. A switch such as
    ``lelfield`` counts where no strength is given, since programs then use their own; a direction
    alone never does. In strings, such as input blocks and commands, words that mean a field count
    with the numbers that follow.

    Parameters
    ----------
    settings
        Names and values, nested to any depth.
    """
    strengths: list[tuple[FieldSetting, bool]] = []
    switches: list[FieldSetting] = []
    for names, value in _leaves(settings, (), 0):
        name = ".".join(names)
        if any(map(means_field, names)):
            if any(map(_MANNER.match, _words(names[-1])[-1:])) or _is_off(value):
                continue
            strength = _strength(value)
            if strength is None:
                switches.append(FieldSetting(name, value))
            else:
                strengths.append((FieldSetting(name, value), strength))
        elif (text := _as_text(value)) is not None:
            strengths += [(FieldSetting(name, line), on) for line, on in _fields_of_text(text)]
    applied = [setting for setting, on in strengths if on] or ([] if strengths else switches)
    return applied[0] if applied else None


def _leaves(
    value: object, names: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Plain values with the names that lead to them; lists of numbers or strings stay whole."""
    if depth > _DEPTH:
        return
    if isinstance(value, Mapping):
        kinds = [str(item) for key, item in value.items() if str(key).lower() in _KIND]
        inside = (*names, *filter(means_field, kinds))  # {"name": "ConstantElectricField"}
        for key, item in value.items():
            yield from _leaves(item, (*inside, str(key)), depth + 1)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for item in value:
            yield from _leaves(item, names, depth + 1)
    elif names:
        yield names, value


def _is_off(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _OFF
    return value is None or (isinstance(value, bool | np.bool_) and not value)


def _strength(value: object) -> bool | None:
    """Whether a strength is nonzero; None for a switch, or a value that hides it."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, str):
        numbers = _numbers(value)
        return any(numbers) if numbers else None
    if isinstance(value, list | tuple):
        if any(isinstance(item, str) for item in value):
            return _strength("\n".join(map(str, value)))
        known = [_strength(item) for item in value if item is not None]
        return True if True in known else None if None in known else False
    if isinstance(value, Real | np.ndarray | np.generic):
        return bool(np.any(np.asarray(value)))
    return None


def _numbers(text: str) -> list[float]:
    """Numbers in a string, except those that give the direction, phase and the like."""
    lines = [line for line in text.splitlines() if not _MANNER.match(line.strip().lower())]
    found = _NUMBER.findall(_INDEX.sub("", "\n".join(lines)))
    return [float(number.lower().replace("d", "e")) for number in found]


def _as_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return None


def _fields_of_text(text: str) -> Iterator[tuple[str, bool]]:
    """Fields that an input file names, and whether they are nonzero."""
    lines = [_STYLE.sub("", re.split(r"[#!]", line, maxsplit=1)[0]) for line in text.splitlines()]
    for k, line in enumerate(lines):
        for match in _IDENTIFIER.finditer(line):
            rest = line[match.end() :]
            if not means_field(match[0]) or not _is_setting(match[0], rest, lines[k + 1 : k + 2]):
                continue
            variable = _VARIABLE.search(rest)
            if not _numbers(rest) and not variable:
                rest = "\n".join(_block(lines[k + 1 :]))
            numbers = _numbers(rest)
            if numbers or variable:
                yield line.strip(), any(numbers) or bool(variable)


def _is_setting(word: str, rest: str, following: list[str]) -> bool:
    """Whether "field", which may be any word, is followed by a value."""
    if word.lower() != "field":
        return True
    value = rest if rest.strip() else "".join(following)
    return re.match(r"\s*(?:[=:]|\(?\s*[xyzXYZ]?[-+]?\.?\d)", value) is not None


def _block(lines: list[str]) -> Iterator[str]:
    for line in lines[:_BLOCK]:
        if _BLOCK_END.match(line):
            return
        yield line
