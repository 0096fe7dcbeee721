"""Net charges that a cell of ions can plausibly have."""

from __future__ import annotations

WHOLE = 0.01  # e, by which a net charge may miss a whole number
LARGEST = 2.0  # e


def unlikely_charge(charge: float) -> str | None:
    """Explain why a net charge in e is unlikely to be intended; None if it may be.

    A cell of ions has a whole number of elementary charges, and few of them: those of a vacancy or
    an interstitial.
    """
    if abs(charge - round(charge)) > WHOLE:
        return "which is not a whole number"
    if abs(charge) > LARGEST + WHOLE:
        return f"which is more than {LARGEST:g} e"
    return None


def charge_text(charge: float) -> str:
    """Write a net charge, such as "-1 e" or "0 e"."""
    rounded = round(charge, 3) + 0.0  # no -0
    return f"{rounded:+g} e" if rounded else "0 e"


def settled_charge(source: str, own: float | None, given: float | None) -> float:
    """Net charge in e: the file's own, or the given one where it has none; else zero.

    Parameters
    ----------
    source
        File and frame, for messages.
    own
        Given by the file; None if not.
    given
        Given by the user; None if not.

    Raises
    ------
    ValueError
        If the two disagree.
    """
    if own is None:
        return 0.0 if given is None else given
    if given is not None and abs(float(own) - given) > WHOLE:
        raise ValueError(
            f"{source}: `net_charge` must be that of the file, {float(own):+g} e, got {given:+g}; "
            "leave it out"
        )
    return own
