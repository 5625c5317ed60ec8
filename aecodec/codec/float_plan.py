"""Where to split floats: at which power of two the predictable part ends and the noise begins, from a sample."""

from dataclasses import dataclass

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.effort import Effort
from aecodec.codec.float_format import (
    FORMATS,
    FloatFormat,
    fixed_widths,
    q_limits,
    split_fixed,
    to_ordered,
)
from aecodec.codec.integers import IntegerPlan, plan_integers

FIXED, ORDERED = 0, 1
_INDEX_BITS = 30
_SMALL_SHARE = 0.85
_MIXED = 0.5  # bits a value that are lost where zero bits share bytes with others
_TARGETS = (0.0, 2.0, 4.0, 6.0, 8.0)  # log2 of the mean magnitude of a residual that is left to the entropy coder


@dataclass(frozen=True)
class FloatPlan:
    """Way, exponent or shift, and how the integers are coded; estimated bits a value."""

    bits: float
    way: int
    q: int
    integers: IntegerPlan


def plan_floats(array: np.ndarray, sample: np.ndarray, effort: Effort) -> list[FloatPlan]:
    """Plans for `array` by what they make of a `sample` of it."""
    f = FORMATS[array.itemsize]
    plans = []
    peak = _peak(array)
    integers: IntegerPlan | None = None
    if peak > 0:
        low, high = q_limits(array.dtype)
        finest = int(np.clip(np.frexp(peak)[1] - _INDEX_BITS, low, high))
        values = np.clip(sample if np.isfinite(sample).all() else fill_missing(sample), -peak, peak)
        place = _lowest_place(values, f)
        for q in _steps(values, finest, high, place):
            indices = split_fixed(values, q)
            integers = plan_integers(indices, effort, None if effort.thorough else integers)
            plans.append(FloatPlan(integers.bits + _low_bits(values, indices, q, place), FIXED, q, integers))
    ordered = to_ordered(sample)
    for q in _shifts(ordered, f):
        indices = (ordered >> f.signed.type(q)).astype(np.int32)
        integers = plan_integers(indices, effort, None if effort.thorough else integers)
        plans.append(FloatPlan(integers.bits + q * float((indices != 0).mean()), ORDERED, q, integers))
    return plans


def _peak(array: np.ndarray) -> float:
    """Largest finite magnitude, 0 where there is none."""
    low, high = float(array.min()), float(array.max())
    if not np.isfinite(low + high) or max(-low, high) == np.inf:
        finite = array[np.isfinite(array)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return max(-low, high)


def _low_bits(values: np.ndarray, indices: np.ndarray, q: int, place: int) -> float:
    """Bits a value below 2**q, those below 2**place being zero."""
    bits = values.view(FORMATS[values.itemsize].unsigned)
    widths = fixed_widths(bits[indices != 0], q)
    stored = np.minimum(widths, min(max(0, q - place), 64)).sum(dtype=np.float64)
    small = np.count_nonzero((indices == 0) & (values != 0))
    mixed = _MIXED * values.size if place < q and stored < widths.sum(dtype=np.float64) else 0.0
    return float(stored + mixed + small * _SMALL_SHARE * 8 * values.itemsize) / max(1, values.size)


def _lowest_place(values: np.ndarray, f: FloatFormat) -> int:
    """Exponent of the lowest bit that is set in any of `values`, all finite."""
    bits = values.view(f.unsigned).reshape(-1)
    bits = bits[(bits << f.unsigned.type(1)) != 0]
    if not bits.size:
        return f.lowest
    field = (bits >> f.unsigned.type(f.mantissa)) & f.unsigned.type((1 << (f.bits - 1 - f.mantissa)) - 1)
    marked = bits | f.unsigned.type(1 << f.mantissa)
    lowest = marked & (~marked + f.unsigned.type(1))
    return int((np.frexp(lowest.astype(np.float64))[1] - 2 + np.maximum(field, 1).astype(np.int64)).min()) + f.lowest


def _steps(values: np.ndarray, finest: int, high: int, place: int) -> list[int]:
    """Exponents to try: where the residual is of a few bits, and the lowest bit that any value has."""
    indices = split_fixed(values, finest)
    spread = min((_spread(indices, axis) for axis in range(4) if indices.shape[axis] > 1), default=0.0)
    found = {int(np.clip(max(place, finest + round(spread - target)), finest, high)) for target in _TARGETS}
    return sorted(found | {place} if finest <= place <= high else found)


def _shifts(ordered: np.ndarray, f: FloatFormat) -> list[int]:
    least = max(0, f.bits - 32)
    indices = (ordered >> least).astype(np.int32)
    spread = [_spread(indices, axis) for axis in range(4) if indices.shape[axis] > 1]
    return [int(np.clip(least + round(min(spread, default=0.0) - t), least, f.bits - 1)) for t in _TARGETS[1:3]]


def _spread(indices: np.ndarray, axis: int) -> float:
    """log2 of the median nonzero difference along an axis."""
    steps = np.abs(np.diff(indices.astype(np.int64), axis=axis))
    steps = steps[steps > 0]
    return float(np.log2(np.median(steps))) if steps.size else 0.0
