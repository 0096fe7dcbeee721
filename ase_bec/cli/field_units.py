"""Electric fields on the command line, in V/Å or with a unit."""

from __future__ import annotations

import argparse
import re
import unicodedata
from typing import Any

_FIELD_UNITS = {  # in V/Å
    "V/Å": 1.0,
    "V/A": 1.0,
    "V/nm": 0.1,
    "MV/cm": 0.01,
    "kV/cm": 1e-5,
    "V/cm": 1e-8,
    "MV/m": 1e-4,
    "kV/m": 1e-7,
    "V/m": 1e-10,
}
_QUANTITY = r"\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|[-+]?(?:nan|inf))\s*(\S*)\s*"
# Words that begin with a dash and are numbers, not options.
NEGATIVE = r"-[0-9.]+(?:[eE][-+]?[0-9]+)?(?:[kM]?V/\S+)?$"


def field_strength(text: str) -> float:
    """Read a field such as ``0.1`` or ``10MV/cm``; return it in V/Å."""
    return _field_with_unit(text)[0]


def _field_with_unit(text: str) -> tuple[float, str | None]:
    match = re.fullmatch(_QUANTITY, unicodedata.normalize("NFC", text))  # one Å of several
    try:
        value = float(match[1]) if match else None
    except ValueError:
        value = None
    if match is None or value is None:
        raise argparse.ArgumentTypeError(
            f"invalid float value: {text!r}; must be a number in V/Å, or one with its unit such as "
            "10MV/cm"
        )
    unit = match[2]
    if unit and unit not in _FIELD_UNITS:
        raise argparse.ArgumentTypeError(
            f"must be in {', '.join(_FIELD_UNITS)}, got the unit {unit!r} in {text!r}"
        )
    return value * _FIELD_UNITS[unit or "V/Å"], unit or None


class FieldVector(argparse.Action):
    """Three components of a field, each with its unit or all of them in V/Å."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the field in V/Å, as three numbers."""
        try:
            read = [_field_with_unit(text) for text in values]
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        units = {unit for value, unit in read if value}  # zero is zero in any unit
        if len(units) > 1 and None in units:
            raise argparse.ArgumentError(
                self, f"must have a unit with each component or with none, got {' '.join(values)}"
            )
        setattr(namespace, self.dest, tuple(value for value, _ in read))
