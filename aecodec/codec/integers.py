"""int32 arrays to chunk bodies and back: what the lossless modes make of their values is coded here.

Body: a layout byte (bit 0: steps and channels change places; bits 4 to 7: axes, in that order, along which differences are
taken beforehand), then a body of mode 0, 1 or 2 as if of a lossless int32 array.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aecodec.codec.effort import Effort
from aecodec.errors import FormatError
from aecodec.lattice import lorenzo_residual, lorenzo_restore
from aecodec.packing.lossless import decode_bytes
from aecodec.packing.residuals import decode_residual, encode_cells, encode_residual
from aecodec.packing.varint import Cursor, put_section

SWAPPED, AXES_AT = 1, 4
_BYTES, _CONSTANT, _LATTICE = 0, 1, 2
_HEAD = bytes([0]) + np.array(1.0, "<f8").tobytes()  # no flags, step 1
_CELLS = (16, 64, 256)
_RUNS = 4
_SMALL = 1 << 15
_SPARSE = 3.0  # bits a value below which cells may not be the best layout
_INT32 = np.dtype(np.int32)
Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class IntegerPlan:
    """How to code an int32 array: layout flags, Lorenzo axes and cell size in that layout, estimated bits a value."""

    bits: float
    layout: int
    predictor: int
    cell: int


def plan_integers(sample: np.ndarray, effort: Effort, like: IntegerPlan | None = None) -> IntegerPlan:
    """The plan that makes a `sample` (steps, channels, rows, columns) smallest by estimate; `like` fixes layout and prediction."""
    if like is not None:
        found = _tried(lorenzo_residual(arranged(sample, like.layout), like.predictor), like.layout, like.predictor)
    else:
        found = []
        for layout in _layouts(sample.shape):
            coded = arranged(sample, layout)
            useful = sum(1 << axis for axis, size in enumerate(coded.shape) if size > 1)
            for mask in sorted({mask & useful for mask in range(16)}):
                found += _tried(lorenzo_residual(coded, mask), layout, mask)
        bits, layout, mask, cell = min(found)
        coded = lorenzo_residual(arranged(sample, layout), mask)
        # Where values are smooth along an axis, second differences are smaller.
        for axis in range(4):
            if mask >> axis & 1:
                found += _tried(lorenzo_residual(coded, 1 << axis), layout | 1 << axis + AXES_AT, mask)
    bits, layout, mask, cell = min(found)
    return IntegerPlan(bits / max(1, sample.size), layout, mask, cell)


def _tried(residual: np.ndarray, layout: int, mask: int) -> list[tuple[float, int, int, int]]:
    return [(bits, layout, mask, cell) for cell, bits in _cell_bits(residual.reshape(-1)).items()]


def _cell_bits(residual: np.ndarray) -> dict[int, float]:
    """Estimated size by cell size, as if each cell were Laplacian of its own mean magnitude."""
    fine = _CELLS[0]
    magnitudes = np.abs(np.pad(residual, (0, -residual.size % max(_CELLS)))).view(np.uint32)
    sums = magnitudes.reshape(-1, fine).sum(axis=1, dtype=np.float64)
    found = {}
    for size in _CELLS:
        means = sums.reshape(-1, size // fine).sum(axis=1) / size
        index = np.rint(2 * np.log2(np.maximum(means, 2.0**-6)))
        counts = np.unique_counts(np.diff(index, prepend=0)).counts
        side = float((counts * np.log2(index.size / counts)).sum())
        # Entropy of geometric values with a sign: exact at both ends.
        bits = np.log2(1 + means) + means * np.log2(1 + 1 / np.maximum(means, 2.0**-20)) + means / (means + 1)
        found[size] = side + float(bits.sum()) * size
    return found


def encode_integers(indices: np.ndarray, plan: IntegerPlan, thorough: bool) -> bytes:
    """int32 (steps, channels, rows, columns) -> body."""
    head = bytes([plan.layout])
    if indices.size and (indices == indices.flat[0]).all():
        return bytes([0, _CONSTANT]) + indices.reshape(-1)[:1].astype("<i4").tobytes()
    body = bytearray(head + bytes([_LATTICE]) + _HEAD + bytes([plan.predictor]))
    residual = lorenzo_residual(arranged(indices, plan.layout), plan.predictor).reshape(-1)
    encode = encode_residual if thorough or plan.bits < _SPARSE or indices.size < _SMALL else encode_cells
    put_section(body, encode(residual, plan.cell, thorough))
    return bytes(body)


def decode_integers(cursor: Cursor, shape: Shape) -> np.ndarray:
    """The inverse of `encode_integers`; takes all that is left."""
    layout = cursor.byte()
    if layout & 14:
        raise FormatError(f"integers have unknown layout {layout:#x}")
    inner = (shape[1], shape[0], *shape[2:]) if layout & SWAPPED else shape
    indices = _decode_body(cursor, inner)
    indices = lorenzo_restore(indices, layout >> AXES_AT)
    return np.ascontiguousarray(indices.swapaxes(0, 1)) if layout & SWAPPED else indices


def _decode_body(cursor: Cursor, shape: Shape) -> np.ndarray:
    mode = cursor.byte()
    if mode == _BYTES:
        return decode_bytes(cursor, _INT32.newbyteorder("<"), int(np.prod(shape))).astype(_INT32, copy=False).reshape(shape)
    if mode == _CONSTANT:
        value = cursor.array(_INT32, 1)
        cursor.end()
        return np.full(shape, value[0], _INT32)
    if mode == _LATTICE:
        if bytes(cursor.take(len(_HEAD))) != _HEAD:
            raise FormatError("integers are coded with flags or a lattice step of their own")
        predictor = cursor.byte()
        if predictor > 15:
            raise FormatError(f"chunk names unknown predictor {predictor}")
        section = cursor.section()
        residual = decode_residual(section, int(np.prod(shape))).reshape(shape)
        section.end()
        cursor.end()
        return lorenzo_restore(residual, predictor)
    raise FormatError(f"integers are coded in chunk mode {mode}, which holds none")


def arranged(indices: np.ndarray, layout: int) -> np.ndarray:
    """The array as it is coded."""
    if layout & SWAPPED:
        indices = np.ascontiguousarray(indices.swapaxes(0, 1))
    return lorenzo_residual(indices, layout >> AXES_AT)


def _layouts(shape: Sequence[int]) -> list[int]:
    """Channels apart where they would else alternate within a cell."""
    return [0, SWAPPED] if shape[0] > 1 and shape[1] > 1 and shape[2] * shape[3] < 64 else [0]


def sample_of(array: np.ndarray, budget: int) -> np.ndarray:
    """About `budget` values of a canonical array: runs of steps from several places, of large steps other rows each time."""
    steps, channels, rows, columns = array.shape
    if array.size <= budget:
        return array
    share = budget // _RUNS
    kept = min(rows, max(2, share // (min(steps, 2) * channels * columns)))
    length = min(steps, max(2, share // (channels * kept * columns)))
    places = np.arange(_RUNS) / (_RUNS - 1)
    starts, tops = (places * (steps - length)).astype(int), (places * (rows - kept)).astype(int)
    return np.concatenate([array[s : s + length, :, t : t + kept] for s, t in zip(starts, tops, strict=True)])
