"""Every format gives back what was written: one table of frames in nine layouts."""

import numpy as np
import pytest
from reader_examples import FORMATS, put

from ase_bec.data import read_dataset

ROUNDING = {  # digits of the layouts
    "positions": 2e-6,
    "energy": 2e-7,
    "forces": 3e-7,
    "stress": 2e-6,
    "born_effective_charges": 6e-6,
    "dielectric_tensor": 1e-6,
}


@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_written_is_read(tmp_path, kind) -> None:
    path, given = put(tmp_path, kind)
    data = read_dataset(path)
    assert len(data) == len(given)
    assert (data[0].labels, data[-1].labels) == tuple(map(_in_order, FORMATS[kind][3:]))
    for frame, expected in zip(data, given, strict=True):
        assert list(frame.atoms.numbers) == list(expected.atoms.numbers)
        moved = frame.atoms.positions - expected.atoms.positions
        np.testing.assert_allclose(moved, 0, atol=ROUNDING["positions"])
        np.testing.assert_allclose(frame.atoms.cell, expected.atoms.cell, atol=2e-6)
        for label in frame.labels:
            found, wanted = getattr(frame, label), getattr(expected, label)
            np.testing.assert_allclose(found, wanted, atol=ROUNDING[label], err_msg=label)
    assert data.notes == ()


def _in_order(labels: tuple[str, ...]) -> tuple[str, ...]:
    from ase_bec.data.frame import LABELS

    return tuple(label for label in LABELS if label in labels)
