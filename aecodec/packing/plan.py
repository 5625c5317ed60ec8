"""Choosing the byte layout of a stream from its histogram, so that zstd's Huffman coder lands near the entropy.

Costs in bits. zstd's Huffman codes are at most 11 bits long, its match finder finds false matches where one byte is very
common, and each 128 KiB block carries a tree; the plan with the smallest estimate of all three wins. Time counts too: a layout
that takes a nanosecond a value more has to save `haste` bits a value.
"""

from bisect import insort
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

CONSTANT, BYTES, GAPS = 0, 1, 2
LOW_BITS = {4: 1, 5: 2, 6: 4, 7: 8}  # op -> bits stored raw
JOINT_FIRST = 8
JOINT = ((2, 8), (3, 5), (3, 4), (4, 4), (4, 3), (5, 3), (6, 3), (8, 2), (12, 2), (16, 2), (24, 1), (48, 1), (96, 1))

_LEAF_BITS = 14 * 8.0
_BLOCK = 131072
_CODE_LIMIT = 11
_MANY = 24
_REDUNDANCY = 0.03
TYPICAL, NEARLY_TYPICAL = 0.03, 0.15  # entropy of a histogram and of a geometric one of its mean, relative difference
_GOOD_ENOUGH = 1.002
_EMPTIEST, _FULLEST = 3.4, 7.2  # bits a byte

# Time in ns a value, packing and unpacking together: measured with numpy and zstd on one core.
_BYTES_TIME, _JOINT_TIME, _ESCAPE_TIME, _LOW_TIME, _GAPS_TIME, _GAP_TIME = 1.5, 1.4, 9.0, 4.0, 0.8, 11.0
THRIFTY, HASTY = 0.0012, 0.008  # bits that a nanosecond is worth


