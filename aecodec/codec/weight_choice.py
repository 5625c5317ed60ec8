"""Whether weighted prediction is worth its time and bytes on a chunk, by a piece from its middle."""

from dataclasses import dataclass

import numpy as np

from aecodec.lorenzo import lorenzo_residual
from aecodec.packing.estimate import residual_bits
from aecodec.weighted import fit_weights, residual_of_indices

FEWEST = 1 << 12  # values; of a message, the choice would take longer than all else
_WORTH = 0.99  # of the bits, what weights must bring them down to: they take a little more time


@dataclass(frozen=True)
class WeightChoice:
    """Weights, what they leave of the steps that have one before them (1-D), its estimated size, and that relative to what Lorenzo
    prediction leaves of the same."""

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
    later = slice(1 if steps > 1 else 0, None)  # of a piece, the first step has none before it, of most of a chunk's it has
    left = residual_of_indices(indices, weights)[later].reshape(-1)
    bits, without = residual_bits(left, cell), residual_bits(lorenzo_residual(indices, mask)[later].reshape(-1), cell)
    return WeightChoice(weights, left, bits, bits / without) if bits < _WORTH * without else None
