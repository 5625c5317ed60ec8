"""Which of the ways to code a residual are tried, and that the smallest of them is taken."""

import numpy as np
import pytest

from aecodec.packing import residuals
from aecodec.packing.residuals import decode_residual, encode_residual, encode_whole
from aecodec.packing.stream import zigzag
from aecodec.packing.varint import Cursor


def of_varying_scales(count: int) -> np.ndarray:
    random = np.random.default_rng(6)
    scales = np.exp(random.normal(size=-(-count // 64)) * 1.2).repeat(64)[:count]
    return np.rint(random.laplace(size=count) * scales * 4).astype(np.int32)


def came_back(packed: bytes, values: np.ndarray) -> bool:
    return bool((decode_residual(Cursor(packed), values.size) == values).all())


def test_no_whole_stream_is_coded_where_cells_are_surely_smaller(monkeypatch):
    values = of_varying_scales(1 << 18)
    whole = len(encode_whole(zigzag(values), False))
    monkeypatch.setattr(residuals, "encode_whole", None)  # whoever calls it fails
    packed = encode_residual(values, 64, False)
    assert came_back(packed, values)
    assert len(packed) < whole


@pytest.mark.parametrize("thorough", [False, True])
def test_repeats_are_seen_that_no_entropy_tells(thorough):
    values = np.tile(of_varying_scales(1 << 11), 128)
    packed = encode_residual(values, 64, thorough)
    assert came_back(packed, values)
    assert thorough or packed[0] == 0  # one stream
    assert len(packed) < values.size // 50


def test_in_haste_plans_suit_residuals_far_from_geometric():
    random = np.random.default_rng(7)
    values = np.where(random.random(1 << 19) < 0.75, 0, np.rint(random.laplace(size=1 << 19) * 25)).astype(np.int32)
    packed = encode_whole(zigzag(values), False, hasty=True)
    assert came_back(packed, values)
    assert len(packed) < 1.03 * len(encode_whole(zigzag(values), True))
