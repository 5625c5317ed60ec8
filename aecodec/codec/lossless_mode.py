"""Which lossless mode a chunk gets: floats split (5), a hidden lattice (6), or neither; chosen on a sample, then by real size."""

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.effort import Effort
from aecodec.codec.float_mode import encode_floats
from aecodec.codec.float_plan import FloatPlan, plan_floats
from aecodec.codec.hidden import Form, Lattice
from aecodec.codec.hidden_mode import HiddenPlan, encode_hidden, plan_on
from aecodec.codec.integers import sample_of
from aecodec.codec.lattice_search import find_lattices

FLOATS, HIDDEN = 5, 6
_SAMPLE = 1 << 18
_CLOSE = 1.15  # plans estimated beyond this many times the best are not tried


def encode_lossless(array: np.ndarray, effort: Effort) -> bytes | None:
    """Canonical floats -> the smallest body found, its mode byte first; None where neither mode serves."""
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        return None
    sample = sample_of(array, min(effort.sample_values, _SAMPLE))
    finite = np.isfinite(sample)
    plans: list[FloatPlan | HiddenPlan] = list(plan_floats(array, sample, effort))
    if finite.any():
        plans += find_lattices(sample if finite.all() else fill_missing(sample), effort)
    plans.sort(key=lambda plan: plan.bits)
    found: list[bytes] = []
    for plan in plans:
        if found and (len(found) == effort.lossless_tries or plan.bits > _CLOSE * plans[0].bits):
            break
        body = _encoded(array, plan, effort.thorough)
        if body is not None:
            found.append(body)
    return min(found, key=len, default=None)


def encode_whole_numbers(array: np.ndarray, effort: Effort) -> bytes | None:
    """Canonical integers in mode 6, where that offers what mode 2 does not: a common factor, an offset, halves, layouts."""
    lattice = _factored(array)
    plan = plan_on(sample_of(array, min(effort.sample_values, _SAMPLE)), lattice, effort)
    if plan is None:
        return None
    plain = lattice.steps is not None and lattice.steps[0] == 1 and lattice.offsets is not None and lattice.offsets[0] == 0
    if plain and plan.integers.layout == 0 and plan.integers.predictor in effort.predictors:
        return None
    return _encoded(array, plan, effort.thorough)


def _encoded(array: np.ndarray, plan: FloatPlan | HiddenPlan, thorough: bool) -> bytes | None:
    if isinstance(plan, FloatPlan):
        return bytes([FLOATS]) + encode_floats(array, plan, thorough)
    body = encode_hidden(array, plan, thorough)
    return bytes([HIDDEN]) + body if body is not None else None


def _factored(array: np.ndarray) -> Lattice:
    """Offset and largest common step of integers; halves where the indices would not fit."""
    low, high = int(array.min()), int(array.max())
    if high - low >= 2**63:
        return Lattice(Form.WIDE)
    distance = (array.astype(np.int64) - np.int64(_wrapped(low))).reshape(-1)
    step = int(np.gcd.reduce(distance[:: max(1, distance.size // 4096)]))
    step = max(1, int(np.gcd.reduce(distance)) if step > 1 else step)
    count = (high - low) // step
    if count >= 2**32:
        return Lattice(Form.WIDE)
    offset = low + (step << 31 if count >= 2**31 else 0)
    if step == 1 and low >= -(2**31) and high < 2**31:
        offset = 0
    return Lattice(Form.INTEGER, None, np.array([step], np.int64), np.array([_wrapped(offset)], np.int64))


def _wrapped(value: int) -> int:
    """Below 2**64 as the int64 of the same bits."""
    return value - 2**64 if value >= 2**63 else value
