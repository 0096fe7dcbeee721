"""Arguments of Python in the library's messages, as the options that set them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping

_QUOTED = re.compile(r"`([\w.]+)`")
_SETTING = re.compile(
    r"""(?<![\w.-])`?(?P<name>\w+)="""
    r"""(?P<value>True|False|…|"[^"]*"|'[^']*'|\{[^}]*\}|[-+]?\d[\w.+-]*)`?"""
)


def option_names(parser: argparse.ArgumentParser, aliases: Mapping[str, str]) -> dict[str, str]:
    """Give what each argument of the library is called on the command line.

    Parameters
    ----------
    parser
        Of one command; an option sets the argument of the same name.
    aliases
        Options, or plain words, for arguments with other names and for settings such as
        ``check_units=False``.
    """
    names = {
        action.dest: action.option_strings[-1]
        for action in parser._actions
        if action.option_strings and action.dest != "help"
    }
    return names | dict(aliases)


def in_options(message: str, names: Mapping[str, str], words: Iterable[str] = ()) -> str:
    """Write a message of the library with the options of a command.

    Parameters
    ----------
    message
        Names arguments as `` `net_charge` ``, and settings as ``energy="work"``.
    names
        From :func:`option_names`.
    words
        Of the command line; one of the same name is a file rather than an argument.

    Examples
    --------
    >>> from ase_bec.cli.option_names import in_options
    >>> names = {"net_charge": "--net-charge", "energy": "--energy"}
    >>> in_options("`net_charge` must be finite", names)
    '--net-charge must be finite'
    >>> in_options('use energy="work" with a `reference`', names)
    'use --energy work with a `reference`'
    """
    known = {argument: name for argument, name in names.items() if argument not in set(words)}

    def setting(match: re.Match[str]) -> str:
        whole = known.get(f"{match['name']}={match['value']}")
        if whole is not None:
            return whole
        name = known.get(match["name"], "")
        if not name.startswith("--"):
            return match[0]
        return name if match["value"] == "True" else f"{name} {_plain(match['value'])}"

    def quoted(match: re.Match[str]) -> str:
        return known.get(match[1], match[0])

    return _QUOTED.sub(quoted, _SETTING.sub(setting, message))


def _plain(value: str) -> str:
    """Write a value of Python as a word: text without quotes, a dict as key=value."""
    return re.sub(r"\s*:\s*", "=", re.sub(r"""["'{}]""", "", value))
