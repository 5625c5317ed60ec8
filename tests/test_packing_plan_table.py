"""The literal table of layouts is what the cost model gives, so neither changes without the other."""

import pytest

from aecodec.packing.plan import HASTY, THRIFTY, plan_for_geometric
from aecodec.packing.plan_table import _OPS, FIRST_STEP, LAST_STEP, MAGNITUDES, plan_for_mean


def test_the_table_is_complete():
    assert set(_OPS) == {(hasty, signed) for hasty in (False, True) for signed in (False, True)}
    assert all(len(rows) == MAGNITUDES and {len(row) for row in rows} == {LAST_STEP - FIRST_STEP + 1} for rows in _OPS.values())


@pytest.mark.parametrize("hasty", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_the_table_is_the_cost_models(hasty, signed):
    for magnitude in (0, 3, 5, 7):
        for step in range(FIRST_STEP, LAST_STEP + 1, 6):
            op = plan_for_geometric(step, magnitude, signed, HASTY if hasty else THRIFTY)
            assert ord(_OPS[hasty, signed][magnitude][step - FIRST_STEP]) - ord("A") == op


@pytest.mark.parametrize(
    ("mean", "maximum", "count"), [(2.0**-30, 1, 2**22), (1499.0, 60000, 2**22), (1501.0, 60000, 10**6), (3.0, 7, 5)]
)
def test_any_mean_has_a_layout(mean, maximum, count):
    assert 0 <= plan_for_mean(mean, maximum, count, signed=True) <= 20
