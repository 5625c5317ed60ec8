"""Symbols grouped by scale index, neighbouring groups merged where a stream of its own does not pay, each group a stream.

Layout: varint number of streams; for each the varint count of indices it covers and the varint count of its symbols; then
the streams.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np

from aecodec.compiled.cells import END, NEXT, STREAM, WIDTH, taken_cells
from aecodec.compiled.latents import Grid, taken_latents
from aecodec.compiled.streams import unzigzag_into
from aecodec.errors import FormatError
from aecodec.packing.merging import merged_runs
from aecodec.packing.scale import INDICES
from aecodec.packing.stream import decode_stream, encode_streams, zigzag
from aecodec.packing.varint import Cursor, varint
from aecodec.workers import ALONE, Workers


def encode_groups(groups: Sequence[list[np.ndarray]], thorough: bool, workers: Workers = ALONE) -> bytes:
    """`groups[i]`: arrays (1-D, up to 32 bits, signed or zigzagged) of the symbols with scale index i, in coding order."""
    pieces = [piece for parts in groups for piece in parts]
    ends = np.cumsum([sum(piece.size for piece in parts) for parts in groups], dtype=np.int64)
    places = np.cumsum([piece.size for piece in pieces], dtype=np.int64).tolist()
    ordered = np.empty(int(ends[-1]), np.uint32 if any(piece.itemsize > 2 for piece in pieces) else np.uint16)

    def put(piece: np.ndarray, end: int) -> None:
        ordered[end - piece.size : end] = zigzag(piece) if piece.dtype.kind == "i" else piece

    workers.map(lambda number: put(pieces[number], places[number]), range(len(pieces)))
    return encode_ordered(ordered, ends, thorough, workers)


def encode_ordered(zigzagged: np.ndarray, ends: np.ndarray, thorough: bool, workers: Workers = ALONE) -> bytes:
    """The same of symbols that are zigzagged and lie by rising index already, each index's up to its end of `ends`, int64."""
    runs = merged_runs(zigzagged, ends)
    stops = ends[np.array(runs) - 1]
    pieces = [varint(len(runs))]
    for shape in zip(np.diff(runs, prepend=0).tolist(), np.diff(stops, prepend=0).tolist(), strict=True):
        pieces += map(varint, shape)
    sizes, first = np.diff(ends, prepend=0).tolist(), 0
    for last, coded in zip(runs, _encoded(zigzagged, stops, thorough, workers), strict=True):
        pieces.append(coded)
        pieces += map(varint, sizes[first : last - 1])  # within a merged stream symbols stay ordered by index, then by coding order
        first = last
    return b"".join(pieces)


def _encoded(zigzagged: np.ndarray, ends: np.ndarray, thorough: bool, workers: Workers) -> list[bytes]:
    """Each stream, whose symbols end at `ends`, by the smaller of its layouts if `thorough`."""

    def encode(symbols: np.ndarray, ends: np.ndarray) -> list[bytes]:
        coded = encode_streams(symbols, ends, signed=True)
        if not thorough:
            return coded
        return [min(both, key=len) for both in zip(coded, encode_streams(symbols, ends, signed=True, thorough=True), strict=True)]

    if workers.threads == 1:
        return encode(zigzagged, ends)
    streams = np.split(zigzagged, ends[:-1])
    return [coded for (coded,) in workers.map(lambda stream: encode(stream, np.array([stream.size])), streams)]


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
        """The next `size` symbols of each of int32 `indices`, int16 or int32 (indices, size); zeros for an index that is none."""
        places, starts = self._places()
        out = np.empty((indices.size, size), self._dtype)
        missing = taken_cells(self._streams, places, np.ascontiguousarray(indices, np.int32), out)
        if missing is not None:
            raise self.too_few(missing, size * int(np.count_nonzero(indices == missing)))
        self._used = starts + places[:, NEXT]
        return out

    def latents(self, grid: Grid, bands: np.ndarray, out: np.ndarray) -> None:
        """Fill `out`, int32 (tiles, latents), by compiled functions; `bands` as in contexts.py."""
        places, starts = self._places()
        widest = max((values.dtype for values in self._streams), key=lambda dtype: dtype.itemsize)
        places[:, WIDTH] = widest.itemsize
        missing = taken_latents(tuple(values.astype(widest, copy=False) for values in self._streams), places, grid, bands, out)
        if missing is not None:
            raise self.too_few(missing)
        self._used = starts + places[:, NEXT]

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Where in their streams the symbols left of each index are, as compiled functions take it, and where the streams start."""
        streams = np.repeat(np.arange(len(self._counts)), self._widths)
        starts = (np.cumsum(self._counts, dtype=np.int64) - np.array(self._counts, np.int64))[streams]
        places = np.empty((INDICES, 4), np.int64)
        places[:, STREAM], places[:, WIDTH] = streams, np.array([values.itemsize for values in self._streams])[streams]
        places[:, NEXT], places[:, END] = self._used - starts, self._ends - starts
        return places, starts

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
