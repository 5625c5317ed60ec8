"""Residuals as bytes: as one stream, or in cells of a few values, whose scale index, as side information, names a stream."""

from collections.abc import Callable

import numpy as np

from aecodec.compiled.cells import sorted_cells
from aecodec.compiled.room import room
from aecodec.packing.groups import GroupedSymbols, encode_ordered
from aecodec.packing.plan import GAPS, NEARLY_TYPICAL, TYPICAL, is_geometric
from aecodec.packing.stream import decode_stream, encode_repeats, encode_stream, odd_stride, unzigzag, zigzag
from aecodec.packing.varint import Cursor, varint

CELL_SIZES = (0, 16, 64, 256)  # values that share a scale index in a residual; 0: all of them
_TAIL = 1023
_REPEATS_LEVEL, _HASTY_REPEATS_LEVEL = 5, 1
_TRIAL = 1 << 17
_STRETCHES = 8
_SAMPLE = 1 << 15
_MESSAGE = 1 << 12  # values; so few are not worth the time that a plan from their histogram takes
_SURELY = 1.02  # times more, of what a sample tells
_ODD = 0.3  # as plan.TYPICAL, but that even in haste plans are made from the histogram


def side_information(indices: np.ndarray) -> np.ndarray:
    """Differences of the cells' scale indices, int16."""
    return np.diff(indices.astype(np.int16), prepend=np.int16(0))


def encode_residual(residual: np.ndarray, size: int, thorough: bool, hasty: bool = False) -> bytes:
    """1-D signed residual of up to 32 bits -> bytes, with cells of `size` values (one of CELL_SIZES), or none if that turns out
    smaller; `hasty`: layouts that are fast to pack and unpack.
    """
    unsigned = zigzag(residual)
    cells = encode_zigzagged_cells(unsigned, size, thorough) if size else None
    if cells is not None and not thorough and _surely_exceeds(unsigned, 8 * len(cells), hasty):
        return cells
    whole = encode_whole(unsigned, thorough, hasty)
    return whole if cells is None else min(cells, whole, key=len)


def encode_cells(residual: np.ndarray, size: int, thorough: bool) -> bytes:
    """As `encode_residual`, with cells of `size` values in any case."""
    return encode_zigzagged_cells(zigzag(residual), size, thorough)


def encode_zigzagged_cells(unsigned: np.ndarray, size: int, thorough: bool) -> bytes:
    """The same of a residual that is zigzagged already."""
    with room() as mine:
        indices, ordered, ends = sorted_cells(unsigned, size, mine)
        side = encode_stream(zigzag(side_information(indices)), signed=True, thorough=thorough)
        return b"".join((varint(CELL_SIZES.index(size)), side, encode_ordered(ordered, ends, thorough)))


def encode_whole(unsigned: np.ndarray, thorough: bool, hasty: bool = False) -> bytes:
    """As `encode_residual` without cells, of a residual that is zigzagged already."""
    return bytes([CELL_SIZES.index(0)]) + _encode_stream(unsigned, thorough, hasty)


def _encode_stream(unsigned: np.ndarray, thorough: bool, hasty: bool) -> bytes:
    """A zigzagged residual as one stream.

    Zero regions and repeats, which no estimate foresees, are seen by trying; of a long residual, on a part of it.
    """
    counts, sparse, plain = _seen(unsigned, hasty)
    if plain:
        return encode_stream(unsigned, signed=True, thorough=thorough, hasty=hasty)
    layouts = _layouts(sparse, hasty)
    trial = _TRIAL // 4 if hasty else _TRIAL
    if thorough or unsigned.size <= 2 * trial:
        return min((layout(unsigned, thorough or unsigned.size > _MESSAGE) for layout in layouts), key=len)
    part = spread_part(unsigned, trial)
    sizes = [len(layout(part, False)) for layout in layouts]
    odd = not hasty or not is_geometric(counts, signed=True, tolerance=_ODD)
    return layouts[int(np.argmin(sizes))](unsigned, odd)


def _seen(unsigned: np.ndarray, hasty: bool) -> tuple[np.ndarray, bool, bool]:
    """Counts of a sample; whether most are zeros, which may lie together, as no histogram tells; whether one layout suits it."""
    sample = unsigned[:: odd_stride(unsigned.size, _SAMPLE)]
    counts = np.bincount(np.minimum(sample, _TAIL), minlength=1)
    sparse = 2 * int(counts[0]) > sample.size
    tolerance = NEARLY_TYPICAL if hasty else TYPICAL
    return counts, sparse, not unsigned.size or (not sparse and is_geometric(counts, signed=True, tolerance=tolerance))


def _surely_exceeds(unsigned: np.ndarray, bits: float, hasty: bool) -> bool:
    """Whether a residual would surely take more than so many bits as one stream: by its entropy, and, of one that is not plain, by
    its repeats, in a part."""
    counts, sparse, plain = _seen(unsigned, hasty)
    if sparse or not unsigned.size:
        return False
    shares = counts[counts > 0] / counts.sum()
    if float(-(shares * np.log2(shares)).sum()) * unsigned.size <= _SURELY * bits:
        return False
    part = spread_part(unsigned, _TRIAL // 4)
    return plain or 8 * len(encode_repeats(part, _HASTY_REPEATS_LEVEL)) * unsigned.size > _SURELY * bits * part.size


def _layouts(sparse: bool, hasty: bool) -> list[Callable[[np.ndarray, bool], bytes]]:
    """Ways to code (a zigzagged residual, whether every node of its tree is to be thorough)."""
    layouts: list[Callable[[np.ndarray, bool], bytes]] = [
        lambda part, all_nodes: encode_stream(part, signed=True, thorough=all_nodes, hasty=hasty),
        lambda part, _: encode_repeats(part, _HASTY_REPEATS_LEVEL if hasty else _REPEATS_LEVEL),
    ]
    if sparse:
        layouts.append(lambda part, all_nodes: encode_stream(part, thorough=all_nodes, hasty=hasty, layout=GAPS))
    return layouts


def hasty_residual_size(part: np.ndarray) -> int:
    """About the size of a part of a zigzagged residual, mostly zeros, by `encode_whole` in haste."""
    return min(len(layout(part, False)) for layout in _layouts(sparse=True, hasty=True))


def spread_part(values: np.ndarray, length: int) -> np.ndarray:
    """About `length` of 1-D `values`, in stretches spread over them: one in the middle may be like no other."""
    if values.size <= length:
        return values
    starts = np.linspace(0, values.size - length // _STRETCHES, _STRETCHES).astype(int)
    return np.concatenate([values[start : start + length // _STRETCHES] for start in starts.tolist()])


def decode_residual(cursor: Cursor, count: int) -> np.ndarray:
    """The inverse of `encode_residual` for `count` values; int32."""
    return decode_narrow_residual(cursor, count).astype(np.int32, copy=False)


def decode_narrow_residual(cursor: Cursor, count: int) -> np.ndarray:
    """As `decode_residual`, in whichever of int8, int16 and int32 suits the coding."""
    size = CELL_SIZES[cursor.varint(len(CELL_SIZES) - 1)]
    if size == 0:
        return unzigzag(decode_stream(cursor, count))
    number = -(-count // size)
    indices = np.cumsum(unzigzag(decode_stream(cursor, number)), dtype=np.int32)
    grouped = GroupedSymbols(cursor, number * size)
    cells = grouped.cells(indices, size)
    grouped.end()
    return cells.reshape(-1)[:count]
