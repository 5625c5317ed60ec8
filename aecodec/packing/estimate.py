"""How large packed symbols would be, in a fraction of the time of packing them: for choices, never for the wire."""

import numpy as np

from aecodec.compiled.cells import cell_indices
from aecodec.compiled.kernels import kernels
from aecodec.compiled.streams import COLUMNS, tabulated
from aecodec.packing.contexts import Bands
from aecodec.packing.logarithm import FRACTION, information, logarithms
from aecodec.packing.residuals import side_information
from aecodec.packing.scale import INDICES, magnitude, scale_index
from aecodec.packing.stream import zigzag

_STREAM_BITS = 70  # between a stream of its own and one shared with neighbours
_SYMBOL_BITS = 4
_TAIL = 1.2  # times its logarithm: an escaped value costs how far out it is about twice over, for its sign and its tree


def grouped_bits(indices: np.ndarray | None, symbols: np.ndarray) -> float:
    """Entropy of int32 `symbols` given their scale `indices` (same shape, uint8; None: all the same), with trees and framing."""
    flat = None if indices is None else np.ascontiguousarray(indices.reshape(-1))
    bits, tail = _estimated(zigzag(symbols).reshape(-1), flat)
    return _in_bits(bits, tail)


def _estimated(unsigned: np.ndarray, indices: np.ndarray | None) -> tuple[int, int]:
    """Bits, and the sum of logarithms of what the tables have no columns for, both times 2**16."""
    table = tabulated(unsigned, indices, 1 if indices is None else INDICES)
    totals = table.sum(axis=1)
    used = np.count_nonzero(table, axis=1)
    counts = table.reshape(-1)
    bits = int(information(totals).sum() - information(counts[counts > 0]).sum())
    # A scale index with nothing but zeros has a single count, which cancels its total.
    bits += int((_STREAM_BITS + _SYMBOL_BITS * used[totals > table[:, 0]]).sum()) << FRACTION
    tail = unsigned.compress(unsigned >= COLUMNS - 1)
    return bits, int(logarithms(tail.astype(np.int64) - (COLUMNS - 3)).sum()) if tail.size else 0


def _in_bits(bits: int, tail: int) -> float:
    return (bits + _TAIL * tail) / (1 << FRACTION)


def latents_bits(symbols: np.ndarray, bands: Bands, step: float) -> float:
    """Estimated size of `encode_latents`: as if each tile's energy were known from all its bands at once."""
    ends = np.array([end for end, _ in bands])
    expected = np.maximum(np.repeat([spread for _, spread in bands], np.diff(ends, prepend=0)) / step, 2.0**-20)
    energy = magnitude(symbols).sum(axis=1, dtype=np.int64) / expected.sum() + 2.0**-6
    return grouped_bits(scale_index(np.outer(energy, expected)), symbols)


def residual_bits(residual: np.ndarray, size: int) -> float:
    """Estimated size of `encode_residual` of a 1-D int32 residual with this cell size."""
    return zigzagged_bits(zigzag(residual), size)


def zigzagged_bits(unsigned: np.ndarray, size: int) -> float:
    """The same of a residual that is zigzagged already."""
    if kernels is not None:
        return _in_bits(*kernels.estimate(np.ascontiguousarray(unsigned), unsigned.itemsize, size))
    if size == 0:
        return _in_bits(*_estimated(unsigned, None))
    indices = cell_indices(unsigned, size)
    side = zigzag(side_information(indices))
    found = _estimated(side, None), _estimated(unsigned, np.repeat(indices, size)[: unsigned.size])
    return _in_bits(found[0][0] + found[1][0], found[0][1] + found[1][1])
