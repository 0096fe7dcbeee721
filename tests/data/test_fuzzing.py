"""Damaged files of every format: refused, or read as before, or as their text now says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import KINDS, VERDICTS, Example, judge, mutate, same
from reader_examples import FORMATS, LAYOUTS, frames

from ase_bec.data.files import read_text

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> dict[str, Example]:
    return {kind: Example(tmp_path_factory.mktemp(kind), kind) for kind in FORMATS}


def damaged(example: Example, how: str, rng: np.random.Generator) -> bytes:
    binary = example.path.suffix == ".traj"
    return mutate(example.data, "byte flip" if binary and how == "number edit" else how, rng)


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_in_one_place(examples, kind) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(seed=SEEDS, how=st.sampled_from(KINDS))
    def check(seed: int, how: str) -> None:
        data = damaged(examples[kind], how, np.random.default_rng(seed))
        verdict, error = examples[kind].verdict(data)
        assert verdict in VERDICTS
        assert verdict not in ("wrong", "crashed"), error

    check()


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_in_many_places_never_crashes(examples, kind) -> None:
    """Errors are one line that names the file."""
    example = examples[kind]

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(seed=SEEDS, times=st.integers(2, 12))
    def check(seed: int, times: int) -> None:
        rng = np.random.default_rng(seed)
        data, whole = example.data, example.data
        for _ in range(times):
            example.data = data or b"0"
            how = KINDS[int(rng.integers(len(KINDS) - 2))]  # neither number edit nor truncation
            data = damaged(example, how, rng)
        example.data = whole
        verdict, error = example.verdict(data)
        assert verdict != "crashed", error
        if verdict == "refused":
            assert str(example.path) in error

    check()


@pytest.mark.parametrize("kind", FORMATS)
def test_noise_is_refused(tmp_path, kind) -> None:
    example = Example(tmp_path, kind)

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
    def check(data: bytes) -> None:
        assert example.verdict(data)[0] == "refused"
        assert example.verdict(example.data[:60] + data)[0] == "refused"

    check()


def test_the_judge_knows_right_from_wrong(tmp_path) -> None:
    """Readings that differ from the text, though the text has changed, are called wrong."""
    example = Example(tmp_path, "vasp-outcar")
    text, layout = read_text(example.path), LAYOUTS["vasp-outcar"]
    before = list(example.before)
    given_, other = frames(2), frames(2, energy=-46.0)

    def verdict(after, now: str) -> str:
        return judge(given_, after, text, now, layout)

    assert same(before, before)
    assert not same(before, before[:1])
    energy = f"{given_[0].energy:.8f}"
    assert verdict(given_, text) == "unchanged"
    assert verdict(given_[:1], text) == "part lost"
    assert verdict([other[0], given_[1]], text) == "wrong"  # changed, but the text is not
    now = text.replace(energy, "-46.00000000")
    assert verdict([other[0], given_[1]], now) == "follows the text"
    assert verdict([other[0], given_[1]], text.replace(energy, "-45.00000000")) == "wrong"
    assert verdict([other[0], given_[1]], text.replace(energy, "-46.0000000x")) == "wrong"
    assert verdict(other, now) == "wrong"  # another frame has changed with it
    assert (
        verdict([other[0], given_[1]], text.replace("NIONS =      4", "NIONS =      5")) == "wrong"
    )
