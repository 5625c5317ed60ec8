"""Symbols grouped by scale index, neighbouring groups merged where a stream of its own does not pay, each group a stream.

Layout: varint number of streams; for each the varint count of indices it covers and the varint count of its symbols; then
the streams.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, chain

import numpy as np

from aecodec.compiled.cells import END, NEXT, STREAM, WIDTH, taken_cells
from aecodec.compiled.streams import BINS, histogram, unzigzag_into
from aecodec.errors import FormatError
from aecodec.packing.draft import Draft, finished
from aecodec.packing.scale import INDICES
from aecodec.packing.stream import decode_stream, draft_stream, odd_stride, zigzag
from aecodec.packing.varint import Cursor, put_varint
from aecodec.workers import ALONE, Workers

_SAMPLE = 1 << 13
_STREAM_BITS = 140.0
_SYMBOL_BITS = 4.0
_JOIN_BITS = 16.0  # what two streams take for being two
_NOTHING = np.zeros(0, np.uint32), np.zeros(BINS)
_WITHIN = np.maximum(np.arange(BINS) - 249.0, 0.0) * (np.arange(BINS) >= 256)  # bits that a bin leaves open


def histogram_bits(counts: np.ndarray) -> np.ndarray:
    """Estimated sizes of streams with such histograms (..., bins), their trees and framing included."""
    total, used = counts.sum(axis=-1), np.count_nonzero(counts, axis=-1)
    entropy = total * np.log2(np.maximum(total, 1.0)) - (counts * np.log2(np.maximum(counts, 1.0))).sum(axis=-1)
    found = entropy + counts @ _WITHIN[: counts.shape[-1]] + _SYMBOL_BITS * used + _STREAM_BITS
    return np.where(counts[..., 0] == total, 24.0, found)


def encode_groups(groups: Sequence[list[np.ndarray]], thorough: bool, workers: Workers = ALONE) -> bytes:
    """`groups[i]`: arrays (1-D, up to 32 bits, signed or zigzagged) of the symbols with scale index i, in coding order."""

    def join(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        if not parts:
            return _NOTHING
        together = np.concatenate(parts) if len(parts) > 1 else parts[0]
        symbols = zigzag(together) if together.dtype.kind == "i" else together
        return symbols, histogram(symbols, odd_stride(symbols.size, _SAMPLE))

    joined, histograms = zip(*workers.map(join, groups), strict=True)
    out = bytearray()
    runs = _merge(list(histograms))
    put_varint(out, len(runs))
    for first, last in runs:
        put_varint(out, last - first)
        put_varint(out, sum(part.size for part in joined[first:last]))

    def draft(run: tuple[int, int]) -> list[Draft]:
        # Within a merged stream the symbols stay ordered by index, then by coding order.
        first, last = run
        stream = np.concatenate(joined[first:last]) if last - first > 1 else joined[first]
        return [draft_stream(stream, signed=True, thorough=more) for more in ((False, True) if thorough else (False,))]

    def encode(runs: Sequence[tuple[int, int]]) -> list[bytes]:
        drafts = [draft(run) for run in runs]
        streams = iter(finished([each for tried in drafts for each in tried]))
        return [min((next(streams) for _ in tried), key=len) for tried in drafts]

    parts = [runs] if workers.threads == 1 else [[run] for run in runs]
    for (first, last), coded in zip(runs, chain.from_iterable(workers.map(encode, parts)), strict=True):
        out += coded
        if last - first > 1:
            for part in joined[first : last - 1]:
                put_varint(out, part.size)
    return bytes(out)


class GroupedSymbols:
    """The decoded groups, handed out piece by piece."""

    def __init__(self, cursor: Cursor, limit: int) -> None:
        shape = [(cursor.varint(INDICES), cursor.varint(limit)) for _ in range(cursor.varint(INDICES))]
        widths, counts = [width for width, _ in shape], [count for _, count in shape]
        if sum(counts) > limit or sum(widths) != INDICES or not all(widths):
            raise FormatError(f"symbol groups {shape} do not cover {INDICES} scale indices and at most {limit} symbols")
        decoded, sizes = [], []
        for width, count in shape:
            decoded.append(decode_stream(cursor, count))
            own = [cursor.varint(count) for _ in range(width - 1)]
            if sum(own) > count:
                raise FormatError(f"symbol groups of {own} in a stream of {count}")
            sizes += [*own, count - sum(own)]
        self._streams, self._counts, self._widths = tuple(decoded), counts, widths
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._used = self._ends - sizes
        self._dtype = np.dtype(np.int16 if all(values.itemsize < 4 for values in decoded) else np.int32)

    @cached_property
    def _symbols(self) -> np.ndarray:
        """All of them, by rising index."""
        symbols = np.empty(sum(self._counts), self._dtype)
        for values, end in zip(self._streams, accumulate(self._counts), strict=True):
            unzigzag_into(values, symbols[end - values.size : end])
        return symbols

    def take(self, index: int, count: int) -> np.ndarray:
        """The next `count` symbols with scale `index`, int16 or int32."""
        start = int(self._used[index])
        if start + count > self._ends[index]:
            raise self.too_few(index, start + count - int(self._begin(index)))
        self._used[index] = start + count
        return self._symbols[start : start + count]

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All symbols by rising index, int16 or int32, and where those left of each begin and end, int64 (INDICES,)."""
        return self._symbols, self._used.copy(), self._ends

    def cells(self, indices: np.ndarray, size: int) -> np.ndarray:
        """The next `size` symbols of each of int32 `indices`, int16 or int32 (indices, size); zeros where there is no such index."""
        places = np.empty((INDICES, 4), np.int64)
        streams = np.repeat(np.arange(len(self._counts)), self._widths)
        starts = (np.cumsum(self._counts) - self._counts)[streams]
        places[:, STREAM], places[:, WIDTH] = streams, np.array([values.itemsize for values in self._streams])[streams]
        places[:, NEXT], places[:, END] = self._used - starts, self._ends - starts
        out = np.empty((indices.size, size), self._dtype)
        missing = taken_cells(self._streams, places, np.ascontiguousarray(indices, np.int32), out)
        if missing is not None:
            raise self.too_few(missing, size * int(np.count_nonzero(indices == missing)))
        self._used = starts + places[:, NEXT]
        return out

    def leave(self, left: np.ndarray) -> None:
        """Of each index so many are left: others were taken from `joined`."""
        self._used = self._ends - left

    def too_few(self, index: int, needed: int | None = None) -> FormatError:
        """What to raise where the symbols of an index do not suffice: by default, where one more is needed."""
        size = int(self._ends[index] - self._begin(index))
        return FormatError(f"scale index {index} has {size} symbols, {size + 1 if needed is None else needed} are needed")

    def end(self) -> None:
        """Refuse symbols that nobody took."""
        left = int((self._ends - self._used).sum())
        if left:
            raise FormatError(f"{left} symbols left over")

    def _begin(self, index: int) -> np.int64 | int:
        return self._ends[index - 1] if index else 0


