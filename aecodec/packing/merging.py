"""Which scale indices share a stream: neighbours, where a stream of its own does not pay."""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.compiled.streams import BINS, histogram
from aecodec.packing.logarithm import FRACTION, information
from aecodec.packing.scale import INDICES
from aecodec.packing.stream import odd_stride

_SAMPLE = 1 << 13
_SYMBOL_BITS, _STREAM_BITS, _ZEROS_BITS = 4, 140, 24
_JOIN_BITS = 16  # what two streams take for being two
_WITHIN = np.maximum(np.arange(BINS) - 249, 0) * (np.arange(BINS) >= 256)  # bits that a bin leaves open


def stream_bits(counts: np.ndarray) -> np.ndarray:
    """Estimated sizes of streams with such int64 histograms (..., BINS), trees and framing included, times 2**16."""
    total, used = counts.sum(axis=-1), np.count_nonzero(counts, axis=-1)
    entropy = information(total) - information(counts).sum(axis=-1)
    found = entropy + (counts @ _WITHIN + _SYMBOL_BITS * used + _STREAM_BITS << FRACTION)
    return np.where(counts[..., 0] == total, _ZEROS_BITS << FRACTION, found)


def merged_runs(zigzagged: np.ndarray, ends: np.ndarray) -> list[int]:
    """Where runs of indices end that share a stream: of 1-D numbers by rising index, each index's up to its end, int64."""
    if kernels is not None:
        runs = np.empty(INDICES, np.int64)
        number = kernels.join_groups(zigzagged, zigzagged.itemsize, ends, runs)
        return list(runs[:number].tolist())
    sizes = np.diff(ends, prepend=0)
    filled = np.flatnonzero(sizes).tolist()
    if not filled:
        return [INDICES]
    # Empty groups cost their framing and nothing else: each joins the filled one before it, or the first.
    runs_ends = [*filled[1:], INDICES]
    groups = [zigzagged[ends[i] - sizes[i] : ends[i]] for i in filled]
    counts = np.array([histogram(group, odd_stride(group.size, _SAMPLE)) for group in groups]).astype(np.int64)
    return _merged(counts, runs_ends)


def _merged(counts: np.ndarray, ends: list[int]) -> list[int]:
    """Neighbours joined, the most gainful first, as long as that gains."""
    bits = stream_bits(counts)
    while len(ends) > 1:
        gains = bits[:-1] + bits[1:] - stream_bits(counts[:-1] + counts[1:]) + (_JOIN_BITS << FRACTION)
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        counts[best] += counts[best + 1]
        del ends[best]
        counts, bits = np.delete(counts, best + 1, axis=0), np.delete(bits, best + 1)
        bits[best] = stream_bits(counts[best])
    return ends
