import pytest
import torch

from ase_bec.descriptors.scaling import MinMaxScaling

LOW = torch.tensor([[0.0, -2.0, 3.0], [1.0, 5.0, 0.0]], dtype=torch.float64)
HIGH = torch.tensor([[4.0, 2.0, 3.0], [2.0, 6.0, 0.0]], dtype=torch.float64)
SPECIES = torch.tensor([0, 1, 0])


def scaling() -> MinMaxScaling:
    return MinMaxScaling(LOW, HIGH)


def test_closed_form() -> None:
    features = torch.tensor([[0, 2, 3], [1.5, 5.25, 0], [5, -1, 3]], dtype=torch.float64)
    found = scaling()(features, SPECIES)
    expected = [[-1.0, 1.0, 0.0], [0.0, -0.5, 0.0], [1.5, -0.5, 0.0]]
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=0, atol=1e-15)


def test_feature_that_never_varied_is_zero_with_zero_slope() -> None:
    features = torch.tensor([[1, 1, 77.0]], dtype=torch.float64, requires_grad=True)
    found = scaling()(features, SPECIES[:1])
    (slope,) = torch.autograd.grad(found.sum(), features)
    assert found[0, 2] == 0
    assert slope.tolist() == [[0.5, 0.5, 0.0]]


def test_gradcheck() -> None:
    features = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: scaling()(x, SPECIES), features)


@pytest.mark.parametrize(
    ("feature", "value", "outside"),
    [
        (0, 4.0, False),
        (0, 4.039, False),  # one percent of the width of 4 is allowed
        (0, 4.041, True),
        (0, -0.039, False),
        (0, -0.041, True),
        (1, 2.041, True),
        (2, 3.0 + 1e-9, False),  # rounding of one that never varied
        (2, 3.001, True),
        (2, 2.999, True),
    ],
)
def test_outside_the_range(feature, value, outside) -> None:
    features = torch.tensor([[1.0, 1.0, 3.0], [1.5, 5.5, 0.0]], dtype=torch.float64)
    assert scaling().outside(features, SPECIES[:2]).tolist() == [0, 0]
    features[0, feature] = value
    found = scaling().outside(features, SPECIES[:2])
    assert (found > 1).tolist() == [outside, False]
    assert found[1] == 0


def test_range_is_that_of_the_element() -> None:
    features = torch.tensor([[1.5, 5.5, 0.0]], dtype=torch.float64)
    assert not scaling().outside(features, torch.tensor([1])).any()
    assert (scaling().outside(features, torch.tensor([0])) > 1).all()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([4.1, 1.0, 3.0], 2.5),  # 0.1 beyond, of a width of 4
        ([-0.2, 1.0, 3.0], 5.0),
        ([4.1, 2.4, 3.0], 10.0),  # the furthest of them counts
        ([2.0, 1.0, 3.0 + 4e-4], 4e-4 / (4 * torch.finfo(torch.float64).eps ** 0.5)),
    ],
)
def test_how_far_outside(row, expected) -> None:
    """In hundredths of the width; in roundings of a feature that never varied."""
    features = torch.tensor([row], dtype=torch.float64)
    assert scaling().outside(features, SPECIES[:1]).item() == pytest.approx(expected, rel=1e-6)


def test_range_says_what_outside_does() -> None:
    """It is what compiled code takes."""
    low, high, margin = scaling().range()
    features = torch.tensor([[5.0, -2.5, 3.1], [0.5, 6.5, 0.2]], dtype=torch.float64)
    for row, s in zip(features, (0, 1), strict=True):
        expected = max(((row - high[s]) / margin[s]).max(), ((low[s] - row) / margin[s]).max())
        found = scaling().outside(row[None], torch.tensor([s]))
        assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_single_precision_allows_its_own_rounding() -> None:
    narrow = scaling().float()
    features = torch.tensor([[1.0, 1.0, 3.0 + 1e-4]])
    assert narrow.outside(features, SPECIES[:1]).item() <= 1
    assert (scaling().outside(features.double(), SPECIES[:1]) > 1).all()


def test_ranges_are_copies_in_the_state() -> None:
    low = LOW.clone()
    made = MinMaxScaling(low, HIGH)
    low += 100
    assert torch.equal(made.low, LOW)
    assert set(made.state_dict()) == {"low", "high"}
    assert not list(made.parameters())


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (LOW, HIGH[:, :2], r"one shape .*, got \(2, 3\) and \(2, 2\)"),
        (LOW[0], HIGH[0], r"one shape .*, got \(3,\) and \(3,\)"),
        (HIGH, LOW, "`low` must not exceed `high`, got 4 such features"),
        (LOW * torch.nan, HIGH, "`low` and `high` must be finite, got 6"),
    ],
)
def test_refuses_bad_ranges(low, high, message) -> None:
    with pytest.raises(ValueError, match=message):
        MinMaxScaling(low, high)