def entropy(p: np.ndarray) -> float:
    """Shannon entropy in bits of a probability vector."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def plan_for_histogram(histogram: np.ndarray, count: int, haste: float = THRIFTY) -> int:
    """Op of the root node for `count` values with this histogram (of values from 0; any positive scale)."""
    used = int(np.flatnonzero(histogram)[-1]) + 1 if histogram.any() else 1
    if used == 1:
        return CONSTANT
    p = histogram[:used] / histogram[:used].sum()
    best, best_cost = 7, np.inf
    for least, op, cost_of in sorted(_candidates(p, count, count * haste), key=lambda candidate: candidate[:2]):
        if least < best_cost and (cost := cost_of()) < best_cost:
            best, best_cost = op, cost
            if cost < _GOOD_ENOUGH * least + _LEAF_BITS:
                break
    return best


def layouts_of_geometric(step: int, signed: bool) -> tuple[np.ndarray, list[tuple[int, float]]]:
    """Probabilities of geometric values of mean 2**((step + 0.5) / 4), in pairs of equals if `signed`, and (op, ns a value) of the
    layouts that come into question for many of them.
    """
    p = _geometric(2.0 ** ((step + 0.5) / 4), signed)
    p /= p.sum()
    return p, [(op, _time(op, p)) for _, op, _ in _candidates(p, 1 << 20, 0.0)]


def _time(op: int, p: np.ndarray) -> float:
    """Time of a layout in ns a value."""
    if op == BYTES:
        return _BYTES_TIME
    if op == GAPS:
        return _GAPS_TIME + _GAP_TIME * (1.0 - float(p[0]))
    if op in LOW_BITS:
        return _LOW_TIME
    return _JOINT_TIME + _ESCAPE_TIME * float(p[JOINT[op - JOINT_FIRST][0] - 1 :].sum())


def _geometric(mean: float, signed: bool) -> np.ndarray:
    """Geometric probabilities (not normalised) of values of about this mean, in pairs of equals if `signed`."""
    values = np.arange(min(int(mean * 24) + 8, 1 << 14))
    pairs = (values + 1) // 2 if signed else values
    spread = mean / 2 if signed else mean
    return np.asarray((spread / (1.0 + spread)) ** pairs)


def is_geometric(histogram: np.ndarray, signed: bool, tolerance: float = TYPICAL) -> bool:
    """True if the values are coded about as well as their histogram allows by the plan for geometric ones of their mean."""
    p = histogram / histogram.sum()
    model = _geometric(max(float(p @ np.arange(p.size)), 2.0**-12), signed)
    h = entropy(p)
    return abs(entropy(model / model.sum()) - h) < tolerance * h


def _candidates(p: np.ndarray, count: int, price: float) -> Iterator[tuple[float, int, Callable[[], float]]]:
    """(bits that it takes at the least, op, function of its estimated bits) of each layout that can hold the values.

    `price`: bits for a nanosecond spent on every value.
    """
    if p.size <= 256:
        time = price * _time(BYTES, p)
        yield count * entropy(p) + time, BYTES, lambda: _leaf(p, count) + time
    for i, (base, per_byte) in enumerate(JOINT):
        if (base <= p.size or base == 2) and (per_byte > 1 or base < p.size):
            yield from _joint_candidate(p, count, price, JOINT_FIRST + i, base, per_byte)
    for op, bits in LOW_BITS.items():
        if p.size > 6 << bits:
            high = np.pad(p, (0, -p.size % (1 << bits))).reshape(-1, 1 << bits).sum(1)
            if (h := entropy(high)) >= 1.5:
                cost = count * bits + 16 + _child(count, h, high.size) + price * _time(op, p)
                yield cost, op, partial(float, cost)
    if p[0] > 0.6:
        rest = 1.0 - p[0]
        n = count * rest
        gaps = entropy(np.array([rest, p[0]])) / rest
        cost = 24 + _child(n, gaps, min(n, 8 / rest)) + _child(n, entropy(p[1:] / rest), p.size - 1)
        cost += price * _time(GAPS, p)
        yield cost, GAPS, partial(float, cost)


def _joint_candidate(
    p: np.ndarray, count: int, price: float, op: int, base: int, per_byte: int
) -> Iterator[tuple[float, int, Callable[[], float]]]:
    digit = np.pad(p, (0, max(0, base - p.size)))[:base].copy()
    escaped = float(p[base - 1 :].sum())
    digit[base - 1] = escaped
    h = entropy(digit)
    # Emptier bytes lose to false matches and to the code's granularity, fuller ones to its limit of 11 bits.
    if escaped > 0.9 or not _EMPTIEST < per_byte * h < _FULLEST:
        return
    rest = p[base - 1 :] / escaped if escaped > 0 else p[:1]
    child = _child(count * escaped, entropy(rest), rest.size) if escaped > 0 else 0.0
    child += price * _time(op, p)

    def cost() -> float:
        joint = digit
        for _ in range(per_byte - 1):
            joint = np.multiply.outer(joint, digit).ravel()
        return _leaf(joint, count / per_byte) + child

    yield count * h + child, op, cost


def _leaf(p: np.ndarray, count: float) -> float:
    """Bits of `count` bytes of this distribution as zstd codes them, trees and framing included."""
    seen = int((p * count > 0.5).sum())
    tree = (8 + min(seen * 4, seen * 2.2 + 40) if seen > 1 else 8) * max(1.0, count / _BLOCK)
    return huffman_bits(p) * count + tree + _LEAF_BITS


def _child(count: float, h: float, size: float) -> float:
    """Guess for a child stream: coded with one tree, or nearly raw."""
    coded = count * h * 1.006 + _LEAF_BITS + min(size, 96) * 2.5 + 40
    return float(min(coded, count * np.log2(max(size, 1)) + _LEAF_BITS))


def huffman_bits(p: np.ndarray) -> float:
    """Mean length of zstd's Huffman code for `p`, plus what false matches cost, bits a byte.

    Exact for the most common symbols; the rest are one subtree with a usual redundancy, and pay for the code's limit.
    """
    p = np.sort(p[p > 1e-7])[::-1]
    if p.size < 2:
        return 0.0
    common = float(p[0])
    penalty = max(5 * common**4 * (1 - common), 8 * float((p * p).sum()) ** 4) if p.size > 2 else 1.0
    if p.size <= _MANY:
        return _huffman(p) + penalty
    rest = p[_MANY:]
    mass = float(rest.sum())
    subtree = mass * (entropy(rest / mass) + _REDUNDANCY)
    floor = float(np.log2(np.maximum(p, 2.0**-_CODE_LIMIT).sum()))
    return _huffman(np.append(p[:_MANY], mass)) + subtree + floor + penalty


def _huffman(p: np.ndarray) -> float:
    """Mean length of the Huffman code for a few probabilities."""
    queue = sorted(p.tolist())
    total = 0.0
    while len(queue) > 1:
        merged = queue[0] + queue[1]
        total += merged
        del queue[:2]
        insort(queue, merged)
    return total
