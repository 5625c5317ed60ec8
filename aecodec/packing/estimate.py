"""How large packed symbols would be, in a fraction of the time of packing them: for choices, never for the wire."""

import numpy as np

from aecodec.compiled.streams import COLUMNS, tabulated
from aecodec.packing.contexts import Bands
from aecodec.packing.residuals import cell_indices, side_information
from aecodec.packing.scale import INDICES, magnitude, scale_index
from aecodec.packing.stream import zigzag

_STREAM_BITS = 70.0  # between a stream of its own and one shared with neighbours
_SYMBOL_BITS = 4.0


def grouped_bits(indices: np.ndarray | None, symbols: np.ndarray) -> float:
    """Entropy of int32 `symbols` given their scale `indices` (same shape, uint8; None: all the same), with trees and framing."""
    unsigned = zigzag(symbols).reshape(-1)
    flat = None if indices is None else np.ascontiguousarray(indices.reshape(-1))
    table = tabulated(unsigned, flat, 1 if indices is None else INDICES)
    totals = table.sum(axis=1)
    coded = totals > table[:, 0]
    counts = table.reshape(-1)
    counts = counts[counts > 0].astype(np.float64)
    totals_seen = totals[totals > 0].astype(np.float64)
    # A scale index with nothing but zeros has a single count, which cancels its total.
    bits = float((totals_seen * np.log2(totals_seen)).sum() - (counts * np.log2(counts)).sum())
    streams = int(np.count_nonzero(coded))
    bits += _SYMBOL_BITS * (counts.size - (totals_seen.size - streams)) + _STREAM_BITS * streams
    tail = unsigned.compress(unsigned >= COLUMNS - 1)
    # An escaped value costs about the logarithm of how far out it is, twice over for its sign and its tree.
    return bits + float(np.log2(tail.astype(np.float64) - (COLUMNS - 3)).sum() * 1.2)


def latents_bits(symbols: np.ndarray, bands: Bands, step: float) -> float:
    """Estimated size of `encode_latents`: as if each tile's energy were known from all its bands at once."""
    ends = np.array([end for end, _ in bands])
    expected = np.maximum(np.repeat([spread for _, spread in bands], np.diff(ends, prepend=0)) / step, 2.0**-20)
    energy = magnitude(symbols).sum(axis=1, dtype=np.int64) / expected.sum() + 2.0**-6
    return grouped_bits(scale_index(np.outer(energy, expected)), symbols)


def residual_bits(residual: np.ndarray, size: int) -> float:
    """Estimated size of `encode_residual` of a 1-D int32 residual with this cell size."""
    if size == 0:
        return grouped_bits(None, residual)
    indices = cell_indices(residual, size)
    side = side_information(indices).astype(np.int32)
    of_values = np.repeat(indices, size)[: residual.size]
    return grouped_bits(None, side) + grouped_bits(of_values, residual)
