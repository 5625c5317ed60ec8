"""Choosing the byte layout of a stream from its histogram, so that zstd's Huffman coder lands near the entropy.

Costs in bits. zstd's Huffman codes are at most 11 bits long, its match finder finds false matches where one byte is very
common, and each 128 KiB block carries a tree; the plan with the smallest estimate of all three wins.
"""

import heapq
from functools import lru_cache

import numpy as np

CONSTANT, BYTES, GAPS = 0, 1, 2
LOW_BITS = {4: 1, 5: 2, 6: 4, 7: 8}  # op -> bits stored raw
JOINT_FIRST = 8
JOINT = ((2, 8), (3, 5), (3, 4), (4, 4), (4, 3), (5, 3), (6, 3), (8, 2), (12, 2), (16, 2), (24, 1), (48, 1), (96, 1))

_LEAF_BITS = 14 * 8.0
_BLOCK = 131072
_CODE_LIMIT = 11
_SMALL = 64  # streams shorter than this are not worth a layout


def entropy(p: np.ndarray) -> float:
    """Shannon entropy in bits of a probability vector."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def plan_for_histogram(histogram: np.ndarray, count: int) -> int:
    """Op of the root node for `count` values with this histogram (of values from 0; any positive scale)."""
    used = int(np.flatnonzero(histogram)[-1]) + 1 if histogram.any() else 1
    if used == 1:
        return CONSTANT
    p = histogram[:used] / histogram[:used].sum()
    costs = dict(_candidates(p, count))
    return min(costs, key=lambda op: costs[op]) if costs else 7


def plan_for_mean(mean: float, maximum: int, count: int, signed: bool) -> int:
    """Op for `count` values of this mean, from a table for geometric streams; `signed` if they are zigzagged."""
    if maximum == 0:
        return CONSTANT
    if count < _SMALL:
        return BYTES if maximum < 256 else 7
    if mean > 1500:
        return 7
    step = int(np.floor(4.0 * np.log2(max(mean, 2.0**-12))))
    op = _table(step, min(count.bit_length() // 3, 7), signed)
    if op == BYTES and maximum >= 256:
        return 4 if mean < 60 else 6
    return op


@lru_cache(maxsize=4096)
def _table(step: int, magnitude: int, signed: bool) -> int:
    """Plan for a geometric stream of mean 2**((step + 0.5) / 4) and about 8**magnitude values."""
    mean = 2.0 ** ((step + 0.5) / 4)
    values = np.arange(min(int(mean * 24) + 8, 1 << 14))
    pairs = (values + 1) // 2 if signed else values
    spread = mean / 2 if signed else mean
    return plan_for_histogram((spread / (1.0 + spread)) ** pairs, 8**magnitude)


def _candidates(p: np.ndarray, count: int) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    if p.size <= 256:
        found.append((BYTES, _leaf(p, count)))
    found += [(JOINT_FIRST + i, cost) for i, (b, k) in enumerate(JOINT) if (cost := _joint_cost(p, count, b, k)) is not None]
    for op, bits in LOW_BITS.items():
        if p.size > 6 << bits:
            high = np.pad(p, (0, -p.size % (1 << bits))).reshape(-1, 1 << bits).sum(1)
            if (h := entropy(high)) >= 1.5:
                found.append((op, count * bits + 16 + _child(count, h, high.size)))
    if p[0] > 0.6:
        rest = 1.0 - p[0]
        n = count * rest
        gaps = entropy(np.array([rest, p[0]])) / rest
        found.append((GAPS, 24 + _child(n, gaps, min(n, 8 / rest)) + _child(n, entropy(p[1:] / rest), p.size - 1)))
    return found


def _joint_cost(p: np.ndarray, count: int, base: int, per_byte: int) -> float | None:
    if (base > p.size and base > 2) or (per_byte == 1 and base >= p.size):
        return None
    digit = np.pad(p, (0, max(0, base - p.size)))[:base].copy()
    escaped = float(p[base - 1 :].sum())
    digit[base - 1] = escaped
    if escaped > 0.9 or per_byte * entropy(digit) < 0.3:
        return None
    joint = digit
    for _ in range(per_byte - 1):
        joint = np.multiply.outer(joint, digit).ravel()
    cost = _leaf(joint, count / per_byte)
    if escaped > 0:
        rest = p[base - 1 :] / escaped
        cost += _child(count * escaped, entropy(rest), rest.size)
    return cost


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
    """Mean length of zstd's Huffman code for `p`, plus what false matches cost, bits a byte."""
    p = p[p > 1e-7]
    if p.size < 2:
        return 0.0
    heap = [(max(x, 2.0**-_CODE_LIMIT), x) for x in p.tolist()]
    heapq.heapify(heap)
    total = 0.0
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        merged = (first[0] + second[0], first[1] + second[1])
        total += merged[1]
        heapq.heappush(heap, merged)
    common = float(p.max())
    return total + (max(5 * common**4 * (1 - common), 8 * float((p * p).sum()) ** 4) if p.size > 2 else 1.0)
