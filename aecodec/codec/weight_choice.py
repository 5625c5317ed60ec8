"""Whether weighted prediction is worth its time and bytes on a chunk, by a piece from its middle."""

from dataclasses import dataclass

import numpy as np

from aecodec.compiled.residual import zigzagged_residual
from aecodec.lorenzo import as_planes, lorenzo_residual
from aecodec.packing.estimate import zigzagged_bits
from aecodec.packing.stream import zigzag
from aecodec.weighted import fit_weights, zigzagged_of_indices

FEWEST = 1 << 12  # values; of a message, the choice would take longer than all else
_WORTH = 0.99  # of the bits, what weights must bring them down to: they take a little more time


@dataclass(frozen=True)
class WeightChoice:
    """Weights; what they leave, zigzagged (1-D), of the steps that have one before them; its estimated size; and that relative to
    what Lorenzo prediction leaves of the same."""

    weights: np.ndarray
    residual: np.ndarray
    bits: float
    share: float


def choose_weights(indices: np.ndarray, mask: int, cell: int) -> WeightChoice | None:
    """Weights fitted on a piece's lattice `indices` (steps, channels, rows, columns), if they beat Lorenzo prediction along `mask`,
    both packed in cells of so many values."""
    steps, _, rows, columns = indices.shape
    if columns == 1 or max(steps, rows) == 1:
        return None
    weights = fit_weights(indices)
    whole = indices.astype(np.float64)
    later = slice(1 if steps > 1 else 0, None)  # of a piece, the first step has none before it, of most of a chunk's it has
    left = zigzagged_of_indices(whole, weights)[later].reshape(-1)
    bits = zigzagged_bits(left, cell)
    without = zigzagged_bits(_zigzagged_lorenzo(indices, whole, mask)[later].reshape(-1), cell)
    return WeightChoice(weights, left, bits, bits / without) if bits < _WORTH * without else None


def _zigzagged_lorenzo(indices: np.ndarray, whole: np.ndarray, mask: int) -> np.ndarray:
    """What Lorenzo prediction along `mask` leaves of int32 `indices`, the same as float64 in `whole`; uint32 of that shape."""
    view = as_planes(indices.shape, mask)
    if view is not None:
        planes, along_rows, along_columns = view
        left = np.empty(planes, np.uint32)
        if zigzagged_residual(whole.reshape(planes), np.ones(1), along_rows, along_columns, left):
            return left.reshape(indices.shape)
    return zigzag(lorenzo_residual(indices, mask))
