"""The literal table of layouts: complete, and near the best that packing with every layout gives."""

import numpy as np
import pytest

from aecodec.packing.plan import BYTES, layouts_of_geometric
from aecodec.packing.plan_table import _OPS, FIRST_STEP, LAST_STEP, MAGNITUDES, plan_for_mean
from aecodec.packing.stream import encode_stream


def test_the_table_is_complete():
    assert set(_OPS) == {(hasty, signed) for hasty in (False, True) for signed in (False, True)}
    assert all(len(rows) == MAGNITUDES and {len(row) for row in rows} == {LAST_STEP - FIRST_STEP + 1} for rows in _OPS.values())


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("step", range(-22, 36, 3))
def test_the_layout_of_a_mean_is_nearly_the_smallest(signed, step):
    p, layouts = layouts_of_geometric(step, signed)
    values = np.random.default_rng(step + 100).choice(p.size, 1 << 15, p=p).astype(np.uint16)
    ops = [op for op, _ in layouts if op != BYTES or values.max() < 256]
    smallest = min(len(encode_stream(values, signed=signed, layout=op)) for op in ops)
    assert len(encode_stream(values, signed=signed)) <= 1.02 * smallest + 16
    assert len(encode_stream(values, signed=signed, hasty=True)) <= 1.06 * smallest + 16


@pytest.mark.parametrize(
    ("mean", "maximum", "count"), [(2.0**-30, 1, 2**22), (1499.0, 60000, 2**22), (1501.0, 60000, 10**6), (3.0, 7, 5)]
)
def test_any_mean_has_a_layout(mean, maximum, count):
    assert 0 <= plan_for_mean(mean, maximum, count, signed=True) <= 20
