"""The bounded path of the fastest levels: lattice mode without latents, its bound proven beforehand instead of checked.

The body is that of lattice_mode.py (FORMAT.md, "Mode 2, lattice").
"""

from dataclasses import dataclass

import numpy as np

from aecodec.codec.effort import Effort
from aecodec.codec.finite import FiniteValues
from aecodec.codec.samples import middle
from aecodec.codec.sections import encode_classes, encode_steps
from aecodec.codec.weight_choice import FEWEST, choose_weights
from aecodec.compiled.room import room
from aecodec.fast_lattice import SafeLattice, lattice_indices, predicted_residual, safe_lattice, zigzagged_weighted
from aecodec.lorenzo import as_planes
from aecodec.packing.estimate import zigzagged_bits
from aecodec.packing.residuals import encode_whole, encode_zigzagged_cells, hasty_residual_size, spread_part
from aecodec.packing.varint import varint
from aecodec.weighted import WEIGHTED

CLASSES, PER_CHANNEL = 2, 16
_SPARSE = 2.0  # bits a value
_PART = 1 << 15  # values
_LONGER = 4  # times: trees of the scales that cells have take the more of a piece the shorter it is


@dataclass(frozen=True)
class _Choice:
    """Lorenzo axes, or weights instead; values of a cell; and the size estimated, in bits a value."""

    mask: int
    weights: np.ndarray | None
    cell: int
    bits: float


def encode_fast(seen: FiniteValues, errors: np.ndarray, effort: Effort) -> bytes | None:
    """A chunk -> body; None where the bound cannot be proven. `errors`: largest absolute error of each channel."""
    values, classes = seen.values, seen.classes
    lattice = safe_lattice(errors, seen.low, seen.high, values.dtype)
    if lattice is None:
        return None
    choice = _choose(values, lattice, effort)
    with room() as mine:
        if choice.weights is not None:
            unsigned = zigzagged_weighted(values, lattice, choice.weights, mine)
        else:
            unsigned = predicted_residual(values, lattice, choice.mask, zigzagged=True, room=mine)
        if choice.cell and not (choice.bits < _SPARSE and _better_whole(unsigned, choice.cell)):
            section = encode_zigzagged_cells(unsigned, choice.cell, effort.thorough)
        else:
            section = encode_whole(unsigned, effort.thorough, hasty=True)

    stored, per_channel = encode_steps(lattice.steps)
    flags = (PER_CHANNEL if per_channel else 0) | (0 if classes is None else CLASSES)
    predictor = bytes([choice.mask]) if choice.weights is None else bytes([WEIGHTED]) + choice.weights.tobytes()
    sections = [section] if classes is None else [section, encode_classes(classes)]
    return b"".join((bytes([flags]), stored, predictor, *(piece for each in sections for piece in (varint(len(each)), each))))


def _better_whole(unsigned: np.ndarray, cell: int) -> bool:
    """Whether a part is smaller without cells: no estimate foresees repeats and regions of zeros."""
    part = spread_part(unsigned, _PART)
    return 8 * hasty_residual_size(part) <= zigzagged_bits(part, cell)


def _choose(values: np.ndarray, lattice: SafeLattice, effort: Effort) -> _Choice:
    """Lorenzo axes that make a piece from the middle smallest, or weights fitted on a longer one if they do better on it, and the
    cell size that this is smallest with."""
    sizes = values.shape
    piece, longer_piece = (np.ascontiguousarray(values[middle(sizes, n * effort.sample_values)]) for n in (1, _LONGER))
    useful = sum(1 << axis for axis, size in enumerate(sizes) if size > 1)
    masks = sorted({mask & useful for mask in effort.predictors if as_planes(sizes, mask) is not None})

    def left(piece: np.ndarray, mask: int) -> np.ndarray:
        return predicted_residual(piece, lattice, mask, zigzagged=True)

    mask = min(masks, key=lambda mask: zigzagged_bits(left(piece, mask), effort.cells[0]))
    longer = left(longer_piece, mask)
    sizes_by_cell, weights = {effort.cells[0]: zigzagged_bits(longer, effort.cells[0])}, None
    if values.dtype.kind == "f" and values.size > FEWEST:
        better = choose_weights(lattice_indices(longer_piece, lattice), mask, effort.cells[0])
        if better is not None:
            weights, longer, sizes_by_cell = better.weights, better.residual, {effort.cells[0]: better.bits}
    sizes_by_cell |= {cell: zigzagged_bits(longer, cell) for cell in effort.cells[1:]}
    cell = min(effort.cells, key=lambda cell: sizes_by_cell[cell])
    return _Choice(mask, weights, cell, sizes_by_cell[cell] / longer.size)