def _merge(histograms: list[np.ndarray]) -> list[tuple[int, int]]:
    """Runs (first, last) of indices that share a stream: neighbours merged greedily while that saves bits."""
    filled = [i for i, counts in enumerate(histograms) if counts.any()]
    if not filled:
        return [(0, len(histograms))]
    # Empty groups cost their framing and nothing else: each joins the filled one before it, or the first.
    runs = list(zip([0, *filled[1:]], [*filled[1:], len(histograms)], strict=True))
    counts = np.array([histograms[i] for i in filled])
    counts = counts[:, : int(np.flatnonzero(counts.any(axis=0))[-1]) + 1]  # no more bins than are used
    bits = histogram_bits(counts)
    gains = bits[:-1] + bits[1:] - histogram_bits(counts[:-1] + counts[1:]) + _JOIN_BITS
    while gains.size:
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        runs[best : best + 2] = [(runs[best][0], runs[best + 1][1])]
        counts[best] += counts[best + 1]
        counts, bits, gains = _without(counts, best + 1), _without(bits, best + 1), _without(gains, best)
        pairs = [i for i in (best - 1, best) if 0 <= i < len(counts) - 1]
        found = histogram_bits(np.stack([counts[best], *(counts[i] + counts[i + 1] for i in pairs)]))
        bits[best] = found[0]
        for i, joint in zip(pairs, found[1:], strict=True):
            gains[i] = bits[i] + bits[i + 1] - joint + _JOIN_BITS
    return runs


def _without(array: np.ndarray, i: int) -> np.ndarray:
    return np.concatenate([array[:i], array[i + 1 :]])  # a fraction of the time that np.delete takes
