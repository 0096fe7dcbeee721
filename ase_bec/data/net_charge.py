"""Net charge of a structure: what the file says, and what the user says."""

from __future__ import annotations

_TOLERANCE = 0.01  # e


def settled_charge(source: str, own: float | None, given: float | None) -> float:
    """Net charge in e: the file's own, or the given one where it has none; else zero.

    Parameters
    ----------
    source
        File and frame, for messages.
    own
        What the file says, None where it doesn't.
    given
        What the user says, None where he doesn't.

    Raises
    ------
    ValueError
        If the two disagree.
    """
    if own is None:
        return 0.0 if given is None else given
    if given is not None and abs(float(own) - given) > _TOLERANCE:
        raise ValueError(
            f"{source}: `net_charge` must be that of the file, {float(own):+g} e, got {given:+g}; "
            "leave it out"
        )
    return own
