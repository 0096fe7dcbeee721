"""What differs between two runs, by name."""

import numpy as np
import pytest

from ase_bec.identity import differing, require_same

OLD = {"a": 1.0, "b": {"c": [1, 2], "d": None}, "e": "x", "f": True}


def test_the_same_in_other_forms() -> None:
    assert not differing(OLD, {"a": 1, "b": {"c": np.array([1.0, 2.0])}, "e": "x", "f": True})
    assert not differing({"a": (1, (2, 3))}, {"a": [1, [2, 3]]})
    assert not differing({"a": float("nan")}, {"a": float("nan")})


@pytest.mark.parametrize(
    ("new", "names"),
    [
        ({**OLD, "a": 1.0 + 1e-15}, ["a"]),
        ({**OLD, "b": {"c": [1, 2, 3]}}, ["b.c"]),
        ({**OLD, "b": {"c": "12"}}, ["b.c"]),
        ({**OLD, "f": 2}, ["f"]),
        ({**OLD, "f": None, "g": 0}, ["f", "g"]),
        ({"a": "1.0"}, ["a", "b.c", "e", "f"]),
    ],
)
def test_what_differs(new: dict[str, object], names: list[str]) -> None:
    assert sorted(differing(OLD, new)) == names


def test_tolerance_is_for_numbers() -> None:
    assert not differing({"a": [1.0, 2.0]}, {"a": [1.0, 2.0001]}, 1e-3)
    assert differing({"a": [1.0, 2.0]}, {"a": [1.0, 2.01]}, 1e-3)


def test_message_names_all() -> None:
    with pytest.raises(ValueError, match=r"^`a` must be 1.0, as in `x`, got 2$"):
        require_same(OLD, {**OLD, "a": 2}, "`x`")
    with pytest.raises(ValueError, match=r"must be none, as in `x`, got 1; `b`, `c` differ too"):
        require_same({}, {"a": 1, "b": 2, "c": 3}, "`x`")
