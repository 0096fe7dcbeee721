import math

import pytest
import torch

from ase_bec.cutoffs import cosine_cutoff

CUTOFF = 4.0


@pytest.mark.parametrize(
    ("distance", "value", "slope"),
    [
        (0.0, 1.0, 0.0),
        (CUTOFF / 3, 0.75, -math.pi / (2 * CUTOFF) * math.sqrt(0.75)),
        (CUTOFF / 2, 0.5, -math.pi / (2 * CUTOFF)),
        (CUTOFF * (1 - 1e-9), 0.0, 0.0),
        (CUTOFF, 0.0, 0.0),
        (CUTOFF * (1 + 1e-9), 0.0, 0.0),
        (1.5 * CUTOFF, 0.0, 0.0),
        (2.0 * CUTOFF, 0.0, 0.0),
    ],
)
def test_value_and_slope(distance: float, value: float, slope: float) -> None:
    r = torch.tensor([distance], dtype=torch.float64, requires_grad=True)
    f = cosine_cutoff(r, CUTOFF)
    (gradient,) = torch.autograd.grad(f.sum(), r)
    assert f.item() == pytest.approx(value, abs=1e-15)
    assert gradient.item() == pytest.approx(slope, abs=2e-9)


def test_nothing_leaks_from_beyond_the_cutoff() -> None:
    r = torch.tensor([CUTOFF, 5.0, 1e3, math.inf], dtype=torch.float64, requires_grad=True)
    f = cosine_cutoff(r, CUTOFF)
    (gradient,) = torch.autograd.grad(f.sum(), r)
    assert (f == 0).all()
    assert (gradient == 0).all()


def test_derivatives_of_first_and_second_order() -> None:
    r = torch.tensor([[0.3, 1.7], [3.9, 4.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: cosine_cutoff(x, CUTOFF), r)
    assert torch.autograd.gradgradcheck(lambda x: cosine_cutoff(x, CUTOFF), r)


def test_keeps_shape_and_dtype() -> None:
    f = cosine_cutoff(torch.ones(2, 0, 3, dtype=torch.float32), CUTOFF)
    assert f.shape == (2, 0, 3)
    assert f.dtype == torch.float32


@pytest.mark.parametrize("cutoff", [0.0, -1.0, math.nan, math.inf])
def test_refuses_a_bad_cutoff(cutoff: float) -> None:
    with pytest.raises(ValueError, match=f"`cutoff` must be a positive.*got {cutoff}"):
        cosine_cutoff(torch.ones(1), cutoff)
