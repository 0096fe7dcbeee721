"""Comment line of extended XYZ: keys and values, each key once, back as they were written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ase_bec.data.numbers import strict

_QUOTED = r'"(?:[^"\\]|\\.)*"|' r"'(?:[^'\\]|\\.)*'|\{(?:[^}\\]|\\.)*\}|\[(?:[^\]\\]|\\.)*\]"
_PAIR = re.compile(
    rf"(?P<key>{_QUOTED}|[^\s='\"{{\[][^\s=]*)"
    rf"(?P<equals>\s*=\s*(?P<value>{_QUOTED}|[^\s'\"{{\[]\S*|))?(?=\s|$)\s*"
)
_BOOLEANS = dict.fromkeys(("T", "true", "True", "TRUE"), True)
_BOOLEANS |= dict.fromkeys(("F", "false", "False", "FALSE"), False)
_TEXTS = ("Properties", "config_type")
_JSON = "_JSON "
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # which a line must not hold as they are


def read_pairs(comment: str) -> dict[str, Any]:
    r"""Keys and values of a comment line.

    A value is a number, several, booleans, JSON behind ``_JSON``, or else text; a word without
    value is True, as in ASE. A line without any ``=`` is one string, `comment`.

    Parameters
    ----------
    comment
        The line. Values may be in quotes or brackets; `\\` takes the next character as it is.

    Raises
    ------
    ValueError
        If a quote is not closed, or a key stands there twice with different values.
    """
    comment = comment.strip()
    if "=" not in comment:
        return {"comment": comment} if comment else {}
    found: dict[str, str | None] = {}
    before: str | None = None
    at = 0
    while at < len(comment):
        pair = _PAIR.match(comment, at)
        if pair is None:
            raise ValueError(f"must be key=value, got {comment[at : at + 60]!r}; is a quote open?")
        key = _bare(pair["key"])
        value = None if pair["equals"] is None else _bare(pair["value"])
        if value is None and before is not None and _is_number(key) and _is_number(before):
            raise ValueError(f"numbers {before} and {key} must be in quotes, or are one number")
        if key in found and found[key] != value:
            raise ValueError(f"`{key}` must be there once, got {found[key]!r} and {value!r}")
        found[key] = before = value
        at = pair.end()
    return {key: _value(key, text) for key, text in found.items()}


def _bare(text: str) -> str:
    """Text without its quotes and escapes."""
    if text[:1] in ('"', "'", "{", "["):
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text


def _is_number(text: str) -> bool:
    return _numbers(text, [text]) is not None


def _value(key: str, text: str | None) -> Any:
    if text is None:
        return True
    if text.startswith(_JSON):
        return _from_json(key, text.removeprefix(_JSON))
    if key in _TEXTS:
        return text
    words = text.replace(",", " ").split()
    numbers = _numbers(text, words)
    if numbers is not None:
        return numbers[0] if len(numbers) == 1 else numbers
    if words and all(word in _BOOLEANS for word in words):
        values = [_BOOLEANS[word] for word in words]
        return values[0] if len(values) == 1 else values
    return text


def _numbers(text: str, words: list[str]) -> Any:
    """Array of whole or real numbers, None where the words are others."""
    with suppress(ValueError, OverflowError):
        if words and "." not in strict(text):
            return np.array(words, dtype=np.int64)
    with suppress(ValueError):
        if words and strict(text):
            return np.array(words, dtype=np.float64)
    return None


def _from_json(key: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{key}` must be JSON ({error})") from error
    if isinstance(value, list):
        with suppress(ValueError):
            array = np.array(value)
            if array.dtype.kind in "ifb" and array.size:
                return array
    return value


def write_pairs(info: Mapping[str, Any]) -> str:
    """Comment line from which :func:`read_pairs` gives equal keys and values.

    Values that are neither numbers, texts nor made of these are left out, as are keys with control
    characters.
    """
    texts = {key: _text(key, value) for key, value in info.items() if not _CONTROL.search(key)}
    return " ".join(f"{_quoted(k)}={_quoted(v)}" for k, v in texts.items() if v is not None)


def _text(key: str, value: Any) -> str | None:
    """String for a value, or None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, str) and _is_plain(key, value):
        return value
    parts = value if isinstance(value, list | tuple) and len(value) > 1 else (value,)
    if all(isinstance(part, bool) for part in parts):
        return " ".join("T" if part else "F" for part in parts)
    if all(isinstance(part, int | float) and not isinstance(part, bool) for part in parts):
        return " ".join(repr(part) for part in parts)
    try:
        return _JSON + json.dumps(value).replace("\x7f", "\\u007f")
    except (TypeError, ValueError, RecursionError):
        return None


def _is_plain(key: str, text: str) -> bool:
    """Whether a text is read as itself without JSON."""
    if text.startswith(_JSON) or _CONTROL.search(text):
        return False
    return isinstance(_value(key, text), str)


def _quoted(text: str) -> str:
    """Text in quotes where blanks, quotes or brackets make them needed."""
    if text and not re.search(r"[\s=\"'{}\[\]\\]", text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
